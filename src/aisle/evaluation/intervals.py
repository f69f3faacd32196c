"""How sure a figure is: bootstrap intervals of means and of paired differences (Efron & Tibshirani, 1993).

Enters: one value a case, nan where a case has none. Cases are drawn again with replacement; systems that answered the
same cases are drawn together, so that a difference is not blurred by easy and hard cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from aisle.errors import DataError

Method = Literal["percentile", "bca"]
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where it would lie again, ``low <= high`` at the level asked for; all nan without cases."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether zero lies outside; for differences."""
        return self.low > 0.0 or self.high < 0.0


def mean_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    method: Method = "bca",
) -> Interval:
    """The mean of ``values`` (n,) with its interval."""
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    return intervals_of(table, resampled_means(table, rng, n_resamples), level=level, method=method)[0]


def paired_difference(
    values: ArrayLike,
    baseline: ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    method: Method = "bca",
) -> Interval:
    """The mean of ``values - baseline``, both (n,) over the same cases in the same order, with its interval."""
    first, second = np.asarray(values, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if first.shape != second.shape:
        raise DataError(f"paired values need the same cases: {first.shape} and {second.shape} differ")
    return mean_interval(first - second, rng, level=level, n_resamples=n_resamples, method=method)


def statistic_interval(
    statistic: Callable[..., float],
    *columns: ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = 1000,
) -> Interval:
    """The percentile interval of any statistic of the rows of ``columns``, for instance ``auc(labels, scores)``.

    Resamples for which the statistic is nan (one class only) are left out. Cost: ``n_resamples`` calls.
    """
    arrays = [np.asarray(column) for column in columns]
    n = len(arrays[0])
    drawn = (rng.integers(0, n, size=n) for _ in range(n_resamples)) if n else iter(())
    found = np.array([statistic(*(array[rows] for array in arrays)) for rows in drawn])
    found = found[~np.isnan(found)]
    value = float(statistic(*arrays))
    if not len(found):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def resampled_means(values: NDArray[np.float64], rng: np.random.Generator, n_resamples: int) -> NDArray[np.float64]:
    """Means of every row of ``values`` (m, n) over the same ``n_resamples`` draws of its columns. (m, n_resamples)

    nan entries are passed over; a draw without any other gives nan. Cost O(m x n x n_resamples) in matrix products.
    """
    n = values.shape[1]
    is_there = ~np.isnan(values)
    filled = np.where(is_there, values, 0.0)
    is_complete = bool(is_there.all())
    means = np.full((len(values), n_resamples), np.nan)
    at_once = max(1, _CELLS_AT_ONCE // max(n, 1))
    for start in range(0, n_resamples if n else 0, at_once):
        size = min(at_once, n_resamples - start)
        drawn = rng.integers(0, n, size=(size, n)) + np.arange(size)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        total = filled @ times.T  # (m, size)
        count = np.full(total.shape, float(n)) if is_complete else is_there.astype(np.float64) @ times.T
        np.divide(total, count, out=means[:, start : start + size], where=count > 0)
    return means


def intervals_of(
    values: NDArray[np.float64], means: NDArray[np.float64], *, level: float, method: Method
) -> list[Interval]:
    """The interval of the mean of each row of ``values`` (m, n), given its resampled ``means`` (m, n_resamples)."""
    if not 0.0 < level < 1.0:
        raise DataError(f"level is {level}; it must lie between 0 and 1, such as 0.95", field="level")
    return [
        _interval(row[~np.isnan(row)], drawn[~np.isnan(drawn)], level, method)
        for row, drawn in zip(values, means, strict=True)
    ]


def _interval(values: NDArray[np.float64], means: NDArray[np.float64], level: float, method: Method) -> Interval:
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    value = float(values.mean())
    if not len(means) or np.ptp(values) == 0.0:
        return Interval(value, value, value)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        tails = _corrected(tails, values, means, value)
    low, high = np.quantile(means, tails)
    return Interval(value, float(low), float(high))


def _corrected(
    tails: NDArray[np.float64], values: NDArray[np.float64], means: NDArray[np.float64], value: float
) -> NDArray[np.float64]:
    """The tails moved for bias and skewness: BCa, equation 14.10 of Efron & Tibshirani.

    Jackknife means of a mean are known in closed form, so the acceleration (14.15) costs O(n).
    """
    share = ((means < value).mean() + (means <= value).mean()) / 2.0
    if not 0.0 < share < 1.0:
        return tails
    bias = ndtri(share)
    distance = (values - value) / np.ptp(values)  # the acceleration has no unit; scaled, tiny values do not underflow
    acceleration = (distance**3).sum() / (6.0 * (distance**2).sum() ** 1.5)
    shifted = bias + ndtri(tails)
    return ndtr(bias + shifted / (1.0 - acceleration * shifted))
