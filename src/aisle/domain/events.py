"""What shoppers did, in GA4's names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aisle.domain.checks import require_whole
from aisle.errors import DataError, unknown_name


class EventType(StrEnum):
    """Kinds of event, named as in Google Analytics 4; ``rate`` and ``review`` are ours."""

    IMPRESSION = "view_item_list"
    CLICK = "select_item"
    VIEW = "view_item"
    ADD_TO_CART = "add_to_cart"
    REMOVE_FROM_CART = "remove_from_cart"
    WISH = "add_to_wishlist"
    BEGIN_CHECKOUT = "begin_checkout"
    PURCHASE = "purchase"
    REFUND = "refund"
    SEARCH = "search"
    VIEW_PROMOTION = "view_promotion"
    SELECT_PROMOTION = "select_promotion"
    SHARE = "share"
    RATE = "rate"
    REVIEW = "review"


EVENT_TYPES: tuple[EventType, ...] = tuple(EventType)
EVENT_CODE: dict[EventType, int] = {event_type: code for code, event_type in enumerate(EVENT_TYPES)}
"""Small integer for each type, used in arrays; the order is append-only because snapshots store it."""

INTEREST_TYPES: tuple[EventType, ...] = (
    EventType.CLICK,
    EventType.VIEW,
    EventType.ADD_TO_CART,
    EventType.WISH,
    EventType.BEGIN_CHECKOUT,
    EventType.PURCHASE,
    EventType.SELECT_PROMOTION,
    EventType.SHARE,
    EventType.RATE,
    EventType.REVIEW,
)
"""Types by which a user shows interest in an item (an impression or a refund does not)."""

SHOWN_TYPES: tuple[EventType, ...] = (EventType.IMPRESSION, EventType.VIEW_PROMOTION)
"""Types that say only that an item was shown."""


EARLIEST_MS = 788_918_400_000
"""1995, before which no shop was online: an earlier time is one in seconds, taken for milliseconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing one user did at one moment (``time_ms``: UTC milliseconds), usually with one item.

    ``event_id`` makes recording idempotent; without one it is derived from the content. ``slate_id`` and ``slot``
    (0-based) join a response to the list that was shown. A purchase of three items is three events of one
    ``basket_id``; ``price_minor`` is the price of one unit.
    """

    user_id: str
    type: EventType
    time_ms: int
    item_id: str | None = None
    event_id: str | None = None
    quantity: int = 1
    price_minor: int | None = None
    currency: str | None = None
    rating: float | None = None
    text: str | None = None
    query: str | None = None
    session_id: str | None = None
    basket_id: str | None = None
    slate_id: str | None = None
    slot: int | None = None
    placement: str | None = None
    platform: str | None = None
    device: str | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        if not self.user_id:
            raise DataError("an event needs a non-empty user_id", field="user_id")
        if not isinstance(self.type, EventType):
            if self.type not in list(EventType):
                raise DataError(unknown_name("event type", str(self.type), map(str, EventType)), field="type")
            object.__setattr__(self, "type", EventType(self.type))
        for name in ("time_ms", "quantity", "price_minor", "slot"):
            require_whole("an event", name, getattr(self, name))
        if self.item_id is None and self.type is not EventType.SEARCH:
            raise DataError(f"a {self.type.value} event needs an item_id", field="item_id")
