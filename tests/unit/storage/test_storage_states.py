"""A user's state reflects everything acknowledged, in order, whatever else goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aisle.domain import EVENT_CODE, Catalogue, Event, EventTable, EventType, Item, ItemTable, ItemText, UserState
from aisle.storage import LiveStates, SqlRecords


def stocked(records: SqlRecords, *item_ids: str) -> Catalogue:
    """The catalogue of a store that has these items."""
    table = ItemTable.from_rows([Item(item_id, (ItemText("en", item_id),)) for item_id in item_ids])
    records.append_items(table)
    return Catalogue(table)


def view(user_id: str, item_id: str, time_ms: int) -> Event:
    return Event(user_id, EventType.VIEW, time_ms, item_id)


def happen(records: SqlRecords, states: LiveStates, *events: Event) -> None:
    table = EventTable.from_rows(events)
    records.append_events(table)
    states.record(table)


class CountingRecords(SqlRecords):
    """The real store, which notes how often users are read, and can be made to wait after reading."""

    reads = 0
    has_read: threading.Event | None = None
    may_return: threading.Event | None = None

    def read_user_states(self, user_ids: Sequence[str], n_events: int, n_shown: int) -> list[UserState]:
        type(self).reads += 1
        found = super().read_user_states(user_ids, n_events, n_shown)
        if self.has_read is not None and self.may_return is not None:
            self.has_read.set()
            self.may_return.wait(10)
        return found


def test_a_state_holds_known_items_oldest_first(records: SqlRecords) -> None:
    states = LiveStates(records, stocked(records, "a", "b"))
    happen(records, states, view("u", "b", 9), view("u", "unknown", 5), view("u", "a", 2))

    (state,) = states.read(["u"])

    assert state.item_rows.tolist() == [0, 1]
    assert state.times_ms.tolist() == [2, 9]
    assert state.types.tolist() == [EVENT_CODE[EventType.VIEW]] * 2


def test_an_unknown_user_and_nobody_have_empty_states(records: SqlRecords) -> None:
    states = LiveStates(records, stocked(records, "a"))

    unknown, nobody = states.read(["u", None])

    assert (unknown.user_id, nobody.user_id) == ("u", None)
    assert len(unknown.item_rows) == len(nobody.item_rows) == 0


def test_what_was_recorded_is_in_the_next_state_once(records: SqlRecords) -> None:
    states = LiveStates(records, stocked(records, "a", "b"))
    happen(records, states, view("u", "a", 1))
    states.read(["u"])

    happen(records, states, view("u", "b", 2))
    happen(records, states, view("u", "b", 2))

    assert states.read(["u"])[0].item_rows.tolist() == [0, 1]


def test_only_the_latest_events_are_kept(records: SqlRecords) -> None:
    states = LiveStates(records, stocked(records, *"abcde"), events_a_user=2)
    happen(records, states, *(view("u", item_id, time) for time, item_id in enumerate("abcde")))

    assert states.read(["u"])[0].item_rows.tolist() == [3, 4]


def test_many_users_take_one_read_and_then_none(tmp_path: Path) -> None:
    CountingRecords.reads = 0
    records = CountingRecords.open(tmp_path / "shop.db")
    states = LiveStates(records, stocked(records, "a"))
    happen(records, states, *(view(f"u{n}", "a", n) for n in range(3000)))
    asked = [f"u{n}" for n in range(3000)]

    first, second = states.read(asked), states.read(asked)

    assert [state.times_ms.tolist() for state in first] == [[n] for n in range(3000)]
    assert [state.user_id for state in second] == asked
    assert CountingRecords.reads == 1
    records.close()


def test_more_users_than_are_kept_are_all_answered(records: SqlRecords) -> None:
    states = LiveStates(records, stocked(records, "a"), kept_users=3)
    happen(records, states, *(view(f"u{n}", "a", n) for n in range(10)))

    assert [state.times_ms.tolist() for state in states.read([f"u{n}" for n in range(10)])] == [[n] for n in range(10)]
    assert len(states._states) == 3


def test_a_forgotten_user_is_read_anew(records: SqlRecords) -> None:
    states = LiveStates(records, stocked(records, "a"))
    happen(records, states, view("u", "a", 1))
    states.read(["u"])

    records.erase_user("u")
    states.forget("u")

    assert len(states.read(["u"])[0].item_rows) == 0


def test_a_state_that_is_being_read_while_all_are_forgotten_is_not_kept(tmp_path: Path) -> None:
    records = CountingRecords.open(tmp_path / "shop.db")
    states = LiveStates(records, stocked(records, "a"))
    happen(records, states, view("u", "a", 1))
    records.has_read, records.may_return = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(states.read, ["u"])
        records.has_read.wait(10)
        records.erase_user("u")
        states.forget_all()
        records.may_return.set()
        slow.result()

    assert len(states.read(["u"])[0].item_rows) == 0
    records.close()


def test_an_event_that_comes_while_the_state_is_being_read_is_not_lost(tmp_path: Path) -> None:
    records = CountingRecords.open(tmp_path / "shop.db")
    states = LiveStates(records, stocked(records, "a", "b"))
    happen(records, states, view("u", "a", 1))
    records.has_read, records.may_return = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(states.read, ["u"])
        records.has_read.wait(10)
        happen(records, states, view("u", "b", 2))
        records.may_return.set()
        slow.result()

    assert states.read(["u"])[0].item_rows.tolist() == [0, 1]
    records.close()
