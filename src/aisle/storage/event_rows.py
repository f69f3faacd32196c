"""Events on their way out of the database.

Enters: a connection in a read transaction. Leaves: frames with ``seq`` and the columns of ``EventTable``. What lies in
the tail (see ``event_writer.py``) is found as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from sqlalchemy import Connection, Select, Subquery, func, select

from aisle.domain import EventTable
from aisle.domain.tables import EVENT_COLUMNS, EVENT_TYPE
from aisle.storage.schema import events, item_codes, user_codes, user_events


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
    return select(ranked.c.seq).where(ranked.c.place <= limit).subquery()
