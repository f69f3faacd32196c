"""The promises of ``contracts.StateStore``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aisle.contracts import RecordStore, StateStore
from aisle.domain import EVENT_CODE, Catalogue, Event, EventTable, EventType, ItemTable, UserState
from aisle.testing.conformance.files import empty_folder
from aisle.testing.conformance.promises import Promise, in_threads
from aisle.testing.tiny import NOW_MS, TinyShop, tiny_shop


def check_state_store(
    make: Callable[[RecordStore, Catalogue], StateStore], make_records: Callable[[Path], RecordStore]
) -> None:
    """Examine a state store.

    Args:
        make: a fresh one over a record store and the catalogue that gives items their rows.
        make_records: the record store that is kept in a folder.

    Raises:
        ContractError: names the promise that is broken and what was found.
    """
    shop = tiny_shop()
    with empty_folder() as folder:
        records = make_records(folder)
        records.append_items(ItemTable.from_rows(shop.items))
        records.append_events(EventTable.from_rows(shop.events))
        states = make(records, shop.catalogue)
        name = f"state store {type(states).__name__}"
        _knows_what_was_before(name, states, shop)
        _sees_what_was_acknowledged(name, states, records, shop)
        _is_safe_in_threads(name, states, records)
        with Promise(name, "a user who was erased is forgotten") as promise:
            records.erase_user("bob")
            states.forget("bob")
            promise.require(not len(states.read(["bob"])[0].item_rows), "there is still a state")
        with Promise(name, "when everybody is forgotten, states are read anew") as promise:
            kept = states.read(["ann", "cai"])
            records.erase_user("ann")  # as another process would
            states.forget_all()
            ann, cai = states.read(["ann", "cai"])
            promise.require(not len(ann.item_rows), "there is still a state of the one who was erased")
            promise.require(len(cai.item_rows) == len(kept[1].item_rows), "another user's state changed")
        records.close()


def _knows_what_was_before(name: str, states: StateStore, shop: TinyShop) -> None:
    with Promise(name, "the states, in order: what each user did, oldest first") as promise:
        user_ids = [user.user_id for user in reversed(shop.users)]
        for state, user_id in zip(states.read(user_ids), user_ids, strict=True):
            wanted = [e for e in shop.events if e.user_id == user_id and e.item_id is not None]
            promise.require(state.user_id == user_id, f"the state of {state.user_id!r} instead of {user_id!r}")
            _require_state(promise, state, [(shop.row(e.item_id or ""), e.type, e.time_ms) for e in wanted])
    with Promise(name, "an empty state for somebody unknown, for nobody, and none for none") as promise:
        unknown, nobody, known = states.read(["stranger", None, "ann"])
        promise.require((unknown.user_id, nobody.user_id) == ("stranger", None), "the user ids are not kept")
        promise.require(not len(unknown.item_rows) and not len(nobody.item_rows), "there is a state")
        promise.require(len(known.item_rows) > 0, "a known user beside them has none")
        promise.require(states.read([]) == [], "an answer to no question")


def _sees_what_was_acknowledged(name: str, states: StateStore, records: RecordStore, shop: TinyShop) -> None:
    with Promise(name, "a state reflects everything that was acknowledged") as promise:
        before = states.read(["ann"])[0]
        n_before = len(before.item_rows)
        news = EventTable.from_rows(
            [
                Event("ann", EventType.VIEW, NOW_MS + 1, "boots", event_id="state-1"),
                Event("newcomer", EventType.PURCHASE, NOW_MS + 2, "socks", event_id="state-2"),
                Event("newcomer", EventType.VIEW, NOW_MS + 3, "not-in-the-catalogue", event_id="state-3"),
            ]
        )
        records.append_events(news)
        states.record(news)
        ann, newcomer = states.read(["ann", "newcomer"])
        promise.require(len(ann.item_rows) == n_before + 1, f"{len(ann.item_rows)} events, wanted {n_before + 1}")
        last = (int(ann.item_rows[-1]), int(ann.types[-1]), int(ann.times_ms[-1]))
        promise.require(last == (shop.row("boots"), EVENT_CODE[EventType.VIEW], NOW_MS + 1), f"the last is {last}")
        _require_state(promise, newcomer, [(shop.row("socks"), EventType.PURCHASE, NOW_MS + 2)])
        promise.require(len(before.item_rows) == n_before, "a state that was handed out changed")
    with Promise(name, "what is recorded twice counts once, what comes late is put in its place") as promise:
        records.append_events(news)
        states.record(news)
        late = EventTable.from_rows([Event("ann", EventType.VIEW, NOW_MS, "socks", event_id="state-4")])
        records.append_events(late)
        states.record(late)
        state = states.read(["ann"])[0]
        promise.require(len(state.item_rows) == n_before + 2, f"{len(state.item_rows)} events, wanted {n_before + 2}")
        promise.require((state.times_ms[1:] >= state.times_ms[:-1]).all(), f"times are {state.times_ms.tolist()}")


def _is_safe_in_threads(name: str, states: StateStore, records: RecordStore) -> None:
    with Promise(name, "safe in several threads: each sees its own acknowledged events at once") as promise:

        def work(number: int) -> None:
            user_id = f"thread-{number}"
            for round_ in range(1, 6):
                event = Event(user_id, EventType.VIEW, NOW_MS + round_, "kettle", event_id=f"{user_id}-{round_}")
                events = EventTable.from_rows([event])
                records.append_events(events)
                states.record(events)
                n_found = len(states.read(["ann", user_id])[1].item_rows)
                promise.require(n_found == round_, f"{n_found} events after {round_} were acknowledged")

        in_threads(work)


def _require_state(promise: Promise, state: UserState, wanted: list[tuple[int, EventType, int]]) -> None:
    told = list(zip(state.item_rows.tolist(), state.types.tolist(), state.times_ms.tolist(), strict=True))
    expected = [(row, EVENT_CODE[event_type], time_ms) for row, event_type, time_ms in wanted]
    promise.require(told == expected, f"rows, types and times are {told}, wanted {expected}")
