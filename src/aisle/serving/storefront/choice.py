"""What a visitor chose on a list page, as its address says it: query, facets, order, page.

Enters: query parameters, read with distrust. Leaves: filters for the shop, and addresses of the same page with one
thing changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from aisle.domain import SORTS, Filters, Sort
from aisle.domain.money import minor_digits, to_minor
from aisle.flows.search import MAX_QUERY_CHARACTERS

SIZE = 24
"""Items of a page."""
MOST_VALUES = 20
LONGEST_VALUE = 300
LONGEST_CURSOR = 8_000
BETWEEN_PAIR = ":"
"""Between an attribute's name and its value in an address."""
HIGHEST_PRICE = 10**12

_SORT_OF: Mapping[str, Sort] = {sort: sort for sort in SORTS}


@dataclass(frozen=True)
class Choice:
    """One list page. Prices in minor units; ``category`` is a path joined by ``" > "``; ``attributes`` are pairs of
    name and value. ``after`` is the cursor of the page before.
    """

    query: str = ""
    category: str | None = None
    brands: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    rating: int | None = None
    low: int | None = None
    high: int | None = None
    is_in_stock_only: bool = False
    sort: Sort = "relevance"
    after: str | None = None
    is_as_typed: bool = False
    """Whether the query is searched for exactly as it stands."""

    @classmethod
    def read(cls, given: QueryParams, currency: str) -> Choice:
        """From an address; what cannot be understood counts as not chosen."""
        low, high = (_price(given.get(name, ""), currency) for name in ("min", "max"))
        if low is not None and high is not None and low > high:
            low, high = high, low
        rating = given.get("rating", "")
        said = [pair.partition(BETWEEN_PAIR) for pair in given.getlist("has") if len(pair) <= LONGEST_VALUE]
        pairs = [(name, value) for name, _, value in said if name and value]
        brands = [brand for brand in given.getlist("brand") if brand and len(brand) <= LONGEST_VALUE]
        category = given.get("category", "")[:LONGEST_VALUE]
        return cls(
            query=" ".join(given.get("q", "").split())[:MAX_QUERY_CHARACTERS],
            category=category or None,
            brands=tuple(dict.fromkeys(brands))[:MOST_VALUES],
            attributes=tuple(dict.fromkeys(pairs))[:MOST_VALUES],
            rating=int(rating) if rating.isascii() and rating.isdecimal() and len(rating) < 3 else None,
            low=low,
            high=high,
            is_in_stock_only=given.get("stock") == "1",
            sort=_SORT_OF.get(given.get("sort", ""), "relevance"),
            after=given.get("after", "")[:LONGEST_CURSOR] or None,
            is_as_typed=given.get("typed") == "1",
        )

    @property
    def filters(self) -> Filters:
        """The limits for the shop."""
        return Filters(
            categories=(self.category,) if self.category else (),
            brands=self.brands,
            attributes=self.values_by_name,
            min_rating=self.rating,
            min_price_minor=self.low,
            max_price_minor=self.high,
            is_in_stock_only=self.is_in_stock_only,
        )

    @property
    def values_by_name(self) -> dict[str, tuple[str, ...]]:
        """The chosen values of each attribute."""
        names = dict.fromkeys(name for name, _ in self.attributes)
        return {name: tuple(value for of, value in self.attributes if of == name) for name in names}

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the query (the category, where there is none) limits the list."""
        chosen = (
            self.brands,
            self.attributes,
            self.rating is not None,
            self.low is not None,
            self.high is not None,
            self.is_in_stock_only,
        )
        return any(chosen) or bool(self.query and self.category)

    @property
    def is_fresh(self) -> bool:
        """Whether a query was just typed, rather than its list narrowed, ordered or turned over."""
        return bool(self.query) and self == Choice(query=self.query, is_as_typed=self.is_as_typed)

    def address(self, currency: str, **changes: Any) -> str:
        """The first page with ``changes``, unless they say after which."""
        new = replace(self, **{"after": None, **changes})
        pairs: list[tuple[str, str]] = [("q", new.query)] if new.query else []
        pairs += [("category", new.category)] if new.category else []
        pairs += [("brand", brand) for brand in new.brands]
        pairs += [("has", f"{name}{BETWEEN_PAIR}{value}") for name, value in new.attributes]
        pairs += [("rating", str(new.rating))] if new.rating is not None else []
        pairs += [("min", amount(new.low, currency))] if new.low is not None else []
        pairs += [("max", amount(new.high, currency))] if new.high is not None else []
        pairs += [("stock", "1")] if new.is_in_stock_only else []
        pairs += [("sort", new.sort)] if new.sort != "relevance" else []
        pairs += [("typed", "1")] if new.query and new.is_as_typed else []
        pairs += [("after", new.after)] if new.after else []
        path = "/search" if new.query else "/browse"
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def without_query(self) -> Mapping[str, tuple[str, ...]]:
        """Parameters that a form on this page must carry along, but for the prices it asks."""
        kept: dict[str, tuple[str, ...]] = {}
        if self.query:
            kept["q"] = (self.query,)
        if self.category:
            kept["category"] = (self.category,)
        if self.brands:
            kept["brand"] = self.brands
        if self.attributes:
            kept["has"] = tuple(f"{name}{BETWEEN_PAIR}{value}" for name, value in self.attributes)
        if self.rating is not None:
            kept["rating"] = (str(self.rating),)
        if self.is_in_stock_only:
            kept["stock"] = ("1",)
        if self.sort != "relevance":
            kept["sort"] = (self.sort,)
        if self.query and self.is_as_typed:
            kept["typed"] = ("1",)
        return kept


def amount(minor: int, currency: str) -> str:
    """An amount as it is typed: ``12.50``, ``12`` where nothing stands after the point."""
    digits = minor_digits(currency)
    text = f"{minor / 10**digits:.{digits}f}"
    return text.removesuffix("." + "0" * digits) if digits else text


def _price(text: str, currency: str) -> int | None:
    try:
        value = float(text.replace(",", "").strip())
    except ValueError:
        return None
    return to_minor(value, currency) if 0 <= value < HIGHEST_PRICE else None
