"""Features of the tiny shop, worked out by hand."""

import math
import sys

import numpy as np
import pytest

from aisle.contracts import Parts
from aisle.domain import EVENT_CODE, Candidates, Event, EventTable, EventType, ItemTable, Query, Request, UserState
from aisle.ranking import ItemStatistics, StatisticsConfig
from aisle.ranking.fading import FadingCounts
from aisle.ranking.features import Shares
from aisle.testing import tiny_shop

DAY_MS = 86_400_000


@pytest.fixture
def shop():
    return tiny_shop()


@pytest.fixture
def statistics(shop):
    config = StatisticsConfig(sources=("linear", "popular"))
    return ItemStatistics.fit("statistics", shop.snapshot, config, Parts(shop.catalogue, shop.clock))


def described(shop, statistics, item_ids, request, scores=None):
    """Features by item and name."""
    rows = shop.catalogue.rows(item_ids)
    fused = np.linspace(1.0, 0.5, len(rows), dtype=np.float32)
    scores = np.full((len(rows), 0), np.nan, np.float32) if scores is None else np.array(scores, np.float32)
    sources = ("popular",)[: scores.shape[1]]
    (features,) = statistics.describe([request], [Candidates(rows, scores, sources, fused)])
    return [dict(zip(features.names, row, strict=True)) for row in features.values.tolist()]


def somebody(shop, *done):
    """A user who did (type, item, days ago), oldest first."""
    rows = shop.catalogue.rows([item for _, item, _ in done])
    types = np.array([EVENT_CODE[event_type] for event_type, _, _ in done], dtype=np.uint8)
    times = np.array([shop.clock.now_ms - round(days * DAY_MS) for _, _, days in done])
    return Request("home", shop.clock.now_ms, UserState("somebody", rows, types, times))


def test_a_count_halves_after_its_half_life():
    counts = FadingCounts.empty(1, 4, half_life_ms=100.0)
    counts.add(np.array([0, 0]), np.array([2, 2]), np.array([1_000, 1_100]), np.ones(2))

    assert counts.at(np.array([2, 0, 99]), 1_100).tolist() == [[1.5, 0.0, 0.0]]
    assert counts.at(np.array([2]), 1_200).tolist() == [[0.75]]


def test_counts_survive_a_century_without_overflow():
    counts = FadingCounts.empty(1, 1, half_life_ms=1.0)
    for time_ms in (1_000, 5_000, 50_000):
        counts.add(np.array([0]), np.array([0]), np.array([time_ms]), np.ones(1))

    assert counts.at(np.array([0]), 50_000).tolist() == [[1.0]]


def test_who_reads_while_counts_are_brought_to_a_newer_reference_reads_old_or_new_ones():
    counts = FadingCounts.empty(1, 1, half_life_ms=1.0)
    row = np.array([0])
    counts.add(row, row, np.array([1_000]), np.ones(1))
    read: list[float] = []

    def read_at_every_line(frame, event, argument):
        if frame.f_code is FadingCounts.add.__code__:
            read.append(float(counts.at(row, 1_065)[0, 0]))
            return read_at_every_line
        return None

    sys.settrace(read_at_every_line)
    try:
        counts.add(row, row, np.array([1_065]), np.ones(1))
    finally:
        sys.settrace(None)

    assert len(read) > 5
    assert set(read) == {2.0**-65, 1.0 + 2.0**-65}


def test_shares_by_key_and_the_last_time_of_each():
    shares = Shares(np.array([7, 5, 7, -1]), np.array([[1.0], [2.0], [4.0], [8.0]]), np.array([10, 20, 30, 40]))

    found, last = shares.of(np.array([5, 7, 6, -1]))

    assert found[:, 0].tolist() == [2.0, 5.0, 0.0, 0.0]
    assert last[:2].tolist() == [20.0, 30.0]
    assert np.isnan(last[2:]).all()


def test_price_age_and_stock_of_an_item(shop, statistics):
    kettle = shop.item("kettle")
    (known,) = described(shop, statistics, ["kettle"], Request("home", shop.clock.now_ms))

    assert known["item.log_price"] == pytest.approx(math.log(kettle.price_minor / 100), rel=1e-6)
    assert known["item.age_days"] == pytest.approx((shop.clock.now_ms - kettle.created_ms) / DAY_MS)
    assert known["item.log_stock"] == pytest.approx(math.log1p(kettle.stock))
    assert known["query.is_there"] == 0.0
    assert math.isnan(known["cross.lasting_leaf"])


def test_purchases_fade_with_the_half_life(shop, statistics):
    bought = [event.time_ms for event in shop.events if event.type is EventType.PURCHASE and event.item_id == "kettle"]
    expected = sum(0.5 ** ((shop.clock.now_ms - time_ms) / (30 * DAY_MS)) for time_ms in bought)

    (known,) = described(shop, statistics, ["kettle"], Request("home", shop.clock.now_ms))

    assert len(bought) == 4
    assert known["item.log_purchases"] == pytest.approx(math.log1p(expected), rel=1e-5)


def test_new_events_count_at_once(shop, statistics):
    request = Request("home", shop.clock.now_ms)
    (before,) = described(shop, statistics, ["camera"], request)
    bought = [Event(f"u{n}", EventType.PURCHASE, shop.clock.now_ms, "camera") for n in range(3)]

    statistics.extend(ItemTable.empty(), EventTable.from_rows(bought))
    (after,) = described(shop, statistics, ["camera"], request)

    assert math.expm1(after["item.log_purchases"]) == pytest.approx(math.expm1(before["item.log_purchases"]) + 3.0)


def test_a_user_meets_an_item_he_bought_and_one_he_did_not(shop, statistics):
    request = somebody(shop, (EventType.VIEW, "boots", 20.0), (EventType.PURCHASE, "kettle", 2.0))

    kettle, boots = described(shop, statistics, ["kettle", "boots"], request)

    assert (kettle["cross.times_seen"], kettle["cross.times_bought"]) == (1.0, 1.0)
    assert (boots["cross.times_seen"], boots["cross.times_bought"]) == (1.0, 0.0)
    assert kettle["cross.days_since_bought"] == pytest.approx(2.0)
    assert math.isnan(boots["cross.days_since_bought"])
    assert boots["cross.days_since_seen"] == pytest.approx(20.0)
    assert kettle["cross.price_to_bought"] == pytest.approx(0.0, abs=1e-6)
    # a purchase weighs 3, half-life 2 days: 3 x 1/2 against 1 x 1/1024
    assert kettle["cross.recent_leaf"] == pytest.approx(1.5 / (1.5 + 2.0**-10), rel=1e-5)
    assert kettle["user.log_purchases"] == pytest.approx(math.log(2.0))


def test_an_impression_counts_as_shown_and_not_as_interest(shop, statistics):
    request = somebody(shop, (EventType.IMPRESSION, "kettle", 1.0), (EventType.IMPRESSION, "kettle", 0.5))

    (known,) = described(shop, statistics, ["kettle"], request)

    assert known["cross.times_shown"] == 2.0
    assert known["user.log_events"] == 0.0
    assert math.isnan(known["cross.lasting_leaf"])


def test_scores_of_sources_are_scaled_and_unasked_ones_unknown(shop, statistics):
    first, second = described(
        shop, statistics, ["kettle", "boots"], Request("home", shop.clock.now_ms), [[4.0], [float("nan")]]
    )

    assert (first["source.popular"], first["raw.popular"]) == (1.0, 4.0)
    assert math.isnan(second["source.popular"])
    assert math.isnan(first["source.linear"])
    assert (first["fused.rank"], second["fused.gap"]) == (0.0, 0.5)
    assert second["fused.rank"] == pytest.approx(math.log(2.0))


def test_an_item_like_the_one_the_list_is_about(shop, statistics):
    about = Request("similar", shop.clock.now_ms, anchor_rows=shop.catalogue.rows(["boots"]))

    same, other = described(shop, statistics, ["boots", "green-tea"], about)

    assert (same["anchor.same_leaf"], same["anchor.same_top"], same["anchor.price"]) == (1.0, 1.0, 0.0)
    assert other["anchor.same_top"] == 0.0


def test_a_query_is_measured_and_a_placement_has_its_number(shop, statistics):
    (searched,) = described(shop, statistics, ["boots"], Request("search", shop.clock.now_ms, query=Query("red boots")))
    (home,) = described(shop, statistics, ["boots"], Request("home", shop.clock.now_ms))

    assert (searched["query.is_there"], searched["query.length"], searched["query.words"]) == (1.0, 9.0, 2.0)
    assert searched["context.placement"] != home["context.placement"]
    assert searched["context.hour"] == 0.0  # the clock stands at midnight, a Tuesday
    assert searched["context.weekday"] == 1.0


def test_a_new_price_moves_its_category(shop, statistics):
    request = Request("home", shop.clock.now_ms)
    (before,) = described(shop, statistics, ["kettle"], request)
    kettle = shop.item("kettle")
    items = ItemTable.from_rows([type(kettle)(**{**_fields(kettle), "price_minor": 10 * kettle.price_minor})])

    shop.catalogue.extend(items)
    statistics.extend(items, EventTable.empty())
    (after,) = described(shop, statistics, ["kettle"], request)

    assert after["item.log_price"] == pytest.approx(before["item.log_price"] + math.log(10.0), rel=1e-5)


def _fields(item):
    return {name: getattr(item, name) for name in item.__dataclass_fields__}
