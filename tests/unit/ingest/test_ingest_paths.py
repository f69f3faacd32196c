from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisle.ingest.paths import compile_path

RECORD: dict[str, Any] = {
    "a": {"b": 1},
    "items": [{"id": "x", "tags": ["t1", "t2"]}, {"id": "y", "tags": None}],
    "params": [{"key": "page", "value": {"s": "home"}}, {"key": "id", "value": {"i": 7}}],
    "a.dotted": "whole",
    "Price (USD)": 3,
    "actions": [{"text": "one", "sub": ["1a", "1b"]}, {"text": "two", "sub": []}],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", 1),
        ("a.c", None),
        ("a.b.c", None),
        ("items[].id", ["x", "y"]),
        ("items[].tags[]", ["t1", "t2"]),
        ("items[1].id", "y"),
        ("items[9].id", None),
        ("params[key=page].value.s", "home"),
        ("params[key=id].value.i", 7),
        ("params[key=none].value.i", None),
        ("a.dotted", "whole"),
        ("Price (USD)", 3),
        ("actions[].(text,sub[])", ["one", "1a", "1b", "two"]),
        ("missing[].x", None),
    ],
)
def test_paths(path: str, value: Any) -> None:
    assert compile_path(path)(RECORD) == value


@given(
    st.text(alphabet="ab.[]()=,*$0 "),
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "b"]), inner),
    ),
)
def test_no_path_raises_on_any_record(path: str, record: Any) -> None:
    compile_path(path)(record)
