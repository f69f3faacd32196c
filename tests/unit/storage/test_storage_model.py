"""Any sequence of appends leaves what a few lines of Python would."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.domain import EVENT_CODE, Event, EventTable, EventType, Item, ItemTable, ItemText
from aisle.storage import SqlRecords, event_writer, prepared_events

item_ids = st.sampled_from("abcd")
user_ids = st.sampled_from("uvw")
an_event = st.builds(
    Event,
    user_id=user_ids,
    type=st.sampled_from([EventType.VIEW, EventType.PURCHASE]),
    time_ms=st.integers(0, 3),
    item_id=item_ids,
    event_id=st.none() | st.sampled_from(["1", "2", "3"]),
    price_minor=st.none() | st.integers(0, 2),
    session_id=st.none() | st.sampled_from(["", "s"]),
)
an_item = st.builds(lambda item_id, title: Item(item_id, (ItemText("en", title),)), item_ids, st.sampled_from("xy"))
a_step = st.one_of(
    st.tuples(st.just("events"), st.lists(an_event, max_size=6)),
    st.tuples(st.just("bulk"), st.lists(an_event, max_size=6)),
    st.tuples(st.just("groups"), st.lists(st.lists(an_event, max_size=3), max_size=3)),
    st.tuples(st.just("items"), st.lists(an_item, max_size=4)),
    st.tuples(st.just("erase"), user_ids),
    st.tuples(st.just("reopen"), st.none()),
)


@dataclass
class Model:
    """The store as plain Python."""

    items: dict[str, Item] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    waited: set[str] = field(default_factory=set)

    def append_events(self, events: list[Event]) -> tuple[int, int, int]:
        n_new = n_waiting = 0
        for event in events:
            same_id = event.event_id is not None and any(old.event_id == event.event_id for old in self.events)
            if same_id or (event.event_id is None and event in self.events):
                continue
            self.events.append(event)
            n_new += 1
            n_waiting += event.item_id not in self.items
        return n_new, len(events) - n_new, n_waiting

    def append_items(self, items: list[Item]) -> tuple[int, int]:
        last = {item.item_id: item for item in items}
        n_new = sum(item_id not in self.items for item_id in last)
        n_changed = sum(item_id in self.items and self.items[item_id] != item for item_id, item in last.items())
        self.items.update(last)
        return n_new, n_changed

    def last_events(self, user_id: str, limit: int) -> list[tuple[int, int, int]]:
        row_of = {item_id: row for row, item_id in enumerate(self.items)}
        mine = [event for event in self.events if event.user_id == user_id and event.item_id in row_of]
        latest = sorted(mine, key=lambda event: event.time_ms)[-limit:]
        return [(row_of[str(event.item_id)], EVENT_CODE[event.type], event.time_ms) for event in latest]


def play(records: SqlRecords, model: Model, kind: str, given: list) -> None:
    if kind in ("events", "bulk"):
        is_bulk = kind == "bulk"
        with (
            patch.object(event_writer, "SMALL_APPEND", 0 if is_bulk else 5_000),
            patch.object(prepared_events, "FEW_EVENTS", 0 if is_bulk else 2_000),
        ):
            appended = records.append_events(EventTable.from_rows(given))
        assert (appended.n_new, appended.n_duplicate, appended.n_waiting) == model.append_events(given)
    elif kind == "groups":
        together = EventTable.from_rows([event for group in given for event in group])
        told = records.append_event_groups(together, [len(group) for group in given])
        counted = [(appended.n_new, appended.n_duplicate, appended.n_waiting) for appended in told]
        assert counted == [model.append_events(group) for group in given]
    elif kind == "items":
        appended = records.append_items(ItemTable.from_rows(given))
        assert (appended.n_new, appended.n_changed) == model.append_items(given)
    elif kind == "erase":
        records.erase_user(str(given))
        model.events = [event for event in model.events if event.user_id != given]


@settings(max_examples=60, deadline=None)
@given(st.lists(a_step, max_size=8), st.integers(1, 4), st.sampled_from([1, 3, 500_000]))
def test_any_sequence_of_appends_equals_the_model(steps: list, limit: int, tail_length: int) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder, patch.object(event_writer, "TAIL_LENGTH", tail_length):
        records = SqlRecords.open(Path(folder) / "shop.db")
        for kind, given in steps:
            if kind == "reopen":
                records.close()
                records = SqlRecords.open(Path(folder) / "shop.db")
            else:
                play(records, model, kind, given)
        check(records, model, limit)
        records.close()


def check(records: SqlRecords, model: Model, limit: int) -> None:
    changes = records.changes_since(0)
    assert list(changes.events.rows()) == model.events
    assert {item.item_id: item for item in changes.items.rows()} == model.items
    for user_id in "uvw":
        (state,) = records.read_user_states([user_id], limit, limit)
        found = zip(state.item_rows.tolist(), state.types.tolist(), state.times_ms.tolist(), strict=True)
        assert list(found) == model.last_events(user_id, limit)
        mine = [event for event in model.events if event.user_id == user_id]
        assert list(records.list_events(user_id=user_id).rows) == mine[::-1]
    known = [event for event in model.events if event.item_id in model.items]
    snapshot = records.snapshot()
    rows = list(model.items)
    assert snapshot.items.frame["item_id"].to_list() == rows
    found = snapshot.interactions.select("user_row", "item_row", "time_ms", "price_minor", "session_id").rows()
    assert [(snapshot.user_ids[user], rows[item], *rest) for user, item, *rest in found] == [
        (event.user_id, event.item_id, event.time_ms, event.price_minor, event.session_id)
        for event in sorted(known, key=lambda event: event.time_ms)
    ]
    counts = records.counts()
    assert counts["events"] == len(model.events)
    assert counts["waiting_events"] == len(model.events) - len(known)
