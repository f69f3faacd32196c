"""Events made ready to be stored: keys computed, repeats removed, whose they are noted.

Enters: the tables of one or several callers. Leaves: ``PreparedEvents``, in one of two forms with the same face: a
frame for many events, plain rows for few, where the fixed costs of a frame's operations would be nearly all the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain import EVENT_CODE, EventTable
from aisle.domain.tables import EVENT_COLUMNS
from aisle.storage.event_keys import event_keys, row_keys
from aisle.storage.sqlite import ABSENT_NUMBER, ABSENT_TEXT

FEW_EVENTS = 2_000
"""Up to so many events are handled as rows; above, a frame is faster."""

_PLACES = {name: place for place, name in enumerate(EVENT_COLUMNS)}
_STORED = [name for name in EVENT_COLUMNS if name not in ("user_id", "item_id", "type")]
_CODE_OF_TYPE = {event_type.value: code for event_type, code in EVENT_CODE.items()}


class PreparedEvents(Protocol):
    """Distinct events of one or several callers.

    ``keys`` (n,) int64; ``groups`` (n,) int64 says whose each event is, ``n_given`` how many each caller gave.
    """

    keys: NDArray[np.int64]
    groups: NDArray[np.int64]
    n_given: Sequence[int]

    def where(self, wanted: NDArray[np.bool_]) -> Self:
        """Only the wanted ones. (n,) bool"""
        ...

    def values(self, name: str) -> Sequence[Any]:
        """A column of ``EventTable``, None where there is no value."""
        ...

    def stored(self) -> tuple[dict[str, Sequence[Any]], dict[str, int | str]]:
        """The columns that are stored as they are, and ``type`` as a code; and what stands for NULL in which."""
        ...


def prepare_events(tables: Sequence[EventTable], n_given: Sequence[int]) -> PreparedEvents:
    """Make the events of callers ready, ``n_given`` of each; of equal events the first stays, as its caller's."""
    groups = np.repeat(np.arange(len(n_given)), n_given)
    if len(groups) <= FEW_EVENTS:
        rows = [row for table in tables for row in table.frame.rows()]
        keys = row_keys(rows)
        prepared = FewEvents(rows, np.array(keys, dtype=np.int64), groups, n_given)
    else:
        together = tables[0] if len(tables) == 1 else EventTable.concat(tables)
        prepared = ManyEvents(together.frame, event_keys(together), groups, n_given)
    _, first = np.unique(prepared.keys, return_index=True)
    if len(first) == len(groups):
        return prepared
    is_first = np.zeros(len(groups), dtype=np.bool_)
    is_first[first] = True
    return prepared.where(is_first)


@dataclass
class FewEvents:
    """``PreparedEvents`` as rows with the columns of ``EventTable``."""

    rows: list[tuple[Any, ...]]
    keys: NDArray[np.int64]
    groups: NDArray[np.int64]
    n_given: Sequence[int]

    def where(self, wanted: NDArray[np.bool_]) -> FewEvents:
        """Only the wanted ones."""
        rows = [row for row, is_wanted in zip(self.rows, wanted.tolist(), strict=True) if is_wanted]
        return FewEvents(rows, self.keys[wanted], self.groups[wanted], self.n_given)

    def values(self, name: str) -> list[Any]:
        """A column."""
        place = _PLACES[name]
        return [row[place] for row in self.rows]

    def stored(self) -> tuple[dict[str, Sequence[Any]], dict[str, int | str]]:
        """All columns, so that the statement is the same every time."""
        columns: dict[str, Sequence[Any]] = {name: self.values(name) for name in _STORED}
        columns["type"] = [_CODE_OF_TYPE[name] for name in self.values("type")]
        return columns, {}


@dataclass
class ManyEvents:
    """``PreparedEvents`` as a frame with the columns of ``EventTable``."""

    frame: pl.DataFrame
    keys: NDArray[np.int64]
    groups: NDArray[np.int64]
    n_given: Sequence[int]

    def where(self, wanted: NDArray[np.bool_]) -> ManyEvents:
        """Only the wanted ones."""
        return ManyEvents(self.frame.filter(pl.Series(wanted)), self.keys[wanted], self.groups[wanted], self.n_given)

    def values(self, name: str) -> list[Any]:
        """A column."""
        return self.frame[name].to_list()

    def stored(self) -> tuple[dict[str, Sequence[Any]], dict[str, int | str]]:
        """The columns with a value in any row."""
        columns: dict[str, Sequence[Any]] = {"type": self.frame["type"].to_physical().to_list()}
        absent: dict[str, int | str] = {}
        for name in _STORED:
            column = self.frame[name]
            if column.null_count() < len(column):
                columns[name] = _values(column, absent)
        return columns, absent


def _values(column: pl.Series, absent: dict[str, int | str]) -> list[Any]:
    """A column's values; where some are missing, a stand-in (noted in ``absent``) takes their place if there is one."""
    if column.dtype == pl.Boolean:
        return column.cast(pl.Int8).to_list()
    if not column.null_count() or column.dtype == pl.Float64:
        return column.to_list()
    stand_in = ABSENT_TEXT if column.dtype == pl.String else ABSENT_NUMBER
    absent[column.name] = stand_in
    return column.cast(pl.Int64 if stand_in == ABSENT_NUMBER else pl.String).fill_null(stand_in).to_list()
