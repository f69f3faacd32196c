"""What happens on the pages, as events of the shop.

What was shown is written down after the page has left; what somebody did is written down before, so that the next page
already reflects it. Ids make a page that is loaded again count once.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable

from aisle.domain import Event, EventTable, EventType, Item
from aisle.errors import AisleError
from aisle.serving.storefront.shelves import Shelf
from aisle.serving.storefront.visit import Visit

log = logging.getLogger("aisle.storefront")


async def record(visit: Visit, events: Iterable[Event]) -> bool:
    """Have ``events`` acknowledged; False, and a line in the log, when they could not be: the page comes anyway."""
    table = EventTable.from_rows(events)
    if not len(table):
        return True
    try:
        appended = await visit.serving.intake.add(table)
    except AisleError as error:
        log.warning("%d events of the storefront were not recorded: %s", len(table), error)
        return False
    visit.serving.metrics.took_in("new", appended.n_new)
    visit.serving.metrics.took_in("duplicate", appended.n_duplicate)
    return True


def impressions(visit: Visit, shelves: Iterable[Shelf]) -> list[Event]:
    """Every card of every list, with the list's id and the item's place in it."""
    return [
        _event(
            visit,
            EventType.IMPRESSION,
            card.item_id,
            event_id=f"{shelf.slate_id}:{card.slot}:seen",
            slate_id=shelf.slate_id,
            slot=card.slot,
            placement=shelf.placement,
        )
        for shelf in shelves
        if shelf.is_in_order
        for card in shelf.cards
    ]


def opening(visit: Visit, item: Item, came_from: tuple[str, int] | None) -> list[Event]:
    """An item's page: the view, and the click on a list that led here."""
    view = _event(visit, EventType.VIEW, item.item_id, price_minor=item.price_minor, currency=item.currency)
    if came_from is None:
        return [view]
    slate_id, slot = came_from
    click = _event(
        visit,
        EventType.CLICK,
        item.item_id,
        event_id=f"{slate_id}:{slot}:opened",
        slate_id=slate_id,
        slot=slot,
    )
    return [click, view]


def searching(visit: Visit, query: str, slate_id: str) -> list[Event]:
    """A query that was typed."""
    return [_event(visit, EventType.SEARCH, None, query=query, slate_id=slate_id)]


def putting(visit: Visit, item: Item, n_more: int, came_from: tuple[str, int] | None) -> list[Event]:
    """Pieces of an item put into the basket (``n_more`` above 0) or taken out of it."""
    slate_id, slot = came_from or (None, None)
    return [
        _event(
            visit,
            EventType.ADD_TO_CART if n_more > 0 else EventType.REMOVE_FROM_CART,
            item.item_id,
            quantity=abs(n_more),
            price_minor=item.price_minor,
            currency=item.currency,
            slate_id=slate_id,
            slot=slot,
        )
    ]


def buying(visit: Visit, lines: Iterable[tuple[Item, int]]) -> tuple[str, list[Event]]:
    """The purchase of everything in the basket: the order's id and its events."""
    order_id = secrets.token_hex(8)
    events = [
        _event(
            visit,
            EventType.PURCHASE,
            item.item_id,
            event_id=f"{order_id}:{place}",
            quantity=quantity,
            price_minor=item.price_minor,
            currency=item.currency,
            basket_id=order_id,
        )
        for place, (item, quantity) in enumerate(lines)
    ]
    return order_id, events


def _event(visit: Visit, kind: EventType, item_id: str | None, **more: object) -> Event:
    return Event(
        user_id=visit.user_id,
        type=kind,
        time_ms=visit.serving.shop.clock(),
        item_id=item_id,
        session_id=visit.session_id,
        platform="web",
        **more,  # type: ignore[arg-type]
    )
