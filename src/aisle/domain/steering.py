"""What the shop's query rules ask of one list, in rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PinnedRow:
    """An item and its slot, from 0, by the rule that says so."""

    item_row: int
    slot: int
    rule_id: str


@dataclass(frozen=True, slots=True)
class ItemSet:
    """Items by row, by codes of brands and categories (what lies below them too), by names and values of attributes."""

    item_rows: frozenset[int] = frozenset()
    brands: frozenset[int] = frozenset()
    categories: frozenset[int] = frozenset()
    attributes: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Steering:
    """``rule_ids`` are the rules that act, of the published ``version``.

    ``hidden`` (n_items,) bool marks items that may not be shown, None none, and ``left_out`` others that are taken out
    of what was found. ``factors`` belong to sets of items, by rules ``weighing``; ``weights`` are the factors of what
    was found by item row, 1 where absent. A pinned item stands in its slot where it may be shown at all.
    """

    rule_ids: tuple[str, ...] = ()
    version: int = 0
    redirect: str | None = None
    pins: tuple[PinnedRow, ...] = ()
    hidden: NDArray[np.bool_] | None = None
    left_out: tuple[ItemSet, ...] = ()
    factors: tuple[tuple[ItemSet, float], ...] = ()
    weighing: frozenset[str] = frozenset()
    weights: Mapping[int, float] = field(default_factory=dict)

    def limited(self, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """``allowed`` (n,) without what is hidden; the array itself where nothing is."""
        if self.hidden is None:
            return allowed
        known = min(len(allowed), len(self.hidden))
        limited = allowed.copy()
        limited[:known] &= ~self.hidden[:known]
        return limited

    def weighed(self, utility: NDArray[np.float32], item_rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Utilities (n,) of ``item_rows`` (n,) times their weights; a negative one is divided, so that 2 helps it."""
        if not self.weights:
            return utility
        weight = np.array([self.weights.get(row, 1.0) for row in item_rows.tolist()], dtype=np.float32)
        return np.where(utility >= 0, utility * weight, utility / weight)


UNSTEERED = Steering()
"""No rule acts."""
