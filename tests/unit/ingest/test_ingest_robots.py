from __future__ import annotations

import polars as pl

from aisle.domain import EventTable
from aisle.ingest.robots import RobotsConfig, RobotWatch

MINUTE_MS = 60_000


def events(user: str, moments: list[int]) -> EventTable:
    return EventTable.from_frame(
        pl.DataFrame({"user_id": [user] * len(moments), "type": "view_item", "time_ms": moments, "item_id": "i"})
    )


def steady(user: str, n_minutes: int, every_ms: int, start: int = 0) -> EventTable:
    return events(user, list(range(start, start + n_minutes * MINUTE_MS, every_ms)))


def test_a_crawler_is_flagged_and_a_shopper_is_not() -> None:
    both = EventTable.concat([steady("crawler", 10, 1000), steady("shopper", 10, 6000)])
    flagged, n = RobotWatch().flag(both)
    assert set(flagged.frame.filter("is_suspect")["user_id"]) == {"crawler"}
    assert n == 600


def test_a_long_basket_or_list_is_one_moment() -> None:
    _, n = RobotWatch().flag(events("wholesaler", [5 * MINUTE_MS * k for k in range(20) for _ in range(500)]))
    assert n == 0


def test_one_hasty_minute_is_forgiven() -> None:
    _, n = RobotWatch().flag(EventTable.concat([steady("u", 2, 1000), steady("u", 60, 30_000, start=5 * MINUTE_MS)]))
    assert n == 0


def test_counting_goes_on_across_batches() -> None:
    watch = RobotWatch(RobotsConfig(sustained_minutes=4))
    whole = steady("crawler", 8, 1000).frame
    counts = [watch.flag(EventTable(whole[start : start + 90]))[1] for start in range(0, len(whole), 90)]
    # The fourth minute ends at row 240, so the batch of rows 181 to 270 is the first that can know.
    assert counts == [0, 0, 90, 90, 90, 30]


def test_memory_is_bounded() -> None:
    watch = RobotWatch(RobotsConfig(most_remembered=10))
    for batch in range(20):
        users = EventTable.concat([steady(f"u{batch}-{k}", 3, 1000, start=batch * 3 * MINUTE_MS) for k in range(5)])
        watch.flag(users)
    assert watch._open.height <= 10
    assert watch._absurd.height <= 10
