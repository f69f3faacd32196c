"""The OpenAPI document: as it was agreed, true, and readable."""

import json
import shutil
from pathlib import Path
from typing import get_args

import pytest

from aisle import wire
from aisle.domain import EVENT_TYPES, SORTS, ItemKind
from aisle.flows.search import MAX_QUERY_CHARACTERS
from aisle.serving.keys import Keys
from aisle.storage.keys import SqlKeys
from aisle.wire.values import EventName, Kind, SortName
from tests.service.tiny_server import in_process

SNAPSHOT = Path(__file__).parent / "openapi.json"


@pytest.fixture(scope="module")
def document(http):
    return http.get("/openapi.json").json()


def operations(document):
    return [
        (f"{method.upper()} {path}", described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


def test_the_document_is_the_one_that_was_agreed(document, request):
    """After a deliberate change: delete tests/service/openapi.json and run this test twice."""
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
        pytest.fail(f"{SNAPSHOT.name} was not there and is written now; look it over and commit it")

    assert document == json.loads(SNAPSHOT.read_text(encoding="utf-8")), "the API changed; is that meant?"


def test_every_route_says_what_it_does_who_may_use_it_and_what_may_happen(document):
    for name, described in operations(document):
        assert described["summary"], name
        assert described["description"], name
        assert described["x-role"] in ("read", "write", "admin"), name
        assert {"401", "403", "429", "500", "503"} <= described["responses"].keys(), name
        if "requestBody" in described:
            assert {"400", "408", "413", "415", "422"} <= described["responses"].keys(), name
        if "{" in name and not name.startswith("POST"):
            assert "404" in described["responses"], name


def test_the_document_names_how_long_a_body_may_be_and_every_way_to_show_a_key(document, trained_folder, tmp_path):
    told = {path: methods["post"]["requestBody"]["description"] for path, methods in document["paths"].items()
            if "requestBody" in methods.get("post", {})}  # fmt: skip
    assert "65536 bytes" in told["/v1/search"]
    assert "1048576 bytes" in told["/v1/search/batch"]
    assert "serving.max_body_bytes" in told["/v1/events"]
    assert document["components"]["schemas"]["SearchBatch"]["properties"]["asks"]["maxItems"] == 200

    records = SqlKeys.open(shutil.copy(trained_folder / "shop.db", tmp_path / "keys.db"))
    with in_process(trained_folder, tmp_path / "shop", keys=Keys(records)) as client:
        keyed = client.get("/openapi.json").json()
    records.close()
    ways = keyed["components"]["securitySchemes"]
    assert {(way["type"], way.get("scheme") or way["name"]) for way in ways.values()} == {
        ("http", "bearer"), ("apiKey", "X-API-Key"), ("http", "basic"),
    }  # fmt: skip
    assert keyed["paths"]["/v1/search"]["post"]["security"] == [{way: ["read"]} for way in ways]


def test_every_reference_leads_to_a_record_with_words_and_every_sent_record_has_examples(document):
    schemas = document["components"]["schemas"]
    text = json.dumps(document)

    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert schemas[name]["description"], name
    for name in ("SearchAsk", "SearchBatch", "RecommendAsk", "RecommendBatch", "BasketAsk", "Item", "User", "Event",
                 "Document", "TrainingAsk", "Answer", "Problem"):  # fmt: skip
        assert schemas[name]["examples"], name
        model = getattr(wire, name)
        for example in schemas[name]["examples"]:
            model.model_validate_json(json.dumps(example))


def test_wire_names_the_same_kinds_and_events_as_the_shop():
    assert get_args(Kind) == tuple(kind.value for kind in ItemKind)
    assert get_args(EventName) == tuple(kind.value for kind in EVENT_TYPES)
    assert get_args(SortName) == SORTS


def test_limits_are_told_as_they_are(document):
    schemas = document["components"]["schemas"]

    assert schemas["SearchAsk"]["properties"]["query"]["maxLength"] == MAX_QUERY_CHARACTERS
    for name, most in (("quantity", 100_000), ("price_minor", 10_000_000_000), ("time_ms", 4_102_444_800_000)):
        told = schemas["Event"]["properties"][name]
        assert [kind["maximum"] for kind in told.get("anyOf", [told]) if kind.get("type") == "integer"] == [most]


def test_the_reference_shows_every_route_and_needs_nothing_from_elsewhere(http, document):
    response = http.get("/docs")
    page = response.text

    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    for name, described in operations(document):
        assert described["operationId"] in page, name
    assert "<script" not in page
    assert "http://" not in page.replace("http://127.0.0.1", "")
    assert "https://" not in page
