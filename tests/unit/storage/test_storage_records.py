"""What a shop relies on when it writes and reads records: once, in order, and exactly as given."""

from __future__ import annotations

import sqlite3
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.exc import OperationalError

from aisle.contracts import Checkpoint
from aisle.domain import (
    Catalogue,
    Document,
    DocumentTable,
    Event,
    EventTable,
    EventType,
    Features,
    Item,
    ItemKind,
    ItemTable,
    ItemText,
    Slate,
    Slot,
    User,
    UserTable,
)
from aisle.errors import ConfigError
from aisle.storage import SqlRecords, event_writer, log_shedding


def item(item_id: str, title: str = "A thing", **fields: object) -> Item:
    return Item(item_id, (ItemText("en", title),), **fields)  # type: ignore[arg-type]


def view(user_id: str, item_id: str, time_ms: int, **fields: object) -> Event:
    return Event(user_id, EventType.VIEW, time_ms, item_id, **fields)  # type: ignore[arg-type]


def items(*given: Item) -> ItemTable:
    return ItemTable.from_rows(given)


def events(*given: Event) -> EventTable:
    return EventTable.from_rows(given)


FULL_ITEM = Item(
    "lamp-1",
    (ItemText("zh", "台灯 “护眼”", "三档\n调光"), ItemText("en", 'Desk "lamp"', "dims")),
    kind=ItemKind.ARTICLE,
    brand="Lumen",
    category=("Home", "Lighting > Desk"),
    attributes={"colour": ("white", "black"), "watt": ("7",)},
    price_minor=12_900,
    currency="CNY",
    cost_minor=0,
    stock=0,
    seller="s1",
    image="lamp.png",
    created_ms=1,
    starts_ms=2,
    ends_ms=2**53,
    is_available=False,
)
FULL_EVENT = Event(
    "u1",
    EventType.REVIEW,
    7,
    "lamp-1",
    "e-1",
    2,
    100,
    "CNY",
    4.7,
    "“好”\x1f",
    "台灯",
    "s",
    "b",
    "sl",
    3,
    "home",
    "web",
    "tv",
    "SH",
)


def test_items_come_back_as_they_were_given_in_the_order_asked(records: SqlRecords) -> None:
    records.append_items(items(item("plain"), FULL_ITEM))

    assert records.read_items(["lamp-1", "nothing", "plain"]) == [FULL_ITEM, item("plain")]


def test_an_unchanged_item_gets_no_sequence_number_and_a_changed_one_keeps_its_row(records: SqlRecords) -> None:
    first = records.append_items(items(item("a"), item("b")))
    again = records.append_items(items(item("b"), item("a")))
    changed = records.append_items(items(item("c"), item("a", "Another title")))

    assert (first.n_new, first.seq) == (2, 2)
    assert (again.n_new, again.n_changed, again.n_duplicate, again.seq) == (0, 0, 2, 2)
    assert (changed.n_new, changed.n_changed, changed.seq) == (1, 1, 4)
    catalogue = Catalogue()
    for page in records.read_catalogue():
        catalogue.extend(page)
    assert catalogue.item_ids == ["a", "b", "c"]
    assert records.snapshot().items.frame["item_id"].to_list() == ["a", "b", "c"]


def test_of_one_item_twice_in_a_batch_the_last_counts(records: SqlRecords) -> None:
    appended = records.append_items(items(item("a", "old"), item("b"), item("a", "new")))

    assert (appended.n_new, appended.n_duplicate) == (2, 1)
    assert [found.title for found in records.read_items(["a"])] == ["new"]
    assert records.snapshot().items.frame["item_id"].to_list() == ["a", "b"]


def test_users_documents_and_slates_come_back_as_they_were_given(records: SqlRecords) -> None:
    user = User("u1", "f", "30-39", "SH", "zh", ("web", "app"), {"member": ("gold",)}, 5)
    document = Document("returns", "Returns", "Within 7 days.", "policy", "en", "https://shop/returns", 9)
    slate = Slate(
        "s1", "home", 5, (Slot("a", -0.1, 1 / 3, {"linear": 1e-9}), Slot("b", 0.0, 1.0)), "u1", "灯", ("c",), {"m": "1"}
    )

    records.append_users(UserTable.from_rows([user, User("bare")]))
    records.append_documents(DocumentTable.from_rows([document]))
    appended = records.append_slates([slate, slate])

    assert records.read_user("u1") == user
    assert records.read_user("bare") == User("bare")
    assert records.read_user("nobody") is None
    assert list(records.read_documents().rows()) == [document]
    assert (appended.n_new, appended.n_duplicate) == (1, 1)
    assert records.read_slate("s1") == slate
    assert records.read_slate("s2") is None


def test_an_event_comes_back_as_it_was_given(records: SqlRecords) -> None:
    bare = Event("u2", EventType.SEARCH, 8, query="lamp")
    records.append_events(events(FULL_EVENT, bare))

    assert list(records.changes_since(0).events.rows()) == [FULL_EVENT, bare]


def test_an_event_is_stored_once_however_often_it_is_sent(records: SqlRecords) -> None:
    named, nameless = view("u", "a", 1, event_id="e"), view("u", "a", 1)

    first = records.append_events(events(named, nameless, named, nameless))
    again = records.append_events(events(nameless, view("u", "a", 2), view("other", "z", 99, event_id="e")))

    assert (first.n_new, first.n_duplicate) == (2, 2)
    assert (again.n_new, again.n_duplicate) == (1, 2)
    assert records.counts()["events"] == 3


def test_events_of_unknown_items_wait_and_are_read_when_the_item_arrives(records: SqlRecords) -> None:
    early = records.append_events(events(view("u", "late", 1), view("u", "never", 2), view("v", "late", 3)))
    arrived = records.append_items(items(item("late")))
    after = records.append_events(events(view("u", "late", 9)))

    assert early.n_waiting == 3
    assert after.n_waiting == 0
    assert records.counts()["waiting_events"] == 1
    assert [event.time_ms for event in records.read_waiting_events(["late"], arrived.seq).rows()] == [1, 3]
    assert [event.time_ms for event in records.read_waiting_events(["late"], 1).rows()] == [1]
    assert len(records.read_waiting_events(["unheard-of"], arrived.seq)) == 0
    assert records.snapshot().interactions["time_ms"].to_list() == [1, 3, 9]


def last(records: SqlRecords, user_ids: Sequence[str], n_events: int, n_shown: int = 0) -> list[list[int]]:
    """Item rows of the states of users."""
    states = records.read_user_states(user_ids, n_events, n_shown)
    assert [state.user_id for state in states] == list(user_ids)
    return [state.item_rows.tolist() for state in states]


def test_a_users_last_events_come_oldest_first_by_time_and_then_arrival(records: SqlRecords) -> None:
    records.append_items(items(*map(item, "abcde")))
    records.append_events(
        events(
            view("u", "a", 30),
            view("u", "b", 10),
            Event("u", EventType.SEARCH, 40, query="no item"),
            view("v", "c", 5),
            view("u", "d", 30),
            view("u", "e", 20),
            view("u", "has not come yet", 50),
        )
    )

    assert last(records, ["v", "u", "nobody", "v"], 3) == [[2], [4, 0, 3], [], [2]]


def test_what_a_user_was_shown_does_not_push_out_what_he_did(records: SqlRecords) -> None:
    records.append_items(items(*map(item, "abc")))
    shown = [Event("u", EventType.IMPRESSION, time_ms, "c") for time_ms in range(10, 30)]
    records.append_events(events(view("u", "a", 1), view("u", "b", 2), *shown, view("u", "a", 31)))

    (state,) = records.read_user_states(["u"], 2, 3)

    assert state.item_rows.tolist() == [1, 2, 2, 2, 0]
    assert state.times_ms.tolist() == [2, 27, 28, 29, 31]


def test_events_in_the_tail_of_a_bulk_import_are_found_like_all_others(
    records: SqlRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.append_items(items(*map(item, "abcde")))
    records.append_events(events(view("u", "a", 1), view("u", "b", 5)))
    monkeypatch.setattr(event_writer, "SMALL_APPEND", 0)
    bulk = events(view("u", "c", 3), view("u", "d", 9), view("v", "e", 4))
    records.append_events(bulk)

    assert last(records, ["u", "v"], 3) == [[2, 1, 3], [4]]
    assert records.append_events(bulk).n_duplicate == 3
    assert records.append_events(events(view("u", "a", 1))).n_duplicate == 1


def test_many_users_are_read_in_one_go(records: SqlRecords) -> None:
    records.append_items(items(*(item(f"i{n}") for n in range(4500))))
    records.append_events(events(*(view(f"u{n % 1500}", f"i{n}", n) for n in range(4500))))

    found = last(records, [f"u{n}" for n in reversed(range(1500))], 2)

    assert (len(found), found[:2]) == (1500, [[2999, 4499], [2998, 4498]])


def test_the_change_feed_gives_every_change_once_and_in_order(records: SqlRecords) -> None:
    records.append_items(items(item("a"), item("b")))
    records.append_events(events(view("u", "a", 1), view("u", "b", 2), view("u", "a", 3)))
    records.append_items(items(item("a", "changed")))

    seq, seen, pages = 0, [], 0
    while True:
        changes = records.changes_since(seq, limit=2)
        seen += [found.title for found in changes.items.rows()] + [event.time_ms for event in changes.events.rows()]
        seq, pages = changes.seq, pages + 1
        if changes.is_complete:
            break

    assert seen == ["A thing", 1, 2, 3, "changed"]  # "a" is given once, as it is now, at its newest number
    assert pages == 3
    assert seq == records.counts()["seq"] == 6
    assert records.changes_since(seq).is_complete


def test_a_checkpoint_is_kept_with_its_rows_and_never_moves_back(records: SqlRecords) -> None:
    assert records.read_checkpoint("file", "f1") is None
    records.append_items(items(item("a")), Checkpoint("file", "f1", 10))
    records.append_events(events(view("u", "a", 1)), Checkpoint("file", "f1", 20))
    records.append_events(events(view("u", "a", 1)), Checkpoint("file", "f1", 15))

    assert records.read_checkpoint("file", "f1") == Checkpoint("file", "f1", 20)
    assert records.read_checkpoint("file", "f2") is None


def test_query_counts_are_of_honest_searches(records: SqlRecords) -> None:
    def search(user_id: str, query: str) -> Event:
        return Event(user_id, EventType.SEARCH, 1, query=query)

    table = events(search("a", "lamp"), search("b", "lamp"), search("a", "desk"), search("robot", "spam"))
    suspects = EventTable.from_frame(table.frame.with_columns(is_suspect=table.frame["user_id"] == "robot"))
    records.append_events(suspects)

    assert list(records.read_query_counts().items()) == [("lamp", 2), ("desk", 1)]
    assert records.counts()["suspect_events"] == 1


def test_erasing_a_user_leaves_nothing_of_him(records: SqlRecords, tmp_path: Path) -> None:
    secret = "Zaphod-Beeblebrox"
    records.append_items(items(item("a")))
    records.append_users(UserTable.from_rows([User(secret, region="SH")]))
    records.append_events(events(view(secret, "a", 1), view(secret, "later", 2), view("other", "a", 3)))
    features = Features(("age",), np.array([[33.0]], np.float32))
    slot = Slot("a", 1.0, 1.0, outcomes={"click": 0.5})
    records.append_slates([Slate("s1", "home", 5, (slot,), secret, "my secret query", ("a",), features=features)])

    n_rows = records.erase_user(secret)

    assert n_rows == 5  # profile, two events, one of them waiting, one slate
    assert records.read_user(secret) is None
    assert last(records, [secret], 10) == [[]]
    assert records.list_events(user_id=secret).rows == []
    assert records.counts()["waiting_events"] == 0
    assert records.snapshot().user_ids == ["other"]
    slate = records.read_slate("s1")
    assert slate is not None
    assert (slate.user_id, slate.query, slate.slots, slate.features) == (None, None, (slot,), None)
    assert records.changes_since(0).n_erasures == 1
    assert records.erase_user(secret) == 0
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()


@contextmanager
def reading_an_older_state(path: Path) -> Iterator[None]:
    """As a training or a backup of another process does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM events").fetchone()
        yield
        other.execute("ROLLBACK")


SECRET = "Zaphod-Beeblebrox"


def lies_on_the_disk(folder: Path) -> bool:
    return any(SECRET.encode() in path.read_bytes() for path in folder.rglob("shop.db*"))


def test_erasing_a_user_waits_for_no_reader_and_the_log_is_emptied_when_he_is_gone(
    records: SqlRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_shedding, "PAUSE_SECONDS", 0.0)
    records.append_events(events(view(SECRET, "a", 1), view("other", "a", 2)))
    with reading_an_older_state(tmp_path / "shop.db"):
        start = time.monotonic()
        records.erase_user(SECRET)
        records.append_events(events(view("other", "a", 3)))
        assert time.monotonic() - start < 5.0
        assert lies_on_the_disk(tmp_path)  # said in the documentation

    records.append_events(events(view("other", "a", 4)))

    assert not lies_on_the_disk(tmp_path)


def test_attempts_to_empty_the_log_are_seldom(records: SqlRecords, tmp_path: Path) -> None:
    records.append_events(events(view(SECRET, "a", 1)))
    with reading_an_older_state(tmp_path / "shop.db"):
        records.erase_user(SECRET)
    records.append_events(events(view("other", "a", 2)))
    assert lies_on_the_disk(tmp_path)

    records.close()

    assert not lies_on_the_disk(tmp_path)


@pytest.mark.parametrize("is_reopened", [False, True])
def test_a_log_that_one_process_could_not_empty_is_emptied_by_another(tmp_path: Path, is_reopened: bool) -> None:
    one, two = SqlRecords.open(tmp_path / "shop.db"), SqlRecords.open(tmp_path / "shop.db")
    one.append_events(events(view(SECRET, "a", 1)))
    with reading_an_older_state(tmp_path / "shop.db"):
        one.erase_user(SECRET)
        one.close()
    assert lies_on_the_disk(tmp_path)

    other = SqlRecords.open(tmp_path / "shop.db") if is_reopened else two
    other.changes_since(2)

    assert not lies_on_the_disk(tmp_path)
    other.close()
    two.close()


def test_no_user_is_named_in_the_trace_of_an_error(records: SqlRecords, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as other:
        other.execute("ALTER TABLE users RENAME TO lost")

    with pytest.raises(OperationalError) as caught:
        records.read_user(SECRET)

    assert "no such table" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_erased_user_who_returns_starts_anew(records: SqlRecords) -> None:
    records.append_items(items(item("a")))
    records.append_events(events(view("u", "a", 1), view("v", "a", 2)))
    records.erase_user("u")

    again = records.append_events(events(view("u", "a", 1)))

    assert (again.n_new, again.n_duplicate) == (1, 0)
    assert last(records, ["u", "v"], 5) == [[0], [0]]


def test_a_closed_store_opens_again_with_everything(tmp_path: Path) -> None:
    first = SqlRecords.open(tmp_path / "shop.db")
    first.append_items(items(FULL_ITEM))
    first.append_events(events(FULL_EVENT))
    first.close()

    second = SqlRecords.open(f"sqlite:///{tmp_path / 'shop.db'}")

    assert second.read_items(["lamp-1"]) == [FULL_ITEM]
    assert second.append_events(events(FULL_EVENT)).n_duplicate == 1
    second.close()


def test_two_stores_on_one_file_see_and_continue_each_others_work(tmp_path: Path) -> None:
    one, two = SqlRecords.open(tmp_path / "shop.db"), SqlRecords.open(tmp_path / "shop.db")
    one.append_items(items(item("a"), item("b")))
    one.append_events(events(view("u", "a", 1)))
    two.append_events(events(view("u", "a", 1), view("u", "a", 2)))
    one.erase_user("u")
    appended = two.append_events(events(view("u", "a", 1), view("w", "b", 3)))

    assert (appended.n_new, appended.n_duplicate) == (2, 0)
    assert last(one, ["u", "w"], 5) == [[0], [1]]
    one.close()
    two.close()


@pytest.mark.parametrize("address", ["postgresql://host/db", "{}/absent/shop.db"])
def test_an_address_that_cannot_be_used_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not known|does not exist"):
        SqlRecords.open(address.format(tmp_path))
