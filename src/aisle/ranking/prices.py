"""What things usually cost: log prices by category, kept up to date as items change.

Enters: rows of a catalogue that are new or changed. Leaves: log prices in whole units, and how far a price lies from
its category's usual one. Prices of several currencies are compared as if they were one: shops have one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aisle.domain import NO_VALUE, Catalogue
from aisle.domain.money import minor_digits

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_LEAST_SPREAD = 0.25
"""No category's prices are taken to spread less, in log units."""


def units(catalogue: Catalogue, column: str, rows: Integers) -> Floats:
    """A column of minor units at ``rows`` in whole units; nan where there is none or it is 0. (len(rows),)"""
    minor = catalogue.column(column)[rows]
    digits = np.array([minor_digits(name) for name in catalogue.currencies.values] + [2])  # the last: no currency
    return np.where(minor > 0, minor, np.nan) / 10.0 ** digits[catalogue.column("currency")[rows]]


class PriceLevels:
    """Mean and spread of log prices by category; each row is counted once, as it was when it was last noted."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._leaf = np.full(16, NO_VALUE, dtype=np.int64)
        self._log = np.full(16, np.nan)
        self._sums = np.zeros((3, 16))
        """(3, categories): how many, sum, sum of squares."""

    def note(self, rows: Integers) -> None:
        """Count these rows as they are now, instead of as they were. Cost O(len(rows))."""
        if not len(rows):
            return
        rows = np.unique(rows)
        n_rows = int(rows.max()) + 1
        if n_rows > len(self._leaf):
            extra = max(n_rows, 2 * len(self._leaf)) - len(self._leaf)
            self._leaf = np.concatenate([self._leaf, np.full(extra, NO_VALUE, dtype=np.int64)])
            self._log = np.concatenate([self._log, np.full(extra, np.nan)])
        self._count(rows, -1.0)
        self._leaf[rows] = self._catalogue.column("category")[rows]
        self._log[rows] = np.log(units(self._catalogue, "price_minor", rows))
        self._count(rows, 1.0)

    def log_prices(self, rows: Integers) -> Floats:
        """Log prices in whole units, nan where unknown. (len(rows),)"""
        return np.log(units(self._catalogue, "price_minor", rows))

    def in_category(self, rows: Integers, log_prices: Floats) -> Floats:
        """Spreads above (or below 0) the category's mean; nan without a price or a category. (len(rows),)"""
        leaf = self._catalogue.column("category")[rows]
        known = (leaf >= 0) & (leaf < self._sums.shape[1])
        n, total, squares = self._sums[:, np.where(known, leaf, 0)]
        mean = total / np.maximum(n, 1.0)
        spread = np.sqrt(np.maximum(squares / np.maximum(n, 1.0) - mean**2, _LEAST_SPREAD**2))
        return np.where(known & (n > 0), (log_prices - mean) / spread, np.nan)

    def _count(self, rows: Integers, sign: float) -> None:
        leaf, log = self._leaf[rows], self._log[rows]
        is_known = (leaf >= 0) & np.isfinite(log)
        leaf, log = leaf[is_known], log[is_known]
        if not len(leaf):
            return
        n_needed = int(leaf.max()) + 1
        if n_needed > self._sums.shape[1]:
            larger = np.zeros((3, max(n_needed, 2 * self._sums.shape[1])))
            larger[:, : self._sums.shape[1]] = self._sums
            self._sums = larger
        for at, values in enumerate((np.ones(len(log)), log, log**2)):
            np.add.at(self._sums[at], leaf, sign * values)
