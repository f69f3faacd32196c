"""Splits: what is asked is right, and nothing of it can be read off the training part."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.domain import EVENT_CODE, INTERACTION_SCHEMA, EventType, Item, ItemTable, ItemText, Snapshot
from aisle.errors import DataError
from aisle.evaluation import Split, leave_one_out, query_disjoint, temporal, time_at_share
from aisle.evaluation.splits import normalised_query
from aisle.testing import tiny_shop

VIEW, SHOWN, BOUGHT = EventType.VIEW, EventType.IMPRESSION, EventType.PURCHASE
N_USERS, N_ITEMS = 5, 8


def snapshot_of(happened: list[tuple[int, int, EventType]], times: list[int] | None = None) -> Snapshot:
    """(user, item, type) in order of time."""
    n = len(happened)
    frame = pl.DataFrame(
        {
            "user_row": [user for user, _, _ in happened],
            "item_row": [item for _, item, _ in happened],
            "type": pl.Series([event_type.value for _, _, event_type in happened], dtype=pl.String),
            "time_ms": times or list(range(1000, 1000 + n)),
            "quantity": [1] * n,
            **{name: [None] * n for name in list(INTERACTION_SCHEMA)[5:]},
        }
    ).cast(INTERACTION_SCHEMA)  # type: ignore[arg-type]
    items = ItemTable.from_rows(Item(f"i{row}", (ItemText("en", f"Item {row}"),)) for row in range(N_ITEMS))
    return Snapshot(items, [f"u{row}" for row in range(N_USERS)], frame, n)


histories = st.lists(
    st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1), st.sampled_from([VIEW, SHOWN, BOUGHT])),
    max_size=60,
)


def test_the_last_item_is_asked_and_what_came_before_is_history() -> None:
    split = leave_one_out(snapshot_of([(0, 3, VIEW), (1, 0, VIEW), (0, 5, BOUGHT), (0, 7, VIEW), (1, 2, VIEW)]))
    assert split.cases.user_ids == ["u0", "u1"]
    assert [rows.tolist() for rows in (split.cases.history[0], split.cases.history[1])] == [[3, 5], [0]]
    assert split.cases.targets.items.rows.tolist() == [7, 2]
    assert split.cases.times_ms.tolist() == [1003, 1004]
    state = split.cases.states()[0]
    assert state.user_id == "u0"
    assert state.types.tolist() == [EVENT_CODE[VIEW], EVENT_CODE[BOUGHT]]
    assert state.times_ms.tolist() == [1000, 1002]
    assert split.train.interactions["item_row"].to_list() == [3, 0, 5]


def test_validation_asks_the_last_but_one_and_never_shows_the_last() -> None:
    split = leave_one_out(snapshot_of([(0, item, VIEW) for item in (3, 5, 7, 1)]), validation=True)
    assert split.cases.targets.items.rows.tolist() == [7]
    assert split.cases.history[0].tolist() == [3, 5]
    assert split.train.interactions["item_row"].to_list() == [3, 5]


def test_a_repeated_item_is_asked_where_it_was_first_turned_to() -> None:
    happened = [(0, 3, VIEW), (0, 5, VIEW), (0, 3, BOUGHT), (0, 5, BOUGHT)]
    split = leave_one_out(snapshot_of(happened))
    assert split.cases.targets.items.rows.tolist() == [5]
    assert split.train.interactions["item_row"].to_list() == [3]
    repeated = leave_one_out(snapshot_of(happened), is_new_only=False)
    assert repeated.cases.targets.items.rows.tolist() == [5]
    assert repeated.cases.history[0].tolist() == [3, 5, 3]


def test_impressions_are_neither_asked_nor_history_but_go_when_they_come_later() -> None:
    split = leave_one_out(snapshot_of([(0, 1, SHOWN), (0, 2, VIEW), (0, 3, VIEW), (0, 4, SHOWN)]))
    assert split.cases.targets.items.rows.tolist() == [3]
    assert split.cases.history[0].tolist() == [2]
    assert split.train.interactions["item_row"].to_list() == [1, 2]


def test_users_who_are_too_short_stay_in_training() -> None:
    split = leave_one_out(snapshot_of([(0, 1, VIEW), (1, 2, VIEW), (1, 3, VIEW)]))
    assert split.cases.user_rows.tolist() == [1]
    assert split.train.interactions["item_row"].to_list() == [1, 2]


def test_a_sample_of_cases_holds_everyone_out() -> None:
    happened = [(user, item, VIEW) for item in range(4) for user in range(N_USERS)]
    split = leave_one_out(snapshot_of(happened), max_cases=2, rng=np.random.default_rng(0))
    assert len(split.cases) == 2
    assert 3 not in split.train.interactions["item_row"].to_list()
    assert "2" in split.protocol
    with pytest.raises(DataError, match="rng"):
        leave_one_out(snapshot_of(happened), max_cases=2)


@given(histories, st.booleans())
def test_leave_one_out_does_not_leak(happened, validation) -> None:
    snapshot = snapshot_of(happened)
    split = leave_one_out(snapshot, validation=validation)
    assert_nothing_leaks(snapshot, split)
    asked = dict(zip(split.cases.user_rows.tolist(), split.cases.times_ms.tolist(), strict=True))
    for user, time_ms in split.train.interactions.select("user_row", "time_ms").iter_rows():
        assert user not in asked or time_ms < asked[user]


@given(histories, st.integers(995, 1065), st.integers(0, 2))
def test_temporal_does_not_leak(happened, cut_ms, min_history) -> None:
    snapshot = snapshot_of(happened)
    split = temporal(snapshot, cut_ms, min_history=min_history)
    assert_nothing_leaks(snapshot, split)
    assert (split.train.interactions["time_ms"].to_numpy() < cut_ms).all()
    assert split.train.interactions.height == sum(time < cut_ms for time in snapshot.interactions["time_ms"])
    for case in range(len(split.cases)):
        user = int(split.cases.user_rows[case])
        later = {
            item
            for (who, item, event_type), time in zip(happened, snapshot.interactions["time_ms"], strict=True)
            if who == user and time >= cut_ms and event_type is not SHOWN
        }
        assert set(split.cases.targets.items[case]) == later - set(split.cases.history[case].tolist())
        assert len(split.cases.history[case]) >= min_history


def assert_nothing_leaks(snapshot: Snapshot, split: Split) -> None:
    assert split.train.items is snapshot.items
    assert split.train.user_ids is snapshot.user_ids
    train = {(user, item) for user, item in split.train.interactions.select("user_row", "item_row").iter_rows()}
    shown = {
        (user, item)
        for user, item, event_type in split.train.interactions.select("user_row", "item_row", "type").iter_rows()
        if event_type == SHOWN.value
    }
    for case in range(len(split.cases)):
        user = int(split.cases.user_rows[case])
        targets, history = split.cases.targets.items[case].tolist(), split.cases.history[case].tolist()
        assert targets
        assert not set(targets) & set(history)
        assert not {(user, item) for item in targets} & (train - shown)
        assert {(user, item) for item in history} <= train


def test_what_happens_at_the_cut_is_asked_and_the_end_is_open() -> None:
    happened = [(0, 1, VIEW), (0, 2, VIEW), (0, 3, VIEW), (0, 2, VIEW), (0, 4, VIEW)]
    split = temporal(snapshot_of(happened), 1001, until_ms=1004)
    assert split.cases.targets.items[0].tolist() == [2, 3]
    assert split.cases.history[0].tolist() == [1]
    assert split.cases.times_ms.tolist() == [1001]


def test_an_unknown_user_is_asked_when_no_history_is_needed() -> None:
    happened = [(0, 1, VIEW), (1, 2, VIEW)]
    assert temporal(snapshot_of(happened), 1001, min_history=0).cases.user_ids == ["u1"]
    assert len(temporal(snapshot_of(happened), 1001).cases) == 0


def test_the_cut_at_a_share_leaves_that_share_before_it() -> None:
    snapshot = snapshot_of([(0, item % N_ITEMS, VIEW) for item in range(10)])
    assert temporal(snapshot, time_at_share(snapshot, 0.8)).train.interactions.height == 8
    with pytest.raises(DataError, match="bring in"):
        time_at_share(snapshot_of([]), 0.5)


def test_an_empty_shop_gives_no_cases() -> None:
    for split in (leave_one_out(snapshot_of([])), temporal(snapshot_of([]), 0)):
        assert len(split.cases) == 0
        assert split.cases.states() == []


def test_the_tiny_shop_asks_dora_nothing_new_and_bob_the_umbrella() -> None:
    shop = tiny_shop()
    split = leave_one_out(shop.snapshot)
    targets = {
        user_id: shop.items[int(split.cases.targets.items[case][0])].item_id
        for case, user_id in enumerate(split.cases.user_ids)
    }
    assert targets["bob"] == "umbrella"
    assert targets["ann"] == "brewing-guide"
    assert "dora" not in targets  # she only ever turned to the kettle


def judgments(n: int = 400) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "query": [f"query {number // 2}" for number in range(n)],
            "item_row": [number % N_ITEMS for number in range(n)],
            "grade": [1.0 + number % 3 for number in range(n)],
        }
    )


def test_queries_are_on_one_side_only_and_in_the_expected_share() -> None:
    split = query_disjoint(snapshot_of([]), judgments(), test_share=0.3, relevant_from=2.0)
    assert split.train_judgments is not None
    assert split.cases.queries is not None
    asked, left = set(split.cases.queries), set(split.train_judgments["query"])
    assert not asked & left
    assert len(asked | left) == 200
    assert 40 <= len(asked) <= 80
    assert split.cases.targets.relevant_from == 2.0
    again = query_disjoint(snapshot_of([]), judgments(100), test_share=0.3)
    assert set(again.cases.queries or ()) == {query for query in asked if int(query.split()[1]) < 50}
    other = query_disjoint(snapshot_of([]), judgments(), test_share=0.3, salt="other")
    assert set(other.cases.queries or ()) != asked


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["Red Tea", "red  tea", "ＲＥＤ tea", "green tea", "龙井"]), st.integers(0, 3)),
        min_size=1,
    )
)
def test_spellings_of_one_query_are_one_case(pairs) -> None:
    frame = pl.DataFrame(
        {"query": [q for q, _ in pairs], "item_row": [i for _, i in pairs], "grade": [1.0] * len(pairs)}
    )
    split = query_disjoint(snapshot_of([]), frame, test_share=1.0)
    names = [normalised_query(query) for query in split.cases.queries or ()]
    assert sorted(names) == sorted({normalised_query(query) for query, _ in pairs})
    for case, name in enumerate(names):
        expected = {item for query, item in pairs if normalised_query(query) == name}
        assert set(split.cases.targets.items[case].tolist()) == expected


def test_the_best_of_repeated_judgments_counts() -> None:
    frame = pl.DataFrame({"query": ["a", "A"], "item_row": [1, 1], "grade": [1.0, 3.0]})
    split = query_disjoint(snapshot_of([]), frame, test_share=1.0)
    assert split.cases.targets.grades.tolist() == [3.0]


def test_judgments_without_a_column_are_refused() -> None:
    with pytest.raises(DataError, match="grade"):
        query_disjoint(snapshot_of([]), judgments().drop("grade"))
    with pytest.raises(DataError, match="test_share"):
        query_disjoint(snapshot_of([]), judgments(), test_share=0.0)
