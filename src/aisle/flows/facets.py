"""Counts over what was found, by which a list can be narrowed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aisle.domain import NO_VALUE, Candidates, Catalogue, Facet, Facets

MOST_VALUES = 50
"""Values of one facet that are counted out; the rarest are left out."""


def count_facets(catalogue: Catalogue, found: Candidates) -> Facets:
    """Counts over the candidates: an item counts for its category and for every one above it."""
    rows = found.item_rows
    leaves, counts = np.unique(catalogue.column("category")[rows], return_counts=True)
    in_node: dict[int, int] = {}
    for leaf, count in zip(leaves.tolist(), counts.tolist(), strict=True):
        if leaf != NO_VALUE:
            for node in catalogue.ancestors(leaf):
                in_node[node] = in_node.get(node, 0) + count
    brands, of_brand = np.unique(catalogue.column("brand")[rows], return_counts=True)
    in_brand = {brand: n for brand, n in zip(brands.tolist(), of_brand.tolist(), strict=True) if brand != NO_VALUE}
    prices: NDArray[np.int64] = catalogue.column("price_minor")[rows]
    priced = prices[prices != NO_VALUE]
    return Facets(
        categories=_facets(catalogue.categories.values, in_node),
        brands=_facets(catalogue.brands.values, in_brand),
        lowest_price_minor=int(priced.min()) if len(priced) else None,
        highest_price_minor=int(priced.max()) if len(priced) else None,
        n_in_stock=int((catalogue.column("is_available")[rows] & (catalogue.column("stock")[rows] != 0)).sum()),
    )


def _facets(names: list[str], counts: dict[int, int]) -> tuple[Facet, ...]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], names[pair[0]]))
    return tuple(Facet(names[code], n) for code, n in ordered[:MOST_VALUES])
