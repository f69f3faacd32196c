"""The promises of ``contracts.RecordStore``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from aisle.contracts import Checkpoint, RecordStore
from aisle.domain import (
    EVENT_CODE,
    INTERACTION_SCHEMA,
    SHOWN_TYPES,
    DocumentTable,
    Event,
    EventTable,
    EventType,
    Features,
    ItemTable,
    Slate,
    Slot,
    User,
    UserTable,
)
from aisle.errors import NotReadyError
from aisle.testing.conformance.files import empty_folder
from aisle.testing.conformance.lists import check_lists
from aisle.testing.conformance.promises import Promise, in_threads
from aisle.testing.tiny import NOW_MS, TinyShop, tiny_shop

Make = Callable[[Path], RecordStore]


def check_record_store(make: Make) -> None:
    """Examine a record store; ``make`` opens the one that is kept in a folder, anew or again.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    shop = tiny_shop()
    with empty_folder() as folder:
        store = make(folder)
        name = f"record store {type(store).__name__}"
        _starts_empty(name, store)
        _keeps_items(name, store, shop)
        _keeps_users_and_documents(name, store, shop)
        _keeps_events_once(name, store, shop)
        _tells_what_changed(name, store, shop)
        _takes_snapshots(name, store, shop)
        _keeps_waiting_events(name, store)
        _keeps_groups(name, store, shop)
        _keeps_slates(name, store)
        _counts_queries(name, store)
        check_lists(name, store)
        _is_there_again(name, store, make, folder)
        store = make(folder)
        _forgets_users(name, store)
        _forgets_users_of_late_slates(name, store)
        _drops_old_slates(name, store)
        store.close()
    with empty_folder() as folder:
        _takes_many_writers(name, make, folder)


def _starts_empty(name: str, store: RecordStore) -> None:
    with Promise(name, "an empty store answers every question with nothing") as promise:
        promise.require(sum(store.counts().values()) == 0, f"it counts {dict(store.counts())}")
        promise.require(store.read_items(["a"]) == [], "it has items")
        promise.require(sum(map(len, store.read_catalogue())) == 0, "it has a catalogue")
        promise.require(store.read_user("a") is None and store.read_slate("a") is None, "it knows users or slates")
        (state,) = store.read_user_states(["a"], 5, 5)
        promise.require((state.user_id, len(state.item_rows)) == ("a", 0), "it has a user who did something")
        promise.require(store.snapshot().n_items == 0 and store.snapshot().n_users == 0, "its snapshot is not empty")
        changes = store.changes_since(0)
        promise.require(changes.is_complete and not len(changes.items) and not len(changes.events), "it has changes")
        promise.require(store.append_events(EventTable.empty()).n_new == 0, "no event was counted as new")
        promise.require(store.append_event_groups(EventTable.empty(), []) == [], "no group gave something")
        promise.require(store.read_slates(0) == (0, []), "it has slates")
        promise.require(list(store.read_slate_events()) == [], "it has events of slates")


def _keeps_items(name: str, store: RecordStore, shop: TinyShop) -> None:
    table = ItemTable.from_rows(shop.items)
    with Promise(name, "items are read back as they were, in row order") as promise:
        appended = store.append_items(table)
        promise.require((appended.n_new, appended.n_changed) == (len(table), 0), f"it says {appended}")
        promise.require(ItemTable.concat(store.read_catalogue()).frame.equals(table.frame), "the catalogue differs")
        for from_row in (5, len(table)):
            rest = ItemTable.concat(store.read_catalogue(from_row)).frame
            promise.require(rest.equals(table.frame[from_row:]), f"from row {from_row} on, the catalogue differs")
        wanted = [shop.items[5], shop.items[0]]
        found = store.read_items([wanted[0].item_id, "nobody", wanted[1].item_id])
        promise.require(found == wanted, f"asked for two items and an unknown one, got {[i.item_id for i in found]}")
    with Promise(
        name, "an unchanged item gets no new sequence number; a changed one does and keeps its row"
    ) as promise:
        again = store.append_items(table)
        promise.require((again.n_new, again.n_changed) == (0, 0), f"sent again unchanged, it says {again}")
        promise.require(store.counts()["seq"] == appended.seq, "the sequence number moved")
        changed = replace(shop.items[3], price_minor=1)
        after = store.append_items(ItemTable.from_rows([changed]))
        promise.require(after.seq > appended.seq and after.n_changed == 1, f"after a change it says {after}")
        promise.require(store.read_items([changed.item_id]) == [changed], "the change is not read back")
        ids = ItemTable.concat(store.read_catalogue()).frame["item_id"].to_list()
        promise.require(ids == table.frame["item_id"].to_list(), "rows moved")
        rest = ItemTable.concat(store.read_catalogue(1)).frame["item_id"].to_list()
        promise.require(rest == ids[1:], "after a change the catalogue from row 1 on differs")
        store.append_items(ItemTable.from_rows([shop.items[3]]))


def _keeps_users_and_documents(name: str, store: RecordStore, shop: TinyShop) -> None:
    with Promise(name, "users are read back as they were and can be replaced") as promise:
        store.append_users(UserTable.from_rows(shop.users))
        promise.require([store.read_user(user.user_id) for user in shop.users] == list(shop.users), "a profile differs")
        moved = replace(shop.users[0], region="moon")
        store.append_users(UserTable.from_rows([moved]))
        promise.require(store.read_user(moved.user_id) == moved, "the replacement is not read back")
        promise.require(store.counts()["users"] == len(shop.users), f"{store.counts()['users']} users")
    with Promise(name, "documents are kept once") as promise:
        for _ in range(2):
            store.append_documents(DocumentTable.from_rows(shop.documents))
        promise.require(store.counts()["documents"] == len(shop.documents), f"{store.counts()['documents']} documents")


def _keeps_events_once(name: str, store: RecordStore, shop: TinyShop) -> None:
    table = EventTable.from_rows(shop.events)
    half = len(table) // 2
    with Promise(name, "an event id or a checkpointed row is stored once however often it is sent") as promise:
        first = store.append_events(EventTable(table.frame[:half]), Checkpoint("file", "print", half))
        promise.require(first.n_new == half, f"it says {first}")
        second = store.append_events(table, Checkpoint("file", "print", len(table)))
        counted = (second.n_new, second.n_duplicate)
        promise.require(counted == (len(table) - half, half), f"half of it sent before, it says {second}")
        promise.require(second.seq > first.seq, f"sequence numbers went from {first.seq} to {second.seq}")
        promise.require(store.counts()["events"] == len(table), f"{store.counts()['events']} events")
        nameless = EventTable(
            table.frame[:5].with_columns(event_id=pl.lit(None, pl.String), time_ms=pl.lit(7, pl.Int64))
        )
        for _ in range(2):
            store.append_events(nameless, Checkpoint("other", "print", 5))
        promise.require(store.counts()["events"] == len(table) + 5, "rows without an id were doubled or lost")
    with Promise(name, "a checkpoint is read back by source and content") as promise:
        found = store.read_checkpoint("file", "print")
        promise.require(found == Checkpoint("file", "print", len(table)), f"it reads {found}")
        promise.require(store.read_checkpoint("file", "other print") is None, "another content has a checkpoint")
    row_of = {item_id: row for row, item_id in enumerate(store.snapshot().items.frame["item_id"])}
    with Promise(name, "the last events with an item of each user, oldest first") as promise:
        did = [e for e in [*shop.events[:5], *shop.events] if e.item_id in row_of and e.type not in SHOWN_TYPES]
        for limit in (1, 3, 100):
            for user in shop.users:
                wanted = [row_of[str(event.item_id)] for event in did if event.user_id == user.user_id]
                (state,) = store.read_user_states([user.user_id], limit, 0)
                found = state.item_rows.tolist()
                promise.require(found == wanted[-limit:], f"the last {limit} events of a user differ: {found}")
        users = ["eve", "nobody", "ann"]
        many = store.read_user_states(users, 2, 2)
        promise.require([state.user_id for state in many] == users, "users at once are not in their order")
        promise.require([len(state.item_rows) > 0 for state in many] == [True, False, True], "users are mixed up")
    with Promise(name, "what a user was shown never pushes out what he did") as promise:
        (full,) = store.read_user_states(["bob"], 100, 100)
        shown = np.isin(full.types, [EVENT_CODE[event_type] for event_type in SHOWN_TYPES])
        promise.require(0 < shown.sum() < len(shown), "of the two kinds of events one is missing")
        (state,) = store.read_user_states(["bob"], 100, 0)
        promise.require(np.array_equal(state.times_ms, full.times_ms[~shown]), "without what was shown it differs")


def _tells_what_changed(name: str, store: RecordStore, shop: TinyShop) -> None:
    with Promise(name, "the change feed gives every item and event once, in order, in pages") as promise:
        for limit in (4, 50_000):
            seq, items, events, n_pages = 0, [], [], 0
            while True:
                page = store.changes_since(seq, limit)
                promise.require(page.seq >= seq, f"a page after {seq} ends at {page.seq}")
                items += page.items.frame["item_id"].to_list()
                events += [event_id for event_id in page.events.frame["event_id"].to_list() if event_id is not None]
                n_pages += 1
                if page.is_complete:
                    break
                promise.require(page.seq > seq, "a page that is not the last one does not move on")
                seq = page.seq
            promise.require(sorted(items) == sorted(item.item_id for item in shop.items), f"items {items}")
            promise.require(events == [event.event_id for event in shop.events], f"events {events}")
            promise.require(n_pages > 1 or limit > 4, "a small limit did not cut the feed into pages")
        promise.require(page.seq == store.counts()["seq"], "the last page does not end at the last sequence number")
        promise.require(not len(store.changes_since(page.seq).events), "there is something after the end")


def _takes_snapshots(name: str, store: RecordStore, shop: TinyShop) -> None:
    with Promise(name, "a snapshot has the items in row order and their interactions by time, then arrival") as promise:
        snapshot = store.snapshot()
        promise.require(snapshot.items.frame.equals(shop.snapshot.items.frame), "items differ")
        promise.require(snapshot.seq == store.counts()["seq"], f"it is of {snapshot.seq}")
        promise.require(dict(snapshot.interactions.schema) == INTERACTION_SCHEMA, "columns differ")
        told = [
            (snapshot.user_ids[user], shop.items[item].item_id, event_type, time)
            for user, item, event_type, time in snapshot.interactions.filter(pl.col("time_ms") != 7)
            .select("user_row", "item_row", "type", "time_ms")
            .iter_rows()
        ]
        wanted = [(e.user_id, e.item_id, e.type.value, e.time_ms) for e in shop.events if e.item_id is not None]
        promise.require(told == wanted, f"interactions are {told}")
    with Promise(name, "suspected robots are kept out of snapshots and counted") as promise:
        n_before = snapshot.interactions.height
        robot = EventTable.from_rows([Event("robot", EventType.VIEW, NOW_MS, shop.items[0].item_id, event_id="robot")])
        store.append_events(EventTable(robot.frame.with_columns(is_suspect=pl.lit(True))))
        promise.require(store.snapshot().interactions.height == n_before, "they are in the snapshot")
        promise.require(store.counts()["suspect_events"] == 1, f"{store.counts()['suspect_events']} are counted")


def _keeps_waiting_events(name: str, store: RecordStore) -> None:
    with Promise(name, "events of items that are not known yet wait for them and then join") as promise:
        early = EventTable.from_rows([Event("ann", EventType.VIEW, NOW_MS, "late-item", event_id="early")])
        appended = store.append_events(early)
        promise.require(appended.n_waiting == 1, f"it says {appended}")
        promise.require(store.counts()["waiting_events"] == 1, f"{store.counts()['waiting_events']} wait")
        n_before = store.snapshot().interactions.height
        late = next(iter(ItemTable.concat(store.read_catalogue()).rows()))
        seq = store.append_items(ItemTable.from_rows([replace(late, item_id="late-item")])).seq
        waiting = list(store.read_waiting_events(["late-item"], seq).rows())
        promise.require([event.event_id for event in waiting] == ["early"], f"it gives {waiting}")
        promise.require(len(store.read_waiting_events(["late-item"], 0)) == 0, "the bound is not kept to")
        promise.require(store.snapshot().interactions.height == n_before + 1, "the snapshot does not have it")
        promise.require(store.counts()["waiting_events"] == 0, "it still waits")


def _keeps_groups(name: str, store: RecordStore, shop: TinyShop) -> None:
    with Promise(name, "groups of events are stored once, and each caller hears what became of his") as promise:
        n_before = store.counts()["events"]
        fresh = [Event("dan", EventType.VIEW, NOW_MS, f"group-item-{n}", event_id=f"group-{n}") for n in range(3)]
        groups = [[*fresh[:2], shop.events[0]], [], [*fresh[1:], fresh[2]]]
        together = EventTable.from_rows([event for group in groups for event in group])
        told = store.append_event_groups(together, [len(group) for group in groups])
        counted = [(appended.n_new, appended.n_duplicate, appended.n_waiting) for appended in told]
        promise.require(counted == [(2, 1, 2), (0, 0, 0), (1, 2, 1)], f"it says {counted}")
        promise.require(store.counts()["events"] == n_before + 3, f"{store.counts()['events'] - n_before} were stored")
        found = store.list_events(user_id="dan", limit=3).rows[::-1]
        promise.require(found == fresh, f"it has {[event.event_id for event in found]}, in this order")


def _keeps_slates(name: str, store: RecordStore) -> None:
    values = np.array([[0.1, np.nan], [1e30, -2.0]], np.float32)
    slots = (Slot("kettle", 0.5, 1.0, {"linear": 0.25}, {"click": 0.125}), Slot("boots", 0.25, 0.5))
    slates = [
        Slate("slate-1", "home", NOW_MS, slots, "ann", versions={"linear": "3"}, features=Features(("a", "b"), values)),
        Slate("slate-2", "search", NOW_MS, (), query="绿茶", anchor_item_ids=("kettle",)),
        Slate("slate-3", "home", NOW_MS, slots[1:], features=Features(("b", "a"), values[1:])),
    ]
    with Promise(name, "a slate is read back as it was shown, with what the ranker knew") as promise:
        promise.require(store.append_slates(slates).n_new == len(slates), "not all are counted as new")
        promise.require(store.append_slates(slates[:2]).n_duplicate == 2, "one known is not counted as a duplicate")
        for slate in slates:
            found = store.read_slate(slate.slate_id)
            promise.require(found == slate, f"{slate.slate_id} differs")
            promise.require(found is not None and _same(found.features, slate.features), "features differ")
    with Promise(name, "slates are read in the order they were written down, in pages") as promise:
        first_seq, first = store.read_slates(0, 2)
        last_seq, last = store.read_slates(first_seq, 2)
        promise.require([*first, *last] == slates and len(first) == 2, f"pages of two gave {len(first)}, {len(last)}")
        same = [_same(f.features, s.features) for f, s in zip([*first, *last], slates, strict=True)]
        promise.require(all(same), "features differ")
        promise.require(store.read_slates(last_seq) == (last_seq, []), "there is something after the last")
    with Promise(name, "it knows after which number the newest slates were written down") as promise:
        for n, wanted in ((1, slates[2:]), (2, slates[1:]), (3, slates), (9, slates)):
            found = store.read_slates(store.seq_before_slates(n))[1]
            promise.require(found == wanted, f"of the newest {n} it gives {len(found)}")
    with Promise(name, "events that carry a slate are read in order of arrival, robots left out") as promise:
        seq = store.counts()["seq"]
        given = [
            Event("ann", EventType.CLICK, NOW_MS - n, "kettle", event_id=f"shown-{n}", slate_id="slate-1", slot=0)
            for n in range(4)
        ]
        table = EventTable.from_rows([*given, Event("ann", EventType.VIEW, NOW_MS, "kettle", event_id="not-shown")])
        is_robot = pl.col("event_id") == "shown-2"
        store.append_events(EventTable(table.frame.with_columns(is_suspect=is_robot)))
        wanted = [event for event in given if event.event_id != "shown-2"]
        for after in (0, seq):
            found = [event for page in store.read_slate_events(after) for event in page.rows()]
            promise.require(found == wanted, f"after {after} it gives {[event.event_id for event in found]}")
        promise.require(list(store.read_slate_events(store.counts()["seq"])) == [], "there is something after the end")


def _same(found: Features | None, wanted: Features | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return found.names == wanted.names and np.array_equal(found.values, wanted.values, equal_nan=True)


def _counts_queries(name: str, store: RecordStore) -> None:
    with Promise(name, "queries are counted, most frequent first") as promise:
        asked = ["雨伞", "雨伞", "boots", "雨伞", "boots", "tea"]
        store.append_events(
            EventTable.from_rows(
                Event("cai", EventType.SEARCH, NOW_MS + number, query=text, event_id=f"query-{number}")
                for number, text in enumerate(asked)
            )
        )
        found = {text: n for text, n in store.read_query_counts().items() if text in asked}
        promise.require(found == {"雨伞": 3, "boots": 2, "tea": 1}, f"it counts {found}")
        counts = list(store.read_query_counts().values())
        promise.require(counts == sorted(counts, reverse=True), f"their order is {counts}")
        promise.require(len(store.read_query_counts(limit=2)) == 2, "the limit is not kept to")


def _is_there_again(name: str, store: RecordStore, make: Make, folder: Path) -> None:
    with Promise(name, "what a call returned for is durable") as promise:
        before = dict(store.counts())
        other = make(folder)  # while the first still has it open, as another process would
        promise.require(dict(other.counts()) == before, f"opened beside it counts {dict(other.counts())}, not {before}")
        other.close()
        store.close()
        promise.require(_says_that_it_is_closed(store.counts), "closed, it goes on reading")
        promise.require(
            _says_that_it_is_closed(lambda: store.append_events(EventTable.empty())), "closed, it goes on writing"
        )
        again = make(folder)
        promise.require(dict(again.counts()) == before, f"opened again it counts {dict(again.counts())}, not {before}")
        duplicates = again.append_events(
            EventTable.from_rows([Event("ann", EventType.VIEW, NOW_MS, "late-item", event_id="early")])
        )
        promise.require(duplicates.n_new == 0, "an event id is not known any more")
        again.close()


def _says_that_it_is_closed(call: Callable[[], object]) -> bool:
    try:
        call()
    except NotReadyError:
        return True
    return False


def _forgets_users(name: str, store: RecordStore) -> None:
    with Promise(name, "an erased user is nowhere any more and others are untouched") as promise:
        others = store.list_events(user_id="bob").rows
        end = store.counts()["seq"]
        n_erasures = store.changes_since(end).n_erasures
        n_rows = store.erase_user("ann")
        promise.require(n_rows > 0, "it says that no row went")
        promise.require(store.read_user("ann") is None, "the profile is there")
        (state,) = store.read_user_states(["ann"], 100, 100)
        promise.require(len(state.item_rows) == 0, "events are there")
        promise.require("ann" not in store.snapshot().user_ids, "the snapshot has the user")
        changed = store.changes_since(0).events.frame["user_id"].to_list()
        promise.require("ann" not in changed, "the change feed has the user")
        slate = store.read_slate("slate-1")
        promise.require(slate is None or slate.user_id is None, "a slate has the user")
        promise.require(slate is None or slate.features is None, "a slate has numbers about the user")
        promise.require(store.list_events(user_id="ann").rows == [], "events are listed")
        for after in (0, end):
            grown = store.changes_since(after).n_erasures
            promise.require(grown == n_erasures + 1, f"the feed after {after} tells of {grown} erasures")
        promise.require(store.list_events(user_id="bob").rows == others, "another user's events changed")
        promise.require(store.erase_user("ann") == 0, "erasing again found more")
        promise.require(store.append_users(UserTable.from_rows([User("ann")])).n_new == 1, "the user cannot come back")


def _forgets_users_of_late_slates(name: str, store: RecordStore) -> None:
    with Promise(name, "slates made before a user was erased are written down without their users") as promise:
        n_erasures = store.changes_since(store.counts()["seq"]).n_erasures
        features = Features(("a",), np.ones((1, 1), np.float32))
        slate = Slate("in-time", "search", NOW_MS, (Slot("kettle", 1.0, 1.0),), "bob", "tea", ("boots",), {}, features)
        store.append_slates([slate], n_erasures)
        promise.require(store.read_slate("in-time") == slate, "one made in time differs")
        store.erase_user("ann")
        store.append_slates([replace(slate, slate_id="late")], n_erasures)
        late = store.read_slate("late")
        wanted = replace(slate, slate_id="late", user_id=None, query=None, anchor_item_ids=())
        promise.require(late is not None and late == wanted, f"a late one is {late}")
        promise.require(late is None or late.features is None, "a late one has its features")


def _drops_old_slates(name: str, store: RecordStore) -> None:
    with Promise(name, "old slates are dropped in the order they were written down, a few at a time") as promise:
        before = store.read_slates(0)[1]
        promise.require(store.drop_slates(NOW_MS) == 0, "it drops what is not old")
        promise.require(store.read_slates(0)[1] == before, "what is not old is gone")
        promise.require(store.drop_slates(NOW_MS + 1, 2) == 2, "it does not drop as many as it may")
        promise.require(store.read_slates(0)[1] == before[2:], "others than the first are gone")
        promise.require(store.read_slate(before[0].slate_id) is None, "a dropped one can be read")


def _takes_many_writers(name: str, make: Make, folder: Path) -> None:
    with Promise(name, "several threads and openings may write at once: nothing is lost or doubled") as promise:
        shop = tiny_shop()
        stores = [make(folder), make(folder)]
        stores[0].append_items(ItemTable.from_rows(shop.items))
        n_rounds = 5

        def work(number: int) -> list[int]:
            seqs = []
            for round_ in range(n_rounds):
                own = Event(f"user-{number}", EventType.VIEW, round_, "kettle", event_id=f"own-{number}-{round_}")
                shared = Event("everybody", EventType.VIEW, round_, "kettle", event_id=f"shared-{round_}")
                seqs.append(stores[number % 2].append_events(EventTable.from_rows([own, shared])).seq)
            return seqs

        seqs = in_threads(work)
        for own in seqs:
            promise.require(own == sorted(set(own)), f"one writer's sequence numbers were {own}")
        for store in stores:
            n_events = store.counts()["events"]
            wanted = n_rounds * (len(seqs) + 1)
            promise.require(n_events == wanted, f"{n_events} events, wanted {wanted}")
            found = store.list_events(user_id="user-1").rows
            promise.require(len(found) == n_rounds, "a writer's events are missing")
        for store in stores:
            store.close()
