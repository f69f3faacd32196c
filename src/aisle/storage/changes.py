"""The change feed: items and events in the order in which they were stored.

Enters: a connection in a read transaction and a sequence number. Leaves: one page of ``contracts.Changes``. An item
that changed again is given once, as it is now, at its newest number.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Integer, Select, Table, bindparam, func, select

from aisle.contracts import Changes
from aisle.domain import EventTable, ItemTable
from aisle.storage.contents import table_of
from aisle.storage.event_rows import EVENTS, as_table, read_events
from aisle.storage.ledger import Ledger
from aisle.storage.schema import events, items


def read_changes(
    connection: Connection, seq: int, limit: int, until: int | None = None, with_events: bool = True
) -> Changes:
    """What came after ``seq`` up to ``until`` (None: all of it), at most ``limit`` rows."""
    ledger = Ledger.read(connection)
    if seq >= ledger.seq:
        return Changes(seq, _NO_ITEMS, _NO_EVENTS, is_complete=True, n_erasures=ledger.n_erasures)
    last = ledger.seq if until is None else min(until, ledger.seq)
    page = {"after": seq, "until": last, "n_rows": limit + 1}
    item_seqs = connection.execute(_ITEM_SEQS, page).scalars().all()
    event_seqs = connection.execute(_EVENT_SEQS, page).scalars().all() if with_events else []
    following = sorted([*item_seqs, *event_seqs])
    is_complete = len(following) <= limit
    span = {"after": seq, "until": last if is_complete else following[limit - 1]}
    found_items = table_of(ItemTable, connection.execute(_ITEMS, span).fetchall()) if item_seqs else _NO_ITEMS
    found_events = as_table(read_events(connection, _EVENTS, span)) if event_seqs else _NO_EVENTS
    return Changes(span["until"], found_items, found_events, is_complete, ledger.n_erasures)


def count_since(connection: Connection, seq: int) -> dict[str, int]:
    """How many items changed and how many events came after ``seq``; an item that changed often counts once."""
    return {
        table.name: connection.execute(select(func.count()).select_from(table).where(table.c.seq > seq)).scalar_one()
        for table in (items, events)
    }


def _next_seqs(table: Table) -> Select[Any]:
    seq = table.c.seq
    following = select(seq).where(seq > bindparam("after"), seq <= bindparam("until")).order_by(seq)
    return following.limit(bindparam("n_rows", type_=Integer))


_NO_ITEMS, _NO_EVENTS = ItemTable.empty(), EventTable.empty()
_ITEM_SEQS, _EVENT_SEQS = _next_seqs(items), _next_seqs(events)
_ITEMS = (
    select(*(items.c[name] for name in ItemTable.columns))
    .where(items.c.seq > bindparam("after"), items.c.seq <= bindparam("until"))
    .order_by(items.c.seq)
)
_EVENTS = EVENTS.where(events.c.seq > bindparam("after"), events.c.seq <= bindparam("until")).order_by(events.c.seq)
