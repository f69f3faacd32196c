"""Events on their way into the database and out of it.

Enters: ``EventTable``. Leaves: rows of ``events`` and their lookup tables, and tables again.

Two lookups are kept beside the events: ``event_keys`` (is this event known?) and ``user_events`` (what did this user
do?). Filling them row by row would touch a random page for nearly every event, several kilobytes of writing for some
twenty bytes. So a bulk import leaves its last rows out of both, the *tail* after ``ledger.indexed_seq``, and sorts the
whole tail in at once when it has grown long. Readers look into the tail as well. Small appends leave no tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, Subquery, func, insert, literal, select

from aisle.contracts import Appended
from aisle.domain import EventTable
from aisle.domain.tables import EVENT_COLUMNS, EVENT_TYPE
from aisle.storage.codes import encode_items, encode_users
from aisle.storage.event_keys import event_keys as keys_of
from aisle.storage.ledger import Ledger
from aisle.storage.schema import event_keys, events, item_codes, user_codes, user_events, waiting_events
from aisle.storage.sqlite import insert_rows, rows_where_in

SMALL_APPEND = 5_000
"""An append of at most so many events is found by the lookups at once."""
TAIL_LENGTH = 500_000
"""Events a bulk import may leave out of the lookups; more costs memory (8 bytes each) and slower reads."""
_TAIL_SHARE = 16
"""In a large shop the tail may also grow to this fraction (one in so many) of all events."""

_PLAIN = [name for name in EVENT_COLUMNS if name not in ("user_id", "item_id", "type")]


@dataclass(frozen=True)
class PreparedEvents:
    """Events with their keys, repeats inside the batch removed: all that can be done before the write lock is held."""

    frame: pl.DataFrame
    keys: NDArray[np.int64]
    n_repeated: int

    @classmethod
    def of(cls, table: EventTable) -> PreparedEvents:
        """Compute keys; of equal events the first stays."""
        keys = keys_of(table)
        _, first = np.unique(keys, return_index=True)
        if len(first) == len(keys):
            return cls(table.frame, keys, 0)
        first.sort()
        return cls(table.frame[first], keys[first], len(keys) - len(first))

    def where(self, wanted: NDArray[np.bool_]) -> PreparedEvents:
        """Only the wanted ones."""
        return PreparedEvents(self.frame.filter(pl.Series(wanted)), self.keys[wanted], self.n_repeated)


class Tail:
    """Sorted keys of the events after ``ledger.indexed_seq``, in memory; used only while the write lock is held."""

    def __init__(self) -> None:
        self._keys = np.empty(0, dtype=np.int64)
        self._from_seq = self._to_seq = 0
        self._n_erasures = 0

    def forget(self) -> None:
        """Drop everything; it is read again from the database when next needed."""
        self._keys = np.empty(0, dtype=np.int64)
        self._to_seq = self._from_seq = -1

    def follow(self, connection: Connection, ledger: Ledger) -> None:
        """Take in what other processes appended, or start anew after a tail was sorted in."""
        if (self._from_seq, self._n_erasures) != (ledger.indexed_seq, ledger.n_erasures):
            self._keys = np.empty(0, dtype=np.int64)
            self._from_seq = self._to_seq = ledger.indexed_seq
            self._n_erasures = ledger.n_erasures
        if self._to_seq < ledger.seq:
            found = connection.execute(select(events.c.event_key).where(events.c.seq > self._to_seq)).scalars().all()
            self.extend(np.array(found, dtype=np.int64), ledger.seq)

    def extend(self, keys: NDArray[np.int64], to_seq: int) -> None:
        """Take in the keys of the events up to ``to_seq``."""
        # A stable sort merges the two sorted runs in linear time.
        self._keys = np.sort(np.concatenate([self._keys, np.sort(keys)]), kind="stable")
        self._to_seq = to_seq

    def has(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which keys are in the tail. (n,) bool"""
        if not len(self._keys):
            return np.zeros(len(keys), dtype=np.bool_)
        position = np.searchsorted(self._keys, keys)
        return self._keys[np.minimum(position, len(self._keys) - 1)] == keys


def append(connection: Connection, ledger: Ledger, tail: Tail, prepared: PreparedEvents) -> Appended:
    """Store the events that are new; ``ledger`` is moved on, not written."""
    n_given = len(prepared.keys) + prepared.n_repeated
    tail.follow(connection, ledger)
    is_new = ~(tail.has(prepared.keys) | _indexed(connection, ledger, prepared.keys))
    if not is_new.all():
        prepared = prepared.where(is_new)
    n_new = len(prepared.keys)
    if not n_new:
        return Appended(ledger.seq, 0, n_duplicate=n_given)
    n_waiting = _insert(connection, ledger, prepared)
    tail.extend(prepared.keys, ledger.seq)
    n_tail = ledger.seq - ledger.indexed_seq
    if n_new <= SMALL_APPEND or n_tail >= max(TAIL_LENGTH, ledger.n_events // _TAIL_SHARE):
        sort_in_tail(connection, ledger)
    return Appended(ledger.seq, n_new, n_duplicate=n_given - n_new, n_waiting=n_waiting)


def sort_in_tail(connection: Connection, ledger: Ledger) -> None:
    """Bring both lookups up to ``ledger.seq``; ``ledger`` is moved on, not written."""
    in_tail = events.c.seq > ledger.indexed_seq
    keys = select(events.c.event_key).where(in_tail).order_by(events.c.event_key)
    connection.execute(insert(event_keys).from_select(["event_key"], keys))
    of_users = select(events.c.user_code, events.c.time_ms, events.c.seq).where(
        in_tail, events.c.item_code.is_not(None)
    )
    connection.execute(
        insert(user_events).from_select(
            ["user_code", "time_ms", "seq"], of_users.order_by(events.c.user_code, events.c.time_ms, events.c.seq)
        )
    )
    ledger.indexed_seq = ledger.seq


def select_events() -> Select[tuple[int, str]]:
    """``seq`` and then the columns of ``EventTable``, ids in place of codes; add conditions and an order."""
    columns = [_SELECTED.get(name, events.c.get(name, None)) for name in EVENT_COLUMNS]
    return (
        select(events.c.seq, *columns)
        .join(user_codes, user_codes.c.user_code == events.c.user_code)
        .outerjoin(item_codes, item_codes.c.item_code == events.c.item_code)
    )


_SELECTED = {"user_id": user_codes.c.user_id, "item_id": item_codes.c.item_id}


def read_events(connection: Connection, statement: Select[tuple[int, str]]) -> pl.DataFrame:
    """Run a statement made from ``select_events``: its rows with ``seq`` in front of the columns of ``EventTable``."""
    rows = connection.execute(statement).fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * (1 + len(EVENT_COLUMNS))
    series = [pl.Series("seq", columns[0], dtype=pl.Int64)]
    for name, values in zip(EVENT_COLUMNS, columns[1:], strict=True):
        if name == "type":
            series.append(types_of(pl.Series(name, values, dtype=pl.UInt8)))
        else:
            series.append(pl.Series(name, values, dtype=EVENT_COLUMNS[name].dtype))
    return pl.DataFrame(series)


def types_of(codes: pl.Series) -> pl.Series:
    """Codes of ``domain.EVENT_CODE`` as event types."""
    return EVENT_TYPE.categories.gather(codes).cast(EVENT_TYPE).alias(codes.name)


def as_table(frame: pl.DataFrame) -> EventTable:
    """A frame of ``read_events`` as a table."""
    return EventTable(frame.drop("seq"))


def last_events(connection: Connection, codes: Sequence[int], limit: int, indexed_seq: int) -> pl.DataFrame:
    """The last ``limit`` events with an item of each user in ``codes``, with ``seq``, in no particular order."""
    latest = _latest(codes, limit)
    found = read_events(connection, select_events().join(latest, latest.c.seq == events.c.seq))
    in_tail = (events.c.seq > indexed_seq, events.c.item_code.is_not(None), events.c.user_code.in_(codes))
    late = read_events(connection, select_events().where(*in_tail))
    if not late.height:
        return found
    newest_last = pl.concat([found, late]).sort("time_ms", "seq")
    return newest_last.filter(pl.int_range(pl.len()).reverse().over("user_id") < limit)


def _latest(codes: Sequence[int], limit: int) -> Subquery:
    """``seq`` of the last indexed events of each user."""
    if len(codes) == 1:  # reads only ``limit`` entries however long the user's history is
        mine = select(user_events.c.seq).where(user_events.c.user_code == codes[0])
        return mine.order_by(user_events.c.time_ms.desc(), user_events.c.seq.desc()).limit(limit).subquery()
    place = func.row_number().over(
        partition_by=user_events.c.user_code, order_by=(user_events.c.time_ms.desc(), user_events.c.seq.desc())
    )
    ranked = select(user_events.c.seq, place.label("place")).where(user_events.c.user_code.in_(codes)).subquery()
    return select(ranked.c.seq).where(ranked.c.place <= literal(limit)).subquery()


def _indexed(connection: Connection, ledger: Ledger, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which keys are in ``event_keys``. (n,) bool"""
    if not ledger.indexed_seq:
        return np.zeros(len(keys), dtype=np.bool_)
    found = rows_where_in(connection, [event_keys.c.event_key], event_keys.c.event_key, np.sort(keys).tolist())
    return np.isin(keys, np.array([key for (key,) in found], dtype=np.int64))


def _insert(connection: Connection, ledger: Ledger, prepared: PreparedEvents) -> int:
    """Insert rows and give out codes and sequence numbers; returns how many events wait for their item."""
    frame = prepared.frame
    code_of_user = encode_users(connection, ledger, frame["user_id"].unique(maintain_order=True).to_list())
    named = frame["item_id"].drop_nulls().unique(maintain_order=True).to_list()
    items = encode_items(connection, ledger, named)
    code_of_item: dict[str | None, int | None] = {item_id: code for item_id, (code, _) in items.items()}
    code_of_item[None] = None
    item_ids = frame["item_id"].to_list()
    n_new = frame.height
    seqs = range(ledger.seq + 1, ledger.seq + 1 + n_new)
    columns: dict[str, Sequence[object]] = {
        "seq": seqs,
        "event_key": prepared.keys.tolist(),
        "user_code": list(map(code_of_user.__getitem__, frame["user_id"].to_list())),
        "type": frame["type"].to_physical().to_list(),
    }
    if named:
        columns["item_code"] = list(map(code_of_item.__getitem__, item_ids))
    for name in _PLAIN:
        column = frame[name]
        if column.null_count() < n_new:  # binding a None costs more than binding a value
            columns[name] = (column.cast(pl.Int8) if column.dtype == pl.Boolean else column).to_list()
    insert_rows(connection, events, list(columns), list(columns.values()))
    unknown = {item_id: code for item_id, (code, row) in items.items() if row is None}
    waiting = [(unknown[i], seq) for i, seq in zip(item_ids, seqs, strict=True) if i in unknown] if unknown else []
    if waiting:
        insert_rows(connection, waiting_events, ["item_code", "seq"], list(zip(*sorted(waiting), strict=True)))
    ledger.seq += n_new
    ledger.n_events += n_new
    ledger.n_suspect += int(frame["is_suspect"].sum())
    return len(waiting)
