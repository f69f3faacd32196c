import threading

import pytest

from aisle.domain import Event, EventTable, EventType, Item, ItemText
from aisle.errors import DataError
from aisle.shop import Shop
from aisle.testing.tiny import HOUR_MS, NOW_MS


def item(item_id: str, title: str, **fields: object) -> Item:
    return Item(item_id, (ItemText("en", title),), created_ms=NOW_MS - HOUR_MS, **fields)  # type: ignore[arg-type]


def purchase(user_id: str, item_id: str, hours_ago: int = 1) -> Event:
    return Event(user_id, EventType.PURCHASE, NOW_MS - hours_ago * HOUR_MS, item_id)


def view(user_id: str, item_id: str) -> Event:
    return Event(user_id, EventType.VIEW, NOW_MS - HOUR_MS, item_id)


def test_a_new_item_is_found_and_recommended_at_once(shop):
    shop.search("tea")

    shop.add_items([item("teapot", "Cast iron teapot with infuser", price_minor=4500)])

    assert shop.search("cast iron teapot").item_ids[0] == "teapot"
    assert shop.recommend("new-arrivals").item_ids[0] == "teapot"
    assert shop.similar("teapot").item_ids


def test_an_acknowledged_event_changes_the_next_answer(shop):
    before = shop.recommend("recently-viewed", user_id="newcomer").item_ids

    shop.add_events([view("newcomer", "kettle"), purchase("newcomer", "kettle")])

    assert before == ()
    assert shop.recommend("recently-viewed", user_id="newcomer").item_ids == ("kettle",)
    assert shop.recommend(user_id="newcomer").item_ids[0] == "green-tea"


def test_a_changed_price_counts_at_once(shop, tiny):
    from aisle.domain import Filters

    cheap = Filters(max_price_minor=100)
    assert shop.search("kettle", filters=cheap).relaxed.dropped_filters == ("price",)

    kettle = tiny.item("kettle")
    shop.add_items([Item("kettle", kettle.texts, price_minor=99, stock=3)])

    found = shop.search("kettle", filters=cheap)
    assert (found.item_ids, found.relaxed) == (("kettle",), None)


def test_events_wait_for_their_item_and_count_once_when_it_comes(shop):
    shop.recommend("popular")
    shop.add_events([event(f"user{n}", "samovar") for n in range(9) for event in (view, purchase)])
    assert shop.records.counts()["waiting_events"] == 18

    shop.add_items([item("samovar", "Electric samovar")])

    assert shop.records.counts()["waiting_events"] == 0
    assert shop.recommend("popular").item_ids[0] == "samovar"
    assert shop.recommend("recently-viewed", user_id="user3").item_ids == ("samovar",)


def test_the_same_event_twice_counts_once(shop):
    event = Event("ann", EventType.PURCHASE, NOW_MS, "boots", event_id="order-7/1")

    assert shop.add_events([event]).n_new == 1
    assert shop.add_events([event]).n_duplicate == 1


def test_a_reopened_shop_answers_the_same(shop, tiny):
    shop.add_items([item("teapot", "Cast iron teapot with infuser")])
    shop.add_events([purchase("newcomer", "kettle"), purchase("newcomer", "teapot")])

    def answers(of: Shop) -> list[tuple[str, ...]]:
        return [
            of.search("teapot").item_ids,
            of.recommend(user_id="newcomer").item_ids,
            of.recommend("popular").item_ids,
            of.recommend("trending").item_ids,
            of.recommend("recently-viewed", user_id="newcomer").item_ids,
            of.similar("kettle").item_ids,
        ]

    with Shop.open(shop.folder.root, clock=tiny.clock) as again:
        assert answers(again) == answers(shop)


def test_another_process_s_writes_arrive_with_refresh(shop, tiny):
    shop.search("tea")
    with Shop.open(shop.folder.root, clock=tiny.clock) as other:
        other.add_items([item("teapot", "Cast iron teapot with infuser")])

    shop.refresh()

    assert shop.search("cast iron teapot").item_ids[0] == "teapot"


def test_an_untrained_shop_of_many_events_is_not_read_on_opening_but_asks_for_training(untrained, tiny, monkeypatch):
    monkeypatch.setattr("aisle.wiring.UNTRAINED_EVENTS", len(tiny.events) - 1)

    assert untrained.recommend("popular").degraded == ("popular",)
    assert "never trained; run `aisle train" in untrained.live.stages.lineup.failures["popular"]


def test_an_untrained_small_shop_answers(untrained):
    assert untrained.search("龙井").item_ids[0] == "green-tea"
    assert "kettle" in untrained.recommend("popular").item_ids[:2]
    assert untrained.recommend(user_id="dora").item_ids


def test_an_empty_shop_answers_with_nothing(tmp_path, tiny):
    from aisle.folder import init

    with Shop(init(tmp_path / "empty"), clock=tiny.clock) as empty:
        assert empty.search("tea").item_ids == ()
        assert empty.recommend().item_ids == ()
        assert empty.suggest("t") == []


def test_readers_and_writers_at_once_lose_nothing(shop):
    shop.search("tea")
    failures: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            for n in range(10):
                shop.add_events([purchase(f"w{writer}", "socks", hours_ago=n + 1)])
        except BaseException as error:
            failures.append(error)

    def read() -> None:
        try:
            for _ in range(10):
                assert shop.recommend(user_id="dora").degraded == ()
        except BaseException as error:
            failures.append(error)

    before = shop.records.counts()["events"]
    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert shop.records.counts()["events"] == before + 40


def test_an_erased_user_is_gone(shop):
    shop.recommend(user_id="ann")

    assert shop.erase_user("ann") > 0

    assert shop.records.read_user("ann") is None
    assert shop.recommend("recently-viewed", user_id="ann").item_ids == ()


def test_a_time_in_seconds_is_refused_before_anything_is_stored(shop):
    before = shop.counts()["events"]
    late = view("dora", "kettle")
    in_seconds = Event("dora", EventType.VIEW, NOW_MS // 1000, "kettle")

    with pytest.raises(DataError, match=r"time_ms is \d+, which is before 1995; allowed are UTC milliseconds"):
        shop.add_events([late, in_seconds])
    with pytest.raises(DataError, match="multiplied by 1000"):
        shop.add_event_groups(EventTable.from_rows([late, in_seconds]), [1, 1])

    assert shop.counts()["events"] == before


def test_events_of_several_callers_count_apart_and_are_in_the_next_answer(shop):
    shop.search("tea")
    first, second = [view("newcomer", "kettle"), view("newcomer", "boots")], [view("newcomer", "boots")]

    appended = shop.add_event_groups(EventTable.from_rows([*first, *second]), [2, 1])

    assert [(one.n_new, one.n_duplicate) for one in appended] == [(2, 0), (0, 1)]
    assert set(shop.recommend("recently-viewed", user_id="newcomer").item_ids) == {"kettle", "boots"}


def test_what_is_recorded_can_be_read_and_listed(shop, tiny):
    shown = shop.search("tea")

    assert shop.read_slate(shown.slate.slate_id) == shown.slate
    assert shop.read_slate("never-shown") is None
    assert shop.read_user("ann").user_id == "ann"
    assert shop.counts()["items"] == len(tiny.items)
    assert {item.item_id for item in shop.list_items(limit=100).rows} == {item.item_id for item in tiny.items}
    assert [user.user_id for user in shop.list_users(limit=2).rows] == sorted(u.user_id for u in tiny.users)[:2]
    assert all(event.user_id == "dora" for event in shop.list_events(user_id="dora").rows)
    assert len(shop.list_documents().rows) == len(tiny.documents)
    page = shop.list_items(limit=5)
    assert not {item.item_id for item in shop.list_items(page.cursor, 5).rows} & {item.item_id for item in page.rows}
