"""What must hold of every metric whatever it is given."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.evaluation import Targets, judge, list_metrics, mean_interval, padded, probability_metrics, ranking_metrics

N_ITEMS = 12
rows = st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=N_ITEMS)
cases = st.lists(st.tuples(rows, rows), min_size=1, max_size=6)
SHARES = (
    ranking_metrics.recall,
    ranking_metrics.precision,
    ranking_metrics.hit_rate,
    ranking_metrics.reciprocal_rank,
    ranking_metrics.average_precision,
    ranking_metrics.ndcg,
)
RISING = (
    ranking_metrics.recall,
    ranking_metrics.hit_rate,
    ranking_metrics.reciprocal_rank,
    ranking_metrics.average_precision,
)
predictions = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])), min_size=1, max_size=40
)


@given(cases, st.integers(1, 15))
def test_shares_lie_between_0_and_1(drawn, cutoff) -> None:
    judged = judge(padded([ranked for ranked, _ in drawn], N_ITEMS), Targets.of(targets for _, targets in drawn))
    for metric in SHARES:
        values = metric(judged, cutoff)
        is_asked = np.array([len(targets) > 0 for _, targets in drawn])
        assert np.isnan(values[~is_asked]).all()
        assert (values[is_asked] >= 0).all()
        assert (values[is_asked] <= 1 + 1e-12).all()


@given(cases)
def test_longer_lists_never_find_less(drawn) -> None:
    judged = judge(padded([ranked for ranked, _ in drawn], N_ITEMS), Targets.of(targets for _, targets in drawn))
    for metric in RISING:
        for shorter, longer in pairwise(range(1, N_ITEMS + 1)):
            assert (np.nan_to_num(metric(judged, longer)) >= np.nan_to_num(metric(judged, shorter)) - 1e-12).all()


@given(rows.filter(len), st.randoms(use_true_random=False))
def test_the_ideal_order_is_worth_1_and_no_order_more(targets, random) -> None:
    others = [row for row in range(N_ITEMS) if row not in targets]
    ideal = judge(np.array([targets + others]), Targets.of([targets]))
    anyhow = list(range(N_ITEMS))
    random.shuffle(anyhow)
    other = judge(np.array([anyhow]), Targets.of([targets]))
    for metric in (ranking_metrics.ndcg, ranking_metrics.average_precision, ranking_metrics.recall):
        assert metric(ideal, N_ITEMS)[0] == pytest.approx(1)
        assert metric(other, N_ITEMS)[0] <= 1 + 1e-12
    assert ranking_metrics.mean_rank(ideal, N_ITEMS)[0] == pytest.approx((len(targets) + 1) / 2)
    assert ranking_metrics.mean_rank(other, N_ITEMS)[0] >= ranking_metrics.mean_rank(ideal, N_ITEMS)[0] - 1e-9


@given(cases)
def test_many_cases_at_once_are_each_alone(drawn) -> None:
    ranked = padded([ranked for ranked, _ in drawn], N_ITEMS)
    together = judge(ranked, Targets.of(targets for _, targets in drawn))
    for metric in SHARES:
        alone = [metric(judge(ranked[i : i + 1], Targets.of([t])), 5)[0] for i, (_, t) in enumerate(drawn)]
        np.testing.assert_allclose(metric(together, 5), alone, atol=1e-12)


@given(cases)
def test_list_metrics_stay_in_bounds(drawn) -> None:
    ranked = padded([ranked for ranked, _ in drawn], N_ITEMS)
    assert 0 <= list_metrics.coverage(ranked, N_ITEMS, 5) <= 1
    gini = list_metrics.exposure_gini(ranked, N_ITEMS, 5)
    assert np.isnan(gini) or -1e-12 <= gini < 1
    vectors = np.random.default_rng(0).normal(size=(N_ITEMS, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    diversity = list_metrics.vector_diversity(ranked, vectors, 5)
    for row, value in zip(ranked, diversity, strict=True):
        shown = row[:5][row[:5] >= 0]
        pairs = [1 - vectors[a] @ vectors[b] for a in shown for b in shown if a < b]
        assert value == pytest.approx(np.mean(pairs)) if pairs else np.isnan(value)


@given(predictions, st.randoms(use_true_random=False), st.integers(1, 12))
def test_probability_metrics_do_not_depend_on_the_order_of_ties(pairs, random, n_bins) -> None:
    labels, probabilities = zip(*pairs, strict=True)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    other_labels, other_probabilities = zip(*shuffled, strict=True)
    for metric in (probability_metrics.auc, probability_metrics.log_loss):
        np.testing.assert_allclose(metric(labels, probabilities), metric(other_labels, other_probabilities))
    error = probability_metrics.calibration_error(labels, probabilities, n_bins)
    assert error == pytest.approx(probability_metrics.calibration_error(other_labels, other_probabilities, n_bins))
    assert 0 <= error <= 1


@given(predictions)
def test_auc_follows_the_order_only_and_turns_with_it(pairs) -> None:
    labels, probabilities = (np.array(column) for column in zip(*pairs, strict=True))
    value = probability_metrics.auc(labels, probabilities)
    np.testing.assert_allclose(probability_metrics.auc(labels, np.exp(3 * probabilities)), value)
    np.testing.assert_allclose(probability_metrics.auc(labels, -probabilities), 1 - value)


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.sampled_from(["bca", "percentile"]))
def test_intervals_are_ordered_and_inside_the_data(values, method) -> None:
    interval = mean_interval(values, np.random.default_rng(0), n_resamples=200, method=method)
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= interval.low <= interval.high + slack
    assert interval.high <= max(values) + slack
