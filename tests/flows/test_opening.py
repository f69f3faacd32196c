"""Opening a shop much was recorded in since its training: quick, honest, and nothing missing where little was."""

from __future__ import annotations

import pytest

from aisle import wiring
from aisle.domain import Event, EventType, Item, ItemText
from aisle.flows import collect
from aisle.flows.diagnose import Level
from aisle.shop import Shop
from aisle.testing.tiny import HOUR_MS, NOW_MS


def item(item_id: str, title: str) -> Item:
    return Item(item_id, (ItemText("en", title),), created_ms=NOW_MS - HOUR_MS)


def purchases(item_id: str, n: int) -> list[Event]:
    return [Event(f"{item_id}-buyer-{i}", EventType.PURCHASE, NOW_MS - HOUR_MS, item_id) for i in range(n)]


def write_behind(shop: Shop) -> None:
    """Record what the trained versions do not know: a new item, a renamed one, events, one of them early."""
    with Shop.open(shop.folder.root, clock=shop.clock) as other:
        other.add_events(purchases("samovar", 1))
        other.add_items([item("samovar", "Electric samovar"), item("boots", "Wading trousers")])
        other.add_events(purchases("samovar", 40))
        other.add_events([Event("newcomer", EventType.VIEW, NOW_MS - HOUR_MS, "samovar")])


@pytest.fixture
def trained_at_two_times(shop):
    """Some versions are older than others."""
    shop.add_events(purchases("kettle", 3))
    shop.train(["popular", "lexical"])
    shop.close()
    return shop


@pytest.mark.parametrize("page_rows", [3, 10_000])
def test_versions_of_different_ages_open_as_if_they_had_followed_all_the_time(
    trained_at_two_times, tiny, monkeypatch, page_rows
):
    def answers(of: Shop) -> list[tuple[str, ...]]:
        asked = ("popular", "trending", "new-arrivals", "recently-viewed", "recommended-for-you")
        lists = [of.recommend(placement, user_id="newcomer").item_ids for placement in asked]
        return [
            *lists,
            of.search("samovar").item_ids,
            of.search("wading trousers").item_ids,
            of.similar("kettle").item_ids,
        ]

    root = trained_at_two_times.folder.root
    with Shop.open(root, clock=tiny.clock) as followed:
        followed.search("tea")
        write_behind(followed)
        followed.refresh()
        expected = answers(followed)
    monkeypatch.setattr(collect, "PAGE_ROWS", page_rows)

    with Shop.open(root, clock=tiny.clock) as opened:
        assert answers(opened) == expected
        assert opened.live.stages.lineup.failures == {}
    assert expected[0][0] == "samovar"


def test_the_feed_is_read_once_for_all_that_join(shop, tiny, monkeypatch):
    write_behind(shop)
    n_pages = []
    with Shop.open(shop.folder.root, clock=tiny.clock) as opened:
        read_changes = opened.records.changes_since

        def counted(*arguments, **named):
            page = read_changes(*arguments, **named)
            n_pages.append(len(page.events))
            return page

        monkeypatch.setattr(opened.records, "changes_since", counted)
        assert opened.live.stages.lineup.failures == {}
    assert sum(n_pages) == 41


def test_very_much_behind_it_serves_what_was_trained_and_says_so(shop, tiny, monkeypatch):
    write_behind(shop)
    monkeypatch.setattr(wiring, "REPLAYED_EVENTS", 40)
    root = shop.folder.root

    with Shop.open(root, clock=tiny.clock) as opened:
        popular = opened.recommend("popular")
        assert popular.degraded == ()
        assert popular.item_ids[0] != "samovar"
        assert opened.search("electric samovar").item_ids[0] == "samovar"
        assert opened.search("wading trousers").item_ids[0] == "boots"
        assert opened.recommend("recently-viewed", user_id="newcomer").item_ids == ("samovar",)
        failures = opened.live.stages.lineup.failures
        assert failures["popular"] == "answers without the last 41 events; run `aisle train SHOP`"
        assert "lexical" not in failures

        (problem,) = [finding for finding in opened.doctor() if finding.level is Level.PROBLEM]
        assert "popular" in problem.what
        assert f"answers without the last 41 events; run `aisle train {root}`" in problem.what

        opened.add_events(purchases("umbrella", 60))
        assert opened.recommend("popular").item_ids[0] == "umbrella"

        opened.train()
        assert opened.live.stages.lineup.failures == {}
        assert set(opened.recommend("popular").item_ids[:2]) == {"umbrella", "samovar"}


def test_the_doctor_takes_nothing_in(shop, tiny, monkeypatch):
    write_behind(shop)
    monkeypatch.setattr(wiring, "REPLAYED_EVENTS", 40)
    with Shop.open(shop.folder.root, clock=tiny.clock) as opened:

        def fail(*arguments, **named):
            raise AssertionError("the doctor reads the change feed")

        monkeypatch.setattr(opened.records, "changes_since", fail)
        found = opened.doctor()

    assert ["answers without the last 41 events" in f.what for f in found if f.level is Level.PROBLEM] == [True]


def test_the_doctor_says_the_same_of_many_sources_once(untrained):
    never = [finding for finding in untrained.doctor() if "never trained" in finding.what]

    assert len(never) == 1
    assert all(name in never[0].what for name in untrained.specs)
    assert never[0].command == f"aisle train {untrained.folder.root}"
