"""Lists to page through, for people and programs that look at what is stored.

Enters: a connection in a read transaction, the cursor of the page before and a limit. Leaves: ``contracts.Listed``. A
page continues after the last row of the one before, whatever was added meanwhile. A cursor says where that was, in a
form that nobody needs to read.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, TypeVar

import orjson
import polars as pl
from sqlalchemy import Connection, Integer, Table, bindparam, select, union_all

from aisle.contracts import Listed
from aisle.domain import Document, DocumentTable, Event, EventTable, Item, ItemTable, User, UserTable
from aisle.errors import DataError
from aisle.storage.codes import find_user_codes
from aisle.storage.contents import table_of
from aisle.storage.event_rows import EVENTS, as_table, read_events
from aisle.storage.ledger import Ledger
from aisle.storage.schema import documents, events, items, user_events, users

Place = TypeVar("Place", int, str)
_LONGEST_CURSOR = 4_096
_LARGEST_SEQ = 2**63 - 1


def list_items(connection: Connection, cursor: str | None, limit: int) -> Listed[Item]:
    """Items in the order of their arrival."""
    after = -1 if cursor is None else _place("items", cursor, int)
    rows = _page_after(connection, items, "item_row", ItemTable, after, limit)
    return Listed(list(table_of(ItemTable, _shown(rows, limit)).rows()), _next("items", rows, limit))


def list_users(connection: Connection, cursor: str | None, limit: int) -> Listed[User]:
    """Profiles by id."""
    after = "" if cursor is None else _place("users", cursor, str)
    rows = _page_after(connection, users, "user_id", UserTable, after, limit)
    return Listed(list(table_of(UserTable, _shown(rows, limit)).rows()), _next("users", rows, limit))


def list_documents(connection: Connection, cursor: str | None, limit: int) -> Listed[Document]:
    """Documents by id."""
    after = "" if cursor is None else _place("documents", cursor, str)
    rows = _page_after(connection, documents, "document_id", DocumentTable, after, limit)
    return Listed(list(table_of(DocumentTable, _shown(rows, limit)).rows()), _next("documents", rows, limit))


def list_events(connection: Connection, cursor: str | None, limit: int, user_id: str | None) -> Listed[Event]:
    """Events, newest arrival first. Cost for one user: all he ever did; for everybody: the page."""
    before = _LARGEST_SEQ if cursor is None else _place("events", cursor, int)
    if user_id is None:
        frame = read_events(connection, _NEWEST, {"before": before, "n_rows": _more_than(limit)})
    else:
        frame = _newest_of(connection, user_id, before, limit)
    return Listed(list(as_table(frame[:limit]).rows()), _next("events", frame.select("seq").rows(), limit))


def _newest_of(connection: Connection, user_id: str, before: int, limit: int) -> pl.DataFrame:
    code = find_user_codes(connection, [user_id]).get(user_id)
    if code is None:
        return EventTable.empty().frame.insert_column(0, pl.Series("seq", [], dtype=pl.Int64))
    given = {"user_code": code, "before": before, "indexed_seq": Ledger.read(connection).indexed_seq}
    return read_events(connection, _NEWEST_OF_ONE, {**given, "n_rows": _more_than(limit)})


def _page_after(
    connection: Connection, table: Table, key: str, kind: type[Any], after: Any, limit: int
) -> list[tuple[Any, ...]]:
    """The key and the columns of ``kind`` of the rows after a key."""
    columns = [table.c[key], *(table.c[name] for name in kind.columns)]
    statement = select(*columns).where(table.c[key] > after).order_by(table.c[key]).limit(_more_than(limit))
    return [tuple(row) for row in connection.execute(statement)]


def _shown(rows: list[tuple[Any, ...]], limit: int) -> list[tuple[Any, ...]]:
    return [row[1:] for row in rows[:limit]]


def _next(kind: str, rows: list[tuple[Any, ...]], limit: int) -> str | None:
    if len(rows) <= limit:
        return None
    return urlsafe_b64encode(orjson.dumps([kind, rows[limit - 1][0]])).decode().rstrip("=")


def _more_than(limit: int) -> int:
    """One row more than a page shows tells whether there is another. Raises ``DataError`` for a page of nothing."""
    if limit < 1:
        raise DataError(f"a page of {limit} rows cannot be given; allowed are 1 and more", field="limit")
    return limit + 1


def _place(kind: str, cursor: str, wanted: type[Place]) -> Place:
    """Where the page before ended. Raises ``DataError`` for what no page of this list gave."""
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise ValueError
        told, place = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if told != kind or type(place) is not wanted:
            raise ValueError
        if isinstance(place, int) and not -1 <= place <= _LARGEST_SEQ:
            raise ValueError
    except (ValueError, TypeError) as error:
        raise DataError(
            f"this cursor is not one of a list of {kind}; give the cursor of the page before as it is, or none to "
            "begin at the start",
            field="cursor",
        ) from error
    return place


_NEWEST = (
    EVENTS.where(events.c.seq < bindparam("before"))
    .order_by(events.c.seq.desc())
    .limit(bindparam("n_rows", type_=Integer))
)
_MINE = union_all(
    select(user_events.c.seq).where(
        user_events.c.user_code == bindparam("user_code"), user_events.c.seq < bindparam("before")
    ),
    select(events.c.seq).where(
        events.c.user_code == bindparam("user_code"), events.c.item_code.is_(None), events.c.seq < bindparam("before")
    ),
    select(events.c.seq).where(
        events.c.seq > bindparam("indexed_seq"),
        events.c.seq < bindparam("before"),
        events.c.user_code == bindparam("user_code"),
        events.c.item_code.is_not(None),
    ),
).subquery()
_PAGE_OF_ONE = select(_MINE.c.seq).order_by(_MINE.c.seq.desc()).limit(bindparam("n_rows", type_=Integer)).subquery()
_NEWEST_OF_ONE = EVENTS.join(_PAGE_OF_ONE, _PAGE_OF_ONE.c.seq == events.c.seq).order_by(events.c.seq.desc())
