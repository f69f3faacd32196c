"""How good predicted probabilities are: their order (AUC), their sharpness (log loss) and their honesty (calibration).

Enters: ``labels`` (n,) of 0 and 1 and ``probabilities`` or ``scores`` (n,). No value depends on the order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aisle.errors import DataError

SMALLEST_PROBABILITY = 1e-15
"""Probabilities are moved this far from 0 and 1 before a logarithm is taken."""


@dataclass(frozen=True)
class Reliability:
    """What was predicted and what happened, by bin of rising prediction; all (n_bins,).

    ``predicted`` mean probability, ``observed`` share of ones, ``counts`` rows.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    counts: NDArray[np.int64]


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Chance that a random one is scored above a random zero, ties counting half; nan where there is only one class.

    The Mann-Whitney statistic from mid-ranks (Hanley & McNeil, 1982). Cost O(n log n).
    """
    truth, score = _pair(labels, scores)
    n_ones = int(truth.sum())
    n_zeros = len(truth) - n_ones
    if not n_ones or not n_zeros:
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - (counts - 1) / 2.0  # of each distinct score, the lowest score having rank 1
    rank_sum = float(mid_ranks[place][truth].sum())
    return (rank_sum - n_ones * (n_ones + 1) / 2.0) / (n_ones * n_zeros)


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean negative natural logarithm of the probability given to what happened; 0 is perfect."""
    truth, predicted = _probabilities(labels, probabilities)
    if not len(truth):
        return float("nan")
    given = np.clip(np.where(truth, predicted, 1.0 - predicted), SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
    return float(-np.log(given).mean())


def brier_score(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance between the probability and what happened (Brier, 1950); 0 is perfect."""
    truth, predicted = _probabilities(labels, probabilities)
    return float(((predicted - truth) ** 2).mean()) if len(truth) else float("nan")


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, n_bins: int = 10) -> float:
    """Expected calibration error over bins of equal mass: mean distance of predicted and observed, weighted by rows.

    Equal mass rather than equal width, because shop probabilities crowd near zero (Nixon et al., 2019, "Measuring
    calibration in deep learning"). Equal predictions always share a bin.
    """
    table = reliability(labels, probabilities, n_bins)
    n = int(table.counts.sum())
    return float(np.abs(table.predicted - table.observed) @ table.counts / n) if n else float("nan")


def reliability(labels: ArrayLike, probabilities: ArrayLike, n_bins: int = 10) -> Reliability:
    """Predicted against observed over about ``n_bins`` bins of equal mass; bins that ties leave empty are dropped."""
    if n_bins < 1:
        raise DataError(f"n_bins is {n_bins}; at least 1 is needed", field="n_bins")
    truth, predicted = _probabilities(labels, probabilities)
    if not len(truth):
        return Reliability(np.empty(0), np.empty(0), np.empty(0, np.int64))
    _, place, sizes = np.unique(predicted, return_inverse=True, return_counts=True)
    n_below = (np.cumsum(sizes) - sizes)[place]  # the same for equal predictions, so they share a bin
    bins = n_below * n_bins // len(truth)
    counts = np.bincount(bins, minlength=n_bins)
    is_used = counts > 0
    sums = np.bincount(bins, weights=predicted, minlength=n_bins)
    ones = np.bincount(bins, weights=truth, minlength=n_bins)
    return Reliability(sums[is_used] / counts[is_used], ones[is_used] / counts[is_used], counts[is_used])


def _pair(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    truth = np.asarray(labels)
    score = np.asarray(scores, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != score.shape:
        raise DataError(f"labels {truth.shape} and predictions {score.shape} must be two lists of one length")
    if not np.isin(truth, (0, 1)).all():
        raise DataError("labels must be 0 or 1", field="labels")
    if not np.isfinite(score).all():
        raise DataError("predictions must be finite", field="scores")
    return truth.astype(np.bool_), score


def _probabilities(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    truth, predicted = _pair(labels, probabilities)
    if len(predicted) and (predicted.min() < 0.0 or predicted.max() > 1.0):
        wrong = predicted.min() if predicted.min() < 0.0 else predicted.max()
        raise DataError(f"probability {wrong} is outside [0, 1]", field="probabilities")
    return truth, predicted
