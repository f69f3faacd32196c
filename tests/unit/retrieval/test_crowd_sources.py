"""Popular and trending: what everyone sees."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.domain import EventTable, EventType, Filters, ItemTable
from aisle.errors import ConfigError
from aisle.retrieval.popular import Popular, PopularConfig
from aisle.retrieval.trending import Trending, TrendingConfig
from aisle.testing import tiny_shop
from aisle.testing.tiny import NOW_MS
from behaviour import Did, answer, ask, event_table, items_of, parts_for, snapshot_of

EVENTS = [Did(f"u{k}", "a", 0) for k in range(3)] + [Did("u0", "b", 0), Did("u1", "b", 0), Did("u2", "c", 0)]
TABLE = ItemTable.concat(
    [items_of("ab", category=("Home", "Tea")), items_of("cd", category=("Home",)), items_of("ef", category=("Garden",))]
)


def popular(events: list[Did] = EVENTS):
    snapshot = snapshot_of(events, TABLE)
    parts = parts_for(snapshot)
    return Popular.fit("popular", snapshot, PopularConfig(), parts), parts.catalogue


def test_what_sells_most_comes_first_and_what_nobody_wants_never() -> None:
    source, catalogue = popular()

    assert answer(source, ask(catalogue), catalogue) == ["a", "b", "c"]


def test_old_sales_fade() -> None:
    source, catalogue = popular([*EVENTS, Did("u", "d", 100)])

    assert answer(source, ask(catalogue), catalogue)[0] == "d"


def test_many_looks_make_up_for_a_purchase_and_a_refund_takes_it_back() -> None:
    looks = [Did(f"v{k}", "d", 0, EventType.VIEW) for k in range(20)]
    source, catalogue = popular([*EVENTS, *looks, Did("u2", "c", 0, EventType.REFUND)])

    assert answer(source, ask(catalogue), catalogue) == ["d", "a", "b"]


def test_a_request_limited_to_a_category_gets_its_best() -> None:
    source, catalogue = popular([*EVENTS, Did("v", "e", 0)])

    assert answer(source, ask(catalogue, filters=Filters(categories=("Home > Tea",))), catalogue) == ["a", "b"]
    assert answer(source, ask(catalogue, filters=Filters(categories=("Garden", "Home"))), catalogue)[-1] == "e"
    assert answer(source, ask(catalogue, filters=Filters(categories=("Nowhere",))), catalogue) == []


def test_new_events_count_at_once_also_for_new_items() -> None:
    source, catalogue = popular()
    catalogue.extend(items_of("g"))
    source.extend(items_of("g"), EventTable.empty())
    source.extend(ItemTable.empty(), event_table([Did(f"v{k}", "g", 1) for k in range(9)] + [Did("v", "nothing", 1)]))

    assert answer(source, ask(catalogue), catalogue) == ["g", "a", "b", "c"]


def trending(events: list[Did], **config: float):
    snapshot = snapshot_of(events, TABLE)
    parts = parts_for(snapshot)
    return Trending.fit("trending", snapshot, TrendingConfig(**config), parts), parts.catalogue


def test_a_steady_best_seller_is_not_a_trend() -> None:
    steady = [Did("u", "a", day + hour / 4) for day in range(90) for hour in range(4)]
    sudden = [Did(f"v{k}", "b", 89.5) for k in range(5)]
    source, catalogue = trending(steady + sudden)

    assert answer(source, ask(catalogue, day=90), catalogue)[0] == "b"
    trend, no_trend = source.score([ask(catalogue, day=90)], [catalogue.rows(["b", "a"])])[0]
    assert np.isnan(no_trend) or no_trend < trend / 5


def test_a_trend_ends_when_its_events_do() -> None:
    source, catalogue = trending([Did(f"v{k}", "b", 0) for k in range(5)])

    assert answer(source, ask(catalogue, day=0), catalogue) == ["b"]
    assert answer(source, ask(catalogue, day=40), catalogue) == []


def test_a_new_trend_is_seen_at_once() -> None:
    source, catalogue = trending(EVENTS)
    source.extend(ItemTable.empty(), event_table([Did(f"v{k}", "f", 30) for k in range(5)]))

    assert answer(source, ask(catalogue, day=30), catalogue)[0] == "f"


def test_the_usual_half_life_must_be_the_longer_one() -> None:
    with pytest.raises(ConfigError, match="usual_half_life_hours"):
        TrendingConfig.parse({"usual_half_life_hours": 10, "half_life_hours": 20}, "source.trending")


def test_the_tiny_shop_has_its_known_answers(tmp_path) -> None:
    shop = tiny_shop()
    parts = parts_for(shop.snapshot)
    request = type(ask(parts.catalogue))("test", NOW_MS)
    source = Trending.fit("trending", shop.snapshot, TrendingConfig(), parts)
    source.save(tmp_path)
    again = Trending.load("trending", tmp_path, TrendingConfig(), parts)
    purchases_only = PopularConfig(event_weights={EventType.PURCHASE: 1.0}, half_life_days=10_000)
    sells = Popular.fit("popular", shop.snapshot, purchases_only, parts)

    assert answer(source, request, parts.catalogue)[0] == "umbrella"
    assert "headphones" not in answer(source, request, parts.catalogue)
    np.testing.assert_array_equal(again.retrieve([request], 9)[0].fused, source.retrieve([request], 9)[0].fused)
    assert answer(sells, request, parts.catalogue, 3) == ["green-tea", "kettle", "boots"]
