"""Intervals cover the true mean about as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.evaluation import mean_interval, probability_metrics, statistic_interval


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_nine_of_ten_intervals_hold_the_true_mean(method) -> None:
    rng = np.random.default_rng(20)
    n_repeats, held = 400, 0
    for _ in range(n_repeats):
        values = (rng.random(120) < 0.2).astype(float)  # hits of a system that finds one in five
        interval = mean_interval(values, rng, level=0.9, n_resamples=400, method=method)
        held += interval.low <= 0.2 <= interval.high
    assert 0.85 <= held / n_repeats <= 0.95  # 0.9 within about three standard errors


def test_the_interval_of_auc_holds_the_true_auc() -> None:
    rng = np.random.default_rng(21)
    held = 0
    for _ in range(60):
        labels = rng.integers(0, 2, 200)
        scores = rng.random(200) + 0.5 * labels  # true AUC: 1 - 0.5 * 0.5**2 = 0.875
        interval = statistic_interval(probability_metrics.auc, labels, scores, rng=rng, level=0.9, n_resamples=200)
        held += interval.low <= 0.875 <= interval.high
    assert 47 <= held <= 60
