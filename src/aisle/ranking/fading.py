"""Counts per row that fade with time, changed in place at the price of the events that come.

Enters: rows, kinds and times of events. Leaves: counts by kind and row as of a moment. Knows nothing of what a row is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_REBASE = 64.0
"""Half-lives after which sums are brought to a newer reference, so that weights never overflow a float64."""
_OLDEST = -1000.0

Integers = NDArray[np.int64]


class FadingCounts:
    """``n_kinds`` counts for each row in which an event of age ``half_life_ms`` counts half.

    Each sum stands as of ``reference_ms``: an event then weighs ``2 ** ((time - reference) / half_life)``, so that
    counting one costs O(1) whatever the number of rows. Readers take what is there; a sum that is being raised is seen
    either before or after, and sums never with the reference of others.
    """

    def __init__(self, sums: NDArray[np.float64], reference_ms: int, half_life_ms: float) -> None:
        self._standing = sums, reference_ms
        """Replaced together: with sums of one reference and the other a reader would be out by a large factor."""
        self.half_life_ms = half_life_ms

    @property
    def sums(self) -> NDArray[np.float64]:
        """(n_kinds, capacity) float64, to be written into in place."""
        return self._standing[0]

    @property
    def reference_ms(self) -> int:
        """The moment as of which the sums stand; 0 before the first event."""
        return self._standing[1]

    @reference_ms.setter
    def reference_ms(self, reference_ms: int) -> None:
        self._standing = self.sums, reference_ms

    @classmethod
    def empty(cls, n_kinds: int, n_rows: int, half_life_ms: float) -> FadingCounts:
        """No events yet."""
        return cls(np.zeros((n_kinds, max(n_rows, 16))), 0, half_life_ms)

    def grow(self, n_rows: int) -> None:
        """Make room for ``n_rows`` rows; new ones count nothing."""
        capacity = self.sums.shape[1]
        if n_rows > capacity:
            larger = np.zeros((len(self.sums), max(n_rows, 2 * capacity)))
            larger[:, :capacity] = self.sums
            self._standing = larger, self.reference_ms

    def add(self, kinds: Integers, rows: Integers, times_ms: Integers, weights: NDArray[np.float64]) -> None:
        """Count events, (m,) each; rows must have room. Cost O(m)."""
        if not len(rows):
            return
        newest = int(times_ms.max())
        sums, reference_ms = self._standing
        if not reference_ms:
            reference_ms = newest
        if (newest - reference_ms) / self.half_life_ms > _REBASE:
            sums = sums * 2.0 ** max((reference_ms - newest) / self.half_life_ms, _OLDEST)
            reference_ms = newest
        self._standing = sums, reference_ms
        exponent = np.maximum((times_ms - reference_ms) / self.half_life_ms, _OLDEST)
        np.add.at(sums, (kinds, rows), weights * 2.0**exponent)

    def at(self, rows: Integers, now_ms: int) -> NDArray[np.float64]:
        """Counts at ``rows`` as they stand at ``now_ms``, (n_kinds, len(rows)) float64; 0 beyond the capacity."""
        sums, reference_ms = self._standing  # a writer may put others in their place
        inside = rows < sums.shape[1]
        found = sums[:, rows] if inside.all() else np.where(inside, sums[:, np.where(inside, rows, 0)], 0.0)
        return found * 2.0 ** min(max((reference_ms - now_ms) / self.half_life_ms, _OLDEST), _REBASE)
