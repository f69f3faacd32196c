"""What a visitor chose on a list page, as its address says it: query, facets, order, how many.

Enters: query parameters, read with distrust. Leaves: filters for the shop, and addresses of the same page with one
thing changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from aisle.domain import Filters
from aisle.domain.money import minor_digits, to_minor
from aisle.flows.search import MAX_QUERY_CHARACTERS

STEP, MOST = 24, 120
"""Items that "show more" adds, and how many a page shows at most."""
MOST_VALUES = 20
LONGEST_VALUE = 300
HIGHEST_PRICE = 10**12

Sort = Literal["relevance", "price-up", "price-down"]
SORTS: tuple[Sort, ...] = ("relevance", "price-up", "price-down")
_SORT_OF: Mapping[str, Sort] = {sort: sort for sort in SORTS}


@dataclass(frozen=True)
class Choice:
    """One list page. Prices in minor units; ``category`` is a path joined by ``" > "``."""

    query: str = ""
    category: str | None = None
    brands: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    is_in_stock_only: bool = False
    sort: Sort = "relevance"
    n: int = STEP

    @classmethod
    def read(cls, given: QueryParams, currency: str) -> Choice:
        """From an address; what cannot be understood counts as not chosen."""
        low, high = (_price(given.get(name, ""), currency) for name in ("min", "max"))
        if low is not None and high is not None and low > high:
            low, high = high, low
        n = given.get("n", "")
        brands = [brand for brand in given.getlist("brand") if brand and len(brand) <= LONGEST_VALUE]
        category = given.get("category", "")[:LONGEST_VALUE]
        return cls(
            query=" ".join(given.get("q", "").split())[:MAX_QUERY_CHARACTERS],
            category=category or None,
            brands=tuple(dict.fromkeys(brands))[:MOST_VALUES],
            low=low,
            high=high,
            is_in_stock_only=given.get("stock") == "1",
            sort=_SORT_OF.get(given.get("sort", ""), "relevance"),
            n=min(max(int(n), STEP), MOST) if n.isascii() and n.isdecimal() and len(n) < 5 else STEP,
        )

    @property
    def filters(self) -> Filters:
        """The limits for the shop."""
        return Filters(
            categories=(self.category,) if self.category else (),
            brands=self.brands,
            min_price_minor=self.low,
            max_price_minor=self.high,
            is_in_stock_only=self.is_in_stock_only,
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the query (the category, where there is none) limits the list."""
        chosen = (self.brands, self.low is not None, self.high is not None, self.is_in_stock_only)
        return any(chosen) or bool(self.query and self.category)

    @property
    def is_fresh(self) -> bool:
        """Whether a query was just typed, rather than its list narrowed, ordered or made longer."""
        return bool(self.query) and self == Choice(query=self.query)

    def address(self, currency: str, **changes: Any) -> str:
        """This page with ``changes``; as long as it was at first unless they say otherwise."""
        new = replace(self, **{"n": STEP, **changes})
        pairs: list[tuple[str, str]] = [("q", new.query)] if new.query else []
        pairs += [("category", new.category)] if new.category else []
        pairs += [("brand", brand) for brand in new.brands]
        pairs += [("min", amount(new.low, currency))] if new.low is not None else []
        pairs += [("max", amount(new.high, currency))] if new.high is not None else []
        pairs += [("stock", "1")] if new.is_in_stock_only else []
        pairs += [("sort", new.sort)] if new.sort != "relevance" else []
        pairs += [("n", str(new.n))] if new.n != STEP else []
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
        if self.is_in_stock_only:
            kept["stock"] = ("1",)
        if self.sort != "relevance":
            kept["sort"] = (self.sort,)
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
