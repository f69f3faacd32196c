"""What happened to each item, category and brand: live counts behind the rates that features show.

Enters: events. Leaves: counts by row, fading and total. Knows nothing of users.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aisle.domain import EVENT_CODE, EVENT_TYPES, Catalogue, EventType
from aisle.errors import CorruptError
from aisle.ranking.fading import FadingCounts

Integers = NDArray[np.int64]

SHOWN, LOOKED, WANTED, BOUGHT = range(4)
"""Kinds: shown in a list, looked at, put into the basket or wished for, bought."""
_KIND_OF: Mapping[EventType, int] = {
    EventType.IMPRESSION: SHOWN,
    EventType.VIEW_PROMOTION: SHOWN,
    EventType.CLICK: LOOKED,
    EventType.VIEW: LOOKED,
    EventType.SELECT_PROMOTION: LOOKED,
    EventType.ADD_TO_CART: WANTED,
    EventType.WISH: WANTED,
    EventType.BEGIN_CHECKOUT: WANTED,
    EventType.PURCHASE: BOUGHT,
}
KIND_OF_CODE = np.array([_KIND_OF.get(event_type, -1) for event_type in EVENT_TYPES], dtype=np.int64)
_REFUND = EVENT_CODE[EventType.REFUND]

DAY_MS = 86_400_000
QUICK_DAYS = 3.0
"""Half-life of what counts as "now" in a trend."""


class ItemCounters:
    """Fading counts of items, of their categories and of their brands, total counts, and ratings.

    ``slow`` fades with the configured half-life and ``quick`` within days. Code -1 (no category, no brand) is counted
    in row 0; category and brand codes are shifted by one.
    """

    def __init__(self, catalogue: Catalogue, n_rows: int, half_life_days: float) -> None:
        self._catalogue = catalogue
        self.n_rows = 0
        self.slow = FadingCounts.empty(4, n_rows, half_life_days * DAY_MS)
        self.quick = FadingCounts.empty(1, n_rows, QUICK_DAYS * DAY_MS)
        self.category = FadingCounts.empty(4, 16, half_life_days * DAY_MS)
        self.brand = FadingCounts.empty(4, 16, half_life_days * DAY_MS)
        self.everything = FadingCounts.empty(4, 1, half_life_days * DAY_MS)
        self.ratings = FadingCounts.empty(2, n_rows, 10_000 * DAY_MS)
        """Number and sum of ratings; they hardly fade."""
        self.grow(n_rows)

    def grow(self, n_rows: int) -> None:
        """Make room for ``n_rows`` items."""
        self.n_rows = max(self.n_rows, n_rows)
        for counts in (self.slow, self.quick, self.ratings):
            counts.grow(n_rows)
        self.category.grow(len(self._catalogue.categories.values) + 1)
        self.brand.grow(len(self._catalogue.brands.values) + 1)

    def add(self, rows: Integers, codes: Integers, times_ms: Integers, ratings: NDArray[np.float64]) -> None:
        """Count events of known items, (m,) each; ``ratings`` nan where there is none. Refunds take purchases back."""
        kinds = np.where(codes == _REFUND, BOUGHT, KIND_OF_CODE[codes])
        weights = np.where(codes == _REFUND, -1.0, 1.0)
        counted = kinds >= 0
        kinds, at, times, weights = kinds[counted], rows[counted], times_ms[counted], weights[counted]
        self.slow.add(kinds, at, times, weights)
        self.category.add(kinds, self._catalogue.column("category")[at].astype(np.int64) + 1, times, weights)
        self.brand.add(kinds, self._catalogue.column("brand")[at].astype(np.int64) + 1, times, weights)
        self.everything.add(kinds, np.zeros(len(at), dtype=np.int64), times, weights)
        active = kinds != SHOWN
        self.quick.add(np.zeros(int(active.sum()), dtype=np.int64), at[active], times[active], weights[active])
        rated = np.isfinite(ratings)
        n_rated = int(rated.sum())
        if n_rated:
            self.ratings.add(np.zeros(n_rated, np.int64), rows[rated], times_ms[rated], np.ones(n_rated))
            self.ratings.add(np.ones(n_rated, np.int64), rows[rated], times_ms[rated], ratings[rated])

    def as_arrays(self) -> dict[str, NDArray]:
        """What ``restored`` needs; categories and brands follow from the items."""
        arrays: dict[str, NDArray] = {"n_rows": np.array(self.n_rows)}
        for name in ("slow", "quick", "ratings"):
            counts: FadingCounts = getattr(self, name)
            arrays[name] = counts.sums[:, : self.n_rows]
            arrays[f"{name}_ms"] = np.array(counts.reference_ms)
        return arrays

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray], catalogue: Catalogue, half_life_days: float) -> ItemCounters:
        """Counters as they were; raises ``CorruptError`` when the catalogue has fewer items than they counted."""
        n_rows = int(arrays["n_rows"])
        if n_rows > catalogue.n_items:
            raise CorruptError(
                f"statistics of {n_rows} items do not fit a catalogue of {catalogue.n_items}; run `aisle train`"
            )
        counters = cls(catalogue, n_rows, half_life_days)
        for name in ("slow", "quick", "ratings"):
            counts: FadingCounts = getattr(counters, name)
            counts.sums[:, :n_rows] = arrays[name]
            counts.reference_ms = int(arrays[f"{name}_ms"])
        slow = counters.slow
        for group, column in ((counters.category, "category"), (counters.brand, "brand")):
            of = catalogue.column(column)[:n_rows].astype(np.int64) + 1
            group.reference_ms = slow.reference_ms
            for kind in range(4):
                group.sums[kind] = np.bincount(of, slow.sums[kind, :n_rows], minlength=group.sums.shape[1])
        counters.everything.reference_ms = slow.reference_ms
        counters.everything.sums[:, 0] = slow.sums[:, :n_rows].sum(axis=1)
        return counters
