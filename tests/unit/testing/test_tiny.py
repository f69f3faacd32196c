"""The tiny shop is what its documentation says; every right answer is counted from the events themselves."""

from __future__ import annotations

import numpy as np
import polars as pl

from aisle.domain import EventTable, EventType, ItemKind, ItemTable
from aisle.testing import FrozenClock, tiny_shop
from aisle.testing.tiny import DAY_MS, FIRST_DAY_MS, NOW_MS


def purchasers(shop, item_id):
    return {e.user_id for e in shop.events if e.item_id == item_id and e.type is EventType.PURCHASE}


def test_its_size_is_as_documented():
    shop = tiny_shop()

    assert (len(shop.items), len(shop.users), len(shop.events)) == (12, 6, 41)
    assert {text.language for item in shop.items for text in item.texts} == {"en", "zh"}
    assert [item.item_id for item in shop.items if item.kind is not ItemKind.PRODUCT] == ["brewing-guide", "tea-week"]


def test_everyone_but_dora_who_bought_the_kettle_bought_green_tea():
    shop = tiny_shop()

    assert purchasers(shop, "kettle") == {"ann", "bob", "cai", "dora"}
    assert purchasers(shop, "green-tea") == {"ann", "bob", "cai"}


def test_everyone_but_finn_who_bought_the_boots_bought_socks():
    shop = tiny_shop()

    assert purchasers(shop, "boots") == {"cai", "eve", "finn"}
    assert purchasers(shop, "socks") == {"cai", "eve"}


def test_ann_is_due_for_green_tea_now():
    shop = tiny_shop()
    times = [
        e.time_ms
        for e in shop.events
        if e.user_id == "ann" and e.type is EventType.PURCHASE and e.item_id == "green-tea"
    ]

    assert set(np.diff(times)) == {10 * DAY_MS}
    assert times[-1] + 10 * DAY_MS == shop.clock() == NOW_MS


def test_the_umbrella_is_new_interest_and_the_headphones_are_steady():
    shop = tiny_shop()
    days = {
        item_id: [(e.time_ms - FIRST_DAY_MS) / DAY_MS for e in shop.events if e.item_id == item_id]
        for item_id in ("umbrella", "headphones", "raincoat")
    }

    assert min(days["umbrella"]) > 28
    assert len(days["umbrella"]) == 6
    assert days["headphones"] == [1.0, 6.0, 11.0, 16.0, 21.0, 26.0]
    assert days["raincoat"] == []


def test_the_most_purchased_items_in_order():
    shop = tiny_shop()
    bought = pl.Series([e.item_id for e in shop.events if e.type is EventType.PURCHASE]).value_counts(sort=True)

    assert bought.rows()[:3] == [("green-tea", 5), ("kettle", 4), ("boots", 3)]


def test_what_may_be_shown_now_and_later():
    shop = tiny_shop()
    hidden_later = set(shop.catalogue.ids(np.flatnonzero(~shop.catalogue.showable(FrozenClock.at_day(35)()))))

    assert shop.catalogue.showable(shop.clock()).all()
    assert hidden_later == {"tea-week"}
    assert shop.catalogue.ids(np.flatnonzero(shop.catalogue.column("stock") == 0)) == ["camera"]


def test_the_snapshot_holds_the_events_that_name_an_item_in_order():
    shop = tiny_shop()
    interactions = shop.snapshot.interactions
    with_item = [e for e in shop.events if e.item_id is not None]

    assert interactions.height == len(with_item) == 40
    assert interactions["time_ms"].is_sorted()
    assert [shop.items[row].item_id for row in interactions["item_row"]] == [e.item_id for e in with_item]
    assert [shop.users[row].user_id for row in interactions["user_row"]] == [e.user_id for e in with_item]
    assert shop.snapshot.items.frame.equals(ItemTable.from_rows(shop.items).frame)


def test_rows_and_records_convert_without_loss():
    shop = tiny_shop()

    assert tuple(ItemTable.from_rows(shop.items).rows()) == shop.items
    assert tuple(EventTable.from_rows(shop.events).rows()) == shop.events
    assert shop.item("umbrella").title.startswith("Ridgeline folding umbrella")
