from __future__ import annotations

import numpy as np

from aisle.decision import Eligibility
from aisle.domain import Candidates, Facet, Filters, Request
from aisle.flows.facets import BRANDS, CATEGORIES, PRICES, count_facets, widened
from aisle.testing import TinyShop, tiny_shop


def _found(shop: TinyShop, *item_ids: str) -> Candidates:
    rows = np.array([shop.row(item_id) for item_id in item_ids])
    return Candidates.of_one("a", rows, np.arange(len(rows), 0, -1, dtype=np.float32))


def test_each_facet_is_counted_without_its_own_limit_and_with_the_others() -> None:
    shop = tiny_shop()
    found = _found(shop, "kettle")  # of the brand Maple, up to 40.00
    wider = {BRANDS: _found(shop, "socks"), PRICES: _found(shop, "kettle", "teapot", "boots")}

    facets = count_facets(shop.catalogue, found, wider)

    assert facets.brands == (Facet("Maple", 1), Facet("Ridgeline", 1))
    assert facets.categories == (Facet("Kitchen", 1), Facet("Kitchen > Kettles", 1))
    assert (facets.lowest_price_minor, facets.highest_price_minor) == (2599, 11900)
    assert facets.n_in_stock == 1


def test_only_what_a_request_is_narrowed_by_is_widened() -> None:
    shop = tiny_shop()
    rules = Eligibility(shop.catalogue, "USD")

    def asked(**limits: object) -> Request:
        filters = Filters(**limits)  # type: ignore[arg-type]
        return Request("search", 0, filters=filters, allowed=rules.allowed(filters, 0))

    plain, narrow = asked(), asked(brands=("Maple",), categories=("Kitchen",), max_price_minor=3000)

    assert widened([plain, narrow], [True, False], rules) == []
    found = widened([plain, narrow], [True, True], rules)
    assert [(one.place, one.facet) for one in found] == [(1, CATEGORIES), (1, BRANDS), (1, PRICES)]
    for one, limits in zip(
        found,
        (
            Filters(brands=("Maple",), max_price_minor=3000),
            Filters(categories=("Kitchen",), max_price_minor=3000),
            Filters(categories=("Kitchen",), brands=("Maple",)),
        ),
        strict=True,
    ):
        assert one.request.filters == limits
        assert one.request.allowed is not None
        assert one.request.allowed.tolist() == rules.allowed(limits, 0).tolist()


def test_nothing_found_has_no_counts() -> None:
    facets = count_facets(tiny_shop().catalogue, Candidates.empty("a"), {})

    assert (facets.categories, facets.brands, facets.lowest_price_minor, facets.n_in_stock) == ((), (), None, 0)
