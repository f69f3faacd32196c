"""Lists and what came of them, joined."""

import numpy as np

from aisle.domain import Event, EventTable, EventType, Features, Slate, Slot
from aisle.ranking.examples import ResponseRows, assemble

NOW_MS = 1_000_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
LATER_MS = NOW_MS + 30 * DAY_MS


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
    found = assemble(
        [slate("s1", ["a", "b"]), slate("s2", ["c"])], responses(("s1", EventType.CLICK, "b", 5)), LATER_MS
    )

    assert found.is_click.tolist() == [False, True]
    assert found.slots.tolist() == [0, 1]


def test_only_items_that_were_seen_count_where_impressions_came():
    found = assemble(
        [slate("s1", ["a", "b", "c", "d"])],
        responses(
            ("s1", EventType.IMPRESSION, "a", 0), ("s1", EventType.IMPRESSION, "b", 0), ("s1", EventType.CLICK, "d", 9)
        ),
        LATER_MS,
    )

    assert found.slots.tolist() == [0, 1, 3]
    assert found.is_click.tolist() == [False, False, True]


def test_a_purchase_or_the_basket_counts_as_a_click():
    found = assemble(
        [slate("s1", ["a", "b", "c"])],
        responses(("s1", EventType.PURCHASE, "a", 9), ("s1", EventType.ADD_TO_CART, "b", 9)),
        LATER_MS,
    )

    assert found.is_click.tolist() == [True, True, False]
    assert found.is_purchase.tolist() == [True, False, False]


def test_what_comes_too_late_is_not_laid_to_the_list():
    found = assemble(
        [slate("s1", ["a", "b"])],
        responses(("s1", EventType.CLICK, "a", 5), ("s1", EventType.PURCHASE, "a", 8 * DAY_MS)),
        LATER_MS,
    )

    assert found.is_click.tolist() == [True, False]
    assert not found.is_purchase.any()


def test_where_impressions_come_a_list_known_by_its_click_alone_is_left_out():
    """200 lists, every second one told of; one in 50 of those is clicked, and 10 of the others, which hides 90."""
    told = [(f"t{n}", EventType.IMPRESSION, "a", 0) for n in range(100)]
    clicked = [(f"t{n}", EventType.CLICK, "a", 5) for n in (3, 70)]
    hidden = [(f"h{n}", EventType.CLICK, "a", 5) for n in range(10)]
    lists = [slate(f"{kind}{n}", ["a"]) for kind in "th" for n in range(100)]

    found = assemble(lists, responses(*told, *clicked, *hidden), LATER_MS)

    assert found.has_impressions
    assert found.is_click.mean() == 0.02


def test_without_impressions_lists_are_known_by_their_clicks_and_that_is_told():
    found = assemble([slate("s1", ["a", "b"])], responses(("s1", EventType.CLICK, "b", 5)), LATER_MS)

    assert not found.has_impressions
    assert not found.where(found.is_click).has_impressions
    assert found.is_click.tolist() == [False, True]


def test_a_list_that_may_yet_be_clicked_is_left_out():
    lists = [slate("s1", ["a"]), slate("s2", ["b"], time_ms=NOW_MS + 20 * 60_000)]
    answers = responses(("s1", EventType.CLICK, "a", 5), ("s2", EventType.IMPRESSION, "b", 20 * 60_000))

    found = assemble(lists, answers, NOW_MS + 40 * 60_000)

    assert found.is_click.tolist() == [True]


def test_how_surely_a_purchase_is_known_grows_with_the_age_of_its_list():
    """100 lists, one an hour: each was bought from, every second one only after a day."""
    lists = [slate(f"s{n}", ["a"], time_ms=NOW_MS + n * HOUR_MS) for n in range(100)]
    delays = [DAY_MS if n % 2 else HOUR_MS for n in range(100)]
    until_ms = NOW_MS + 100 * HOUR_MS
    bought = [n for n in range(100) if n * HOUR_MS + delays[n] <= 100 * HOUR_MS]
    answers = responses(
        *((f"s{n}", EventType.CLICK, "a", n * HOUR_MS) for n in range(100)),
        *((f"s{n}", EventType.PURCHASE, "a", n * HOUR_MS + delays[n]) for n in bought),
    )

    found = assemble(lists, answers, until_ms)

    assert found.purchase_known[:77].tolist() == [1.0] * 77
    np.testing.assert_allclose(found.purchase_known[77:], 0.5, atol=0.05)


def test_what_is_known_ends_with_the_newest_response_and_never_after_now():
    answers = responses(("s1", EventType.CLICK, "a", 5), ("s1", EventType.CLICK, "a", 9))

    assert answers.known_until(LATER_MS) == NOW_MS + 9
    assert answers.known_until(NOW_MS) == NOW_MS
    assert responses().known_until(NOW_MS) == NOW_MS


def test_answers_of_strange_lists_and_items_are_passed_over():
    strange = responses(("s9", EventType.CLICK, "a", 5), ("s1", EventType.CLICK, "z", 5))

    found = assemble([slate("s1", ["a"])], strange, LATER_MS)

    assert found.is_click.tolist() == [False]


def test_lists_with_other_features_are_brought_under_one_set_of_names():
    old = slate("s1", ["a"], names=("gone", "kept"), time_ms=NOW_MS)
    new = slate("s2", ["b"], names=("kept", "added"), time_ms=NOW_MS + 1)

    found = assemble([new, old], responses(("s1", EventType.CLICK, "a", 5), ("s2", EventType.CLICK, "b", 5)), LATER_MS)

    assert found.features.names == ("kept", "added", "gone")
    assert found.times_ms.tolist() == [NOW_MS, NOW_MS + 1]
    np.testing.assert_array_equal(found.features.values, [[1.0, np.nan, 0.0], [0.0, 1.0, np.nan]])


def test_the_chance_that_put_an_item_there_is_kept():
    found = assemble([slate("s1", ["a"], propensity=0.25)], responses(("s1", EventType.CLICK, "a", 5)), LATER_MS)

    assert found.propensities.tolist() == [0.25]


def test_no_lists_are_no_examples():
    assert len(assemble([], responses(), LATER_MS)) == 0
    assert len(assemble([slate("s1", ["a"])], responses(), LATER_MS)) == 0
