"""Events on their way out of the database.

Enters: a connection in a read transaction. Leaves: frames with ``seq`` and the columns of ``EventTable``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, select

from aisle.domain import EVENT_CODE, EventTable, EventType
from aisle.domain.tables import EVENT_COLUMNS, EVENT_TYPE
from aisle.storage.schema import events, item_codes, user_codes

PAGE_ROWS = 50_000
"""Rows fetched at a time; more costs memory (about a kilobyte a row while they are Python objects)."""
_SELECTED = {"user_id": user_codes.c.user_id, "item_id": item_codes.c.item_id}

EVENTS = (
    select(events.c.seq, *(_SELECTED.get(name, events.c.get(name, None)) for name in EVENT_COLUMNS))
    .join(user_codes, user_codes.c.user_code == events.c.user_code)
    .outerjoin(item_codes, item_codes.c.item_code == events.c.item_code)
)
"""``seq`` and then the columns of ``EventTable``, ids in place of codes; add conditions and an order."""


def read_events(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any] = MappingProxyType({})
) -> pl.DataFrame:
    """Run a statement made from ``EVENTS``: its rows with ``seq`` in front of the columns of ``EventTable``."""
    rows = connection.execute(statement, parameters).fetchall()
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


def read_slate_events(connection: Connection, after_seq: int, page_rows: int = PAGE_ROWS) -> Iterator[EventTable]:
    """Events that carry a slate, robots left out, after a sequence number, in order, in pages."""
    return _in_pages(connection, _OF_SLATES, after_seq, page_rows)


def read_searches(connection: Connection, after_seq: int, page_rows: int = PAGE_ROWS) -> Iterator[EventTable]:
    """Events of typed queries, robots left out, after a sequence number, in order, in pages."""
    return _in_pages(connection, _SEARCHES, after_seq, page_rows)


def _in_pages(connection: Connection, statement: Select[Any], after_seq: int, page_rows: int) -> Iterator[EventTable]:
    while True:
        page = read_events(connection, statement, {"after_seq": after_seq, "n_rows": page_rows})
        if page.height:
            yield as_table(page)
            after_seq = page["seq"][-1]
        if page.height < page_rows:
            return


def _page_of(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        EVENTS.where(events.c.seq > bindparam("after_seq"), events.c.is_suspect.is_(False), *conditions)
        .order_by(events.c.seq)
        .limit(bindparam("n_rows", type_=Integer))
    )


_OF_SLATES = _page_of(events.c.slate_id.is_not(None))
_SEARCHES = _page_of(events.c.type == EVENT_CODE[EventType.SEARCH], events.c.query.is_not(None))
