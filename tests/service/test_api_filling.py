import threading
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aisle import wire
from aisle.domain import Event
from aisle.ingest import accept_records
from aisle.ingest.cleaning import CleaningConfig
from aisle.serving import acceptance
from aisle.serving.routes import filling
from aisle.testing import tiny_shop
from tests.service.tiny_server import problem

VIEW = {"user_id": "dora", "type": "view_item", "item_id": "boots"}


def test_an_acknowledged_event_is_in_the_next_list(own_http):
    assert own_http.post("/v1/events", json=VIEW).json()["n_new"] == 1

    answer = own_http.post("/v1/recommend", json={"placement": "recently-viewed", "user_id": "dora"}).json()

    assert answer["items"][0]["item_id"] == "boots"


def test_an_event_sent_again_is_stored_once(own_http):
    by_id = {**VIEW, "event_id": "once"}
    by_content = {**VIEW, "time_ms": 1_774_000_000_000}

    for event in (by_id, by_content):
        first, second = (own_http.post("/v1/events", json=event).json() for _ in range(2))
        assert (first["n_new"], first["n_duplicate"]) == (1, 0)
        assert (second["n_new"], second["n_duplicate"]) == (0, 1)


def test_a_request_sent_again_under_its_key_is_the_same_though_its_events_have_neither_id_nor_time(own_http):
    clock = own_http.app.state.serving.shop.clock
    now_ms = clock()
    body = [VIEW, {**VIEW, "event_id": "named"}, {**VIEW, "type": "stare"}, {**VIEW, "time_ms": now_ms + 86_400_001}]
    key = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}

    first = own_http.post("/v1/events", json=body, headers=key).json()
    own_http.app.state.serving.shop.clock = lambda: now_ms + 3_600_000
    quoted = {"idempotency-key": f'"{key["idempotency-key"]}"'}
    again = [own_http.post("/v1/events", json=body, headers=headers).json() for headers in (key, quoted)]

    assert (first["n_new"], first["n_duplicate"]) == (2, 0)
    assert [row["row"] for row in first["refusals"]] == [3, 4]
    for repeat in again:
        assert (repeat["n_new"], repeat["n_duplicate"]) == (0, 2)
        assert repeat["refusals"] == first["refusals"]  # what was in the future then, is so still
    other = own_http.post("/v1/events", json=body, headers={"idempotency-key": "another"}).json()
    assert (other["n_new"], other["n_duplicate"]) == (2, 1)


def test_a_foreign_request_sent_again_under_its_key_is_the_same_too(own_http):
    clock = own_http.app.state.serving.shop.clock
    now_ms = clock()
    timeless = {key: value for key, value in GA4_MEASUREMENT.items() if key != "timestamp_micros"}

    told = []
    for hour in range(2):
        own_http.app.state.serving.shop.clock = lambda hour=hour: now_ms + 3_600_000 * hour
        told.append(own_http.post("/v1/events", json=timeless, headers={"idempotency-key": "ga"}).json())

    assert [(one["n_new"], one["n_duplicate"]) for one in told] == [(1, 0), (0, 1)]


def test_a_key_stands_for_one_body_and_one_form(own_http):
    key = {"idempotency-key": "once"}
    assert own_http.post("/v1/events", json=VIEW, headers=key).json()["n_new"] == 1

    for send in ({"json": {**VIEW, "quantity": 2}}, {"json": VIEW, "params": {"format": "aisle"}}):
        told = problem(own_http.post("/v1/events", headers=key, **send), 422)
        assert told["type"].endswith(":idempotency-key-reused")
        assert told["field"] == "Idempotency-Key"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ü".encode(), '""'])
def test_what_cannot_be_a_key_is_refused(http, key):
    told = problem(http.post("/v1/events", json=VIEW, headers={"idempotency-key": key}), 422)
    assert (told["field"], told["type"]) == ("Idempotency-Key", "urn:aisle:problem:invalid")


def test_two_keys_in_one_request_are_refused(http):
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    assert problem(http.post("/v1/events", json=VIEW, headers=headers), 422)["field"] == "Idempotency-Key"


def test_an_event_joins_the_list_it_follows_from(own_http):
    answer = own_http.post("/v1/search", json={"query": "boots", "user_id": "finn"}).json()
    event = {**VIEW, "user_id": "finn", "type": "select_item", "slate_id": answer["slate_id"], "slot": 0}

    assert own_http.post("/v1/events", json=event).json()["n_new"] == 1

    listed = own_http.get("/v1/events", params={"user_id": "finn", "limit": 1}).json()["rows"][0]
    assert (listed["slate_id"], listed["slot"]) == (answer["slate_id"], 0)


def test_good_rows_go_in_and_bad_rows_are_named(own_http):
    rows = [
        {**VIEW, "event_id": "good-1"},
        {"user_id": "dora", "type": "view_item"},
        {**VIEW, "type": "stare"},
        {**VIEW, "colour": "red"},
        "not a record",
        {**VIEW, "time_ms": 4_000_000_000_000},
        {**VIEW, "query": "=cmd|' /C calc'!A0"},
        {**VIEW, "event_id": "good-2"},
    ]
    response = own_http.post("/v1/events", json=rows)
    told = wire.Written.model_validate_json(response.content, strict=True)

    assert told.n_new == 2
    assert [(refusal.row, refusal.field) for refusal in told.refusals] == [
        (2, "item_id"),
        (3, "type"),
        (4, "colour"),
        (5, ""),
        (6, "time_ms"),
        (7, "query"),
    ]
    assert told.refusals[1].value == "stare"
    assert "view_item" in told.refusals[1].allowed


def test_when_every_row_is_bad_nothing_was_accepted(own_http):
    told = problem(own_http.post("/v1/events", json=[{**VIEW, "type": "stare"}, {"user_id": ""}]), 422)

    assert told["type"].endswith("refused")
    assert (told["field"], told["row"]) == ("type", 1)
    assert {refusal["row"] for refusal in told["refusals"]} == {1, 2}


@pytest.mark.parametrize("n_rows", [0, 10_001])
def test_a_write_holds_one_to_ten_thousand_records(http, n_rows):
    assert "10000" in problem(http.post("/v1/users", json=[{"user_id": "u"}] * n_rows), 422)["detail"]


GA4_EXPORT = {
    "event_name": "add_to_cart",
    "event_timestamp": 1_774_800_000_000_000,
    "user_pseudo_id": "ga-1",
    "items": [{"item_id": "kettle", "quantity": 2, "price": 39.99}, {"item_id": "teapot"}],
    "event_params": [{"key": "currency", "value": {"string_value": "USD"}}],
}
GA4_MEASUREMENT = {
    "client_id": "ga-1",
    "timestamp_micros": 1_774_800_000_000_000,
    "events": [
        {"name": "purchase", "params": {"transaction_id": "t-1", "currency": "USD", "items": [{"item_id": "kettle"}]}},
        {"name": "scroll"},
    ],
}
RETAIL = {
    "eventType": "detail-page-view",
    "visitorId": "ga-1",
    "eventTime": "2026-03-29T10:00:00Z",
    "productDetails": [{"product": {"id": "kettle"}}],
    "attributionToken": "a-slate",
}
GORSE = {"FeedbackType": "like", "UserId": "ga-1", "ItemId": "kettle", "Timestamp": "2026-03-29T10:00:00Z"}


@pytest.mark.parametrize(
    ("body", "types"),
    [
        (GA4_EXPORT, ["add_to_cart", "add_to_cart"]),
        ([GA4_EXPORT], ["add_to_cart", "add_to_cart"]),
        (GA4_MEASUREMENT, ["purchase"]),
        (RETAIL, ["view_item"]),
        ({"inputConfig": {"userEventInlineSource": {"userEvents": [RETAIL]}}}, ["view_item"]),
        ([GORSE], ["add_to_wishlist"]),
    ],
    ids=["ga4 row", "ga4 rows", "ga4 measurement", "google retail", "google retail import", "gorse"],
)
def test_events_of_other_systems_are_taken_as_they_are(own_http, body, types):
    told = own_http.post("/v1/events", json=body)

    assert told.status_code == 200, told.text
    assert told.json()["n_new"] == len(types)
    rows = own_http.get("/v1/events", params={"user_id": "ga-1"}).json()["rows"]
    assert [row["type"] for row in rows] == types
    assert "kettle" in {row["item_id"] for row in rows}


TIMELESS = [
    {name: value for name, value in event.items() if name not in ("eventTime", "Timestamp", "event_timestamp")}
    for event in (RETAIL, GORSE, GA4_EXPORT)
]


@pytest.mark.parametrize("body", TIMELESS, ids=["google retail", "gorse", "ga4 row"])
def test_events_of_other_systems_that_say_no_time_happen_when_they_come_in(own_http, body):
    clock = own_http.app.state.serving.shop.clock
    now_ms = clock()
    told = []
    for hour in range(2):
        own_http.app.state.serving.shop.clock = lambda hour=hour: now_ms + 3_600_000 * hour
        told.append(own_http.post("/v1/events", json=body, headers={"idempotency-key": "once"}).json())

    rows = own_http.get("/v1/events", params={"user_id": "ga-1"}).json()["rows"]
    assert {row["time_ms"] for row in rows} == {now_ms}
    assert [(one["n_new"], one["n_duplicate"]) for one in told] == [(len(rows), 0), (0, len(rows))]


def test_a_measurement_body_keeps_its_session_and_the_list_it_names(own_http):
    params = {
        "session_id": 17,
        "item_list_id": "related",
        "item_list_name": "Related",
        "items": [{"item_id": "kettle"}],
    }
    named = {**params, "items": [{"item_id": "teapot", "item_list_id": "its-own"}], "ga_session_id": "18"}
    events = [{"name": "select_item", "params": given} for given in (params, named)]

    own_http.post("/v1/events", json={"client_id": "ga-1", "events": events})

    rows = own_http.get("/v1/events", params={"user_id": "ga-1"}).json()["rows"]
    told = {row["item_id"]: (row["session_id"], row["placement"]) for row in rows}
    assert told == {"kettle": ("17", "related"), "teapot": ("18", "its-own")}


@pytest.mark.parametrize(
    "body",
    [
        [VIEW, VIEW],
        [{**VIEW, "event_id": f"e-{n // 2}"} for n in range(2)],
        {"client_id": "dora", "events": 2 * [{"name": "view_item", "params": {"items": [{"item_id": "boots"}]}}]},
    ],
    ids=["without ids", "with ids", "ga4"],
)
def test_an_event_twice_in_one_body_is_stored_once_and_counted_as_known(own_http, body):
    told = own_http.post("/v1/events", json=body).json()

    assert (told["n_new"], told["n_duplicate"]) == (1, 1)
    counted = 'aisle_events_total{outcome="duplicate"} 1.0'
    assert counted in own_http.get("/metrics").text


def test_lists_in_foreign_events_have_their_limit_too(http):
    event = {"event_name": "view_item_list", "event_timestamp": 1_774_800_000_000_000, "user_pseudo_id": "u"}
    told = problem(http.post("/v1/events", json={**event, "items": [0] * 100_001}), 422)
    assert told["field"] == "items"


def test_a_small_body_of_another_system_is_read_beside_the_event_loop(own_http, monkeypatch):
    threads = []
    real = filling.accept_records

    def noted(*args, **kwargs):
        threads.append(threading.current_thread().name)
        return real(*args, **kwargs)

    monkeypatch.setattr(filling, "accept_records", noted)
    assert own_http.post("/v1/events", json=GORSE).json()["n_new"] == 1
    assert [name.partition("_")[0] for name in threads] == ["working"]


def test_a_form_may_be_named_and_a_wrong_one_is_refused(own_http):
    assert own_http.post("/v1/events?format=gorse", json=GORSE).json()["n_new"] == 1
    problem(own_http.post("/v1/events?format=aisle", json=GORSE), 422)
    for path, form in (("events", "ga4"), ("events", "google-retail"), ("items", "ga4"), ("users", "gorse")):
        assert problem(own_http.post(f"/v1/{path}?format={form}", json={"event_id": "e"}), 422)["field"] == "format"
    problem(own_http.post("/v1/events?format=matomo", json=GORSE), 422)
    problem(own_http.post("/v1/users?format=google-retail", json={"user_id": "u"}), 422)


def test_a_new_item_is_found_at_once_and_unchanged_when_sent_again(own_http):
    item = {
        "item_id": "samovar",
        "texts": [{"language": "en", "title": "Brass <b>samovar</b>"}, {"language": "zh", "title": "黄铜茶炊"}],
        "category": ["Kitchen", "Kettles"],
        "attributes": {"metal": ["brass"]},
        "price_minor": 8_900,
        "stock": 3,
    }
    assert own_http.post("/v1/items", json=item).json()["n_new"] == 1
    found = own_http.post("/v1/search", json={"query": "茶炊"}).json()["items"]
    kept = own_http.get("/v1/items/samovar").json()

    assert found[0]["item_id"] == "samovar"
    assert kept["texts"][0] == {"language": "en", "title": "Brass samovar", "description": ""}
    assert kept["currency"] == "USD"
    again = own_http.post("/v1/items", json=kept).json()
    assert (again["n_new"], again["n_changed"]) == (0, 0)
    assert own_http.post("/v1/items", json={**kept, "stock": 2}).json()["n_changed"] == 1


def test_products_of_google_retail_and_items_of_gorse_are_taken_as_they_are(own_http):
    price = {"price": 25, "currencyCode": "USD"}
    product = {"id": "r-1", "title": "Iron pan", "categories": ["Kitchen > Pans"], "priceInfo": price}
    gorse = {"ItemId": "g-1", "Comment": "Steel wok", "Categories": ["Kitchen"], "Timestamp": "2026-03-01T00:00:00Z"}

    for body in (product, [gorse]):
        assert own_http.post("/v1/items", json=body).json()["n_new"] == 1

    assert own_http.get("/v1/items/r-1").json()["price_minor"] == 2_500
    assert own_http.get("/v1/items/g-1").json()["texts"][0]["title"] == "Steel wok"


def test_users_and_documents(own_http):
    user = {"user_id": "gwen", "language": "zh", "platforms": ["app"], "attributes": {"club": ["gold"]}}
    document = {"document_id": "care", "text": "<p>Wash by hand.</p><p>Dry at once.</p>"}

    assert own_http.post("/v1/users", json=[user]).json()["n_new"] == 1
    assert own_http.post("/v1/documents", json=document).json()["n_new"] == 1

    assert own_http.get("/v1/users/gwen").json().items() >= user.items()
    rows = own_http.get("/v1/documents").json()["rows"]
    assert rows[0].items() >= {"document_id": "care", "title": "Wash by hand.", "language": "en"}.items()


def test_bodies_are_read_alike_however_large_they_are(own_http):
    rows = [{**VIEW, "event_id": f"many-{n}"} for n in range(2_000)]
    start = time.monotonic()

    assert own_http.post("/v1/events", json=rows).json()["n_new"] == 2_000
    assert time.monotonic() - start < 30


TEXT = st.text(max_size=30)
EVENTS = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u", "ann", "x" * 513, "a\nb", ""]),
        "type": st.sampled_from(["view_item", "search", "stare"]),
        "time_ms": st.sampled_from([1_774_000_000_000, 1, 4_000_000_000_000]),
    },
    optional={
        "item_id": st.sampled_from(["kettle", "k\x00"]),
        "query": TEXT,
        "text": st.sampled_from(
            ["fine", "<script>x</script>", "=1+1", "-5%", "ＡＢＣ  d", "a\u202eb", "&lt;b&gt;", " "]
        ),
        "quantity": st.sampled_from([1, 0, 100_001]),
        "price_minor": st.sampled_from([0, -1, 10_000_000_001]),
        "rating": st.sampled_from([5.0, 1e9]),
        "slot": st.sampled_from([0, -1]),
    },
)


@example(
    [{"user_id": "u", "type": "search", "time_ms": 1_774_000_000_000, "text": "<script>x</script>", "query": "\u200b"}]
)
@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=6))
def test_an_event_is_accepted_and_cleaned_exactly_as_from_a_file(rows):
    """Two ways in, one rule: what the API accepts equals what an import of the same rows accepts."""
    clock = tiny_shop().clock
    config = CleaningConfig(currency="EUR")
    ours = acceptance.accept(rows, wire.Event, acceptance.events(clock(), config))
    theirs = accept_records(rows, None, clock=clock, config=config)

    assert {refusal.row for refusal in ours.refusals} == {refusal.row for refusal in theirs.refusals}
    assert list(dict.fromkeys(ours.rows)) == list(dict.fromkeys(theirs.table.rows()))
    assert all(isinstance(row, Event) for row in ours.rows)
