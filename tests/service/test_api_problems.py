"""Everything that goes wrong is a problem document, and nothing that is sent does harm."""

import threading
from urllib.parse import quote

import orjson
import pytest

from aisle import wire
from aisle.errors import ConfigError, CorruptError, NotReadyError, PrivacyRefusal, UnavailableError
from aisle.serving import acceptance
from aisle.serving.answering import Answering
from tests.service.tiny_server import in_process, problem

NASTY = [
    "'; DROP TABLE items; --",
    '" OR 1=1',
    "../../../etc/passwd",
    "..%2f..%2faisle.toml",
    "a\r\nSet-Cookie: x=1",
    "\x00",
    "\u202e",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}",
    "title:* AND (",
    "A" * 9_000,
    "%00%ff%",
    "🏺" * 100,
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "/v1/nothing", None, 404, "not-found"),
        ("PUT", "/v1/search", b"{}", 405, "method-not-allowed"),
        ("POST", "/v1/search", b"", 400, "unreadable"),
        ("POST", "/v1/search", b"{", 400, "unreadable"),
        ("POST", "/v1/search", b'{"query": "\xff"}', 400, "unreadable"),
        ("POST", "/v1/search", b'{"query": "\\ud800"}', 400, "unreadable"),
        ("POST", "/v1/search", b"[" * 60_000, 400, "unreadable"),
        ("POST", "/v1/search", b'{"query": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, 400, "unreadable"),
        ("POST", "/v1/search", b'{"query": "a", "size": NaN}', 422, "invalid"),
        ("POST", "/v1/search", b'{"query": "a", "size": 1e400}', 422, "invalid"),
        ("POST", "/v1/search", b'{"query": "a", "size": ' + b"9" * 5_000 + b"}", 400, "unreadable"),
        ("POST", "/v1/search", b'{"query": "a", "size": "5"}', 422, "invalid"),
        ("POST", "/v1/search", b'{"query": "a", "limit": 5}', 422, "invalid"),
        ("POST", "/v1/search", b'{"query": "a", "filters": {"kinds": ["car"]}}', 422, "invalid"),
        ("POST", "/v1/search", b'{"query":"a","filters":{"min_price_minor":2,"max_price_minor":1}}', 422, "invalid"),
        ("POST", "/v1/search", b"[]", 422, "invalid"),
        ("POST", "/v1/recommend", b'{"placement": "nowhere"}', 422, "invalid"),
        ("POST", "/v1/recommend", b'{"item_ids": ["nothing"]}', 422, "invalid"),
        ("POST", "/v1/basket", b'{"item_ids": []}', 422, "invalid"),
        ("POST", "/v1/events", b"[" * 100_000, 400, "unreadable"),
        ("POST", "/v1/events", b'{"user_id": NaN}', 400, "unreadable"),
        ("POST", "/v1/events", b'{"user_id": "\\ud800"}', 400, "unreadable"),
        ("POST", "/v1/events", b'{"quantity": ' + b"9" * 4_000 + b"}", 422, "refused"),
        ("POST", "/v1/events", b"null", 422, "refused"),
        ("GET", "/v1/suggest", None, 422, "invalid"),
        ("GET", "/v1/suggest?prefix=a&prefix=b", None, 422, "invalid"),
        ("GET", "/v1/suggest?prefix=a&size=0", None, 422, "invalid"),
        ("GET", "/v1/suggest?prefix=a&size=" + "9" * 4_999, None, 422, "invalid"),
        ("GET", "/v1/items?limit=1001", None, 422, "invalid"),
        ("GET", "/v1/items?limit=ten", None, 422, "invalid"),
        ("GET", "/v1/items?offset=1", None, 422, "invalid"),
        ("GET", "/v1/items?cursor=WyJpdGVtcyIsICdhJ10", None, 422, "invalid"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_answered_with_its_problem(http, method, path, body, status, kind):
    response = http.request(method, path, content=body, headers={"content-type": "application/json"})
    told = problem(response, status)

    wire.Problem.model_validate_json(response.content, strict=True)
    assert told["type"] == f"urn:aisle:problem:{kind}"
    assert told["instance"] == path.partition("?")[0]
    assert len(response.content) < 2_000


def test_a_wrong_method_names_the_right_ones(http):
    response = http.request("PATCH", "/v1/items")

    assert problem(response, 405)["detail"]
    assert response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("media", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "nonsense"])
def test_a_body_of_another_kind_is_refused(http, media):
    for path in ("/v1/search", "/v1/events", "/v1/items"):
        problem(http.post(path, content=b'{"query": "tea"}', headers={"content-type": media}), 415)


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_body_that_was_packed_is_refused_by_the_name_of_its_encoding(http, encoding):
    for path in ("/v1/search", "/v1/events", "/v1/items"):
        told = problem(http.post(path, content=b"\x1f\x8b", headers={"content-encoding": encoding}), 415)
        assert encoding in told["detail"]
    assert http.post("/v1/search", json={"query": "tea"}, headers={"content-encoding": "identity"}).status_code == 200


def many(n, text):
    return ",".join(text % number for number in range(n))


LONG_ASK = f'{{"query": "a", "filters": {{"excluded_item_ids": [{many(300, chr(34) + "item-%d" + chr(34))}]}}}}'


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("search", '{"query": "a", ' + many(8_000, '"x%d": 1') + "}", 413),
        ("search", '{"query": "a", ' + many(5_000, '"x%d": 1') + "}", 422),
        ("search/batch", '{"asks": [{"query": "a", ' + many(90_000, '"x%d": 1') + "}]}", 413),
        ("search/batch", '{"asks": [{"query": "a", ' + many(50_000, '"x%d": 1') + "}]}", 422),
        ("recommend/batch", '{"asks": [' + many(201, '{"user_id": "u%d"}') + "]}", 422),
        ("training", '{"names": [' + many(10_000, '"n%d"') + "]}", 413),
        ("events", '{"user_id": "u", ' + many(50_000, '"x%d": 1') + "}", 422),
        ("items", '{"item_id": "i", "texts": [' + many(50_000, "%d") + "]}", 422),
        ("users", "[" + many(1_000, '{"user_id": " %d", "gender": 1, "region": 2, "language": 3}') + "]", 422),
    ],
)
def test_very_many_mistakes_are_not_written_out_one_by_one(http, monkeypatch, path, body, status):
    written = []
    monkeypatch.setattr(acceptance, "dotted", lambda where: written.append(where) or "")

    response = http.post(f"/v1/{path}", content=body)
    told = problem(response, status)

    assert len(written) <= 1_100
    assert len(response.content) < 300_000
    if status == 413:
        assert any(allowed in told["detail"] for allowed in ("65536 are allowed", "1048576 are allowed"))
        in_parts = (body[at : at + 10_000].encode() for at in range(0, len(body), 10_000))
        problem(http.post(f"/v1/{path}", content=in_parts), 413)


def test_a_long_question_is_read_beside_the_event_loop_and_answered_alike(http):
    assert http.post("/v1/search", content=LONG_ASK).status_code == 200
    batch = '{"asks": [' + ",".join([LONG_ASK] * 20) + "]}"
    assert len(http.post("/v1/search/batch", content=batch).json()["answers"]) == 20
    problem(http.post("/v1/search", content=LONG_ASK[:-1]), 400)


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "application/vnd.shop+json", None])
def test_a_body_that_is_json_under_any_of_its_names_is_read(http, media):
    headers = {} if media is None else {"content-type": media}

    assert http.post("/v1/search", content=b'{"query": "tea"}', headers=headers).status_code == 200


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_what_people_try_is_text_and_nothing_else(http, tiny, nasty):
    """As a query, in filters, as ids and cursors: an answer or a refusal, never a fault, and the shop is as before."""
    text = nasty[:500]
    answers = [
        http.post("/v1/search", json={"query": nasty, "filters": {"brands": [text], "categories": [text]}}),
        http.post("/v1/search", json={"query": nasty, "user_id": text}),
        http.post("/v1/recommend", json={"placement": text[:100], "item_ids": [text]}),
        http.post("/v1/events", json={"user_id": text, "type": "search", "query": nasty, "event_id": text}),
        http.post("/v1/items", json={"item_id": "nasty", "texts": [{"language": "en", "title": nasty}]}),
        http.get("/v1/suggest", params={"prefix": text[:200]}),
        http.get("/v1/items", params={"cursor": text}),
        http.get("/v1/events", params={"user_id": text}),
        http.get("/v1/items/" + quote(text.replace(".", "%2e"), safe="")),
        http.get("/v1/slates/x/explain", params={"language": text}),
        http.post("/v1/search", json={"query": "tea"}, headers={"accept-language": "q=,;;q=x,*;q=nan,en;q=9"}),
    ]

    for answer in answers:
        assert answer.status_code in (200, 404, 422), answer.text
        assert "set-cookie" not in answer.headers
        assert "root:" not in answer.text
        assert answer.headers["content-type"] in ("application/json", "application/problem+json")
    counts = http.get("/v1/status").json()["counts"]
    assert counts["items"] - len(tiny.items) in (0, 1)
    assert http.post("/v1/search", json={"query": "龙井"}).json()["items"][0]["item_id"] == "green-tea"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotReadyError("train first", command="aisle train"), 409),
        (UnavailableError("locked"), 503),
        (PrivacyRefusal("not given"), 403),
        (CorruptError("/secret/path is damaged"), 500),
        (ConfigError("/secret/path"), 500),
        (RuntimeError("/secret/path"), 500),
    ],
)
def test_what_fails_in_the_shop_becomes_a_problem_without_internals(own_http, monkeypatch, error, status):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(own_http.app.state.serving.shop, "read_items", fail)
    response = own_http.get("/v1/items/kettle")
    told = problem(response, status)

    assert "secret" not in response.text
    assert ("retry-after" in response.headers) == (status == 503)
    assert told.get("command") == ("aisle train" if status == 409 else None)


def test_more_questions_than_may_wait_are_refused_with_a_time_to_try_again(trained_folder, tmp_path):
    answering = Answering(n_threads=1, max_waiting=0)
    with in_process(trained_folder, tmp_path / "shop", answering=answering) as http:
        shop = http.app.state.serving.shop
        begun, may_end = threading.Event(), threading.Event()
        real = shop.try_search

        def slow(asks):
            begun.set()
            may_end.wait(10)
            return real(asks)

        shop.try_search = slow
        first = threading.Thread(target=lambda: http.post("/v1/search", json={"query": "tea"}))
        first.start()
        begun.wait(10)
        refused = http.post("/v1/search", content=orjson.dumps({"query": "tea"}))
        others = [http.get("/v1/suggest?prefix=a"), http.get("/v1/status")]
        may_end.set()
        first.join()

        assert problem(refused, 503)["type"].endswith("unavailable")
        assert refused.headers["retry-after"] == "1"
        assert [other.status_code for other in others] == [200, 200]  # other work has threads of its own
        assert http.post("/v1/search", json={"query": "tea"}).status_code == 200
