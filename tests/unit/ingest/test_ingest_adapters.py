"""The ready adapters on records written as their systems document them, as files and as request bodies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aisle.domain import ItemTable
from aisle.ingest import ImportReport, accept_records
from aisle.storage.records import SqlRecords

NOW_MS = 1_800_000_000_000

GA4: list[dict[str, Any]] = [
    {
        "event_name": "purchase",
        "event_timestamp": "1706778245000123",
        "user_pseudo_id": "123.456",
        "user_id": None,
        "event_params": [
            {"key": "ga_session_id", "value": {"string_value": None, "int_value": "1706778000"}},
            {"key": "currency", "value": {"string_value": "EUR", "int_value": None}},
        ],
        "ecommerce": {"transaction_id": "T1"},
        "items": [
            {"item_id": "SKU1", "item_name": "Kettle", "item_brand": "Bo", "item_category": "Home",
             "item_category2": "Tea",
             "item_variant": "red", "price": 12.5, "quantity": "2", "item_list_name": "(not set)"},
            {"item_id": "SKU2", "item_name": "Cup", "item_brand": "(not set)", "item_category": "Home",
             "item_category2": "",
             "item_variant": None, "price": 3, "quantity": None, "item_list_name": "Related"},
        ],
        "platform": "WEB",
        "device": {"category": "mobile"},
        "geo": {"country": "Austria"},
    },
    {
        "event_name": "view_search_results",
        "event_timestamp": "1706778246000000",
        "user_pseudo_id": "123.456",
        "user_id": "u9",
        "event_params": [{"key": "search_term", "value": {"string_value": "tea", "int_value": None}}],
        "ecommerce": {"transaction_id": None},
        "items": [],
        "platform": "WEB",
        "device": {"category": "mobile"},
        "geo": {"country": "Austria"},
    },
    {
        "event_name": "session_start",
        "event_timestamp": "1706778246000000",
        "user_pseudo_id": "123.456",
        "user_id": None,
        "event_params": [],
        "ecommerce": {"transaction_id": None},
        "items": [],
        "platform": "WEB",
        "device": {"category": "mobile"},
        "geo": {"country": "Austria"},
    },
]  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_ga4_events(kind: str, tmp_path: Path, bring_in: Callable[..., ImportReport]) -> None:
    path = tmp_path / f"events.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(_typed(GA4)), path)
    else:
        path.write_text(json.dumps(GA4) if kind == "json" else "\n".join(json.dumps(event) for event in GA4))
    stored: list[Any] = []
    report = bring_in(path, "ga4", on_batch=lambda table, _: stored.append(table))
    assert (report.n_rows, report.n_left_out, report.n_refused, report.n_new) == (3, 1, 0, 3)
    first, second, search = stored[0].rows()
    assert (first.type, first.user_id, first.item_id, first.time_ms) == (
        "purchase",
        "123.456",
        "SKU1",
        1_706_778_245_000,
    )
    assert (first.quantity, first.price_minor, first.currency, first.basket_id) == (2, 1250, "EUR", "T1")
    assert (first.session_id, first.platform, first.device, first.region) == ("1706778000", "WEB", "mobile", "Austria")
    assert (second.item_id, second.quantity, second.price_minor, second.placement) == ("SKU2", 1, 300, "Related")
    assert (search.type, search.user_id, search.query, search.item_id) == ("search", "u9", "tea", None)


def _typed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As Parquet has them: whole numbers and prices by type."""
    copied = json.loads(json.dumps(events))
    for event in copied:
        event["event_timestamp"] = int(event["event_timestamp"])
        for item in event["items"]:
            item["price"] = float(item["price"])
    return copied


def test_ga4_items() -> None:
    accepted = accept_records(GA4, "ga4-items", clock=lambda: NOW_MS)
    kettle, cup = accepted.table.frame.sort("item_id").iter_rows(named=True)
    assert (kettle["item_id"], kettle["brand"], kettle["category"]) == ("SKU1", "Bo", ["Home", "Tea"])
    assert kettle["attributes"] == [{"name": "variant", "value": "red"}]
    assert (cup["brand"], cup["category"], cup["price_minor"], cup["currency"]) == (None, ["Home"], 300, "EUR")


def test_google_retail_events() -> None:
    events: list[dict[str, Any]] = [
        {"eventType": "detail-page-view", "visitorId": "v1", "eventTime": "2024-02-01T09:04:05.25Z",
         "productDetails": [{"product": {"id": "p1"}, "quantity": 1}]},
        {"eventType": "purchase-complete", "visitorId": "v1", "userInfo": {"userId": "u1"},
         "eventTime": "2024-02-01T10:04:05+01:00",
         "purchaseTransaction": {"id": "t1", "currencyCode": "EUR", "revenue": 9},
         "productDetails": [{"product": {"id": "p1"}, "quantity": 2}, {"product": {"id": "p2"}, "quantity": 1}]},
        {"eventType": "search", "visitorId": "v2", "eventTime": "2024-02-01T09:04:05Z", "searchQuery": "tea",
         "attributionToken": "s1"},
        {"eventType": "search", "visitorId": "v2", "eventTime": "2024-02-01T09:04:06Z", "searchQuery": "tea",
         "attributionToken": "s2", "productDetails": [{"product": {"id": "p3"}}]},
        {"eventType": "home-page-view", "visitorId": "v2", "eventTime": "2024-02-01T09:04:05Z"},
        {"eventType": "add-to-cart", "visitorId": "v2", "eventTime": "soon",
         "productDetails": [{"product": {"id": "p1"}}]},
    ]  # fmt: skip
    accepted = accept_records(events, "google-retail-events", clock=lambda: NOW_MS)
    assert accepted.n_left_out == 1
    assert [(refusal.row, refusal.field) for refusal in accepted.refusals] == [(6, "time")]
    rows = [
        (event["type"], event["user_id"], event["item_id"], event["quantity"])
        for event in accepted.table.frame.to_dicts()
    ]
    assert rows == [
        ("view_item", "v1", "p1", 1),
        ("purchase", "u1", "p1", 2),
        ("purchase", "u1", "p2", 1),
        ("search", "v2", None, 1),
        ("view_item_list", "v2", "p3", 1),
    ]
    frame = accepted.table.frame
    assert frame["time_ms"].to_list()[:2] == [1_706_778_245_250, 1_706_778_245_000]
    assert frame["basket_id"].to_list() == [None, "t1", "t1", None, None]
    assert frame["slate_id"].to_list()[3:] == ["s1", "s2"]


def test_google_retail_catalogue() -> None:
    product = {
        "id": "p1", "title": "Tea pot", "description": "<p>Boils</p>", "languageCode": "en-US",
        "brands": ["Bo", "Other"],
        "categories": ["Home > Tea", "Gifts"], "priceInfo": {"currencyCode": "USD", "price": 12.5, "cost": 4},
        "availability": "OUT_OF_STOCK", "availableQuantity": 0, "images": [{"uri": "https://x/1.jpg"}],
        "publishTime": "2024-02-01T09:04:05Z", "colorInfo": {"colorFamilies": ["Red"]}, "sizes": ["S", "M"],
        "attributes": {"material": {"text": ["clay", "iron"]}, "litres": {"numbers": [1.5]}},
    }  # fmt: skip
    bare = {"id": "p2", "title": "Cup"}
    table = accept_records([product, bare], "google-retail-catalogue", clock=lambda: NOW_MS).table
    assert isinstance(table, ItemTable)
    first, second = table.rows()
    assert first.category == ("Home", "Tea")
    assert (first.brand, first.price_minor, first.cost_minor, first.stock, first.is_available) == (
        "Bo",
        1250,
        400,
        0,
        False,
    )
    assert (first.text().language, first.text().description, first.image) == ("en", "Boils", "https://x/1.jpg")
    assert first.created_ms == 1_706_778_245_000
    assert dict(first.attributes) == {
        "size": ("S", "M"), "colour": ("Red",), "material": ("clay", "iron"), "litres": ("1.5",),
    }  # fmt: skip
    assert (second.item_id, second.is_available, second.category, dict(second.attributes)) == ("p2", True, (), {})


def test_gorse_json(tmp_path: Path, bring_in: Callable[..., ImportReport], records: SqlRecords) -> None:
    (tmp_path / "items.json").write_text(json.dumps([
        {"ItemId": "i1", "IsHidden": True, "Categories": ["tea", "gift"], "Timestamp": "2020-02-02T20:20:02Z",
         "Labels": ["red", "big"], "Comment": "A kettle"},
        {"ItemId": "i2", "IsHidden": False, "Categories": [], "Timestamp": "2020-02-02T20:20:02Z", "Labels": [],
         "Comment": ""},
    ]))  # fmt: skip
    assert bring_in(tmp_path / "items.json", "gorse-items").n_new == 2
    kettle, second = records.read_items(["i1", "i2"])
    assert (kettle.title, kettle.category, kettle.is_available) == ("A kettle", ("tea",), False)
    assert dict(kettle.attributes) == {"label": ("red", "big")}
    assert (second.title, second.is_available) == ("i2", True)
    (tmp_path / "users.jsonl").write_text('{"UserId":"u1","Labels":{"genre":["a","b"],"age":"20"}}\n{"UserId":"u2"}\n')
    assert bring_in(tmp_path / "users.jsonl", "gorse-users").n_new == 2
    user = records.read_user("u1")
    assert user is not None
    assert dict(user.attributes) == {"genre": ("a", "b"), "age": ("20",)}


def test_gorse_csv(tmp_path: Path, bring_in: Callable[..., ImportReport], records: SqlRecords) -> None:
    (tmp_path / "items.csv").write_text(
        "item_id,is_hidden,categories,time_stamp,labels,description\n"
        "i1,False,tea|gift,2020-02-02 20:20:02,red|big,Kettle\n"
    )
    (tmp_path / "feedback.csv").write_text(
        "feedback_type,user_id,item_id,time_stamp\nstar,u1,i1,2020-02-02 20:20:02\n"
        "read,u1,i1,2020-02-03\nodd,u1,i1,2020-02-03\n"
    )
    bring_in(tmp_path / "items.csv", "gorse-items")
    (kettle,) = records.read_items(["i1"])
    assert (kettle.title, kettle.category, dict(kettle.attributes)) == (
        "Kettle",
        ("tea", "gift"),
        {"labels": ("red", "big")},
    )
    report = bring_in(tmp_path / "feedback.csv", "gorse-feedback")
    assert [(refusal.row, refusal.field, refusal.value) for refusal in report.refusals] == [(3, "type", "odd")]
    assert [event.type for event in records.list_events(user_id="u1").rows] == ["view_item", "add_to_wishlist"]


def test_a_file_of_another_system_is_not_taken_for_gorse(tmp_path: Path, bring_in: Callable[..., ImportReport]) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert "none of the columns" in bring_in(tmp_path / "x.csv", "gorse-feedback").failures[0].message
