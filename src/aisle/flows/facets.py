"""Counts over what was found, by which a list can be narrowed, widened again, or turned to another value.

Enters: requests and what was found for each. Leaves: ``Facets``. Each facet is counted under every limit but its own:
who has chosen one brand still sees how many items of the other brands would fit the rest of his choice. Items are
counted, each variant of a group for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aisle.domain import (
    NO_VALUE,
    AttributeFacet,
    Candidates,
    Catalogue,
    CategoryFacet,
    Facet,
    Facets,
    Filters,
    RatingFacet,
    Request,
)
from aisle.flows.price_buckets import price_buckets
from aisle.flows.stages import Rules

MOST_VALUES = 50
"""Values of one facet that are counted out; the rarest are left out."""
MOST_ATTRIBUTES, MOST_VALUES_OF_AN_ATTRIBUTE = 12, 20
"""Attributes that are counted out, those that most of the items found have, and values of each."""
MOST_RATINGS = 5

CATEGORIES, BRANDS, PRICES, RATINGS = "categories", "brands", "prices", "ratings"
ATTRIBUTE = "attribute."
"""Before the name of an attribute."""
_NO_LIMIT: Mapping[str, Mapping[str, Any]] = {
    CATEGORIES: {"categories": ()},
    BRANDS: {"brands": ()},
    PRICES: {"min_price_minor": None, "max_price_minor": None},
    RATINGS: {"min_rating": None},
}

Rows = NDArray[np.int64]
FindRatings = Callable[[Rows], NDArray[np.float32]]


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
    return [
        Widened(place, facet, _without_limit(request, filters, rules))
        for place, (request, is_wanted) in enumerate(zip(requests, wanted, strict=True))
        if is_wanted
        for facet, filters in _wider(request.filters).items()
    ]


def _without_limit(request: Request, filters: Filters, rules: Rules) -> Request:
    allowed = request.steering.limited(rules.allowed(filters, request.now_ms))
    return replace(request, filters=filters, allowed=allowed)


def _wider(filters: Filters) -> dict[str, Filters]:
    """By facet, the filters without its limit, where there is one."""
    without = {facet: replace(filters, **no_limit) for facet, no_limit in _NO_LIMIT.items()}
    for name in filters.attributes:
        others = {other: values for other, values in filters.attributes.items() if other != name}
        without[ATTRIBUTE + name] = replace(filters, attributes=others)
    return {facet: wider for facet, wider in without.items() if wider != filters}


def count_facets(
    catalogue: Catalogue,
    found: Candidates,
    wider: Mapping[str, Candidates],
    currency: str,
    ratings: FindRatings | None = None,
) -> Facets:
    """Counts over the candidates: an item counts for its category and for every one above it.

    Args:
        catalogue: knows the items' categories, brands, attributes and prices.
        found: what was found under every limit.
        wider: by facet, what was found without that facet's limit. What is in ``found`` counts with it: of a wide
            choice only the best candidates are known, and they may be others.
        currency: the shop's; prices in another one are not counted.
        ratings: mean ratings of rows, nan where nobody rated; None counts none.
    """
    rows_of = {facet: np.union1d(found.item_rows, more.item_rows) for facet, more in wider.items()}
    prices = _prices(catalogue, rows_of.get(PRICES, found.item_rows), currency)
    buyable = catalogue.column("is_available")[found.item_rows] & (catalogue.column("stock")[found.item_rows] != 0)
    chosen = {name.removeprefix(ATTRIBUTE): rows for name, rows in rows_of.items() if name.startswith(ATTRIBUTE)}
    return Facets(
        categories=_categories(catalogue, rows_of.get(CATEGORIES, found.item_rows)),
        brands=_brands(catalogue, rows_of.get(BRANDS, found.item_rows)),
        attributes=_attributes(catalogue, found.item_rows, chosen),
        prices=price_buckets(prices),
        ratings=() if ratings is None else _ratings(ratings(rows_of.get(RATINGS, found.item_rows))),
        lowest_price_minor=int(prices.min()) if len(prices) else None,
        highest_price_minor=int(prices.max()) if len(prices) else None,
        n_in_stock=int(buyable.sum()),
    )


def _prices(catalogue: Catalogue, rows: Rows, currency: str) -> NDArray[np.int64]:
    prices, currencies = catalogue.column("price_minor")[rows], catalogue.column("currency")[rows]
    is_ours = (currencies == NO_VALUE) | (currencies == catalogue.currencies.find(currency))
    return prices[(prices != NO_VALUE) & is_ours]


def _categories(catalogue: Catalogue, rows: Rows) -> tuple[CategoryFacet, ...]:
    leaves, counts = np.unique(catalogue.column("category")[rows], return_counts=True)
    in_node: dict[int, int] = {}
    for leaf, count in zip(leaves.tolist(), counts.tolist(), strict=True):
        if leaf != NO_VALUE:
            for node in catalogue.ancestors(leaf):
                in_node[node] = in_node.get(node, 0) + count
    names = catalogue.categories.values
    kept = sorted(in_node.items(), key=lambda pair: (-pair[1], names[pair[0]]))[:MOST_VALUES]  # never before its parent
    below: dict[int, list[tuple[int, int]]] = {}
    for node, count in kept:
        above = catalogue.ancestors(node)[:-1]
        below.setdefault(above[-1] if above else NO_VALUE, []).append((node, count))

    def tree(parent: int) -> tuple[CategoryFacet, ...]:
        return tuple(CategoryFacet(names[node], count, tree(node)) for node, count in below.get(parent, ()))

    return tree(NO_VALUE)


def _brands(catalogue: Catalogue, rows: Rows) -> tuple[Facet, ...]:
    brands, counts = np.unique(catalogue.column("brand")[rows], return_counts=True)
    names = catalogue.brands.values
    in_brand = {names[brand]: n for brand, n in zip(brands.tolist(), counts.tolist(), strict=True) if brand != NO_VALUE}
    return _facets(in_brand, MOST_VALUES)


def _attributes(catalogue: Catalogue, rows: Rows, chosen: Mapping[str, Rows]) -> tuple[AttributeFacet, ...]:
    """Chosen attributes first, then by how many items have them; those whose values all differ, which narrow a list
    to single items, last.
    """
    counted = _attribute_counts(catalogue, rows)
    for name, wider in chosen.items():
        counted[name] = _attribute_counts(catalogue, wider).get(name, (0, {}))

    def order(name: str) -> tuple[bool, bool, int, str]:
        n_items, values = counted[name]
        return name not in chosen, max(values.values(), default=0) <= 1, -n_items, name

    return tuple(
        AttributeFacet(name, counted[name][0], _facets(counted[name][1], MOST_VALUES_OF_AN_ATTRIBUTE))
        for name in sorted(counted, key=order)[:MOST_ATTRIBUTES]
    )


def _attribute_counts(catalogue: Catalogue, rows: Rows) -> dict[str, tuple[int, dict[str, int]]]:
    """By name, how many of ``rows`` have the attribute, and how many each of its values."""
    owners, pairs = catalogue.attributes.of_rows(rows)
    distinct, places = np.unique(pairs, return_inverse=True)
    said = [catalogue.attributes.pair(pair) for pair in distinct.tolist()]
    number = {name: place for place, name in enumerate(dict.fromkeys(name for name, _ in said))}
    name_of = np.array([number[name] for name, _ in said], dtype=np.int64)
    values: list[dict[str, int]] = [{} for _ in number]
    for (name, value), n in zip(said, _n_owners(places, owners, len(said)), strict=True):
        values[number[name]][value] = n
    n_items = _n_owners(name_of[places], owners, len(number))
    return {name: (n_items[place], values[place]) for name, place in number.items()}


def _n_owners(groups: Rows, owners: Rows, n_groups: int) -> list[int]:
    """How many different ``owners`` (m,) each of the ``groups`` (m,) has; what an item says twice counts once."""
    n_owners = int(owners.max(initial=0)) + 1
    return np.bincount(np.unique(groups * n_owners + owners) // n_owners, minlength=n_groups).tolist()


def _ratings(means: NDArray[np.float32]) -> tuple[RatingFacet, ...]:
    """Whole ratings from the highest down to one that all rated items reach."""
    rated = means[np.isfinite(means)]
    found: list[RatingFacet] = []
    for least in range(int(np.floor(rated.max())) if len(rated) else 0, 0, -1)[:MOST_RATINGS]:
        found.append(RatingFacet(least, int((rated >= least).sum())))
        if found[-1].n_items == len(rated):
            break
    return tuple(found)


def _facets(counts: Mapping[str, int], most: int) -> tuple[Facet, ...]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Facet(value, n) for value, n in ordered[:most])
