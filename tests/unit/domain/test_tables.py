import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisle.domain import (
    Document,
    DocumentTable,
    Event,
    EventTable,
    EventType,
    Item,
    ItemKind,
    ItemTable,
    ItemText,
    User,
    UserTable,
)
from aisle.errors import DataError

WORDS = st.text(min_size=1, max_size=8)
MAYBE = st.none() | st.integers(0, 10**12)

items = st.builds(
    Item,
    item_id=WORDS,
    texts=st.lists(st.builds(ItemText, WORDS, WORDS, st.text(max_size=8)), min_size=1, max_size=2).map(tuple),
    kind=st.sampled_from(ItemKind),
    brand=st.none() | WORDS,
    category=st.lists(WORDS, max_size=3).map(tuple),
    attributes=st.dictionaries(WORDS, st.lists(WORDS, min_size=1, max_size=2).map(tuple), max_size=2),
    price_minor=MAYBE,
    stock=MAYBE,
    is_available=st.booleans(),
)
events = st.builds(
    Event,
    user_id=WORDS,
    type=st.sampled_from(EventType),
    time_ms=st.integers(0, 2**50),
    item_id=WORDS,
    rating=st.none() | st.floats(0, 5),
    slot=st.none() | st.integers(0, 99),
)


@given(st.lists(items, max_size=4))
def test_items_come_back_from_a_table_as_they_went_in(rows):
    assert list(ItemTable.from_rows(rows).rows()) == rows


@given(st.lists(events, max_size=4))
def test_events_come_back_from_a_table_as_they_went_in(rows):
    assert list(EventTable.from_rows(rows).rows()) == rows


def test_users_and_documents_come_back_too():
    user = User("u", gender="f", platforms=("app",), attributes={"club": ("gold",)})
    document = Document("d", "Returns", "Thirty days.", language="en")

    assert list(UserTable.from_rows([user]).rows()) == [user]
    assert list(DocumentTable.from_rows([document]).rows()) == [document]


def test_absent_columns_get_their_defaults():
    table = EventTable.from_frame(pl.DataFrame({"user_id": ["u"], "type": ["view_item"], "time_ms": [1]}))

    assert table.frame["quantity"].to_list() == [1]
    assert table.frame["is_suspect"].to_list() == [False]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"user_id": ["u"], "type": ["bought"], "time_ms": [1]}, "bought"),
        ({"user_id": [None], "type": ["purchase"], "time_ms": [1]}, "user_id"),
        ({"user_id": ["u"], "type": ["purchase"], "time_ms": [1], "colour": ["red"]}, "colour"),
    ],
)
def test_a_table_refuses_what_does_not_fit(frame, message):
    with pytest.raises(DataError, match=message):
        EventTable.from_frame(pl.DataFrame(frame))


def test_rows_refuse_what_makes_no_sense():
    with pytest.raises(DataError, match="item_id"):
        Event("u", EventType.PURCHASE, 1)
    with pytest.raises(DataError, match="has no text"):
        Item("a", ())
