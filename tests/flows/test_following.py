"""The change feed under bad luck: sources that fail, writers and readers that meet at the worst moment."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from aisle.domain import Event, EventType, Item, ItemText
from aisle.errors import DataError, NotReadyError, UnavailableError
from aisle.flows import collect
from aisle.folder import init
from aisle.shop import Shop
from aisle.testing.tiny import HOUR_MS, NOW_MS


def item(item_id: str, title: str) -> Item:
    return Item(item_id, (ItemText("en", title),), created_ms=NOW_MS - HOUR_MS)


def purchase(user_id: str, item_id: str) -> Event:
    return Event(user_id, EventType.PURCHASE, NOW_MS - HOUR_MS, item_id)


@contextmanager
def locked(shop: Shop) -> Iterator[None]:
    """The database as another process has it while it writes."""
    with closing(sqlite3.connect(shop.folder.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class Heard:
    """A source that notes what it is told, and may do something when it is told."""

    name = "heard"

    def __init__(self, on_extend=lambda: None, catalogue=None) -> None:
        self.items: list[str] = []
        self.events: list[tuple[str, str]] = []
        self._on_extend = on_extend
        self._catalogue = catalogue

    def extend(self, items, events) -> None:
        self.items.extend(items.frame["item_id"])
        told = zip(events.frame["user_id"], events.frame["item_id"], strict=True)
        self.events.extend(pair for pair in told if self._catalogue is None or self._catalogue.row(pair[1]) >= 0)
        self._on_extend()

    def retrieve(self, requests, n):
        raise AssertionError("it is not asked")


def join(shop: Shop, name: str, source: Heard, seq: int, n_items: int) -> None:
    live = shop.live
    live.follower.join(source, seq, n_items, lambda: live.stages.lineup.swap(name, source, "1"))  # type: ignore[arg-type]


def test_a_source_that_cannot_take_in_what_is_new_answers_no_more_and_the_others_count_once(shop, caplog):
    def fail() -> None:
        raise RuntimeError("model server is away")

    heard = Heard()
    lineup = shop.live.stages.lineup
    lineup.swap("linear", Heard(fail), "1")  # type: ignore[arg-type]
    lineup.swap("heard", heard, "1")  # type: ignore[arg-type]

    shop.add_items([item("teapot", "Cast iron teapot")])
    shop.add_events([purchase("newcomer", "teapot")])
    shop.search("tea")

    assert heard.items == ["teapot"]
    assert heard.events == [("newcomer", "teapot")]
    assert shop.recommend(user_id="dora").degraded == ("linear",)
    assert "model server is away" in lineup.failures["linear"]
    assert shop.search("cast iron teapot").item_ids[0] == "teapot"

    shop.train(["linear"])
    assert shop.recommend(user_id="dora").degraded == ()


@pytest.mark.parametrize("page_rows", [2, 50_000])
def test_what_is_written_while_a_source_joins_reaches_it_once(shop, tiny, monkeypatch, page_rows):
    monkeypatch.setattr(collect, "PAGE_ROWS", page_rows)
    shop.add_events([purchase("early", "samovar")])  # waits for its item
    with Shop.open(shop.folder.root, clock=tiny.clock) as other:
        moments = iter(
            [
                lambda: other.add_items([item("samovar", "Electric samovar")]),
                lambda: other.add_events([purchase("late", "samovar"), purchase("late", "kettle")]),
            ]
        )
        source = Heard(lambda: next(moments, lambda: None)(), shop.live.stages.catalogue)
        join(shop, "heard", source, seq=0, n_items=0)
    shop.refresh()

    expected = [(event.user_id, event.item_id) for event in tiny.events if event.item_id]
    expected += [("early", "samovar"), ("late", "samovar"), ("late", "kettle")]
    known = set(shop.live.stages.catalogue.item_ids)
    assert sorted(source.events) == sorted(e for e in expected if e[1] in known)
    assert set(source.items) == known


def test_events_recorded_while_the_shop_loads_are_in_the_first_answer(shop, monkeypatch):
    from aisle import live as live_module

    go_live = live_module.go_live

    def load_while_somebody_buys(*arguments):
        live = go_live(*arguments)
        writer = threading.Thread(target=shop.add_events, args=([purchase(f"u{n}", "headphones") for n in range(30)],))
        writer.start()
        writer.join()
        return live

    monkeypatch.setattr(live_module, "go_live", load_while_somebody_buys)

    assert shop.recommend("popular").item_ids[0] == "headphones"


def test_a_shop_opened_while_it_trains_knows_later_items_by_the_new_model(untrained, monkeypatch):
    from aisle.flows import train

    fit = train.train_one

    def fit_while_somebody_asks(spec, snapshot, parts):
        untrained.search("tea")
        return fit(spec, snapshot, parts)

    monkeypatch.setattr(train, "train_one", fit_while_somebody_asks)
    untrained.train(["new_arrivals", "popular"])

    untrained.add_items([item("teapot", "Cast iron teapot")])
    untrained.add_events([purchase(f"u{n}", "teapot") for n in range(30)])

    assert untrained.live.stages.lineup.versions["popular"] == "000001"
    assert untrained.recommend("new-arrivals").item_ids[0] == "teapot"
    assert untrained.recommend("popular").item_ids[0] == "teapot"


def test_items_that_another_process_added_are_numbered_as_the_records_number_them(shop, tiny):
    shop.search("tea")
    with Shop.open(shop.folder.root, clock=tiny.clock) as other:
        other.add_items([item("first", "First new thing")])
        other.add_items([item("second", "Second new thing")])
        other.add_items([item("first", "First new thing, changed")])
        other.add_events([purchase(f"u{n}", "second") for n in range(30)])
    opened = shop.live
    shop.refresh()

    assert list(opened.parts.catalogue.item_ids) == [
        item_id for page in shop.records.read_catalogue() for item_id in page.frame["item_id"]
    ]
    assert shop.search("first new thing changed").item_ids[0] == "first"

    shop.train(["popular", "lexical"])

    assert shop.live is opened
    assert shop.recommend("popular").item_ids[0] == "second"
    assert shop.search("first new thing").item_ids[0] == "first"


@pytest.mark.parametrize("page_rows", [1, 2, 3, 7, 50_000])
def test_every_event_counts_once_wherever_its_item_and_the_pages_end(shop, tiny, monkeypatch, page_rows):
    """Items changed after their events, events before their items, joins in between; whatever the page size."""
    monkeypatch.setattr(collect, "PAGE_ROWS", page_rows)
    stages, follower = shop.live.stages, shop.live.follower
    first = Heard(catalogue=stages.catalogue)
    join(shop, "first", first, seq=0, n_items=0)
    n_items, seq = stages.catalogue.n_items, follower.seq
    with Shop.open(shop.folder.root, clock=tiny.clock) as other:
        other.add_events([purchase("early", "lamp"), purchase("early", "never"), purchase("early", "vase")])
        other.add_items([item("lamp", "Lamp"), item("kettle", "Kettle, changed")])
        other.add_events([purchase(f"u{n}", "lamp") for n in range(5)])
        shop.refresh()
        other.add_items([item("rug", "Rug"), item("sofa", "Sofa")])
        other.add_events([purchase(f"u{n}", "rug") for n in range(5)] + [purchase("late", "vase")])
        other.add_items([item("rug", "Rug, changed"), item("vase", "Vase"), item("lamp", "Lamp, changed")])
        other.add_events([purchase("later", "vase"), purchase("later", "lamp")])
    second = Heard(catalogue=stages.catalogue)
    join(shop, "second", second, seq=seq, n_items=n_items)
    third = Heard(catalogue=stages.catalogue)
    join(shop, "third", third, seq=0, n_items=0)

    lamps = [("early", "lamp"), *((f"u{n}", "lamp") for n in range(5)), ("later", "lamp")]
    vases = [("early", "vase"), ("late", "vase"), ("later", "vase")]
    new = sorted([*lamps, *vases, *((f"u{n}", "rug") for n in range(5))])
    old = [(event.user_id, event.item_id) for event in tiny.events if event.item_id]
    assert sorted(second.events) == new
    assert sorted(first.events) == sorted(third.events) == sorted([*old, *new])
    in_row_order = [item_id for page in shop.records.read_catalogue() for item_id in page.frame["item_id"]]
    assert list(stages.catalogue.item_ids) == in_row_order
    for source in (first, third):
        assert list(dict.fromkeys(source.items)) == in_row_order
    assert set(second.items) == {"kettle", "lamp", "rug", "sofa", "vase"}


def test_models_of_other_records_do_not_answer(shop, tiny, tmp_path):
    """A database from an older backup beside newer models: rows would mean other items."""
    import shutil

    older = tmp_path / "older"
    with Shop(init(older), clock=tiny.clock) as backup:
        backup.add_items([item("different", "Something different"), *tiny.items])
        backup.add_events(tiny.events)
    shutil.copytree(shop.folder.models, older / "models")
    shutil.copytree(shop.folder.indexes, older / "indexes")

    with Shop.open(older, clock=tiny.clock) as restored:
        assert "linear" in restored.recommend(user_id="dora").degraded
        assert "trained on other records" in restored.live.stages.lineup.failures["linear"]
        assert restored.search("something different").item_ids[0] == "different"
        assert restored.search("something different").degraded == ()


def test_a_source_that_breaks_while_loading_does_not_close_the_shop(shop, tiny, caplog):
    class Broken:
        is_index = False

        @classmethod
        def load(cls, name, folder, config, parts):
            raise KeyError("weights")

    Broken.__name__ = shop.specs["linear"].implementation.__name__
    with Shop.open(shop.folder.root, clock=tiny.clock) as again:
        again.specs["linear"] = replace(again.specs["linear"], implementation=Broken)  # type: ignore[index]
        response = again.recommend(user_id="dora")

        assert response.degraded == ("linear",)
        assert response.item_ids
        assert "KeyError: 'weights'" in again.live.stages.lineup.failures["linear"]


def test_a_list_names_the_versions_that_made_it(shop):
    class Swapped:
        """Is replaced by another version while it answers."""

        name = "trending"

        def __init__(self, inner) -> None:
            self._inner = inner

        def retrieve(self, requests, n):
            shop.live.stages.lineup.swap("trending", self._inner, "newer")
            return self._inner.retrieve(requests, n)

    shop.live.stages.lineup.swap("trending", Swapped(shop.live.stages.lineup.sources["trending"]), "older")  # type: ignore[arg-type]

    assert shop.recommend("trending").slate.versions["trending"] == "older"
    assert shop.recommend("trending").slate.versions["trending"] == "newer"


def test_a_text_where_a_list_belongs_is_told(shop):
    with pytest.raises(DataError, match=r"item_ids is the text 'kettle'; give a list"):
        shop.complete_basket("kettle")
    with pytest.raises(DataError, match=r"names is the text 'linear'"):
        shop.train("linear")
    with pytest.raises(DataError, match="size is 2.5"):
        shop.search("tea", size=2.5)


def test_a_query_that_was_not_utf8_is_answered_and_written_down(shop):
    response = shop.search("tea\udcff")

    assert response.item_ids
    assert response.degraded == ()


def test_lists_are_written_down_though_the_database_was_locked_when_they_were_shown(shop):
    shop.search("tea")
    with locked(shop):
        found = shop.search("tea")
        recommended = shop.recommend(user_id="dora")
        assert found.item_ids
        assert recommended.item_ids
        assert found.degraded == recommended.degraded == ()
        assert shop.read_slate(found.slate.slate_id) == found.slate

    assert shop.outbox.flush(20.0)
    assert shop.records.read_slate(found.slate.slate_id) is not None
    assert shop.read_slate(recommended.slate.slate_id) is not None


def test_lists_that_were_shown_are_written_down_when_the_shop_closes(shop, tiny):
    shown = [shop.search(text).slate.slate_id for text in ("tea", "kettle", "boots")]

    shop.close()

    with Shop.open(shop.folder.root, clock=tiny.clock) as again:
        assert all(again.read_slate(slate_id) is not None for slate_id in shown)


def test_what_was_stored_is_acknowledged_though_it_cannot_be_taken_in_yet(shop, monkeypatch, caplog):
    shop.search("tea")
    read_changes = shop.records.changes_since
    n_failures = iter(range(2))

    def fail_twice(seq, *more):
        # Slates on their way into the records ask from behind the end of the feed.
        if seq <= shop.records.counts()["seq"] and next(n_failures, None) is not None:
            raise UnavailableError("shop.db is locked by another process; nothing of this call was stored")
        return read_changes(seq, *more)

    monkeypatch.setattr(shop.records, "changes_since", fail_twice)

    appended = shop.add_items([item("urn", "Silver drinking urn")])

    assert appended.n_new == 1
    assert [found.item_id for found in shop.records.read_items(["urn"])] == ["urn"]
    for _ in range(2):
        response = shop.search("silver drinking urn")
        assert "urn" not in response.item_ids
        assert response.degraded == ("latest-events",)
    assert ["takes it in first" in record.getMessage() for record in caplog.records] == [True]
    response = shop.search("silver drinking urn")
    assert (response.item_ids[0], response.degraded) == ("urn", ())


def test_a_page_that_failed_halfway_is_taken_in_whole_later(shop, monkeypatch):
    heard = Heard()
    shop.live.stages.lineup.swap("heard", heard, "1")  # type: ignore[arg-type]
    shop.add_events([purchase("early", "samovar")])
    heard.events.clear()

    def fail(item_ids, up_to_seq):
        raise UnavailableError("shop.db cannot be used now")

    with monkeypatch.context() as patched:
        patched.setattr(shop.records, "read_waiting_events", fail)
        shop.add_items([item("samovar", "Electric samovar")])
        shop.search("electric samovar")
    assert heard.items == []

    assert shop.search("electric samovar").item_ids[0] == "samovar"
    assert heard.items == ["samovar"]
    assert heard.events == [("early", "samovar")]


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_closed_shop_says_that_it_is_closed(shop, is_loaded):
    if is_loaded:
        shop.search("tea")
        shop.suggest("te")
    shop.close()
    shop.close()

    for use in (
        lambda: shop.search("tea"),
        lambda: shop.recommend(user_id="dora"),
        lambda: shop.suggest("te"),
        lambda: shop.read_items(["kettle"]),
        lambda: shop.add_items([item("teapot", "Teapot")]),
        lambda: shop.add_events([purchase("dora", "kettle")]),
        lambda: shop.erase_user("dora"),
        shop.train,
        shop.doctor,
        shop.refresh,
    ):
        with pytest.raises(NotReadyError, match="the shop is closed; open it again"):
            use()


def test_the_doctor_s_commands_can_be_run_as_they_stand(untrained):
    commands = {finding.command for finding in untrained.doctor() if finding.command}

    assert f"aisle train {untrained.folder.root}" in commands
