"""What is known of the candidates of one request, as numbers: what rankers read and what is written down of a slate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.errors import DataError


@dataclass(frozen=True, eq=False)
class Features:
    """``values`` (n, n_features) float32, a row per candidate or slot, a column per name; nan: unknown."""

    names: tuple[str, ...]
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise DataError(f"{len(self.names)} feature names do not fit values of shape {self.values.shape}")
        if self.values.dtype != np.float32:
            raise DataError(f"features are {self.values.dtype}; wanted float32")

    def __len__(self) -> int:
        return len(self.values)

    def at(self, rows: NDArray[np.integer]) -> Features:
        """Only these rows, in this order."""
        return Features(self.names, self.values[rows])

    def aligned(self, names: tuple[str, ...]) -> NDArray[np.float32]:
        """(n, len(names)) float32: the columns ``names``, nan for one that is not there."""
        if names == self.names:
            return self.values
        found = {name: column for column, name in enumerate(self.names)}
        aligned = np.full((len(self), len(names)), np.nan, dtype=np.float32)
        for column, name in enumerate(names):
            if name in found:
                aligned[:, column] = self.values[:, found[name]]
        return aligned


@dataclass(frozen=True, eq=False)
class Examples:
    """Slots that were shown and what came of them; the rows a ranker is fitted on, in order of time.

    ``lists`` (n,) int64 numbers the slate of each row, ``slots`` (n,) int64 its 0-based place, ``times_ms`` (n,) int64
    when it was shown, ``propensities`` (n,) float32 the chance that the policy put this item there, ``is_click`` and
    ``is_purchase`` (n,) bool what followed; a purchase counts as a click. ``purchase_known`` (n,) float32 in (0, 1] is
    the chance that a purchase, if there is to be one, would be known by now. ``has_impressions``: pages told which
    lists were shown; where they do not, only lists with a click are here, and click rates mean nothing.
    """

    features: Features
    lists: NDArray[np.int64]
    slots: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    propensities: NDArray[np.float32]
    is_click: NDArray[np.bool_]
    is_purchase: NDArray[np.bool_]
    purchase_known: NDArray[np.float32]
    has_impressions: bool = True

    def __post_init__(self) -> None:
        columns = (self.lists, self.slots, self.times_ms, self.propensities, self.is_click, self.is_purchase)
        if any(len(column) != len(self.features) for column in (*columns, self.purchase_known)):
            raise DataError(f"examples need {len(self.features)} rows in every column")
        if (self.is_purchase & ~self.is_click).any():
            raise DataError("an example is bought without being clicked; count the purchase as a click")

    def __len__(self) -> int:
        return len(self.lists)

    def where(self, wanted: NDArray[np.bool_]) -> Examples:
        """Only the rows marked in ``wanted`` (n,) bool."""
        return Examples(
            Features(self.features.names, self.features.values[wanted]),
            self.lists[wanted],
            self.slots[wanted],
            self.times_ms[wanted],
            self.propensities[wanted],
            self.is_click[wanted],
            self.is_purchase[wanted],
            self.purchase_known[wanted],
            self.has_impressions,
        )
