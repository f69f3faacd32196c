"""Records: items, users, events, documents and slates as they are sent and listed."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import ConfigDict, Field

from aisle.wire.values import WHOLE, Asked, Currency, EventName, Id, Kind, Language, Line, MinorUnits, TimeMs, Told

Row = TypeVar("Row")
Tag = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Attributes = dict[
    Annotated[str, Field(min_length=1, max_length=200)],
    Annotated[tuple[Line, ...], Field(strict=False, max_length=100)],
]
Block = Annotated[str, Field(max_length=200_000)]


class ItemText(Asked):
    """The words of an item in one language."""

    language: Tag
    """BCP 47 primary tag such as `en` or `zh`."""
    title: Annotated[str, Field(min_length=1, max_length=5_000)]
    description: Block = ""


class Item(Asked):
    """One thing the shop can show. Money in minor units, times in UTC milliseconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "item_id": "kettle-2",
                    "texts": [
                        {"language": "en", "title": "Blue kettle, 1 L"},
                        {"language": "zh", "title": "蓝色烧水壶 1升"},
                    ],
                    "brand": "Maple",
                    "category": ["Kitchen", "Kettles"],
                    "attributes": {"colour": ["blue"]},
                    "price_minor": 3499,
                    "currency": "USD",
                    "stock": 12,
                }
            ]
        }
    )

    item_id: Id
    """Your own identifier; an item sent again under it replaces the one before."""
    texts: Annotated[tuple[ItemText, ...], Field(strict=False, min_length=1, max_length=50)]
    """Title and description, one entry a language, the main language first."""
    kind: Kind = "product"
    brand: Line | None = None
    category: Annotated[tuple[Line, ...], Field(strict=False, max_length=20)] = ()
    """Path, root first."""
    attributes: Attributes = Field(default_factory=dict)
    """Values by name, such as colour or size."""
    price_minor: MinorUnits | None = None
    currency: Currency | None = None
    """The shop's when left out."""
    cost_minor: MinorUnits | None = None
    """What it costs the shop."""
    stock: Annotated[int, Field(ge=0, le=2**53), WHOLE] | None = None
    """Pieces; null: not counted."""
    seller: Line | None = None
    image: Annotated[str, Field(max_length=2_000)] | None = None
    """Address of a picture."""
    created_ms: TimeMs | None = None
    starts_ms: TimeMs | None = None
    """Not shown before."""
    ends_ms: TimeMs | None = None
    """Not shown from then on."""
    is_available: bool = True


class User(Asked):
    """One user's profile; everything but the id is optional. The id should be a pseudonym."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "gwen", "language": "en", "region": "north", "platforms": ["web"]}]}
    )

    user_id: Id
    """Your own pseudonym of the user; a profile sent again replaces the one before."""
    gender: Line | None = None
    age_band: Line | None = None
    region: Line | None = None
    language: Language | None = None
    platforms: Annotated[tuple[Line, ...], Field(strict=False, max_length=50)] = ()
    attributes: Attributes = Field(default_factory=dict)
    created_ms: TimeMs | None = None


class Event(Asked):
    """One thing one user did. Names of types are those of Google Analytics 4."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"event_id": "e-1001", "user_id": "dora", "type": "view_item", "item_id": "green-tea"},
                {
                    "event_id": "e-1002",
                    "user_id": "dora",
                    "type": "purchase",
                    "item_id": "green-tea",
                    "quantity": 2,
                    "price_minor": 1899,
                    "currency": "USD",
                    "basket_id": "b-77",
                },
            ],
            "anyOf": [
                {"required": ["item_id"], "properties": {"item_id": {"type": "string"}}},
                {"properties": {"type": {"const": "search"}}},
            ],
        }
    )

    user_id: Id
    type: EventName
    time_ms: TimeMs | None = None
    """When it happened; the server's clock when left out."""
    item_id: Id | None = None
    """Required but for `search`."""
    event_id: Id | None = None
    """Makes the event safe to send again: it is stored once. Without one it is derived from the content."""
    quantity: Annotated[int, Field(ge=1, le=100_000), WHOLE] = 1
    price_minor: MinorUnits | None = None
    """Price of one unit."""
    currency: Currency | None = None
    """The shop's when left out."""
    rating: Annotated[float, Field(ge=-1_000, le=1_000)] | None = None
    text: Annotated[str, Field(max_length=200_000)] | None = None
    """Words of a review."""
    query: Annotated[str, Field(max_length=10_000)] | None = None
    """What was searched for."""
    session_id: Id | None = None
    basket_id: Id | None = None
    """Joins the events of one purchase."""
    slate_id: Id | None = None
    """The answer's `slate_id`, so that the response is known to be to that list."""
    slot: Annotated[int, Field(ge=0, le=100_000), WHOLE] | None = None
    """Place in that list, from 0."""
    placement: Line | None = None
    platform: Line | None = None
    device: Line | None = None
    region: Line | None = None


class Document(Asked):
    """A text of the shop: a policy, a guide, an answer to a known question."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"document_id": "shipping-en", "title": "Shipping", "text": "Two to four days.", "language": "en"}
            ]
        }
    )

    document_id: Id
    text: Annotated[str, Field(min_length=1, max_length=500_000)]
    title: Annotated[str, Field(max_length=5_000)] | None = None
    """The first words of the text when left out."""
    kind: Line = "policy"
    language: Language | None = None
    """Told from the text when left out."""
    url: Annotated[str, Field(max_length=2_000)] | None = None
    updated_ms: TimeMs | None = None


class Refusal(Told):
    """One value that was not accepted."""

    row: int
    """Counts from 1 within the request."""
    field: str
    value: str
    """What was received, shortened."""
    allowed: str
    """What would have been accepted."""


class Written(Told):
    """What became of the records that were sent; what is counted here is stored durably."""

    n_new: int
    n_changed: int
    n_duplicate: int
    """Known already: sent before, and not stored again."""
    n_waiting: int
    """Events of items that are not in the catalogue yet; they count once the item comes."""
    n_left_out: int
    """Foreign events that say nothing a shop learns from (page views, scrolling)."""
    refusals: tuple[Refusal, ...]
    """Rows that did not go in, and why; the others did."""


class SlateItem(Told):
    """One place of a list as it was shown."""

    item_id: str
    utility: float
    propensity: float
    """The chance with which the policy put this item here."""
    sources: dict[str, float]
    outcomes: dict[str, float]
    placed_by: str | None = None
    """Id of the query rule that pinned it here."""


class Slate(Told):
    """A list as it was shown."""

    slate_id: str
    placement: str
    time_ms: int
    user_id: str | None
    query: str | None
    anchor_item_ids: tuple[str, ...]
    versions: dict[str, str]
    """Models and policy that made it."""
    items: tuple[SlateItem, ...]


class Page(Told, Generic[Row]):
    """One page of a list."""

    rows: tuple[Row, ...]
    cursor: str | None
    """Send it back for the next page; null at the end."""


class ListedEvent(Told):
    """An event as it is stored."""

    user_id: str
    type: EventName
    time_ms: int
    item_id: str | None
    event_id: str | None
    quantity: int
    price_minor: int | None
    currency: str | None
    rating: float | None
    text: str | None
    query: str | None
    session_id: str | None
    basket_id: str | None
    slate_id: str | None
    slot: int | None
    placement: str | None
    platform: str | None
    device: str | None
    region: str | None


class ListedText(Told):
    """The words of an item in one language, as they are stored."""

    language: str
    title: str
    description: str


class ListedItem(Told):
    """An item as it is stored; sent to `POST /v1/items` it changes nothing."""

    item_id: str
    texts: tuple[ListedText, ...]
    kind: Kind
    brand: str | None
    category: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]]
    price_minor: int | None
    currency: str | None
    cost_minor: int | None = None
    """Left out where items come with a list."""
    stock: int | None
    seller: str | None
    image: str | None
    created_ms: int | None
    starts_ms: int | None
    ends_ms: int | None
    is_available: bool


class ListedUser(Told):
    """A profile as it is stored."""

    user_id: str
    gender: str | None
    age_band: str | None
    region: str | None
    language: str | None
    platforms: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]]
    created_ms: int | None


class ListedDocument(Told):
    """A document as it is stored."""

    document_id: str
    title: str
    text: str
    kind: str
    language: str
    url: str | None
    updated_ms: int | None


class ItemPage(Page[ListedItem]):
    """Items in the order of their arrival."""


class UserPage(Page[ListedUser]):
    """Profiles by id."""


class EventPage(Page[ListedEvent]):
    """Events, newest arrival first."""


class DocumentPage(Page[ListedDocument]):
    """Documents by id."""
