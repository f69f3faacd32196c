from __future__ import annotations

import hashlib

import polars as pl
import pytest

from aisle.errors import ConfigError, DataError
from aisle.ingest import TableMapping, adapter, find_mapping, known_adapters, parse_mapping
from aisle.ingest.drawing import draw
from aisle.ingest.known import mapping_by_names
from aisle.ingest.limits import LimitsConfig
from aisle.ingest.mapping import template_parts
from aisle.ingest.refused import ROW


def drawn(fields: str, **columns: list[object]) -> dict[str, list[object]]:
    """What ``[columns]`` with these lines makes of the given source columns (events)."""
    frame = pl.DataFrame(columns)
    frame = frame.with_columns(pl.int_range(1, frame.height + 1, dtype=pl.Int64).alias(ROW))
    made, _ = draw(frame, parse_mapping(f'table = "events"\n[columns]\n{fields}'))
    return made.drop(ROW).to_dict(as_series=False)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('query = "a"', ["x", None, "z"]),
        ('query = { from = ["a", "b"] }', ["x", "2", "z"]),
        ('query = { join = ["a", "b"], separator = "-" }', ["x-1", "2", "z"]),
        ('query = { template = "<{a}|{b}>" }', ["<x|1>", None, None]),
        ('query = { from = "a", map = { x = "X" } }', ["X", None, "z"]),
        ('query = { from = "a", map = { x = "X" }, otherwise = "?" }', ["X", None, "?"]),
        ('query = { from = "a", default = "d" }', ["x", "d", "z"]),
        ('query = { from = "b", extract = "([0-9])" }', ["1", "2", None]),
        ('query = { value = "v" }', ["v", "v", "v"]),
        ('query = { template = "row {$row}" }', ["row 1", "row 2", "row 3"]),
        ('query = { from = "n", absolute = true }', [3.0, 0.0, 30.0]),
        ('query = { from = "n", divided_by = "n" }', [1.0, None, 1.0]),
        ('query = { from = "n", bands = [0, 18, 25] }', ["under-0", "0-17", "25+"]),
        (
            'query = { when = [{ column = "n", below = 0, value = "refund" }], otherwise = "sale" }',
            ["refund", "sale", "sale"],
        ),
        (
            'query = { when = [{ column = "n", above = 0, also = [{ column = "a", equals = "z" }], value = "y" }] }',
            [None, None, "y"],
        ),
        (
            'time = { start = "2024-01-01T00:00:00Z", step = "2h", by = "row" }',
            [1_704_067_200_000, 1_704_074_400_000, 1_704_081_600_000],
        ),
    ],
)  # fmt: skip
def test_every_way_to_make_a_column(field: str, expected: list[object]) -> None:
    made = drawn(field, a=["x", "", " z "], b=["1", "2", "null"], n=[-3, 0, 30])
    assert next(iter(made.values())) == expected


def test_a_hash_is_stable_and_tells_rows_apart() -> None:
    made = drawn('event_id = { hash = ["a", "b"] }', a=["x", "x", None, "x"], b=["y", "z", None, "y"])["event_id"]
    assert made[0] == made[3] == hashlib.blake2b(b"x\x1fy", digest_size=8).hexdigest()
    assert made[0] != made[1]
    assert made[2] is None


def test_splitting_gives_clean_lists() -> None:
    mapping = parse_mapping('table = "items"\n[columns]\ncategory = { from = "c", split = ">" }')
    frame = pl.DataFrame({"c": ["a > b >", None, "x"], ROW: [1, 2, 3]})
    assert draw(frame, mapping)[0]["category"].to_list() == [["a", "b"], None, ["x"]]


def test_keep_leaves_rows_out() -> None:
    mapping = parse_mapping(
        'table = "users"\nkeep = [{ column = "n", at_least = 2, at_most = 3 }, { column = "a", is_not = "x" }]\n'
        '[columns]\nuser_id = "a"'
    )
    made, n_left_out = draw(
        pl.DataFrame({"a": ["a", "b", "x", None, "e"], "n": [1, 2, 3, 3, None], ROW: range(5)}), mapping
    )
    assert made["user_id"].to_list() == ["b", None]
    assert n_left_out == 3


def test_texts_by_language_in_both_spellings() -> None:
    dotted = parse_mapping('table = "items"\n[columns]\nitem_id = "i"\ntitle.zh = "a"\ntitle.en = { from = "b" }')
    quoted = parse_mapping('table = "items"\n[columns]\nitem_id = "i"\n"title.zh" = "a"\n"title.en" = "b"')
    assert dotted.fingerprint() == quoted.fingerprint()
    assert set(dotted.columns) == {"item_id", "title.zh", "title.en"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table = ", "is not TOML"),
        ('table = "products"', "table = 'products'"),
        ('table = "items"\ncolour = 1', "unknown setting 'colour'. Did you mean 'columns'"),
        ('table = "items"\n[columns]\nitemid = "x"', "Did you mean 'item_id'"),
        ('table = "items"\n[columns]\ntitle = { form = "x" }', "form"),
        ('table = "items"\n[columns]\ntitle = { from = "x", value = "y" }', "exactly one"),
        ('table = "events"\n[columns]\ntime = { from = "t", time = "minutes" }', "strptime"),
        ('table = "events"\n[columns]\ntime = { from = "t", timezone = "Mars" }', "Europe/London"),
        ('table = "events"\n[columns]\ntime = { start = "soon" }', "ISO 8601"),
        ('table = "events"\n[columns]\nquery = { template = "{a" }', "without a column name"),
        ('table = "events"\n[columns]\nquery = { from = "a", extract = "[" }', "regular expression"),
        ('table = "events"\n[attributes]\nx = "y"', "no attributes"),
        ('table = "items"\n[constants]\nkind = "product"\n[columns]\nkind = "k"', "both"),
        ('table = "items"\nkeep = [{ column = "a" }]', "a condition needs one of"),
        ('table = "items"\n[csv]\nencoding = "klingon"', "not an encoding"),
        ('table = "events"\n[columns]\n"title.zh" = "x"', "unknown events column"),
    ],
)
def test_a_wrong_mapping_is_explained(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_mapping(text, "m.toml")
    assert said in str(raised.value)


def test_fingerprints_follow_what_matters() -> None:
    one = parse_mapping('table = "items"\nabout = "a"\n[columns]\nitem_id = "i"')
    same = parse_mapping('table = "items"\nabout = "b"\n[columns]\nitem_id = { from = "i" }')
    other = parse_mapping('table = "items"\n[columns]\nitem_id = "j"')
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()


def test_adapters_are_known_by_name() -> None:
    assert known_adapters() == [
        "ga4", "ga4-items", "google-retail-catalogue", "google-retail-events",
        "gorse-feedback", "gorse-items", "gorse-users",
    ]  # fmt: skip
    for name in known_adapters():
        assert isinstance(adapter(name), TableMapping)
    with pytest.raises(ConfigError, match="Did you mean 'gorse-items'"):
        adapter("gorse-item")


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (["item_id", "title", "price"], "items"),
        (["item_id", "title.zh", "title.en", "junk"], "items"),
        (["user_id", "type", "time", "item_id"], "events"),
        (["user_id", "gender"], "users"),
        (["document_id", "text"], "documents"),
    ],
)
def test_our_own_names_need_no_mapping(names: list[str], table: str) -> None:
    assert mapping_by_names(names, "x").table == table


@pytest.mark.parametrize(
    ("names", "table", "understood"),
    [
        ("id,title,price", "items", {"item_id": "id", "title": "title", "price": "price"}),
        ("id,name,price", "items", {"item_id": "id", "title": "name", "price": "price"}),
        ("sku,Name,Brand", "items", {"item_id": "sku", "title": "Name", "brand": "Brand"}),
        ("Product ID,Product Name", "items", {"item_id": "Product ID", "title": "Product Name"}),
        (
            "user,item,event,timestamp",
            "events",
            {"user_id": "user", "item_id": "item", "type": "event", "time": "timestamp"},
        ),
        (
            "customer_id,product_id,date,action,qty,order_id,note",
            "events",
            {"user_id": "customer_id", "item_id": "product_id", "time": "date", "type": "action", "quantity": "qty",
             "basket_id": "order_id"},
        ),
        ("user_id,userId,gender", "users", {"user_id": "user_id", "gender": "gender"}),
        ("customer_id,sex", "users", {"user_id": "customer_id", "gender": "sex"}),
        ("item_id,title,image_url,image_link", "items", {"item_id": "item_id", "title": "title"}),
        ("id,title,content", "documents", {"document_id": "id", "title": "title", "text": "content"}),
    ],
)  # fmt: skip
def test_common_names_need_no_mapping(names: str, table: str, understood: dict[str, str]) -> None:
    mapping = mapping_by_names(names.split(","), "x")

    assert mapping.table == table
    assert {target: field.source for target, field in mapping.columns.items()} == understood


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("product_id,sku,name", "product_id and sku could each be item_id"),
        ("user,item,event,date,timestamp", "timestamp and date|date and timestamp"),
        ("id,name", "none of our tables"),  # people or goods?
        ("id,name,email", "none of our tables"),
        ("customer_id,total", "none of our tables"),  # people or orders?
        ("user_id,item_id,rating,title", "none of our tables"),  # reviews without a type are no items
        ("id,title,text,price", "items or documents"),
        ("a,b", "none of our tables"),
    ],
)
def test_names_that_leave_a_doubt_are_refused_with_what_to_run(names: str, says: str) -> None:
    with pytest.raises(DataError, match=says) as refused:
        mapping_by_names(names.split(","), "my file.csv")
    assert str(refused.value).startswith("`aisle import SHOP 'my file.csv' --guess`")


def test_obvious_event_types_are_understood_in_every_spelling() -> None:
    field = mapping_by_names(["user", "item", "event", "date"], "x").columns["type"]
    frame = pl.DataFrame({"e": ["View", "addToCart", "add-to-cart", "ADD_TO_CART", "bought", "purchase", "like"]})
    frame = frame.with_columns(pl.int_range(1, 8, dtype=pl.Int64).alias(ROW))
    mapping = TableMapping(table="events", columns={"type": field.model_copy(update={"source": "e"})})

    assert draw(frame, mapping)[0]["type"].to_list() == [
        "view_item", "add_to_cart", "add_to_cart", "add_to_cart", "purchase", "purchase", "like",
    ]  # fmt: skip


def test_a_mapping_must_make_what_its_table_needs() -> None:
    incomplete = parse_mapping('table = "events"\n[columns]\nuser_id = "u"\ntime = "t"')
    with pytest.raises(ConfigError, match="does not make type"):
        find_mapping(incomplete, None, LimitsConfig())  # type: ignore[arg-type]


def test_templates() -> None:
    assert template_parts("a{b}c{d}") == [("a", "b"), ("c", "d")]
    assert template_parts("{b}!") == [("", "b"), ("!", None)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('titel = "b"', r"^bad.toml: unknown items column 'titel'. Did you mean 'title'\? Known: brand,"),
        (
            'title = { from = "b", spilt = "," }',
            r"^\[bad.toml.columns.title\]: unknown setting 'spilt'.*Known:.* from,",
        ),
        (
            'title = { from = "b", hash = ["c"] }',
            "^bad.toml.columns.title: give exactly one of from, .*; got from, hash$",
        ),
    ],
)
def test_a_wrong_key_of_a_mapping_is_named_with_what_is_allowed(line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_mapping(f'table = "items"\n[columns]\nitem_id = "a"\n{line}', "bad.toml")
