from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.domain import Item, ItemText
from aisle.ingest import Accepted, accept_records, parse_mapping
from aisle.ingest.cleaning import CleaningConfig

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
EVENT = {"user_id": "u", "type": "view_item", "time_ms": NOW_MS - DAY_MS, "item_id": "i"}


def accept(*records: dict[str, Any], mapping: str | None = None, **config: Any) -> Accepted:
    parsed = None if mapping is None else parse_mapping(mapping)
    return accept_records(records, parsed, clock=lambda: NOW_MS, config=CleaningConfig.model_validate(config))


def refused(accepted: Accepted) -> list[tuple[int, str]]:
    return [(refusal.row, refusal.field) for refusal in accepted.refusals]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user_id": None}, "user_id"),
        ({"user_id": " "}, "user_id"),
        ({"user_id": "u\x00v"}, "user_id"),
        ({"user_id": "x" * 513}, "user_id"),
        ({"user_id": "=cmd|' /C calc'!A0"}, "user_id"),
        ({"type": "looked"}, "type"),
        ({"time_ms": 788_918_399_999}, "time_ms"),
        ({"time_ms": NOW_MS + DAY_MS + 1}, "time_ms"),
        ({"time_ms": "soon"}, "time_ms"),
        ({"item_id": None}, "item_id"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -2}, "quantity"),
        ({"quantity": 100_001}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"price": "-3"}, "price"),
        ({"price": "cheap"}, "price"),
        ({"price": "200000000"}, "price"),
        ({"price_minor": 1.5}, "price_minor"),
        ({"currency": "dollars", "price": 3}, "currency"),
        ({"rating": "five"}, "rating"),
        ({"slot": -1}, "slot"),
        ({"text": '=HYPERLINK("http://x")'}, "text"),
    ],
)
def test_a_bad_value_refuses_its_row_and_no_other(change: dict[str, Any], field: str) -> None:
    accepted = accept({**EVENT, "item_id": "before"}, {**EVENT, **change}, {**EVENT, "item_id": "after"})
    assert refused(accepted) == [(2, field)]
    assert accepted.table.frame["item_id"].to_list() == ["before", "after"]
    assert accepted.refusals[0].allowed


def test_the_edges_of_time_and_quantity_are_inside() -> None:
    accepted = accept(
        {**EVENT, "time_ms": 788_918_400_000}, {**EVENT, "time_ms": NOW_MS + DAY_MS}, {**EVENT, "quantity": 100_000}
    )
    assert refused(accepted) == []


def test_a_search_needs_no_item_and_blanks_are_nothing() -> None:
    accepted = accept(
        {**EVENT, "type": "search", "item_id": None, "query": " ＲＥＤ  tea ", "text": "\u200b", "price": ""}
    )
    row = accepted.table.frame.row(0, named=True)
    assert (row["query"], row["text"], row["price_minor"], row["item_id"]) == ("RED tea", None, None, None)


def test_markup_without_words_is_no_text() -> None:
    """Many a shop describes its things by pictures alone."""
    kettle = {"item_id": "kettle", "title": "Kettle", "description": '<p><img src="kettle.jpg"></p>'}
    accepted = accept(kettle, {"item_id": "nameless", "title": "<b></b>"})
    assert [item.texts for item in accepted.table.rows()] == [(ItemText("en", "Kettle", ""),)]
    assert [(refusal.row, refusal.field) for refusal in accepted.refusals] == [(2, "title")]


def test_every_bad_field_of_a_row_is_named() -> None:
    accepted = accept({**EVENT, "user_id": None, "price": "x", "rating": "y"})
    assert refused(accepted) == [(1, "price"), (1, "rating"), (1, "user_id")]


def test_money_finds_its_currency() -> None:
    rows = [
        {**EVENT, "item_id": str(n), "price": price, "currency": currency}
        for n, (price, currency) in enumerate(
            [("12.50", "eur"), ("£3", None), ("4", None), (None, None), ("£3", "USD")]
        )
    ]
    frame = accept(*rows, currency="CNY").table.frame
    assert frame["price_minor"].to_list() == [1250, 300, 400, None, 300]
    assert frame["currency"].to_list() == ["EUR", "GBP", "CNY", None, "USD"]
    yen = accept({**EVENT, "price": "1,200", "currency": "JPY"}).table.frame
    assert yen["price_minor"].to_list() == [1200]


def test_an_item_in_full() -> None:
    mapping = """
        table = "items"
        [columns]
        item_id = "id"
        title.zh = "cn"
        title.en = "en"
        description.en = "about"
        price = "price"
        category = { from = "path", split = "/" }
        is_available = "on"
        [attributes]
        colour = "colours"
        size = { from = "sizes", split = "," }
        [constants]
        currency = "USD"
    """
    record = {
        "id": 7, "cn": "茶壶", "en": "<i>Tea</i> pot", "about": "<p>Boils</p>", "price": "3.5", "path": "home/kitchen",
        "on": "yes", "colours": ["red", " ", "blue"], "sizes": "S, M",
    }  # fmt: skip
    (item,) = accept(record, mapping=mapping).table.rows()
    assert isinstance(item, Item)
    assert item.item_id == "7"
    assert [(t.language, t.title, t.description) for t in item.texts] == [
        ("zh", "茶壶", ""),
        ("en", "Tea pot", "Boils"),
    ]
    assert item.category == ("home", "kitchen")
    assert dict(item.attributes) == {"colour": ("red", "blue"), "size": ("S", "M")}
    assert (item.price_minor, item.currency, item.is_available) == (350, "USD", True)


def test_a_missing_language_is_told_from_the_script() -> None:
    rows = [{"item_id": "1", "title": "红茶"}, {"item_id": "2", "title": "tea"}, {"item_id": "3", "title": "чай"}]
    texts = accept(*rows).table.frame["texts"].to_list()
    assert [text[0]["language"] for text in texts] == ["zh", "en", "und"]
    given = accept({"item_id": "1", "title": "Tee", "language": "de-AT"}).table.frame["texts"].to_list()
    assert given[0][0]["language"] == "de"


def test_the_last_of_two_equal_items_and_one_of_two_equal_events_stays() -> None:
    items = accept({"item_id": "1", "title": "old"}, {"item_id": "1", "title": "new"}).table.frame
    assert [texts[0]["title"] for texts in items["texts"].to_list()] == ["new"]
    assert len(accept(EVENT, EVENT, {**EVENT, "item_id": "j"}).table) == 2


def test_documents_take_their_first_line_as_title() -> None:
    accepted = accept({"document_id": "d", "text": "Returns\nwithin 30 days"})
    assert accepted.table.frame["title"].to_list() == ["Returns"]
    assert accepted.table.frame["language"].to_list() == ["en"]


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.lists(st.text(max_size=3), max_size=3),
    st.sampled_from(["view_item", "search", "12.50", "2024-01-01", "USD"]),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip
_EVENT_KEYS = [
    "event_id", "user_id", "type", "time", "item_id", "quantity", "price", "currency", "rating", "text", "query",
    "slot",
]  # fmt: skip
_ITEM_KEYS = [
    "item_id", "title", "description", "category", "price", "currency", "stock", "is_available", "kind", "created",
]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(_EVENT_KEYS, _VALUES)), min_size=1, max_size=5))
def test_no_event_makes_the_cleaner_raise(records: list[dict[str, Any]]) -> None:
    accepted = accept(*records)
    rows = {refusal.row for refusal in accepted.refusals}
    assert len(accepted.table) + len(rows) <= len(records)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(_ITEM_KEYS, _VALUES)), min_size=1, max_size=5))
def test_no_item_makes_the_cleaner_raise_and_cleaning_twice_changes_nothing(records: list[dict[str, Any]]) -> None:
    once = accept(*records)
    flat = [
        {
            "item_id": row["item_id"], "title": row["texts"][0]["title"], "description": row["texts"][0]["description"],
            "language": row["texts"][0]["language"], "category": row["category"], "price_minor": row["price_minor"],
            "currency": row["currency"], "stock": row["stock"], "is_available": row["is_available"],
            "kind": row["kind"], "created_ms": row["created_ms"],
        }
        for row in once.table.frame.iter_rows(named=True)
    ]  # fmt: skip
    if flat:
        twice = accept(*flat)
        assert twice.refusals == ()
        assert twice.table.frame.drop("attributes").equals(once.table.frame.drop("attributes"))


def test_values_inside_lists_and_objects_are_cleaned_and_checked() -> None:
    mapping = """
        table = "items"
        attributes_from = "options"
        [columns]
        item_id = "id"
        title = "id"
        category = "path"
        [attributes]
        tag = "tags"
    """
    rows = [
        {"id": "1", "tags": [" ａ ", "<b>b</b>"], "options": {"size ": " L\x07 ", "none": ""}, "path": ["x"]},
        {"id": "2", "tags": ["ok", "=HYPERLINK(1)"], "options": {}, "path": ["x"]},
        {"id": "3", "tags": ["ok"], "options": {"a": "=cmd|' /C calc'!A0"}, "path": ["x"]},
        {"id": "4", "tags": ["ok"], "options": {}, "path": ["@SUM(1)"]},
    ]
    accepted = accept(*rows, mapping=mapping)
    assert sorted(refused(accepted)) == [(2, "tag"), (3, "attributes:"), (4, "category")]
    pairs = accepted.table.frame["attributes"].to_list()[0]
    assert [(pair["name"], pair["value"]) for pair in pairs] == [("tag", "a"), ("tag", "b"), ("size", "L")]
