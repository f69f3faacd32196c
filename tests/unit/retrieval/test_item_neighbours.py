"""Neighbours of items, also of those that only new events brought together."""

from __future__ import annotations

import numpy as np

from aisle.domain import EventTable, EventType, ItemTable
from aisle.retrieval.item_neighbours import ItemNeighbours, ItemNeighboursConfig
from behaviour import Did, answer, ask, event_table, items_of, parts_for, snapshot_of

EVENTS = [Did(f"u{k}", item, day) for k in range(6) for day, item in enumerate("ab" if k % 3 else "cd")]


def fitted(events: list[Did] = EVENTS, **config: float):
    snapshot = snapshot_of(events, "abcdef")
    parts = parts_for(snapshot)
    return ItemNeighbours.fit("neighbours", snapshot, ItemNeighboursConfig(**config), parts), parts.catalogue


def test_an_item_page_shows_what_the_same_people_took() -> None:
    source, catalogue = fitted()

    assert answer(source, ask(catalogue, about="a"), catalogue) == ["b"]
    assert answer(source, ask(catalogue, about="b"), catalogue) == ["a"]
    assert answer(source, ask(catalogue, about="e"), catalogue) == []


def test_without_a_page_the_history_counts() -> None:
    source, catalogue = fitted(history_decay=0.2)

    assert answer(source, ask(catalogue, [Did("x", "b", 0), Did("x", "d", 1)]), catalogue) == ["c", "a"]
    assert answer(source, ask(catalogue, [Did("x", "d", 0), Did("x", "b", 1)]), catalogue) == ["a", "c"]


def test_more_meetings_are_trusted_more() -> None:
    source, catalogue = fitted()
    request = [ask(catalogue, about="a"), ask(catalogue, about="c")]
    often, seldom = source.score(request, [catalogue.rows(["b"]), catalogue.rows(["d"])])

    assert often[0] > seldom[0]


def test_items_too_far_apart_have_not_met() -> None:
    source, catalogue = fitted([Did("u", item, day) for day, item in enumerate("abc")], window=1)

    assert set(answer(source, ask(catalogue, about="b"), catalogue)) == {"a", "c"}
    assert answer(source, ask(catalogue, about="a"), catalogue) == ["b"]


def test_new_events_bring_new_neighbours_across_calls() -> None:
    source, catalogue = fitted()
    source.extend(ItemTable.empty(), event_table([Did("x", "e", 9)]))
    source.extend(ItemTable.empty(), event_table([Did("x", "f", 10), Did("y", "f", 10)]))

    assert answer(source, ask(catalogue, about="e"), catalogue) == ["f"]


def test_a_new_item_takes_part_from_its_first_events() -> None:
    source, catalogue = fitted()
    catalogue.extend(items_of("g"))
    source.extend(items_of("g"), EventTable.empty())
    source.extend(ItemTable.empty(), event_table([Did("x", "a", 9), Did("x", "g", 10)]))

    assert answer(source, ask(catalogue, about="g"), catalogue) == ["a"]
    assert "g" in answer(source, ask(catalogue, about="a"), catalogue)


def test_unknown_items_and_impressions_change_nothing() -> None:
    source, catalogue = fitted()
    before = source.retrieve([ask(catalogue, about="a")], 5)[0]
    source.extend(
        ItemTable.empty(),
        event_table(
            [Did("x", "unknown", 9), Did("x", "a", 9, EventType.IMPRESSION), Did("x", "e", 9, EventType.REFUND)]
        ),
    )

    np.testing.assert_array_equal(source.retrieve([ask(catalogue, about="a")], 5)[0].fused, before.fused)


def test_what_is_saved_answers_alike_also_after_new_events(tmp_path) -> None:
    source, catalogue = fitted()
    source.extend(ItemTable.empty(), event_table([Did("x", "e", 9), Did("x", "f", 10)]))
    source.save(tmp_path)

    again = ItemNeighbours.load("neighbours", tmp_path, ItemNeighboursConfig(), parts_for(snapshot_of([], "abcdef")))

    for letter in "abcdef":
        request = ask(catalogue, about=letter)
        np.testing.assert_array_equal(again.retrieve([request], 5)[0].fused, source.retrieve([request], 5)[0].fused)
