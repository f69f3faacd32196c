"""Questions: bodies and query parameters of the routes that answer with a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from aisle.wire.values import (
    MOST_ASKS,
    MOST_ITEMS,
    Asked,
    Body,
    EventFormat,
    Id,
    ItemFormat,
    Kind,
    Language,
    Line,
    MinorUnits,
    Name,
    Size,
    SortName,
    UserFormat,
)

Count = Annotated[int, Field(ge=1, le=MOST_ITEMS)]
"""``Size`` as a parameter, which is text."""
Names = Annotated[tuple[Line, ...], Field(max_length=100)]
MOST_BATCH_BYTES = 1_048_576


class Filters(Asked):
    """Limits of a list; what is left out limits nothing. A caller can narrow a placement, never widen it."""

    kinds: Annotated[tuple[Kind, ...], Field(max_length=5)] = ()
    """Kinds of item to show."""
    categories: Names = ()
    """Category paths joined by ` > `; what lies below them counts too."""
    brands: Names = ()
    """Brands to show."""
    sellers: Names = ()
    """Sellers to show."""
    attributes: Annotated[Mapping[Line, Names], Field(max_length=20)] = {}
    """By attribute name, values of which an item has any; it must have one of each name."""
    min_price_minor: MinorUnits | None = None
    """Lowest price, inclusive, in minor units of the shop's currency."""
    max_price_minor: MinorUnits | None = None
    """Highest price, inclusive."""
    min_rating: Annotated[float, Field(ge=-1_000, le=1_000)] | None = None
    """Least mean of an item's ratings; what nobody rated is left out."""
    is_in_stock_only: bool = True
    """False also shows what cannot be bought now, where the placement allows it."""
    excluded_item_ids: Annotated[tuple[Id, ...], Field(max_length=1_000)] = ()
    """Items to leave out."""
    has_seen: bool = True
    """False leaves out what the user has looked at or bought."""
    has_bought: bool = True
    """False leaves out what the user has bought."""


class Context(Asked):
    """Circumstances of a question."""

    language: Language | None = None
    """Language of the answer's texts and reasons."""
    platform: Line | None = None
    """Such as `web` or `app`."""
    device: Line | None = None
    """Such as `mobile`."""
    region: Line | None = None
    """Where the user is, in the shop's own words."""


class Ask(Body):
    """What every question may say."""

    user_id: Id | None = None
    """Who asks; without it the list is not personal."""
    size: Size | None = None
    """Items wanted; the placement's size when left out."""
    filters: Filters = Filters()
    context: Context = Context()
    sort: SortName = "relevance"
    """What the list is ordered by; all but `relevance` order what is relevant enough to be found."""
    cursor: Annotated[str, Field(min_length=1, max_length=8_000)] | None = None
    """`cursor` of the page before, with the same question; left out for the first page. Good for 30 minutes."""
    with_items: bool = False
    """True adds each item's record (title, price, ...)."""
    with_facets: bool = False
    """True adds counts by category, brand, attribute, price, rating and stock over what was found, each under every
    filter but its own."""
    explain: bool = False
    """True adds the reasons of each item."""


class SearchAsk(Ask):
    """A typed query."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "waterproof boots", "user_id": "finn", "size": 5, "with_items": True},
                {"query": "tea", "filters": {"max_price_minor": 2000, "kinds": ["product"]}, "with_facets": True},
            ]
        }
    )

    query: Annotated[str, Field(max_length=500)]
    """What was typed."""
    with_highlights: bool = False
    """True marks the words of titles and descriptions that answer the query, in the language of `context`."""
    as_typed: bool = False
    """True searches for exactly the words typed: no word is taken for another spelling."""


class RecommendAsk(Ask):
    """A list of a placement, for a user or about items."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "dora", "size": 5, "with_items": True},
                {"placement": "frequently-bought-together", "item_ids": ["kettle"], "explain": True},
            ]
        }
    )

    placement: Name = "recommended-for-you"
    """Where the list is shown; the settings name the placements."""
    item_ids: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    """What the list is about: the item of an item page, the content of a basket."""


class BasketAsk(Ask):
    """The items in a basket, to be completed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"item_ids": ["kettle"], "user_id": "dora", "size": 3, "with_items": True}]}
    )

    item_ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=100)]
    """What is in the basket."""


class SearchBatch(Body):
    """Several queries, answered together at a lower price than one by one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"asks": [{"query": "kettle"}, {"query": "雨伞"}]}]})

    most_bytes: ClassVar[int] = MOST_BATCH_BYTES
    asks: Annotated[tuple[SearchAsk, ...], Field(min_length=1, max_length=MOST_ASKS)]


class RecommendBatch(Body):
    """Several lists, answered together at a lower price than one by one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"asks": [{"user_id": "dora"}, {"placement": "popular", "size": 3}]}]}
    )

    most_bytes: ClassVar[int] = MOST_BATCH_BYTES
    asks: Annotated[tuple[RecommendAsk, ...], Field(min_length=1, max_length=MOST_ASKS)]


class SuggestQuery(Asked):
    """Parameters of suggestions."""

    prefix: Annotated[str, Field(max_length=200)]
    """What was typed so far."""
    size: Annotated[int, Field(ge=1, le=100)] = 10
    """Suggestions wanted."""
    language: Language | None = None
    """Only suggestions in this language, and those of unknown language."""


class SimilarQuery(Asked):
    """Parameters of similar items."""

    user_id: Id | None = None
    """Who asks."""
    size: Count | None = None
    """Items wanted; the placement's size when left out."""
    language: Language | None = None
    """Language of the reasons."""
    with_items: bool = False
    """True adds each item's record."""
    explain: bool = False
    """True adds the reasons of each item."""


class ExplainQuery(Asked):
    """Parameters of an explanation."""

    language: Language | None = None
    """Language of the reasons; without it `Accept-Language` decides."""


class ListQuery(Asked):
    """Parameters of a list that is read page by page."""

    cursor: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    """`cursor` of the page before; left out for the first page."""
    limit: Count = 100
    """Rows of a page."""


class EventListQuery(ListQuery):
    """Parameters of the list of events."""

    user_id: Id | None = None
    """Only the events of this user."""


class EventForm(Asked):
    """How events are written."""

    format: EventFormat = "auto"
    """`aisle` is our own form; `ga4`, `google-retail` and `gorse` are taken as those systems write them. `auto` tells
    them apart by the keys of the first record."""


class ItemForm(Asked):
    """How items are written."""

    format: ItemFormat = "auto"
    """`aisle` is our own form; `ga4`, `google-retail` and `gorse` are taken as those systems write them. `auto` tells
    them apart by the keys of the first record."""


class UserForm(Asked):
    """How users are written."""

    format: UserFormat = "auto"
    """`aisle` is our own form, `gorse` is taken as that system writes it. `auto` tells them apart by the keys of the
    first record."""
