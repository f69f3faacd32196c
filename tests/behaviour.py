"""Small behaviour to fit sources on: items and users are letters and names, times are days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from aisle.contracts import Parts
from aisle.domain import (
    EVENT_CODE,
    INTERACTION_SCHEMA,
    Catalogue,
    Event,
    EventTable,
    EventType,
    Item,
    ItemTable,
    ItemText,
    Request,
    Snapshot,
    UserState,
)

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
START_MS -= START_MS % DAY_MS


@dataclass(frozen=True)
class Did:
    """One event: who, what item, on which day."""

    user: str
    item: str
    day: float
    type: EventType = EventType.PURCHASE
    basket: str | None = None

    @property
    def time_ms(self) -> int:
        return START_MS + round(self.day * DAY_MS)


def at_day(day: float) -> int:
    return START_MS + round(day * DAY_MS)


def items_of(letters: str, **fields: object) -> ItemTable:
    return ItemTable.from_rows([Item(letter, (ItemText("en", letter),), **fields) for letter in letters])


def snapshot_of(events: Sequence[Did], items: str | ItemTable) -> Snapshot:
    table = items_of(items) if isinstance(items, str) else items
    row_of = {item: row for row, item in enumerate(table.frame["item_id"])}
    users = list(dict.fromkeys(event.user for event in events))
    ordered = sorted(events, key=lambda event: event.time_ms)
    frame = pl.DataFrame(
        {
            "user_row": [users.index(event.user) for event in ordered],
            "item_row": [row_of[event.item] for event in ordered],
            "type": [event.type.value for event in ordered],
            "time_ms": [event.time_ms for event in ordered],
            "basket_id": [event.basket for event in ordered],
        }
    )
    filled = [
        pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in INTERACTION_SCHEMA.items()
    ]
    return Snapshot(table, users, frame.select(filled), seq=len(events))


def event_table(events: Sequence[Did]) -> EventTable:
    return EventTable.from_rows(
        [Event(did.user, did.type, did.time_ms, item_id=did.item, basket_id=did.basket) for did in events]
    )


def parts_for(snapshot: Snapshot, day: float = 0.0) -> Parts:
    return Parts(Catalogue(snapshot.items), clock=lambda: at_day(day))


def state_of(events: Sequence[Did], catalogue: Catalogue) -> UserState:
    return UserState(
        events[0].user if events else None,
        catalogue.rows([did.item for did in events]),
        np.array([EVENT_CODE[did.type] for did in events], dtype=np.uint8),
        np.array([did.time_ms for did in events], dtype=np.int64),
    )


def ask(
    catalogue: Catalogue, events: Sequence[Did] = (), *, about: str = "", day: float = 0.0, **fields: object
) -> Request:
    return Request(
        placement="test",
        now_ms=at_day(day),
        state=state_of(events, catalogue),
        anchor_rows=catalogue.rows(list(about)),
        **fields,
    )


def answer(source: object, request: Request, catalogue: Catalogue, n: int = 10) -> list[str]:
    return catalogue.ids(source.retrieve([request], n)[0].item_rows)
