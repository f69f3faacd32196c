from dataclasses import replace

import numpy as np
import pytest

from aisle.decision import Eligibility
from aisle.domain import Catalogue, Filters, Item, ItemKind, ItemTable, ItemText, UserState
from aisle.errors import DataError, NotReadyError
from aisle.testing import tiny_shop
from aisle.testing.tiny import DAY_MS, FIRST_DAY_MS, NOW_MS

NO_FILTERS = Filters()


@pytest.fixture
def shop():
    return tiny_shop()


def shown(shop, filters=NO_FILTERS, now_ms=NOW_MS) -> set[str]:
    return set(shop.catalogue.ids(np.flatnonzero(Eligibility(shop.catalogue, "USD").allowed(filters, now_ms))))


def test_what_is_out_of_stock_is_not_shown_unless_asked_for(shop):
    assert "camera" not in shown(shop)
    assert "camera" in shown(shop, Filters(is_in_stock_only=False))


def test_a_promotion_is_shown_between_its_dates_only(shop):
    rules = Eligibility(shop.catalogue, "USD")
    row = shop.row("tea-week")

    seen = [bool(rules.allowed(Filters(), FIRST_DAY_MS + day * DAY_MS)[row]) for day in (24, 25, 34, 35, 24)]

    assert seen == [False, True, True, False, False]


def test_whoever_asks_for_what_is_out_of_stock_sees_neither_withdrawn_items_nor_those_of_another_time(shop):
    changed = [
        replace(shop.item("camera"), is_available=False),
        replace(shop.item("kettle"), starts_ms=NOW_MS + DAY_MS),
        replace(shop.item("boots"), ends_ms=NOW_MS),
        replace(shop.item("socks"), stock=0),
    ]
    shop.catalogue.extend(ItemTable.from_rows(changed))

    seen = shown(shop, Filters(is_in_stock_only=False))

    assert "socks" in seen
    assert seen.isdisjoint({"camera", "kettle", "boots"})


def test_filters_narrow_together(shop):
    prices = {item.item_id: item.price_minor for item in shop.items}
    dear = max(prices[i] for i in shown(shop, Filters(kinds=(ItemKind.PRODUCT,))))
    root = shop.item("kettle").category[0]

    assert shown(shop, Filters(kinds=(ItemKind.ARTICLE,))) == {"brewing-guide"}
    assert shown(shop, Filters(kinds=(ItemKind.PRODUCT,), min_price_minor=dear)) == {
        i for i in shown(shop) if prices[i] == dear
    }
    in_root = shown(shop, Filters(categories=(root,)))
    assert "kettle" in in_root
    assert shown(shop, Filters(categories=(root,), brands=(shop.item("kettle").brand,))) <= in_root
    assert shown(shop, Filters(brands=("no such brand",))) == set()
    assert shown(shop, Filters(sellers=("Northgate",))) == {
        i.item_id for i in shop.items if i.seller == "Northgate" and i.item_id in shown(shop)
    }


def test_a_changed_item_is_judged_anew(shop):
    rules = Eligibility(shop.catalogue, "USD")
    row = shop.row("camera")
    assert not rules.allowed(Filters(), NOW_MS)[row]

    frame = ItemTable.from_rows([shop.item("camera")]).frame
    shop.catalogue.extend(ItemTable.from_frame(frame.drop("stock")))

    assert rules.allowed(Filters(), NOW_MS)[row]


def test_bought_and_seen_are_left_out_on_wish(shop):
    rules = Eligibility(shop.catalogue, "USD")
    kettle, socks = shop.row("kettle"), shop.row("socks")
    state = UserState("ann", np.array([kettle, socks]), np.array([7, 2], np.uint8), np.array([1, 2]))

    def excluded(**limits: object) -> list[str]:
        return shop.catalogue.ids(rules.excluded(Filters(**limits), state))  # type: ignore[arg-type]

    assert excluded() == []
    assert excluded(has_bought=False) == ["kettle"]
    assert set(excluded(has_seen=False)) == {"kettle", "socks"}
    assert excluded(excluded_item_ids=("boots", "unknown")) == ["boots"]


def test_a_price_range_the_wrong_way_round_is_refused():
    with pytest.raises(DataError, match="above max_price_minor"):
        Filters(min_price_minor=2, max_price_minor=1)


@pytest.mark.parametrize("limit", [{"min_price_minor": 1}, {"max_price_minor": 10**9}])
def test_only_prices_of_the_shop_s_currency_can_match(limit):
    prices = [("yen", 100, "JPY"), ("dollars", 100, "USD"), ("unsaid", 100, None), ("none", None, "USD")]
    items = ItemTable.from_rows(
        [
            Item(item_id, (ItemText("en", item_id),), price_minor=price, currency=currency)
            for item_id, price, currency in prices
        ]
    )
    catalogue = Catalogue(items)

    def shown(currency: str, **limits: int) -> set[str]:
        allowed = Eligibility(catalogue, currency).allowed(Filters(**limits), NOW_MS)  # type: ignore[arg-type]
        return set(catalogue.ids(np.flatnonzero(allowed)))

    assert shown("USD", **limit) == {"dollars", "unsaid"}
    assert shown("JPY", **limit) == {"yen", "unsaid"}
    assert shown("GBP", **limit) == {"unsaid"}
    assert shown("USD") == {"yen", "dollars", "unsaid", "none"}


def test_any_value_of_an_attribute_will_do_and_every_attribute_must(shop):
    red, glass = {"colour": ["red"]}, {"material": ["glass"]}
    of_colour = {i.item_id: i.attributes.get("colour", ())[:1] for i in shop.items if i.item_id in shown(shop)}

    assert shown(shop, Filters(attributes=red)) == {i for i, colour in of_colour.items() if colour == ("red",)}
    assert shown(shop, Filters(attributes={"colour": ["red", "blue"]})) == {
        i for i, colour in of_colour.items() if colour in (("red",), ("blue",))
    }
    assert shown(shop, Filters(attributes={**red, **glass})) == set()
    assert Filters(attributes={"colour": []}) == Filters()
    with pytest.raises(DataError, match="give a list"):
        Filters(attributes={"colour": "red"})  # type: ignore[dict-item]


def test_ratings_are_judged_as_they_are_now(shop):
    means = np.full(shop.catalogue.n_items, np.nan, dtype=np.float32)
    means[shop.row("kettle")], means[shop.row("boots")] = 4.5, 2.0
    rules = Eligibility(shop.catalogue, "USD", lambda rows: means[rows])

    def rated(least: float) -> set[str]:
        return set(shop.catalogue.ids(np.flatnonzero(rules.allowed(Filters(min_rating=least), NOW_MS))))

    assert rated(4) == {"kettle"}
    means[shop.row("boots")] = 4.0
    assert rated(4) == {"kettle", "boots"}
    with pytest.raises(NotReadyError):
        Eligibility(shop.catalogue, "USD").allowed(Filters(min_rating=1), NOW_MS)
