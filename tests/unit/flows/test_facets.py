from __future__ import annotations

from dataclasses import replace

import numpy as np

from aisle.decision import Eligibility
from aisle.domain import (
    AttributeFacet,
    Candidates,
    Catalogue,
    CategoryFacet,
    Facet,
    Facets,
    Filters,
    Item,
    ItemTable,
    ItemText,
    PriceFacet,
    RatingFacet,
    Request,
)
from aisle.flows.facets import ATTRIBUTE, BRANDS, CATEGORIES, MOST_ATTRIBUTES, PRICES, RATINGS, count_facets, widened
from aisle.testing import TinyShop, tiny_shop


def _found(shop: TinyShop, *item_ids: str) -> Candidates:
    rows = np.array([shop.row(item_id) for item_id in item_ids])
    return Candidates.of_one("a", rows, np.arange(len(rows), 0, -1, dtype=np.float32))


def _count(shop: TinyShop, found: Candidates, wider: dict[str, Candidates] | None = None, **more: object) -> Facets:
    return count_facets(shop.catalogue, found, wider or {}, "USD", **more)  # type: ignore[arg-type]


def test_each_facet_is_counted_without_its_own_limit_and_with_the_others() -> None:
    shop = tiny_shop()
    found = _found(shop, "kettle")  # of the brand Maple, up to 40.00
    wider = {BRANDS: _found(shop, "socks"), PRICES: _found(shop, "kettle", "teapot", "boots")}

    facets = _count(shop, found, wider)

    assert facets.brands == (Facet("Maple", 1), Facet("Ridgeline", 1))
    assert facets.categories == (CategoryFacet("Kitchen", 1, (CategoryFacet("Kitchen > Kettles", 1),)),)
    assert (facets.lowest_price_minor, facets.highest_price_minor) == (2599, 11900)
    assert sum(bucket.n_items for bucket in facets.prices) == 3
    assert facets.n_in_stock == 1


def test_categories_are_a_tree_with_the_most_frequent_first() -> None:
    shop = tiny_shop()

    facets = _count(shop, _found(shop, "kettle", "teapot", "socks", "headphones", "camera"))

    assert [(facet.value, facet.n_items) for facet in facets.categories] == [
        ("Electronics", 2),
        ("Kitchen", 2),
        (shop.item("socks").category[0], 1),
    ]
    assert {child.value for child in facets.categories[0].children} == {
        "Electronics > Cameras",
        "Electronics > Headphones",
    }


def test_attributes_are_counted_by_item_and_the_chosen_one_without_its_own_limit() -> None:
    shop = tiny_shop()
    colours = _found(shop, "kettle", "boots", "umbrella")

    plain = _count(shop, colours)
    chosen = _count(shop, _found(shop, "kettle"), {ATTRIBUTE + "colour": colours})

    by_name = {facet.name: facet for facet in plain.attributes}
    assert by_name["colour"].n_items == 3
    assert {facet.value for facet in by_name["colour"].values} == {"red", "brown", "black"}
    assert by_name["size"] == AttributeFacet("size", 1, (Facet("42", 1),))
    assert chosen.attributes[0] == by_name["colour"]


def test_attributes_that_many_items_share_come_before_those_that_all_differ_in() -> None:
    said = {f"a{n}": ("same",) for n in range(MOST_ATTRIBUTES - 1)}
    items = [
        Item(f"i{n}", (ItemText("en", "thing"),), attributes={**said, "model": (f"m{n}",), "twice": ("x", "x")})
        for n in range(5)
    ]
    catalogue = Catalogue(ItemTable.from_rows(items))
    found = Candidates.of_one("a", np.arange(5), np.ones(5, np.float32))

    facets = count_facets(catalogue, found, {}, "USD")

    names = [facet.name for facet in facets.attributes]
    assert len(names) == MOST_ATTRIBUTES
    assert "model" not in names
    assert facets.attributes[-1] == AttributeFacet("twice", 5, (Facet("x", 5),))


def test_ratings_go_down_to_one_that_all_rated_items_reach() -> None:
    shop = tiny_shop()
    means = {"kettle": 4.5, "teapot": 4.0, "socks": 2.2}
    ratings = np.full(shop.catalogue.n_items, np.nan, dtype=np.float32)
    for item_id, mean in means.items():
        ratings[shop.row(item_id)] = mean

    facets = _count(shop, _found(shop, "kettle", "teapot", "socks", "boots"), ratings=lambda rows: ratings[rows])

    assert facets.ratings == (RatingFacet(4, 2), RatingFacet(3, 2), RatingFacet(2, 3))
    assert _count(shop, _found(shop, "boots"), ratings=lambda rows: ratings[rows]).ratings == ()


def test_prices_in_another_currency_are_not_counted() -> None:
    shop = tiny_shop()
    shop.catalogue.extend(ItemTable.from_rows([replace(shop.item("boots"), currency="JPY")]))

    facets = _count(shop, _found(shop, "kettle", "boots"))

    price = shop.item("kettle").price_minor
    assert price is not None
    assert facets.prices == (PriceFacet(price, price, 1),)


def test_only_what_a_request_is_narrowed_by_is_widened() -> None:
    shop = tiny_shop()
    rules = Eligibility(shop.catalogue, "USD", lambda rows: np.full(len(rows), 5.0, np.float32))

    def asked(**limits: object) -> Request:
        filters = Filters(**limits)  # type: ignore[arg-type]
        return Request("search", 0, filters=filters, allowed=rules.allowed(filters, 0))

    chosen: dict[str, object] = {
        "brands": ("Maple",),
        "categories": ("Kitchen",),
        "max_price_minor": 3000,
        "min_rating": 4.0,
        "attributes": {"colour": ["red"], "material": ["glass"]},
    }
    plain, narrow = asked(), asked(**chosen)

    assert widened([plain, narrow], [True, False], rules) == []
    found = widened([plain, narrow], [True, True], rules)
    without = {
        CATEGORIES: {"categories": ()},
        BRANDS: {"brands": ()},
        PRICES: {"max_price_minor": None},
        RATINGS: {"min_rating": None},
        ATTRIBUTE + "colour": {"attributes": {"material": ["glass"]}},
        ATTRIBUTE + "material": {"attributes": {"colour": ["red"]}},
    }
    assert [(one.place, one.facet) for one in found] == [(1, facet) for facet in without]
    for one in found:
        limits = Filters(**{**chosen, **without[one.facet]})  # type: ignore[arg-type]
        assert one.request.filters == limits
        assert one.request.allowed is not None
        assert one.request.allowed.tolist() == rules.allowed(limits, 0).tolist()


def test_nothing_found_has_no_counts() -> None:
    facets = _count(tiny_shop(), Candidates.empty("a"))

    assert facets == Facets()
