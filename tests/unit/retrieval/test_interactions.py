"""Histories cut into steps, and weighed when a request is answered."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.domain import EventType, UserState
from aisle.retrieval.interactions import (
    EVENT_WEIGHTS,
    Recency,
    basket_item_matrix,
    history_steps,
    past_and_future,
    user_item_matrix,
    weight_of_code,
)
from behaviour import DAY_MS, Did, at_day, parts_for, snapshot_of, state_of

CART, VIEW, REFUND = EventType.ADD_TO_CART, EventType.VIEW, EventType.REFUND


def steps_of(events: list[Did], longest: int = 100):
    return history_steps(snapshot_of(events, "abcd"), EVENT_WEIGHTS, longest)


def recency(decay: float = 0.5, half_life_days: float | None = None, longest: int = 100) -> Recency:
    return Recency(weight_of_code(EVENT_WEIGHTS), decay, half_life_days, longest)


def test_a_basket_and_a_moment_are_one_step() -> None:
    events = [Did("u", "a", 0), Did("u", "b", 1, basket="k"), Did("u", "c", 1.2, basket="k"), Did("u", "d", 2)]
    steps = steps_of([*events, Did("u", "a", 2)])

    assert list(zip(steps.item.tolist(), steps.step.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 1), (3, 2), (0, 2)]
    np.testing.assert_array_equal(basket_item_matrix(steps).toarray(), [[0, 1, 1, 0], [1, 0, 0, 1]])


def test_a_pair_weighs_its_strongest_event_less_its_withdrawal() -> None:
    events = [Did("u", "a", 0, VIEW), Did("u", "a", 1, CART), Did("u", "b", 1), Did("u", "b", 2, REFUND)]
    events += [Did("u", "c", 3, CART), Did("u", "c", 3.5, EventType.REMOVE_FROM_CART)]
    found = user_item_matrix(steps_of(events)).toarray()

    np.testing.assert_allclose(found, [[0.8, 0.0, 0.4, 0.0]], atol=1e-6)


def test_impressions_and_searches_say_nothing() -> None:
    assert len(steps_of([Did("u", "a", 0, EventType.IMPRESSION), Did("u", "b", 0, EventType.VIEW_PROMOTION)])) == 0


def test_only_the_last_items_of_a_long_history_are_kept() -> None:
    steps = steps_of([Did("u", item, day) for day, item in enumerate("abcd")], longest=2)

    assert steps.item.tolist() == [2, 3]
    assert steps.step.tolist() == [0, 1]


def test_past_and_future_do_not_cross_users() -> None:
    events = [Did("u", "a", 0), Did("u", "b", 1), Did("v", "c", 0), Did("v", "d", 1), Did("w", "a", 5)]
    before, after = past_and_future(steps_of(events), decay=0.5, window=5)

    np.testing.assert_array_equal(before.toarray(), [[1, 0, 0, 0], [0, 0, 1, 0]])
    np.testing.assert_array_equal(after.toarray(), [[0, 1, 0, 0], [0, 0, 0, 1]])


def test_the_window_ends_what_is_looked_at() -> None:
    events = [Did("u", item, day) for day, item in enumerate("abcd")]
    before, _ = past_and_future(steps_of(events), decay=0.5, window=2)

    np.testing.assert_array_equal(before.toarray(), [[1, 0, 0, 0], [0.5, 1, 0, 0], [0, 0.5, 1, 0]])


def test_nothing_happened() -> None:
    steps = steps_of([])
    before, after = past_and_future(steps, 0.5, 3)

    assert (user_item_matrix(steps).shape, basket_item_matrix(steps).shape) == ((0, 4), (0, 4))
    assert before.shape == after.shape == (0, 4)


def weighed(events: list[Did], found: Recency, day: float = 10) -> dict[str, float]:
    catalogue = parts_for(snapshot_of([], "abcd")).catalogue
    rows, weights = found.of(state_of(events, catalogue), at_day(day))
    return dict(zip(catalogue.ids(rows), weights.tolist(), strict=True))


def test_recent_items_weigh_more_and_a_basket_has_no_order() -> None:
    events = [Did("u", "a", 0), Did("u", "b", 1), Did("u", "c", 2), Did("u", "d", 2)]

    assert weighed(events, recency()) == {"a": 0.25, "b": 0.5, "c": 1.0, "d": 1.0}


def test_an_item_counts_once_at_its_last_time_with_its_strongest_event() -> None:
    events = [Did("u", "a", 0), Did("u", "b", 1), Did("u", "a", 2, VIEW)]

    assert weighed(events, recency()) == {"a": 1.0, "b": 0.5}


def test_a_refund_takes_an_item_out_of_the_history() -> None:
    assert weighed([Did("u", "a", 0), Did("u", "b", 1), Did("u", "a", 2, REFUND)], recency()) == {"b": 1.0}


def test_with_a_half_life_days_count_too() -> None:
    found = weighed([Did("u", "a", 0), Did("u", "b", 5)], recency(half_life_days=5.0), day=10)

    assert found == pytest.approx({"a": 0.5 * 0.25, "b": 0.5})


def test_a_long_history_is_cut_to_its_newest_items() -> None:
    assert set(weighed([Did("u", item, day) for day, item in enumerate("abcd")], recency(longest=2))) == {"c", "d"}


def test_an_empty_history_weighs_nothing() -> None:
    rows, weights = recency().of(UserState.empty("u"), DAY_MS)

    assert (len(rows), len(weights)) == (0, 0)
