"""Counts over what was found, by which a list can be narrowed, widened again, or turned to another value.

Enters: requests and what was found for each. Leaves: ``Facets``. Each facet is counted under every limit but its own:
who has chosen one brand still sees how many items of the other brands would fit the rest of his choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aisle.domain import NO_VALUE, Candidates, Catalogue, Facet, Facets, Request
from aisle.flows.stages import Rules

MOST_VALUES = 50
"""Values of one facet that are counted out; the rarest are left out."""

CATEGORIES, BRANDS, PRICES = "categories", "brands", "prices"
_NO_LIMIT: Mapping[str, Mapping[str, Any]] = {
    CATEGORIES: {"categories": ()},
    BRANDS: {"brands": ()},
    PRICES: {"min_price_minor": None, "max_price_minor": None},
}


@dataclass(frozen=True)
class Widened:
    """A request without the limit of one facet; ``place`` is that of the request it was made from."""

    place: int
    facet: str
    request: Request


def widened(requests: Sequence[Request], wanted: Sequence[bool], rules: Rules) -> list[Widened]:
    """For each request whose counts are ``wanted``, one request more for each facet by which it is narrowed.

    They are answered beside the others, so that a query is encoded once; without narrowing there are none.
    """
    found: list[Widened] = []
    for place, (request, is_wanted) in enumerate(zip(requests, wanted, strict=True)):
        for facet, no_limit in _NO_LIMIT.items() if is_wanted else ():
            filters = replace(request.filters, **no_limit)
            if filters != request.filters:
                allowed = request.steering.limited(rules.allowed(filters, request.now_ms))
                found.append(Widened(place, facet, replace(request, filters=filters, allowed=allowed)))
    return found


def count_facets(catalogue: Catalogue, found: Candidates, wider: Mapping[str, Candidates]) -> Facets:
    """Counts over the candidates: an item counts for its category and for every one above it.

    Args:
        catalogue: knows the items' categories, brands and prices.
        found: what was found under every limit.
        wider: by facet, what was found without that facet's limit. What is in ``found`` counts with it: of a wide
            choice only the best candidates are known, and they may be others.
    """
    rows_of = {facet: np.union1d(found.item_rows, more.item_rows) for facet, more in wider.items()}
    prices: NDArray[np.int64] = catalogue.column("price_minor")[rows_of.get(PRICES, found.item_rows)]
    priced = prices[prices != NO_VALUE]
    buyable = catalogue.column("is_available")[found.item_rows] & (catalogue.column("stock")[found.item_rows] != 0)
    return Facets(
        categories=_categories(catalogue, rows_of.get(CATEGORIES, found.item_rows)),
        brands=_brands(catalogue, rows_of.get(BRANDS, found.item_rows)),
        lowest_price_minor=int(priced.min()) if len(priced) else None,
        highest_price_minor=int(priced.max()) if len(priced) else None,
        n_in_stock=int(buyable.sum()),
    )


def _categories(catalogue: Catalogue, rows: NDArray[np.int64]) -> tuple[Facet, ...]:
    leaves, counts = np.unique(catalogue.column("category")[rows], return_counts=True)
    in_node: dict[int, int] = {}
    for leaf, count in zip(leaves.tolist(), counts.tolist(), strict=True):
        if leaf != NO_VALUE:
            for node in catalogue.ancestors(leaf):
                in_node[node] = in_node.get(node, 0) + count
    return _facets(catalogue.categories.values, in_node)


def _brands(catalogue: Catalogue, rows: NDArray[np.int64]) -> tuple[Facet, ...]:
    brands, counts = np.unique(catalogue.column("brand")[rows], return_counts=True)
    in_brand = {brand: n for brand, n in zip(brands.tolist(), counts.tolist(), strict=True) if brand != NO_VALUE}
    return _facets(catalogue.brands.values, in_brand)


def _facets(names: list[str], counts: dict[int, int]) -> tuple[Facet, ...]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], names[pair[0]]))
    return tuple(Facet(names[code], n) for code, n in ordered[:MOST_VALUES])
