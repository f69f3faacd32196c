"""Lists and what came of them, joined."""

import numpy as np

from aisle.domain import Event, EventTable, EventType, Features, Slate, Slot
from aisle.ranking.examples import ResponseRows, assemble

NOW_MS = 1_000_000_000_000
DAY_MS = 86_400_000


def slate(slate_id, item_ids, *, names=("a",), time_ms=NOW_MS, propensity=1.0):
    values = np.arange(len(item_ids) * len(names), dtype=np.float32).reshape(len(item_ids), len(names))
    slots = tuple(Slot(item_id, 1.0, propensity) for item_id in item_ids)
    return Slate(slate_id, "home", time_ms, slots, features=Features(names, values))


def responses(*events):
    return ResponseRows.of(
        [
            EventTable.from_rows(
                Event("u", event_type, NOW_MS + after_ms, item_id, slate_id=slate_id)
                for slate_id, event_type, item_id, after_ms in events
            )
        ]
    )


def test_a_list_that_nobody_answered_was_not_shown():
    found = assemble([slate("s1", ["a", "b"]), slate("s2", ["c"])], responses(("s1", EventType.CLICK, "b", 5)))

    assert found.is_click.tolist() == [False, True]
    assert found.slots.tolist() == [0, 1]


def test_only_items_that_were_seen_count_where_impressions_came():
    found = assemble(
        [slate("s1", ["a", "b", "c", "d"])],
        responses(
            ("s1", EventType.IMPRESSION, "a", 0), ("s1", EventType.IMPRESSION, "b", 0), ("s1", EventType.CLICK, "d", 9)
        ),
    )

    assert found.slots.tolist() == [0, 1, 3]
    assert found.is_click.tolist() == [False, False, True]


def test_a_purchase_or_the_basket_counts_as_a_click():
    found = assemble(
        [slate("s1", ["a", "b", "c"])],
        responses(("s1", EventType.PURCHASE, "a", 9), ("s1", EventType.ADD_TO_CART, "b", 9)),
    )

    assert found.is_click.tolist() == [True, True, False]
    assert found.is_purchase.tolist() == [True, False, False]


def test_what_comes_too_late_is_not_laid_to_the_list():
    found = assemble(
        [slate("s1", ["a", "b"])],
        responses(("s1", EventType.CLICK, "a", 5), ("s1", EventType.PURCHASE, "a", 8 * DAY_MS)),
    )

    assert found.is_click.tolist() == [True, False]
    assert not found.is_purchase.any()


def test_answers_of_strange_lists_and_items_are_passed_over():
    found = assemble([slate("s1", ["a"])], responses(("s9", EventType.CLICK, "a", 5), ("s1", EventType.CLICK, "z", 5)))

    assert found.is_click.tolist() == [False]


def test_lists_with_other_features_are_brought_under_one_set_of_names():
    old = slate("s1", ["a"], names=("gone", "kept"), time_ms=NOW_MS)
    new = slate("s2", ["b"], names=("kept", "added"), time_ms=NOW_MS + 1)

    found = assemble([new, old], responses(("s1", EventType.CLICK, "a", 5), ("s2", EventType.CLICK, "b", 5)))

    assert found.features.names == ("kept", "added", "gone")
    assert found.times_ms.tolist() == [NOW_MS, NOW_MS + 1]
    np.testing.assert_array_equal(found.features.values, [[1.0, np.nan, 0.0], [0.0, 1.0, np.nan]])


def test_the_chance_that_put_an_item_there_is_kept():
    found = assemble([slate("s1", ["a"], propensity=0.25)], responses(("s1", EventType.CLICK, "a", 5)))

    assert found.propensities.tolist() == [0.25]


def test_no_lists_are_no_examples():
    assert len(assemble([], responses())) == 0
    assert len(assemble([slate("s1", ["a"])], responses())) == 0
