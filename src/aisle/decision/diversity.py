"""How like each other items are, and the list that trades usefulness for difference (maximal marginal relevance).

Enters: item rows, unit vectors where somebody has them, utilities. Leaves: similarities and marginal relevance. Knows
nothing of sources or models; who has vectors is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array, Rows
from aisle.domain import NO_VALUE, Catalogue

OVERLAP = {"category": 0.6, "brand": 0.3, "seller": 0.1}
"""What sharing a column says about likeness where there are no vectors; the three add up to 1."""


@runtime_checkable
class ItemVectors(Protocol):
    """Knows items as unit vectors by row."""

    def item_vectors(self, item_rows: Rows) -> Float32Array:
        """(k, d) float32 unit rows; nan rows where there is none."""
        ...


FindVectors = Callable[[], ItemVectors | None]
"""Who has vectors at this moment; sources are replaced while requests run."""


class Likeness:
    """Similarities in 0 to 1 among the items of one list: cosines, or overlap of columns where an item has no vector.

    Cost: ``to`` is one product (n, d) x (d,), so that a list of k slots costs k of them and never n x n.
    """

    def __init__(self, item_rows: Rows, catalogue: Catalogue, vectors: ItemVectors | None) -> None:
        self._vectors = None if vectors is None else vectors.item_vectors(item_rows)
        if self._vectors is None:
            self._has_vector = np.zeros(len(item_rows), dtype=np.bool_)
        else:
            self._has_vector = np.isfinite(self._vectors[:, 0])
        self._is_complete = bool(self._has_vector.all())
        self._columns = [] if self._is_complete else [catalogue.column(name)[item_rows] for name in OVERLAP]

    def to(self, position: int) -> NDArray[np.float32]:
        """(n,) float32 in 0 to 1: how like each item is to the one at ``position``."""
        if self._vectors is not None and self._is_complete:
            return np.maximum(self._vectors @ self._vectors[position], 0.0)
        overlap = self._overlap(position)
        if self._vectors is not None and self._has_vector[position]:
            known = self._has_vector
            overlap[known] = np.maximum(self._vectors[known] @ self._vectors[position], 0.0)
        return overlap

    def _overlap(self, position: int) -> NDArray[np.float32]:
        total = np.zeros(len(self._has_vector), dtype=np.float32)
        for column, weight in zip(self._columns, OVERLAP.values(), strict=True):
            if column[position] != NO_VALUE:
                total += np.float32(weight) * (column == column[position])
        return total


class MarginalRelevance:
    """(1 - diversity) x utility - diversity x likeness to the most similar item above (Carbonell & Goldstein 1998).

    Utilities are first moved to 0 to 1 over the request's candidates, so that ``diversity`` means the same everywhere.
    """

    def __init__(self, utility: NDArray[np.floating], diversity: float, likeness: Likeness) -> None:
        """``utility`` (n,), best first."""
        spread = float(utility[0] - utility[-1]) if len(utility) else 0.0
        scaled = (utility - utility[-1]) / spread if spread > 0 else np.zeros(len(utility), dtype=np.float32)
        self._useful = ((1.0 - diversity) * scaled).astype(np.float32)
        self._diversity = np.float32(diversity)
        self._likeness = likeness
        self._nearest = np.zeros(len(utility), dtype=np.float32)
        self.value = self._useful.copy()
        """(n,) float32 marginal relevance; -inf for what was taken."""

    def take(self, position: int) -> None:
        """Note that ``position`` is in the list now."""
        np.maximum(self._nearest, self._likeness.to(position), out=self._nearest)
        taken = np.isneginf(self.value)
        np.subtract(self._useful, self._diversity * self._nearest, out=self.value)
        self.value[taken] = -np.inf
        self.value[position] = -np.inf
