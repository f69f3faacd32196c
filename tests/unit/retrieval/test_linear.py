"""The linear source as a shop uses it."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.domain import EventTable, EventType, Item, ItemTable, ItemText
from aisle.errors import CorruptError
from aisle.retrieval.linear import Linear, LinearConfig
from aisle.testing import tiny_shop
from behaviour import Did, answer, ask, items_of, parts_for, snapshot_of

PAIRS = [Did(f"u{k}", item, day) for k in range(8) for day, item in enumerate("ab" if k % 2 else "cd")]
CONFIG = LinearConfig(ridge=1.0)


def fitted(events: list[Did] = PAIRS, items: str | ItemTable = "abcdef", config: LinearConfig = CONFIG):
    snapshot = snapshot_of(events, items)
    parts = parts_for(snapshot)
    return Linear.fit("linear", snapshot, config, parts), parts.catalogue


def test_the_history_leads_to_what_others_took_next() -> None:
    source, catalogue = fitted()

    assert answer(source, ask(catalogue, [Did("x", "a", 0)]), catalogue) == ["b"]
    assert answer(source, ask(catalogue, [Did("x", "c", 0)]), catalogue) == ["d"]


def test_it_learns_which_way_the_order_goes() -> None:
    source, catalogue = fitted(config=LinearConfig(ridge=1.0, sequence_share=1.0))
    (forward,) = source.score([ask(catalogue, [Did("x", "a", 0)])], [catalogue.rows(["b"])])
    (backward,) = source.score([ask(catalogue, [Did("x", "b", 0)])], [catalogue.rows(["a"])])

    assert forward[0] > 0.5
    assert np.isnan(backward[0]) or backward[0] < 0.1


def test_a_basket_has_no_order() -> None:
    events = [Did(f"u{k}", item, 0, basket=f"k{k}") for k in range(5) for item in "ab"]
    source, catalogue = fitted(events)
    one_way, other_way = (
        source.score([ask(catalogue, about=anchor)], [catalogue.rows([other])])[0][0] for anchor, other in ("ab", "ba")
    )

    assert one_way == pytest.approx(other_way)
    assert one_way > 0.5


def test_the_items_of_the_page_come_before_the_history() -> None:
    source, catalogue = fitted()
    request = ask(catalogue, [Did("x", "a", 0)], about="c")

    assert answer(source, request, catalogue) == ["d", "b"]


def test_recent_events_count_more() -> None:
    source, catalogue = fitted()

    assert answer(source, ask(catalogue, [Did("x", "a", 0), Did("x", "c", 1)]), catalogue)[0] == "d"
    assert answer(source, ask(catalogue, [Did("x", "c", 0), Did("x", "a", 1)]), catalogue)[0] == "b"


def test_a_purchase_says_more_than_a_view() -> None:
    source, catalogue = fitted()
    history = [Did("x", "a", 0, EventType.PURCHASE), Did("x", "c", 0, EventType.VIEW)]

    assert answer(source, ask(catalogue, history), catalogue)[0] == "b"


def test_likeness_in_columns_reaches_items_that_nobody_took_together() -> None:
    table = ItemTable.concat([items_of("ab", brand="Maple"), items_of("cdef", brand="Hillside")])
    source, catalogue = fitted([Did("u", "a", 0), Did("v", "c", 0)], table)

    assert answer(source, ask(catalogue, [Did("x", "a", 0)]), catalogue)[0] == "b"


def test_a_large_catalogue_is_solved_by_neighbours_with_the_same_answers() -> None:
    exact, catalogue = fitted()
    sparse, _ = fitted(config=LinearConfig(ridge=1.0, exact_limit=0))
    requests = [ask(catalogue, [Did("x", item, 0)]) for item in "abcdef"]

    for one, other in zip(exact.retrieve(requests, 3), sparse.retrieve(requests, 3), strict=True):
        np.testing.assert_array_equal(one.item_rows, other.item_rows)
        np.testing.assert_allclose(one.fused, other.fused, atol=1e-5)


def test_nothing_allowed_is_proposed_twice_or_against_the_request() -> None:
    source, catalogue = fitted()
    history = [Did("x", "a", 0), Did("x", "c", 1)]
    allowed = np.ones(6, dtype=np.bool_)
    allowed[catalogue.row("d")] = False

    assert answer(source, ask(catalogue, history, allowed=allowed), catalogue) == ["b"]
    assert answer(source, ask(catalogue, history, excluded_rows=catalogue.rows(["b"])), catalogue) == ["d"]


def test_items_that_came_after_the_fit_are_met_without_harm() -> None:
    source, catalogue = fitted()
    new = ItemTable.from_rows([Item("new", (ItemText("en", "new"),))])
    catalogue.extend(new)
    source.extend(new, EventTable.empty())
    request = ask(catalogue, [Did("x", "new", 0), Did("x", "a", 0)])

    assert answer(source, request, catalogue) == ["b"]
    assert np.isnan(source.score([request], [catalogue.rows(["new"])])[0][0])


def test_a_shop_without_events_answers_nothing() -> None:
    source, catalogue = fitted([])

    assert answer(source, ask(catalogue, [Did("x", "a", 0)]), catalogue) == []


def test_what_is_saved_answers_alike_and_damage_is_noticed(tmp_path) -> None:
    source, catalogue = fitted()
    source.save(tmp_path)
    parts = parts_for(snapshot_of(PAIRS, "abcdef"))
    request = ask(catalogue, [Did("x", "a", 0)])

    again = Linear.load("linear", tmp_path, CONFIG, parts)

    np.testing.assert_array_equal(again.retrieve([request], 5)[0].fused, source.retrieve([request], 5)[0].fused)
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(CorruptError, match="aisle train"):
        Linear.load("linear", tmp_path, CONFIG, parts)


def test_the_tiny_shop_has_its_known_answers() -> None:
    shop = tiny_shop()
    parts = parts_for(shop.snapshot)
    source = Linear.fit("linear", shop.snapshot, LinearConfig(), parts)

    assert answer(source, ask(parts.catalogue, [Did("dora", "kettle", 27)]), parts.catalogue)[0] == "green-tea"
    assert answer(source, ask(parts.catalogue, [Did("finn", "boots", 24)]), parts.catalogue)[0] == "socks"
