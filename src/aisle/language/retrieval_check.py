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
_AT_ONCE = 256


@dataclass(frozen=True)
class Found:
    """What each left text found; (n_lefts,) each."""

    ndcg: Floats
    """NDCG@10 with gain 1 for each right text that belongs to it."""
    recall: Floats
    """Share of those among the first 10."""

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
    return Found(ndcg, recall)


def interval(gains: Floats, share: float = 0.9, n_draws: int = 2_000) -> tuple[float, float]:
    """Where the mean of (n,) differences lies, by bootstrap over them with a fixed seed."""
    rng = np.random.default_rng(0)
    means = [float(gains[rng.integers(0, len(gains), len(gains))].mean()) for _ in range(n_draws)]
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
