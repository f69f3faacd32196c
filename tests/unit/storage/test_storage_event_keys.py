"""Two events have the same key exactly when they are the same event."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.domain import Event, EventTable, EventType
from aisle.storage.event_keys import event_keys, row_keys

texts = st.none() | st.sampled_from(["", "a", "ab", "b", "k1:a", "1:ak", "é", "\x1f"])
an_event = st.builds(
    Event,
    user_id=st.sampled_from(["u", "u2"]),
    type=st.sampled_from(list(EventType)),
    time_ms=st.integers(-1, 12),
    item_id=st.sampled_from(["a", "ab"]),
    quantity=st.integers(1, 2),
    price_minor=st.none() | st.integers(0, 12),
    rating=st.none() | st.sampled_from([0.0, 0.1, 1.0, 4.5]),
    session_id=texts,
    basket_id=texts,
    slot=st.none() | st.integers(0, 1),
    region=texts,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(an_event, max_size=8))
def test_keys_are_equal_exactly_when_events_are(events: list[Event]) -> None:
    keys = event_keys(EventTable.from_rows(events)).tolist()

    for event, key in zip(events, keys, strict=True):
        for other, other_key in zip(events, keys, strict=True):
            assert (event == other) == (key == other_key)


@settings(max_examples=200, deadline=None)
@given(st.lists(an_event, max_size=6), st.lists(st.none() | st.sampled_from(["", "1", "灯"]), min_size=6, max_size=6))
def test_rows_have_the_keys_of_their_table(events: list[Event], event_ids: list[str | None]) -> None:
    given = [replace(event, event_id=event_id) for event, event_id in zip(events, event_ids, strict=False)]
    table = EventTable.from_rows(given)

    assert row_keys(table.frame.rows()) == event_keys(table).tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(an_event, min_size=1, max_size=6))
def test_a_key_does_not_depend_on_the_batch(events: list[Event]) -> None:
    together = event_keys(EventTable.from_rows(events)).tolist()

    assert together == [event_keys(EventTable.from_rows([event]))[0] for event in events]


def test_an_event_id_is_all_that_counts_when_there_is_one() -> None:
    event = Event("u", EventType.VIEW, 1, "a", event_id="e")
    other = Event("v", EventType.PURCHASE, 2, "b", event_id="e")
    nameless = replace(event, event_id=None)

    first, second, third = event_keys(EventTable.from_rows([event, other, nameless]))

    assert first == second != third


def test_being_suspected_does_not_make_another_event() -> None:
    table = EventTable.from_rows([Event("u", EventType.VIEW, 1, "a")])
    suspect = EventTable.from_frame(table.frame.with_columns(is_suspect=True))

    np.testing.assert_array_equal(event_keys(table), event_keys(suspect))


def test_keys_stay_what_they_are_from_version_to_version() -> None:
    """They are stored: should these numbers change, every event of every shop would be taken for new."""
    named = Event("u", EventType.VIEW, 1, "a", event_id="e-1")
    full = Event(
        "u", EventType.RATE, 1, "灯", None, 2, 3, "CNY", 4.5, "t", "q", "s", "b", "sl", 0, "home", "web", "tv", "SH"
    )

    assert event_keys(EventTable.from_rows([named, full])).tolist() == [NAMED_KEY, FULL_KEY]


# BLAKE2b, 8 bytes, little-endian and signed, of "id:e-1" and of "a1:ub4:ratec1:1d3:灯e1:2...", by hashlib alone.
NAMED_KEY = 5787684921036138672
FULL_KEY = 7459013643783918637
