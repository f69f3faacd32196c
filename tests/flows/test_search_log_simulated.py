"""What came of searches in a simulated shop, whose events say of which list each click was."""

from __future__ import annotations

import polars as pl
import pytest

from aisle.flows.search_log import read_log
from aisle.simulation import simulate
from aisle.storage import SqlRecords


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Searches as the log has them, and the simulated events."""
    world = simulate("tiny", 7)
    records = SqlRecords.open(tmp_path_factory.mktemp("log") / "shop.db")
    for table in world.items():
        records.append_items(table)
    events = []
    for table in world.events():
        records.append_events(table)
        events.append(table.frame)
    log = read_log(records, records.snapshot(), 0, world.now_ms, lambda task, done, total=None: None)
    records.close()
    return log, pl.concat(events)


def test_every_search_is_counted(told):
    log, events = told
    n_asked = events.filter(pl.col("type") == "search").height

    assert 0.97 * n_asked <= log.searches.height <= n_asked
    assert log.earlier is None


def test_clicks_and_purchases_belong_to_the_search_they_came_from(told):
    log, events = told
    of_search = events.filter(pl.col("query").is_not_null(), pl.col("type") != "search")
    clicked = of_search.filter(pl.col("type").is_in(["select_item", "add_to_cart", "purchase"]))
    bought = of_search.filter(pl.col("type") == "purchase")
    found = log.searches

    assert (found["n_clicks"] > 0).sum() == pytest.approx(clicked["slate_id"].n_unique(), rel=0.02)
    assert found["n_purchases"].sum() == pytest.approx(bought.select("slate_id", "item_id").n_unique(), rel=0.02)


def test_the_first_click_stands_where_it_stood(told):
    log, events = told
    of_search = events.filter(pl.col("query").is_not_null(), pl.col("type") == "select_item")
    first = of_search.sort("time_ms").group_by("slate_id").agg(pl.col("slot").first())

    assert log.searches["first_rank"].mean() == pytest.approx(first["slot"].mean() + 1, rel=0.02)
