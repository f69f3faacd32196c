"""Cursors: what they hold comes back, and one that cannot be used says why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.domain import Filters
from aisle.errors import DataError
from aisle.flows.asks import Ask
from aisle.flows.paging import KEPT_MINUTES, MOST_DEEP, Page, read_cursor, write_cursor

NOW_MS = 1_775_000_000_000
ASK = Ask(user_id="ann", text="tea", filters=Filters(brands=("Maple",), attributes={"colour": ["red"]}))


def page(rows: list[int], n_before: int = 20) -> Page:
    return Page(np.array(rows, dtype=np.int64), n_before, n_before + len(rows), NOW_MS // 1_000)


def sent_back(cursor: str | None, ask: Ask = ASK, now_ms: int = NOW_MS, placement: str = "search") -> Page | DataError:
    read = read_cursor(placement, replace(ask, cursor=cursor), now_ms)
    assert read is not None
    return read


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50, unique=True), st.integers(0, 900))
def test_a_cursor_holds_the_order_of_what_is_left(rows: list[int], n_before: int) -> None:
    read = sent_back(write_cursor("search", ASK, page(rows, n_before)))

    assert isinstance(read, Page)
    assert (read.rows.tolist(), read.n_before, read.n_found) == (rows, n_before, n_before + len(rows))


def test_the_last_page_and_the_deepest_have_no_cursor() -> None:
    assert write_cursor("search", ASK, page([])) is None
    assert write_cursor("search", ASK, page([1], MOST_DEEP)) is None
    deep = sent_back(write_cursor("search", ASK, page(list(range(30)), MOST_DEEP - 10)))
    assert isinstance(deep, Page)
    assert len(deep.rows) == 10
    assert len(write_cursor("search", ASK, page(list(range(0, 5_000_000, 5_000)), 0)) or "") < 8_000


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ask": replace(ASK, text="kettle")}, "another question"),
        ({"ask": replace(ASK, filters=Filters())}, "another question"),
        ({"ask": replace(ASK, sort="newest")}, "another question"),
        ({"ask": replace(ASK, user_id=None)}, "another question"),
        ({"placement": "browse"}, "another question"),
        ({"now_ms": NOW_MS + (KEPT_MINUTES * 60 + 1) * 1_000}, "has expired"),
    ],
)
def test_a_cursor_is_for_its_question_and_for_a_while(changes: dict, why: str) -> None:
    cursor = write_cursor("search", ASK, page([3, 1, 2]))

    assert isinstance(sent_back(cursor, replace(ASK, size=50)), Page)
    refused = sent_back(cursor, **changes)
    assert isinstance(refused, DataError)
    assert refused.field == "cursor"
    assert why in str(refused)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=200) | st.binary(min_size=1, max_size=60).map(lambda raw: raw.hex()))
def test_whatever_is_sent_as_a_cursor_is_refused_and_breaks_nothing(text: str) -> None:
    assert isinstance(sent_back(text), DataError)
