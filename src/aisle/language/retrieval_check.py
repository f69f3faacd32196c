"""Does a model find what belongs to a text? Asked of pairs that it has not learned from.

Enters: unit vectors of texts. Leaves: gains of each left text, and how sure a difference between two models is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array

Int64Array = NDArray[np.int64]
Floats = NDArray[np.float64]

DEPTH = 10
NEAR_ENOUGH = "near_enough"
"""In a version's metrics: from which cosine on texts have to do with each other."""
_AT_ONCE = 256
_DRAWN_PAIRS = 20_000
_CHANCE_ABOVE, _RIGHT_BELOW = 0.005, 0.3


@dataclass(frozen=True)
class Found:
    """What each left text found; (n_lefts,) each."""

    ndcg: Floats
    """NDCG@10 with gain 1 for each right text that belongs to it."""
    recall: Floats
    """Share of those among the first 10."""
    first: Int64Array
    """(n_lefts, 10) rows of the right texts found, best first."""
    near_enough: float
    """From which cosine on a right text has to do with a left one, see ``near_enough``."""

    def means(self) -> dict[str, float]:
        """The mean of each."""
        return {f"ndcg@{DEPTH}": float(self.ndcg.mean()), f"recall@{DEPTH}": float(self.recall.mean())}


def find(lefts: Float32Array, rights: Float32Array, left: Int64Array, right: Int64Array) -> Found:
    """Rank all right texts for each left text by cosine.

    Args:
        lefts: (n_lefts, d) unit rows.
        rights: (n_rights, d) unit rows.
        left: (n_pairs,) rows of ``lefts``.
        right: (n_pairs,) the rows of ``rights`` that belong to them.
    """
    depth = min(DEPTH, len(rights))
    discount = 1.0 / np.log2(np.arange(2, depth + 2))
    belongs = np.unique(left * len(rights) + right)
    n_each = np.bincount(belongs // len(rights), minlength=len(lefts))
    ndcg, recall = np.zeros(len(lefts)), np.zeros(len(lefts))
    first = np.zeros((len(lefts), depth), dtype=np.int64)
    for start in range(0, len(lefts), _AT_ONCE):
        cosines = lefts[start : start + _AT_ONCE] @ rights.T  # (b, n_rights)
        near = np.argpartition(-cosines, depth - 1, axis=1)[:, :depth]
        order = np.lexsort((near, -np.take_along_axis(cosines, near, axis=1)), axis=1)
        near = np.take_along_axis(near, order, axis=1)  # (b, depth) best first, ties by row
        rows = np.arange(start, start + len(cosines))
        hit = np.isin(rows[:, None] * len(rights) + near, belongs)
        n_here = np.maximum(n_each[rows], 1)
        ideal = np.cumsum(discount)[np.minimum(n_here, depth) - 1]
        ndcg[rows] = (hit @ discount) / ideal
        recall[rows] = hit.sum(axis=1) / n_here
        first[rows] = near
    return Found(ndcg, recall, first, near_enough(lefts, rights, left, right))


def near_enough(lefts: Float32Array, rights: Float32Array, left: Int64Array, right: Int64Array) -> float:
    """The cosine that one of 200 pairs drawn by chance exceeds, but no more than 70% of the pairs that belong do.

    For the packaged model and Home Depot's judged titles that is 0.44; 0.45 was chosen there by what searches find.
    Arguments as for ``find``.
    """
    rng = np.random.default_rng(0)
    some, others = (rng.integers(0, len(one), _DRAWN_PAIRS) for one in (lefts, rights))
    belongs = np.isin(some * len(rights) + others, left * len(rights) + right)
    by_chance = _cosines(lefts, rights, some[~belongs], others[~belongs])
    of_right = _cosines(lefts, rights, left, right)
    if not len(by_chance):
        return float(np.quantile(of_right, _RIGHT_BELOW))
    return float(min(np.quantile(by_chance, 1 - _CHANCE_ABOVE), np.quantile(of_right, _RIGHT_BELOW)))


def _cosines(lefts: Float32Array, rights: Float32Array, left: Int64Array, right: Int64Array) -> Float32Array:
    parts = [
        np.einsum("nd,nd->n", lefts[left[start : start + 8_192]], rights[right[start : start + 8_192]])
        for start in range(0, len(left), 8_192)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


def agreement(one: Found, other: Found) -> float:
    """The share of what ``one`` finds first that ``other`` finds first as well, mean over left texts."""
    shared = [len(np.intersect1d(a, b)) for a, b in zip(one.first, other.first, strict=True)]
    return float(np.mean(shared)) / one.first.shape[1]


def interval(gains: Floats, share: float = 0.9, n_draws: int = 2_000) -> tuple[float, float]:
    """Where the mean of (n,) differences lies, by bootstrap over them with a fixed seed."""
    rng = np.random.default_rng(0)
    means = [float(gains[rng.integers(0, len(gains), len(gains))].mean()) for _ in range(n_draws)]
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
