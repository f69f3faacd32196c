"""A logistic regression that stands unknown values, codes and rows that not everybody looks at.

Enters: features with nan. Leaves: log-odds by who looks. Knows nothing of clicks, purchases or places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from aisle.ranking.examined_clicks import losses, slopes
from aisle.ranking.features import CODE_NAMES

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]

_WIDEST = 4.0
"""Standard deviations at which a feature is cut off: a linear model must not run away with an outlier."""
_CODES_EACH = 12
"""Values of a code feature that get a column of their own."""
_AT_ONCE = 50_000


@dataclass(frozen=True)
class Design:
    """Turns features (n, n_features) into columns without nan, and remembers which feature each came from.

    ``numeric`` (a,) features that are standardised by ``mean`` and ``scale``; ``missing`` (b,) features with an
    indicator of being unknown; ``code_feature`` and ``code_value`` (c,) one indicator for each frequent code.
    """

    numeric: NDArray[np.int64]
    mean: Float32
    scale: Float32
    missing: NDArray[np.int64]
    code_feature: NDArray[np.int64]
    code_value: Float32

    @classmethod
    def of(cls, names: tuple[str, ...], values: Float32) -> Design:
        """Learn means and scales; a feature that never varies gets no column, equal indicators only one."""
        is_code = np.array([name in CODE_NAMES for name in names])
        unknown = np.isnan(values)
        n_known = np.maximum((~unknown).sum(axis=0), 1)
        filled = np.where(unknown, np.float32(0.0), values)
        mean = filled.sum(axis=0, dtype=np.float64) / n_known
        spread = np.sqrt(np.maximum((np.square(filled, dtype=np.float64)).sum(axis=0) / n_known - mean**2, 0.0))
        numeric = np.flatnonzero(~is_code & (spread > 1e-6 * np.maximum(np.abs(mean), 1e-3)))
        share = unknown.mean(axis=0)
        candidates = np.flatnonzero((share > 0.001) & (share < 0.999))
        _, first = np.unique(np.packbits(unknown[:, candidates], axis=0), axis=1, return_index=True)
        code_feature, code_value = [], []
        for feature in np.flatnonzero(is_code):
            codes, counts = np.unique(values[~unknown[:, feature], feature], return_counts=True)
            frequent = codes[np.argsort(-counts, kind="stable")[:_CODES_EACH]]
            if len(codes) > 1:
                code_feature += [feature] * len(frequent)
                code_value += frequent.tolist()
        return cls(
            numeric,
            mean[numeric].astype(np.float32),
            spread[numeric].astype(np.float32),
            np.sort(candidates[first]),
            np.array(code_feature, dtype=np.int64),
            np.array(code_value, dtype=np.float32),
        )

    @property
    def feature_of_column(self) -> NDArray[np.int64]:
        """Which feature each column came from. (n_columns,)"""
        return np.concatenate([self.numeric, self.missing, self.code_feature])

    def columns(self, values: Float32) -> Float32:
        """(n, n_columns) float32 without nan."""
        scaled = np.clip((values[:, self.numeric] - self.mean) / self.scale, -_WIDEST, _WIDEST)
        return np.concatenate(
            [
                np.nan_to_num(scaled, nan=0.0),
                np.isnan(values[:, self.missing]).astype(np.float32),
                (values[:, self.code_feature] == self.code_value).astype(np.float32),
            ],
            axis=1,
        )


@dataclass(frozen=True)
class LinearModel:
    """``log-odds = bias + weights . columns``."""

    design: Design
    bias: float
    weights: Floats

    def log_odds(self, values: Float32) -> Floats:
        """By who looks. (n,)"""
        return self.bias + self.design.columns(values) @ self.weights

    def contributions(self, values: Float32) -> Floats:
        """How much each feature moved the log-odds from those of an average row. (n, n_features)"""
        parts = self.design.columns(values) * self.weights
        found = np.zeros(values.shape)
        for column, feature in enumerate(self.design.feature_of_column):
            found[:, feature] += parts[:, column]
        return found

    def as_arrays(self, prefix: str) -> dict[str, NDArray]:
        """Everything as named arrays."""
        own = {"bias": np.array(self.bias), "weights": self.weights}
        return {f"{prefix}_{name}": array for name, array in {**own, **vars(self.design)}.items()}

    @classmethod
    def restored(cls, prefix: str, arrays: Mapping[str, NDArray]) -> LinearModel:
        """The model that ``as_arrays`` gave."""
        found = {name.removeprefix(f"{prefix}_"): array for name, array in arrays.items() if name.startswith(prefix)}
        design = Design(**{name: found[name] for name in Design.__dataclass_fields__})
        return cls(design, float(found["bias"]), found["weights"])

    @classmethod
    def array_names(cls, prefix: str) -> tuple[str, ...]:
        """The names of those arrays."""
        return tuple(f"{prefix}_{name}" for name in ("bias", "weights", *Design.__dataclass_fields__))


def minimise(
    table: Float32, places: Float32, log_known: Floats, labels: NDArray[np.bool_], importance: Floats, ridge: float
) -> tuple[Floats, Floats]:
    """The least log loss plus ``ridge / 2 * |weights|^2``, by L-BFGS.

    Args:
        table: (n, n_columns) float32, the columns of a design.
        places: (n, k) float32, never negative; a row is looked at with log-probability ``log_known - places @ fall``.
        log_known: (n,) log-probability that what will happen is known already; 0 for certainly.
        labels: (n,) what happened.
        importance: (n,) weight of each row.
        ridge: in units of rows: as strong as that many rows against each weight.

    Returns:
        Bias and weights (1 + n_columns,); ``fall`` (k,), never negative. Cost O(n x (n_columns + k)) a step, about a
        hundred steps.
    """
    total, happened = importance.sum(), labels.astype(np.float64)
    mean = float(importance @ happened / total)
    n = 1 + table.shape[1]
    start = np.zeros(n + places.shape[1])
    start[0] = np.log(max(mean, 1e-6) / max(1.0 - mean, 1e-6))

    def loss(solution: Floats) -> tuple[float, Floats]:
        value = 0.5 * ridge * float(solution[1:] @ solution[1:])
        slope = np.concatenate([[0.0], ridge * solution[1:]])
        weights, fall = solution[1:n].astype(np.float32), solution[n:].astype(np.float32)
        for begin in range(0, len(table), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            odds = solution[0] + (table[part] @ weights).astype(np.float64)
            looked = log_known[part] - (places[part] @ fall).astype(np.float64)
            value += float(importance[part] @ losses(odds, looked, happened[part]))
            by_odds, by_looked = (importance[part] * one for one in slopes(odds, looked, happened[part]))
            slope[0] += by_odds.sum()
            slope[1:n] += by_odds.astype(np.float32) @ table[part]
            slope[n:] -= by_looked.astype(np.float32) @ places[part]
        return value / total, slope / total

    bounds = [(None, None)] * n + [(0.0, None)] * places.shape[1]
    options = {"maxiter": 100, "ftol": 1e-8}
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return found.x[:n], found.x[n:]
