"""What items say of themselves, by row, compared with plain dictionaries."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.domain.attributes import LONGEST_VALUE, NO_PAIR, ItemAttributes
from aisle.domain.tables import ATTRIBUTES

Said = list[tuple[str, str]]

SAID = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=4)
WRITES = st.lists(st.lists(st.tuples(st.integers(0, 30), SAID), min_size=1, max_size=6), max_size=12)


def put(attributes: ItemAttributes, rows: dict[int, Said]) -> None:
    said = [[{"name": name, "value": value} for name, value in pairs] for pairs in rows.values()]
    attributes.put(np.array(list(rows), dtype=np.int64), pl.Series(said, dtype=ATTRIBUTES))


def read(attributes: ItemAttributes, row: int) -> Said:
    return [attributes.pair(code) for code in attributes.of_rows(np.array([row]))[1].tolist()]


@settings(deadline=None, max_examples=50)
@given(WRITES)
def test_every_row_has_what_was_said_of_it_last(writes: list[list[tuple[int, Said]]]) -> None:
    attributes, expected = ItemAttributes(), dict[int, Said]()
    for page in writes:
        put(attributes, dict(page))
        expected.update(page)

    n_rows = max(expected, default=-1) + 1
    for row in range(n_rows):
        assert read(attributes, row) == expected.get(row, [])
    for name in "abc":
        for values in (["x"], ["y", "z"], ["never"]):
            having = attributes.having(name, values, n_rows)
            wanted = [any((name, v) in expected.get(row, []) for v in values) for row in range(n_rows)]
            assert having.tolist() == wanted
        first = attributes.first_of(name, np.arange(n_rows)).tolist()
        for row, code in enumerate(first):
            known = next((pair for pair in expected.get(row, []) if pair[0] == name), None)
            assert (None if code == NO_PAIR else attributes.pair(code)) == known


def test_pairs_of_many_rows_say_whose_they_are() -> None:
    attributes = ItemAttributes()
    put(attributes, {0: [("colour", "red"), ("size", "42")], 1: [], 2: [("colour", "blue")]})

    owners, pairs = attributes.of_rows(np.array([2, 1, 0]))

    assert owners.tolist() == [0, 2, 2]
    assert [attributes.pair(code) for code in pairs.tolist()] == [("colour", "blue"), ("colour", "red"), ("size", "42")]
    assert (attributes.names, attributes.values("colour")) == (["colour", "size"], ["red", "blue"])
    assert attributes.values("weight") == []
    assert not attributes.has("weight")


def test_a_long_text_is_no_value() -> None:
    attributes = ItemAttributes()
    put(attributes, {0: [("bullet", "x" * LONGEST_VALUE), ("bullet", "y" * (LONGEST_VALUE + 1))]})

    assert attributes.values("bullet") == ["x" * LONGEST_VALUE]
