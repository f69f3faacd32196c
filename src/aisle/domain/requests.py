"""What is asked: who, where, for what, and with which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aisle.domain.checks import several
from aisle.domain.items import ItemKind
from aisle.domain.steering import UNSTEERED, Steering
from aisle.errors import DataError, unknown_name

Sort = Literal["relevance", "price-up", "price-down", "newest", "rating", "popularity"]
"""What a list is ordered by; all but relevance order what is relevant enough to be found, the best first."""
SORTS: tuple[Sort, ...] = get_args(Sort)


class Intent(StrEnum):
    """What somebody who types a query is after."""

    PRODUCT = "product"
    CATEGORY = "category"
    BRAND = "brand"
    PRICE = "price"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Guess:
    """One thing that a query may mean: a category's path, a brand, an attribute's value; ``probability`` in 0 to 1."""

    value: str
    probability: float
    name: str | None = None
    """Of an attribute."""


@dataclass(frozen=True, slots=True)
class PriceRange:
    """Inclusive minor units of the shop's currency, None where it is open, and how sure it is in 0 to 1.

    ``is_limit``: sure enough to limit the list, unless the caller sets prices; its words are not searched for.
    """

    low_minor: int | None
    high_minor: int | None
    probability: float
    is_limit: bool = False


@dataclass(frozen=True, slots=True)
class Synonym:
    """Words of the query, and phrases of which each means the same, as people write them."""

    written: str
    meant: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Respelling:
    """Another spelling of a query: ``text`` is the whole query so written, ``probability`` how sure that is.

    ``is_searched``: sure enough to be searched for; else it is only offered. ``typed`` and ``searched`` are the words
    looked for without and with it, which lack a price range that limits.
    """

    text: str
    searched: str
    typed: str
    probability: float
    is_searched: bool


@dataclass(frozen=True, slots=True)
class Query:
    """What was typed and what was understood.

    ``corrected`` is what is searched for where that is not what was typed; guesses come likeliest first; ``intents``
    has a probability for each ``Intent``, or is empty where nothing is known.
    """

    text: str
    corrected: str | None = None
    language: str | None = None
    intents: tuple[tuple[Intent, float], ...] = ()
    categories: tuple[Guess, ...] = ()
    brands: tuple[Guess, ...] = ()
    attributes: tuple[Guess, ...] = ()
    price: PriceRange | None = None
    synonyms: tuple[Synonym, ...] = ()
    spelling: Respelling | None = None
    is_as_typed: bool = False
    """Whether no word may be taken for another."""

    @property
    def effective(self) -> str:
        """The text to search with."""
        return self.text if self.corrected is None else self.corrected


@dataclass(frozen=True, slots=True)
class Filters:
    """Limits a caller sets. Empty tuples and None mean no limit. Lists become tuples.

    Prices are inclusive minor units of the shop's currency; an item priced in another currency matches none.
    ``categories`` are paths joined by ``" > "`` and include what lies below them. ``is_in_stock_only`` False also shows
    items that cannot be bought now. ``attributes`` asks for any of the values of each name, and all of the names.
    ``min_rating`` is the least mean of an item's ratings; what nobody rated has none.
    """

    kinds: tuple[ItemKind, ...] = ()
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    min_price_minor: int | None = None
    max_price_minor: int | None = None
    min_rating: float | None = None
    is_in_stock_only: bool = True
    excluded_item_ids: tuple[str, ...] = ()
    has_seen: bool = True
    """False leaves out what the user has already looked at or bought."""
    has_bought: bool = True
    """False leaves out what the user has already bought."""

    def __post_init__(self) -> None:
        for name in ("categories", "brands", "sellers", "excluded_item_ids"):
            object.__setattr__(self, name, several(name, getattr(self, name)))
        object.__setattr__(self, "kinds", tuple(map(_kind, several("kinds", self.kinds))))
        chosen = {name: several("attributes", self.attributes[name]) for name in sorted(self.attributes)}
        object.__setattr__(self, "attributes", {name: values for name, values in chosen.items() if values})
        low, high = self.min_price_minor, self.max_price_minor
        if low is not None and high is not None and low > high:
            raise DataError(f"min_price_minor {low} is above max_price_minor {high}", field="min_price_minor")


def _kind(name: str) -> ItemKind:
    if name not in list(ItemKind):
        raise DataError(unknown_name("kind", name, map(str, ItemKind)), field="kinds")
    return ItemKind(name)


@dataclass(frozen=True, slots=True)
class Context:
    """Circumstances of a request; all optional."""

    language: str | None = None
    platform: str | None = None
    device: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class UserState:
    """What a user did lately, oldest first, known items only.

    ``item_rows`` (h,) int64, ``types`` (h,) uint8 as in ``EVENT_CODE``, ``times_ms`` (h,) int64.
    """

    user_id: str | None
    item_rows: NDArray[np.int64]
    types: NDArray[np.uint8]
    times_ms: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not len(self.item_rows) == len(self.types) == len(self.times_ms):
            raise DataError("a user's state needs as many rows as types and times")

    @classmethod
    def empty(cls, user_id: str | None = None) -> UserState:
        """The state of somebody never seen."""
        return cls(user_id, np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.int64))


NO_ROWS: NDArray[np.int64] = np.empty(0, dtype=np.int64)
NO_ROWS.setflags(write=False)


@dataclass(frozen=True)
class Request:
    """One request, as sources see it: outside names already turned into rows.

    ``anchor_rows`` are the items the list is about (the item page's item, the basket's content). ``allowed`` (n_items,)
    bool marks the items that may be proposed, None all; rows beyond its end may not. ``excluded_rows`` may not either.
    ``named_rows`` are items that the query names by their id: they stand first in the list, whatever else is found.
    """

    placement: str
    now_ms: int
    state: UserState = field(default_factory=UserState.empty)
    query: Query | None = None
    anchor_rows: NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    allowed: NDArray[np.bool_] | None = None
    excluded_rows: NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    named_rows: NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    filters: Filters = Filters()
    context: Context = Context()
    size: int = 20
    sort: Sort = "relevance"
    steering: Steering = UNSTEERED

    def __post_init__(self) -> None:
        if self.size < 1:
            raise DataError(f"size is {self.size}; at least 1 item must be asked for", field="size")
        if self.sort not in SORTS:
            raise DataError(unknown_name("sort", self.sort, SORTS), field="sort")

    @property
    def user_id(self) -> str | None:
        """Who asks; None for somebody unknown."""
        return self.state.user_id

    @property
    def wanted_rows(self) -> NDArray[np.int64]:
        """Items that belong into the list whatever is found: those named, and those that rules pin."""
        pinned = [pin.item_row for pin in self.steering.pins]
        return np.union1d(self.named_rows, np.array(pinned, dtype=np.int64)) if pinned else self.named_rows
