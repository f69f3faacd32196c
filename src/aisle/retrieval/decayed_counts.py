"""Counts that fade with time, kept incrementally."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_OLDEST = -1000.0
"""Half-lives after which an event counts nothing (2 ** -1000 is still a float64)."""


@dataclass(frozen=True)
class DecayedCounts:
    """Weighted event counts per item in which an event of age ``half_life_ms`` counts half.

    ``sums`` (n_items,) float64 are the counts as of ``newest_ms``, the time of the newest event. Values are immutable:
    ``plus`` gives a new record, so readers need no lock.
    """

    sums: NDArray[np.float64]
    newest_ms: int
    half_life_ms: float

    @classmethod
    def empty(cls, n_items: int, half_life_ms: float) -> DecayedCounts:
        """No events yet."""
        return cls(np.zeros(n_items), np.iinfo(np.int64).min, half_life_ms)

    def plus(
        self, item_rows: NDArray[np.integer], weights: NDArray[np.floating], times_ms: NDArray[np.integer], n_items: int
    ) -> DecayedCounts:
        """With these events counted too, over at least ``n_items`` items. Cost O(n_items + events)."""
        n = max(n_items, len(self.sums))
        newest = max(self.newest_ms, int(times_ms.max())) if len(times_ms) else self.newest_ms
        sums = np.zeros(n)
        np.multiply(self.sums, self._faded(self.newest_ms, newest), out=sums[: len(self.sums)])
        if len(times_ms):
            exponent = np.maximum((times_ms - newest) / self.half_life_ms, _OLDEST)
            np.add.at(sums, item_rows, weights * 2.0**exponent)
        return DecayedCounts(sums, newest, self.half_life_ms)

    def at(self, now_ms: int) -> NDArray[np.float64]:
        """The counts as they stand at ``now_ms``, or at the newest event if that is later. (n_items,) float64."""
        return self.sums * self._faded(self.newest_ms, max(now_ms, self.newest_ms))

    def _faded(self, from_ms: int, to_ms: int) -> float:
        return 2.0 ** max((from_ms - to_ms) / self.half_life_ms, _OLDEST)
