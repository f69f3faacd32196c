"""What surrounds the list of a search: orders, pages, highlights, groups, and what stands in for an empty list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aisle.domain import Event, EventType, Filters, Item, ItemText
from aisle.errors import DataError
from aisle.flows.asks import Ask
from aisle.shop import Shop
from tests.flows.conftest import fill, init_without_chance

TEXT = "tea kettle boots socks umbrella"
"""Finds most of the shop."""


def ask(shop, text=TEXT, **fields):
    [response] = shop.ask_search([Ask(text=text, **fields)])
    assert response.degraded == ()
    return response


def pages(shop, **fields):
    cursor, found = None, []
    while not found or cursor:
        found.append(ask(shop, cursor=cursor, **fields))
        cursor = found[-1].cursor
    return found


def test_an_order_keeps_what_was_found_and_changes_its_order_only(shop, tiny):
    plain = ask(shop, size=50)
    prices = {item_id: tiny.item(item_id).price_minor or 10**9 for item_id in plain.item_ids}
    created = {item_id: tiny.item(item_id).created_ms for item_id in plain.item_ids}

    up, down, newest, popular = (
        ask(shop, size=50, sort=sort) for sort in ("price-up", "price-down", "newest", "popularity")
    )

    for response in (up, down, newest, popular):
        assert sorted(response.item_ids) == sorted(plain.item_ids)
        assert response.slate.versions["policy"].startswith("sort-")
        assert all(slot.propensity == 1.0 for slot in response.slate.slots)
    assert [prices[item_id] for item_id in up.item_ids] == sorted(prices.values())
    priced = [item_id for item_id in down.item_ids if prices[item_id] < 10**9]
    assert [prices[item_id] for item_id in priced] == sorted((prices[i] for i in priced), reverse=True)
    assert down.item_ids[: len(priced)] == tuple(priced)
    assert created[newest.item_ids[0]] == max(time for time in created.values() if time is not None)
    shop.add_events(Event(f"u{n}", EventType.PURCHASE, tiny.clock(), item_id="socks") for n in range(20))
    assert popular.item_ids[0] != "socks"
    assert ask(shop, sort="popularity").item_ids[0] == "socks"
    with pytest.raises(DataError, match="Did you mean 'price-up'"):
        ask(shop, sort="price_up")


def test_ratings_order_a_list_at_once_and_what_nobody_rated_comes_last(shop, tiny):
    rated = {"kettle": 2.0, "boots": 5.0, "socks": 4.0}
    shop.add_events(Event("ann", EventType.RATE, tiny.clock(), item_id=i, rating=r) for i, r in rated.items())

    listed = [item_id for item_id in ask(shop, size=50, sort="rating").item_ids if item_id in rated]

    assert listed == ["boots", "socks", "kettle"]


@pytest.mark.parametrize("sort", ["relevance", "price-up"])
def test_pages_show_every_item_once_in_the_order_of_the_first(shop, sort):
    whole = ask(shop, size=50, sort=sort)

    found = pages(shop, size=3, sort=sort)

    assert [item_id for page in found for item_id in page.item_ids] == list(whole.item_ids)
    assert {page.n_found for page in found} == {whole.n_found}
    assert len({page.slate.slate_id for page in found}) == len(found)
    assert whole.cursor is None


def test_pages_stay_as_they_are_whatever_happens_meanwhile(shop, tiny):
    whole = ask(shop, size=50)
    first = ask(shop, size=2)
    late, gone = whole.item_ids[-1], whole.item_ids[3]
    shop.add_events(Event(f"u{n}", EventType.PURCHASE, tiny.clock(), item_id=late) for n in range(50))
    shop.add_items([Item("new-kettle", (ItemText("en", "Tea kettle boots socks umbrella"),), price_minor=100)])
    shop.add_items([replace(tiny.item(gone), is_available=False)])

    second = ask(shop, size=50, cursor=first.cursor)

    assert second.item_ids == tuple(i for i in whole.item_ids[2:] if i != gone)
    assert second.slate.versions["policy"] == "page"
    assert "new-kettle" in ask(shop, size=50).item_ids
    with pytest.raises(DataError, match="another question"):
        ask(shop, "boots", cursor=first.cursor)


def test_words_that_answer_are_marked_in_titles_and_descriptions(shop):
    def marked(text, item_id, language=None):
        found = ask(shop, text, size=50, with_highlights=True)
        assert set(found.highlights) == set(found.item_ids)
        title = found.highlights[item_id].title
        return [title.text[begin:end] for begin, end in title.ranges]

    assert marked("waterprof boot", "boots") == ["waterproof", "boots"]
    assert marked("雨伞", "umbrella") == ["雨伞"]
    assert ask(shop, "tea").highlights is None
    [snippet] = [
        one.snippet
        for item_id, one in ask(shop, "ninety seconds photo charge music", with_highlights=True).highlights.items()
        if item_id == "headphones"
    ]
    assert "<mark>music</mark>" in snippet.html


@pytest.fixture
def grouped(tmp_path, tiny):
    folder = init_without_chance(tmp_path / "grouped")
    text = folder.settings.read_text("utf-8").replace("[placement.search]", '[placement.search]\ngroup = "parent_id"')
    folder.settings.write_text(text, encoding="utf-8")
    with Shop(folder, clock=tiny.clock) as opened:
        fill(opened, tiny)
        opened.add_items(
            Item(
                f"mug-{colour}",
                (ItemText("en", f"Stoneware mug {colour}"),),
                attributes={"parent_id": ("mug",), "colour": (colour,)},
                price_minor=price,
                currency="USD",
            )
            for colour, price in (("red", 900), ("blue", 700), ("green", 800))
        )
        yield opened


def test_of_a_group_the_first_is_shown_and_says_how_many_more_there_are(grouped):
    found = ask(grouped, "stoneware mug", size=50, with_facets=True)
    cheap = ask(grouped, "stoneware mug", size=50, sort="price-up")
    blue = ask(grouped, "stoneware mug", filters=Filters(attributes={"colour": ["blue"]}))

    mugs = [item_id for item_id in found.item_ids if item_id.startswith("mug-")]
    assert len(mugs) == 1
    assert found.n_more_variants[mugs[0]] == 2
    assert found.n_found == len(found.item_ids)
    assert "mug-blue" in cheap.item_ids
    assert (blue.item_ids[0], blue.n_more_variants["mug-blue"]) == ("mug-blue", 0)
    colours = next(facet for facet in found.facets.attributes if facet.name == "colour")
    assert {"red", "blue", "green"} <= {value.value for value in colours.values}


def test_filters_that_leave_nothing_are_given_up_one_by_one(shop):
    def dropped(**limits):
        found = ask(shop, "waterproof boots", filters=Filters(**limits))
        assert found.item_ids
        assert found.cursor is None
        assert found.slate.versions["relaxed"] == found.relaxed.step
        return found.relaxed

    assert dropped(attributes={"colour": ["mint"]}, max_price_minor=20_000).dropped_filters == ("attributes",)
    assert dropped(max_price_minor=1, categories=("Kitchen",)).step == "filters"
    assert ask(shop, "waterproof boots").relaxed is None


def test_nonsense_is_answered_with_something_and_the_answer_says_so(shop):
    found = ask(shop, "qwrtzx", with_facets=True)

    assert found.item_ids
    assert found.relaxed.step in ("neighbours", "popular")
    assert found.slate.versions["relaxed"] == found.relaxed.step
    assert ask(shop, "").item_ids == ()


def test_an_empty_list_stays_empty_where_the_shop_wants_it_so(tmp_path, tiny):
    folder = init_without_chance(tmp_path / "strict")
    text = folder.settings.read_text("utf-8").replace(
        "[placement.search]", "[placement.search]\nis_relaxed_when_empty = false"
    )
    folder.settings.write_text(text, encoding="utf-8")
    with Shop(folder, clock=tiny.clock) as shop:
        fill(shop, tiny)

        assert (ask(shop, "qwrtzx").item_ids, ask(shop, "qwrtzx").relaxed) == ((), None)


def test_a_query_that_grows_when_it_is_read_is_measured_as_it_is_read(shop):
    with pytest.raises(DataError, match="the query has 900 characters"):
        shop.search("\ufdfa" * 50)
    assert shop.search("\ufdfa" * 20).slate.query
