"""Events on their way into the database.

Enters: ``PreparedEvents``. Leaves: rows of ``events`` and of two lookups beside it: ``event_keys`` (is this event
known?) and ``user_events`` (what did this user do?). Filling the lookups row by row would touch a random page for
nearly every event, several kilobytes of writing for some twenty bytes. So a bulk import leaves its last rows out of
both, the *tail* after ``ledger.indexed_seq``, and sorts the whole tail in at once when it has grown long. Readers look
into the tail as well. Small appends leave no tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, insert, select

from aisle.contracts import Appended
from aisle.storage.codes import CodeBook
from aisle.storage.ledger import Ledger
from aisle.storage.prepared_events import PreparedEvents
from aisle.storage.schema import event_keys, events, user_events, waiting_events
from aisle.storage.sqlite import ABSENT_NUMBER, Compiled, insert_rows, rows_where_in

SMALL_APPEND = 5_000
"""An append of at most so many events is found by the lookups at once."""
TAIL_LENGTH = 500_000
"""Events a bulk import may leave out of the lookups; more costs memory (8 bytes each) and slower reads."""
_TAIL_SHARE = 16
"""In a large shop the tail may also grow to this fraction (one in so many) of all events."""


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


class EventWriter:
    """Stores events. It remembers what it wrote, so that it need not look everything up again.

    Used only while the write lock is held; what other processes wrote meanwhile is taken in first.
    """

    def __init__(self) -> None:
        self._tail = Tail()
        self._codes = CodeBook()

    def forget(self) -> None:
        """Drop everything remembered: a transaction was taken back."""
        self._tail.forget()
        self._codes.forget()

    def append(self, connection: Connection, ledger: Ledger, prepared: PreparedEvents) -> list[Appended]:
        """Store the events that are new; what became of each caller's. ``ledger`` is moved on, not written."""
        self._tail.follow(connection, ledger)
        self._codes.follow(ledger)
        is_new = ~(self._tail.has(prepared.keys) | _indexed(connection, ledger, prepared.keys))
        if not is_new.all():
            prepared = prepared.where(is_new)
        n_new = len(prepared.keys)
        is_waiting = np.zeros(0, dtype=np.bool_)
        if n_new:
            is_waiting = self._insert(connection, ledger, prepared)
            self._tail.extend(prepared.keys, ledger.seq)
            n_tail = ledger.seq - ledger.indexed_seq
            if n_new <= SMALL_APPEND or n_tail >= max(TAIL_LENGTH, ledger.n_events // _TAIL_SHARE):
                sort_in_tail(connection, ledger)
        n_groups = len(prepared.n_given)
        new_by_group = np.bincount(prepared.groups, minlength=n_groups).tolist()
        waiting_by_group = np.bincount(prepared.groups[is_waiting], minlength=n_groups).tolist()
        return [
            Appended(ledger.seq, n_mine, n_duplicate=n_given - n_mine, n_waiting=n_waiting)
            for n_given, n_mine, n_waiting in zip(prepared.n_given, new_by_group, waiting_by_group, strict=True)
        ]

    def _insert(self, connection: Connection, ledger: Ledger, prepared: PreparedEvents) -> NDArray[np.bool_]:
        """Insert rows and give out codes and sequence numbers; returns which events wait for their item. (n,) bool"""
        n_new = len(prepared.keys)
        user_ids, item_ids = prepared.values("user_id"), prepared.values("item_id")
        code_of_user = self._codes.encode_users(connection, ledger, list(dict.fromkeys(user_ids)))
        named = [item_id for item_id in dict.fromkeys(item_ids) if item_id is not None]
        known, unknown = self._codes.encode_items(connection, ledger, named)
        seqs = range(ledger.seq + 1, ledger.seq + 1 + n_new)
        stored, absent = prepared.stored()
        columns: dict[str, Sequence[Any]] = {
            "seq": seqs,
            "event_key": prepared.keys.tolist(),
            "user_code": list(map(code_of_user.__getitem__, user_ids)),
            "item_code": [
                known[item_id] if item_id in known else unknown.get(item_id, ABSENT_NUMBER) for item_id in item_ids
            ],
            **stored,
        }
        insert_rows(connection, events, columns, {"item_code": ABSENT_NUMBER, **absent})
        is_waiting = np.array([item_id in unknown for item_id in item_ids], dtype=np.bool_)
        if unknown:
            waiting = [(unknown[i], seq) for i, seq in zip(item_ids, seqs, strict=True) if i in unknown]
            codes, waiting_seqs = zip(*sorted(waiting), strict=True)
            insert_rows(connection, waiting_events, {"item_code": codes, "seq": waiting_seqs})
        ledger.seq += n_new
        ledger.n_events += n_new
        ledger.n_suspect += sum(prepared.values("is_suspect"))
        return is_waiting


def sort_in_tail(connection: Connection, ledger: Ledger) -> None:
    """Bring both lookups up to ``ledger.seq``; ``ledger`` is moved on, not written."""
    _SORT_IN_KEYS.run(connection, indexed_seq=ledger.indexed_seq)
    _SORT_IN_USERS.run(connection, indexed_seq=ledger.indexed_seq)
    ledger.indexed_seq = ledger.seq


_IN_TAIL = events.c.seq > bindparam("indexed_seq")
_SORT_IN_KEYS = Compiled(
    insert(event_keys).from_select(
        ["event_key"], select(events.c.event_key).where(_IN_TAIL).order_by(events.c.event_key)
    )
)
_OF_USERS = (events.c.user_code, events.c.time_ms, events.c.seq)
_SORT_IN_USERS = Compiled(
    insert(user_events).from_select(
        ["user_code", "time_ms", "seq"],
        select(*_OF_USERS).where(_IN_TAIL, events.c.item_code.is_not(None)).order_by(*_OF_USERS),
    )
)


def _indexed(connection: Connection, ledger: Ledger, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which keys are in ``event_keys``. (n,) bool"""
    if not ledger.indexed_seq:
        return np.zeros(len(keys), dtype=np.bool_)
    found = rows_where_in(connection, [event_keys.c.event_key], event_keys.c.event_key, np.sort(keys).tolist())
    return np.isin(keys, np.array([key for (key,) in found], dtype=np.int64))
