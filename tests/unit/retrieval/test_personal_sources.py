"""Recently viewed, buy again and new arrivals."""

from __future__ import annotations

import numpy as np

from aisle.domain import EventTable, EventType, Filters, ItemTable
from aisle.retrieval.buy_again import BuyAgain, BuyAgainConfig
from aisle.retrieval.new_arrivals import NewArrivals, NewArrivalsConfig
from aisle.retrieval.recently_viewed import RecentlyViewed, RecentlyViewedConfig
from aisle.testing import tiny_shop
from aisle.testing.tiny import NOW_MS
from behaviour import Did, answer, ask, at_day, items_of, parts_for, snapshot_of

VIEW, REFUND = EventType.VIEW, EventType.REFUND


def test_views_come_back_newest_first_each_once() -> None:
    parts = parts_for(snapshot_of([], "abcd"))
    source = RecentlyViewed.fit("recent", snapshot_of([], "abcd"), RecentlyViewedConfig(), parts)
    history = [Did("u", "a", 0, VIEW), Did("u", "b", 1, VIEW), Did("u", "c", 2), Did("u", "a", 3, VIEW)]
    catalogue = parts.catalogue

    assert answer(source, ask(catalogue, history), catalogue) == ["a", "b"]
    assert answer(source, ask(catalogue, history, about="a"), catalogue) == ["b"]
    assert answer(source, ask(catalogue), catalogue) == []


def monthly_and_once():
    """Users u0..u9 buy a every 30 days; b is bought once by everyone."""
    events = [Did(f"u{k}", "a", 30 * month + k) for k in range(10) for month in range(4)]
    events += [Did(f"u{k}", "b", 50 + k) for k in range(10)]
    snapshot = snapshot_of(events, "abcd")
    parts = parts_for(snapshot)
    return BuyAgain.fit("again", snapshot, BuyAgainConfig(strength=1.0), parts), parts.catalogue


def test_what_is_due_is_shown_before_what_was_bought_once() -> None:
    source, catalogue = monthly_and_once()
    history = [Did("x", "a", 0), Did("x", "b", 0)]

    assert answer(source, ask(catalogue, history, day=28), catalogue) == ["a", "b"]
    a, b = source.score([ask(catalogue, history, day=28)], [catalogue.rows(["a", "b"])])[0]
    assert a > 0.5 > 0.2 > b


def test_just_bought_is_not_due_and_long_overdue_is_given_up() -> None:
    source, catalogue = monthly_and_once()

    def due(day: float) -> float:
        return float(source.score([ask(catalogue, [Did("x", "a", 0)], day=day)], [catalogue.rows(["a"])])[0][0])

    assert due(25) > 3 * due(1)
    assert due(25) > 3 * due(400)


def test_the_users_own_rhythm_counts() -> None:
    source, catalogue = monthly_and_once()
    weekly = [Did("x", "a", 7 * week) for week in range(8)]

    own, usual = source.score(
        [ask(catalogue, weekly, day=49 + 1), ask(catalogue, [Did("x", "a", 49)], day=49 + 1)],
        [catalogue.rows(["a"])] * 2,
    )
    assert own[0] > usual[0]


def test_what_was_sent_back_is_not_offered_again() -> None:
    source, catalogue = monthly_and_once()

    assert answer(source, ask(catalogue, [Did("x", "a", 0), Did("x", "a", 1, REFUND)], day=28), catalogue) == []
    assert answer(source, ask(catalogue, [Did("x", "a", 0, VIEW)], day=28), catalogue) == []


def test_a_rhythm_survives_saving_and_a_category_lends_its_own(tmp_path) -> None:
    table = ItemTable.concat([items_of("ab", category=("Tea",)), items_of("cd", category=("Lamps",))])
    events = [Did(f"u{k}", "a", 10 * month) for k in range(20) for month in range(4)]
    events += [Did(f"u{k}", item, 0) for k in range(20) for item in "c"] + [Did("v", "b", 0), Did("v", "d", 0)]
    snapshot = snapshot_of(events, table)
    parts = parts_for(snapshot)
    BuyAgain.fit("again", snapshot, BuyAgainConfig(), parts).save(tmp_path)
    source = BuyAgain.load("again", tmp_path, BuyAgainConfig(), parts)

    request = ask(parts.catalogue, [Did("x", "b", 0), Did("x", "d", 0)], day=10)
    assert answer(source, request, parts.catalogue) == ["b", "d"]


def test_ann_needs_green_tea() -> None:
    shop = tiny_shop()
    parts = parts_for(shop.snapshot)
    source = BuyAgain.fit("again", shop.snapshot, BuyAgainConfig(), parts)
    bought = [event for event in shop.events if event.user_id == "ann" and event.type is EventType.PURCHASE]
    rows = parts.catalogue.rows([event.item_id for event in bought])
    request = ask(parts.catalogue)
    state = type(request.state)(
        "ann",
        rows,
        np.full(len(rows), list(EventType).index(EventType.PURCHASE), dtype=np.uint8),
        np.array([event.time_ms for event in bought]),
    )

    assert answer(source, type(request)("test", NOW_MS, state=state), parts.catalogue)[0] == "green-tea"


def arrivals(**config: float):
    table = ItemTable.concat(
        [
            items_of("a", created_ms=at_day(0), category=("Tea",)),
            items_of("b", created_ms=at_day(20), category=("Tea",)),
            items_of("c", created_ms=at_day(25), category=("Lamps",)),
            items_of("d", category=("Tea",)),
            items_of("e"),
        ]
    )
    snapshot = snapshot_of([Did("u", "d", 10)], table)
    parts = parts_for(snapshot, day=30)
    return NewArrivals.fit("new", snapshot, NewArrivalsConfig(**config), parts), parts.catalogue


def test_the_newest_come_first_and_the_old_not_at_all() -> None:
    source, catalogue = arrivals(longest_days=25)

    assert answer(source, ask(catalogue, day=30), catalogue) == ["c", "b", "d"]


def test_the_users_category_is_lifted() -> None:
    source, catalogue = arrivals(longest_days=25)

    assert answer(source, ask(catalogue, [Did("u", "a", 1)], day=30), catalogue) == ["b", "d", "c"]
    assert answer(source, ask(catalogue, day=30, filters=Filters(categories=("Lamps",))), catalogue) == ["c"]


def test_an_item_is_new_from_the_moment_it_is_added(tmp_path) -> None:
    source, catalogue = arrivals()
    new = items_of("f")
    catalogue.extend(new)
    source.extend(new, EventTable.empty())
    source.save(tmp_path)

    assert answer(source, ask(catalogue, day=30), catalogue, 1) == ["f"]
    parts = parts_for(snapshot_of([], "a"))
    parts.catalogue.extend(new)
    again = NewArrivals.load("new", tmp_path, NewArrivalsConfig(), type(parts)(catalogue, parts.clock))
    assert answer(again, ask(catalogue, day=30), catalogue) == answer(source, ask(catalogue, day=30), catalogue)
