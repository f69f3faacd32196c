"""What is right for each case, and ranked lists held against it.

Enters: lists of item rows. Leaves: ``Judged``, the grade found at every place of every list, which all ranking metrics
read. Everything is flat arrays with offsets or padded rectangles, so that no metric loops over users.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aisle.errors import DataError

NO_ITEM = -1
"""Fills ranked lists that end early."""


@dataclass(frozen=True)
class RowLists:
    """Lists of item rows of different lengths: list i is ``rows[offsets[i]:offsets[i + 1]]``.

    ``rows`` (total,) int64; ``offsets`` (n_lists + 1,) int64, starting with 0 and never falling.
    """

    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        offsets = self.offsets
        if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(self.rows) or (np.diff(offsets) < 0).any():
            raise DataError(f"offsets of {len(offsets) - 1} lists do not fit {len(self.rows)} rows")

    @classmethod
    def of(cls, lists: Iterable[Sequence[int] | NDArray[np.integer]]) -> RowLists:
        """From one sequence of rows per list."""
        arrays = [np.asarray(rows, dtype=np.int64) for rows in lists]
        offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in arrays], dtype=np.int64)]).astype(np.int64)
        return cls(np.concatenate(arrays) if arrays else np.empty(0, np.int64), offsets)

    @classmethod
    def of_sorted(cls, owners: NDArray[np.integer], rows: NDArray[np.integer], n_lists: int) -> RowLists:
        """From the list number of every row, ascending: ``owners`` and ``rows`` (total,)."""
        return cls(rows.astype(np.int64), np.searchsorted(owners, np.arange(n_lists + 1)).astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int64]:
        return self.rows[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Rows in each list. (n_lists,) int64."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The list every row belongs to. (total,) int64."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def keep(self, wanted: NDArray[np.bool_]) -> RowLists:
        """The same lists with only the rows marked in ``wanted`` (total,) bool."""
        return RowLists.of_sorted(self.owners[wanted], self.rows[wanted], len(self))


@dataclass(frozen=True)
class Targets:
    """The items that should be found, with a grade each: higher is better.

    An item is relevant when its grade is at least ``relevant_from``; graded metrics see the grade itself. No item may
    stand twice in one list.
    """

    items: RowLists
    grades: NDArray[np.float64]  # (total,)
    relevant_from: float = 1.0

    def __post_init__(self) -> None:
        if len(self.grades) != len(self.items.rows) or not np.isfinite(self.grades).all():
            raise DataError(f"{len(self.items.rows)} targets need as many finite grades, got {len(self.grades)}")
        if len(self.items.rows) and self.items.rows.min() < 0:
            raise DataError("a target is an item row, 0 or more")
        if len(np.unique(self.keys)) != len(self.keys):
            raise DataError("a target item stands twice in one case")

    @classmethod
    def of(cls, lists: Iterable[Sequence[int] | NDArray[np.integer]]) -> Targets:
        """All of grade 1, from one sequence of item rows per case."""
        items = RowLists.of(lists)
        return cls(items, np.ones(len(items.rows)))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """One number per (case, item). (total,) int64."""
        return self.items.owners * self._span + self.items.rows

    @property
    def is_relevant(self) -> NDArray[np.bool_]:
        """Which targets are relevant. (total,) bool."""
        return self.grades >= self.relevant_from

    @property
    def n_relevant(self) -> NDArray[np.int64]:
        """Relevant targets of each case. (n_cases,) int64."""
        return np.bincount(self.items.owners[self.is_relevant], minlength=len(self))

    def keep(self, wanted: NDArray[np.bool_]) -> Targets:
        """The same cases with only the targets marked in ``wanted`` (total,) bool."""
        return Targets(self.items.keep(wanted), self.grades[wanted], self.relevant_from)

    def grades_of(self, ranked: NDArray[np.int64]) -> NDArray[np.float64]:
        """The grade of every place of ``ranked`` (n_cases, k), nan where the item is not among the targets."""
        found = np.full(ranked.shape, np.nan)
        if not len(self.keys) or not ranked.size:
            return found
        order = np.argsort(self.keys)
        keys = self.keys[order]
        wanted = np.arange(len(ranked))[:, None] * self._span + ranked  # (n_cases, k)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_target = (keys[place] == wanted) & (ranked >= 0) & (ranked < self._span)
        found[is_target] = self.grades[order][place[is_target]]
        return found

    @property
    def _span(self) -> int:
        return int(self.items.rows.max()) + 1 if len(self.items.rows) else 1


@dataclass(frozen=True)
class Judged:
    """Ranked lists held against their targets.

    ``grades`` (n_cases, k) float64: the grade at each place, best place first, nan where the item is not a target or
    the list has ended.
    """

    grades: NDArray[np.float64]
    targets: Targets

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        """Which places hold a relevant item. (n_cases, k) bool."""
        return np.nan_to_num(self.grades, nan=-np.inf) >= self.targets.relevant_from

    @cached_property
    def n_relevant(self) -> NDArray[np.int64]:
        """Relevant items of each case, found or not. (n_cases,) int64."""
        return self.targets.n_relevant


def judge(ranked: NDArray[np.integer], targets: Targets) -> Judged:
    """Hold ``ranked`` (n_cases, k), padded with ``NO_ITEM``, against ``targets``.

    Raises:
        DataError: the shapes do not fit, or a list names an item twice (which would count one hit several times).
    """
    if ranked.ndim != 2 or len(ranked) != len(targets):
        raise DataError(f"ranked lists have shape {ranked.shape}; wanted ({len(targets)}, k), one list a case")
    rows = ranked.astype(np.int64)
    in_order = np.sort(rows, axis=1)
    is_repeated = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] != NO_ITEM)
    if is_repeated.any():
        case = int(np.argmax(is_repeated.any(axis=1)))
        raise DataError(f"the list of case {case} names an item row twice; every item may stand once")
    return Judged(targets.grades_of(rows), targets)


def padded(lists: Sequence[Sequence[int] | NDArray[np.integer]], n: int) -> NDArray[np.int64]:
    """The first ``n`` of each list as a rectangle filled up with ``NO_ITEM``. (len(lists), n) int64."""
    rectangle = np.full((len(lists), n), NO_ITEM, dtype=np.int64)
    for place, rows in enumerate(lists):
        kept = rows[:n]
        rectangle[place, : len(kept)] = kept
    return rectangle
