"""Every route of the interface asked with every kind of key; limits of a caller; what logs and health say."""

from __future__ import annotations

import io
import json
import logging
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from aisle.errors import UnavailableError
from aisle.serving.gate import Guard, role_of
from aisle.serving.keys import BELIEVED_SECONDS, FRESH_SECONDS, ROLES, Keys, add_key
from aisle.serving.logs import JsonLines
from aisle.serving.metrics import Metrics
from aisle.settings import ServingConfig
from aisle.shop import Shop
from aisle.storage.keys import SqlKeys
from tests.service.tiny_server import in_process, on_a_port, problem, wait_until

UNKEYED = ("/health/live", "/health/ready", "/openapi.json", "/docs")
KEYS = {"none": None, "garbage": "garbage", "unknown": "aisle_0123456789ab_" + "0" * 64}


class Tokens(dict[str, str]):
    """A token by the role of its key; ``revoked`` is an admin's that was taken back."""


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def keyed(trained_folder: Path, tmp_path: Path) -> Iterator[tuple[TestClient, Tokens, SqlKeys, Watch]]:
    watch, tokens = Watch(), Tokens()
    with Shop.open(trained_folder) as shop:
        clock = shop.clock
    records = SqlKeys.open(_copy(trained_folder, tmp_path / "keys.db"))
    for role in ROLES:
        tokens[role] = add_key(records, role, role, clock)[0]
    tokens["revoked"], revoked = add_key(records, "revoked", "admin", clock)
    records.revoke(revoked.key_id, clock())
    with in_process(trained_folder, tmp_path / "shop", keys=Keys(records, watch)) as client:
        yield client, tokens, records, watch
    records.close()


def test_every_route_lets_in_its_role_and_those_above_and_nobody_else(keyed) -> None:
    client, tokens, _, _ = keyed
    document = client.get("/openapi.json").json()
    asked = 0
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            needed = described["x-role"]
            target = path.replace("{", "").replace("}", "")
            for name, token in {**KEYS, **tokens}.items():
                answer = client.request(method, target, headers=_bearer(token))
                if name not in ROLES:
                    assert problem(answer, 401)["type"].endswith(":unauthorised"), (method, path, name)
                    assert answer.headers["www-authenticate"].startswith("Basic")
                elif ROLES.index(name) < ROLES.index(needed):
                    assert problem(answer, 403)["type"].endswith(":forbidden"), (method, path, name)
                else:
                    assert answer.status_code < 500, (method, path, name)
                    assert answer.status_code not in (401, 403), (method, path, name)
                asked += 1
    assert asked >= 7 * 15


def test_no_route_is_left_without_a_guard_and_pages_need_what_they_do(keyed) -> None:
    client, _, _, _ = keyed
    needed: dict[str, dict[str, str | None]] = {"GET": {}, "POST": {}}
    for route in client.app.routes:
        assert isinstance(route, Route), route
        if getattr(route, "include_in_schema", False) and route.path.startswith("/v1"):
            continue  # asked with every key above
        assert isinstance(route.app, Guard) or route.path in UNKEYED, route.path
        for method in (route.methods or set()) - {"HEAD"}:
            needed[method][route.path] = role_of(route)
    assert set(needed["POST"].values()) == {"write"}
    assert {path for path, role in needed["GET"].items() if role is None} == set(UNKEYED)
    assert {path for path, role in needed["GET"].items() if role == "admin"} == {"/status", "/status/search"}


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}]
)
def test_a_page_of_another_site_cannot_use_the_key_that_a_browser_keeps(keyed, headers: dict[str, str]) -> None:
    client, tokens, _, _ = keyed
    kept = ("anybody", tokens["admin"])
    for path in ("/v1/models/popular/rollback", "/v1/items", "/v1/training"):
        assert problem(client.post(path, headers=headers, auth=kept), 403)["type"].endswith(":forbidden")
    assert client.delete("/v1/users/dora", headers=headers, auth=kept).status_code == 403
    assert client.post("/basket", headers=headers, auth=kept).status_code == 403
    assert client.get("/status", headers=headers, auth=kept).status_code == 200  # a link from elsewhere
    shown = {**headers, **_bearer(tokens["admin"])}  # no page of another site knows the key
    assert client.post("/v1/search", json={"query": "kettle"}, headers=shown).status_code == 200
    own = {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1"}
    assert client.post("/v1/search", json={"query": "kettle"}, headers=own, auth=kept).status_code == 200


def test_a_shop_without_keys_is_asked_by_names_of_this_machine_only(trained_folder: Path, tmp_path: Path) -> None:
    config = ServingConfig(allowed_hosts=("Shop.example",))
    with in_process(trained_folder, tmp_path / "shop", config=config) as client:
        known = ("localhost:8000", "127.0.0.1:8000", "[::1]:8000", "192.0.2.7", "a.localhost", "shop.example:80", "")
        foreign = ("evil.example:8000", "evil.example", "127.0.0.1.evil.example", "[::1", "x" * 300)
        for path in ("/v1/status", "/status", "/"):
            statuses = [client.get(path, headers={"host": host}).status_code for host in (*known, *foreign)]
            assert statuses == [200] * len(known) + [403] * len(foreign), path
        assert client.get("/health/live", headers={"host": "evil.example"}).status_code == 200


def test_a_shop_with_keys_is_asked_by_any_name(keyed: tuple[TestClient, Tokens, SqlKeys, Watch]) -> None:
    client, tokens, _, _ = keyed
    headers = {"host": "shop.example", "authorization": f"Bearer {tokens['admin']}"}
    assert client.get("/status", headers=headers).status_code == 200


def test_a_page_of_another_site_cannot_use_a_shop_without_keys_either(http) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    assert http.post("/v1/models/popular/rollback", headers=foreign).status_code == 403
    assert http.post("/v1/search", json={"query": "kettle"}).status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/", "/search?q=kettle"])
def test_pages_and_metrics_ask_for_a_key_too_a_browser_as_for_a_password(keyed, path: str) -> None:
    client, tokens, _, _ = keyed
    assert client.get(path).status_code == 401
    assert client.get(path, auth=("anybody", tokens["read"])).status_code == 200
    assert client.get(path, auth=("anybody", "garbage")).status_code == 401


def test_the_shop_page_may_be_opened_to_visitors_and_nothing_else_with_it(trained_folder: Path, tmp_path: Path) -> None:
    records = SqlKeys.open(_copy(trained_folder, tmp_path / "keys.db"))
    add_key(records, "me", "admin", lambda: 0)
    config = ServingConfig(storefront_needs_key=False)
    with in_process(trained_folder, tmp_path / "shop", keys=Keys(records), config=config) as client:
        document = client.get("/openapi.json").json()
        closed = {path.replace("{", "").replace("}", ""): methods for path, methods in document["paths"].items()}
        for path, methods in {**closed, "/metrics": ["get"], "/status": ["get"]}.items():
            for method in methods:
                assert client.request(method, path).status_code == 401, (method, path)

        for path in ("/", "/search?q=kettle", "/item/kettle", "/basket"):
            assert client.get(path).status_code == 200, path
        here = {"sec-fetch-site": "same-origin"}
        assert client.post("/basket", data={"item": "kettle"}, headers=here).status_code < 400
        client.cookies.set("aisle_visitor", b"dora".hex())  # the cookie of a page that lets one choose whom to be
        client.get("/item/boots")
        assert client.post("/user", data={"user": "dora"}, headers=here).status_code == 403
        shop = client.app.state.serving.shop
        rows = shop.list_events(limit=200).rows
        seen = [event for event in rows if not (event.event_id or "").startswith("tiny-")]
        assert {"kettle", "boots"} <= {event.item_id for event in seen}
        assert all(event.user_id.startswith("visitor-") for event in seen)
    records.close()


def test_only_what_tells_nothing_of_the_shop_is_open(keyed) -> None:
    client, _, _, _ = keyed
    assert [client.get(path).status_code for path in UNKEYED] == [200] * len(UNKEYED)


def test_a_key_is_taken_from_its_own_header_as_well(keyed) -> None:
    client, tokens, _, _ = keyed
    assert client.get("/v1/suggest?prefix=ke", headers={"x-api-key": tokens["read"]}).status_code == 200


def test_a_revoked_key_is_refused_within_a_second(keyed) -> None:
    client, tokens, records, watch = keyed
    asked = "/v1/suggest?prefix=ke"
    assert client.get(asked, headers=_bearer(tokens["read"])).status_code == 200
    records.revoke(tokens["read"].split("_")[1], 1)
    watch.now += FRESH_SECONDS
    problem(client.get(asked, headers=_bearer(tokens["read"])), 401)


def test_keys_that_cannot_be_read_are_believed_for_half_a_minute_only(keyed, monkeypatch) -> None:
    client, tokens, records, watch = keyed
    asked = "/v1/suggest?prefix=ke"

    def fail() -> None:
        raise UnavailableError("the database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(records, "read", fail)
        watch.now += BELIEVED_SECONDS - 0.1
        assert client.get(asked, headers=_bearer(tokens["read"])).status_code == 200
        watch.now += 0.2
        problem(client.get(asked, headers=_bearer(tokens["read"])), 503)
        problem(client.get(asked, headers=_bearer("garbage")), 503)
    watch.now += FRESH_SECONDS
    assert client.get(asked, headers=_bearer(tokens["read"])).status_code == 200


def test_what_one_caller_names_a_request_says_nothing_of_another_callers(keyed) -> None:
    client, tokens, _, _ = keyed
    for role, query in (("write", "tea"), ("admin", "kettle")):
        headers = {**_bearer(tokens[role]), "idempotency-key": "1"}
        for n_new in (1, 0):
            event = {"user_id": "dora", "type": "search", "query": query}
            assert client.post("/v1/events", json=event, headers=headers).json()["n_new"] == n_new


def test_what_is_kept_of_a_key_does_not_open_anything(keyed) -> None:
    client, tokens, records, _ = keyed
    for record in records.read():
        kept = record.token_hash.hex()
        assert kept not in tokens[record.name]
        assert client.get("/metrics", headers=_bearer(f"aisle_{record.key_id}_{kept}")).status_code == 401


def test_a_body_that_is_too_large_is_refused_announced_or_not(trained_folder, tmp_path) -> None:
    with in_process(trained_folder, tmp_path / "shop", config=ServingConfig(max_body_bytes=1024)) as client:
        large = json.dumps({"query": "x" * 2_000})
        headers = {"content-type": "application/json"}
        problem(client.post("/v1/search", content=large, headers=headers), 413)
        in_pieces = (large[at : at + 100].encode() for at in range(0, len(large), 100))
        problem(client.post("/v1/search", content=in_pieces, headers=headers), 413)
        assert client.post("/v1/search", json={"query": "kettle"}).status_code == 200


@pytest.fixture(scope="module")
def port(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = shutil.copytree(trained_folder, tmp_path_factory.mktemp("raw") / "shop")
    with on_a_port(folder) as address:
        yield int(address.rpartition(":")[2])


def sent(port: int, *pieces: bytes) -> bytes:
    """What the server answers to these bytes, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        answer = b""
        with suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
            while read := connection.recv(65_536):
                answer += read
        return answer


HEAD = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = [b"Content-Length: 19\r\n\r\n", b'{"query": "kettle"}']
HIDDEN = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
    ],
)
def test_a_request_of_doubtful_length_is_refused_so_that_none_hides_behind_it(port: int, head: bytes) -> None:
    answer = sent(port, HEAD + head + b"\r\n0\r\n\r\n" + HIDDEN)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert answer.count(b"HTTP/1.1") == 1
    assert b"live" not in answer


def test_a_head_without_end_is_cut_off(port: int) -> None:
    lines = [b"X-%d: %b\r\n" % (number, b"x" * 8_000) for number in range(2_000)]  # 16 MB
    assert b" 200 " not in sent(port, HEAD, *lines, *WHOLE)
    assert b" 200 " in sent(port, HEAD, lines[0], b"Connection: close\r\n", *WHOLE)
    assert b" 200 " in sent(port, HIDDEN)


def test_who_asks_too_often_is_told_when_to_come_again(trained_folder, tmp_path) -> None:
    with in_process(trained_folder, tmp_path / "shop", config=ServingConfig(requests_per_second=0.01)) as client:
        assert client.get("/v1/suggest?prefix=ke").status_code == 200
        refused = client.get("/v1/suggest?prefix=ke")
        problem(refused, 429)
        assert 1 <= int(refused.headers["retry-after"]) <= 100
        assert client.get("/health/ready").status_code == 200


def test_a_request_keeps_its_id_or_gets_one(http) -> None:
    assert http.get("/health/live", headers={"x-request-id": "order-17"}).headers["x-request-id"] == "order-17"
    for wrong in ("a b", "x" * 65, "ü".encode(), '"}'):
        given = http.get("/health/live", headers={"x-request-id": wrong}).headers["x-request-id"]
        assert len(given) == 32
    missing = http.get("/v1/nothing")
    assert problem(missing, 404)["request_id"] == missing.headers["x-request-id"]


def test_logs_name_routes_and_no_person_query_item_or_key(keyed) -> None:
    client, tokens, _, _ = keyed
    written = io.StringIO()
    lines = logging.StreamHandler(written)
    lines.setFormatter(JsonLines())
    logger = logging.getLogger("aisle")
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        secret = {"query": "secret-query", "user_id": "secret-user"}
        client.post("/v1/search", json=secret, headers=_bearer(tokens["read"]))
        client.get("/v1/items/secret-item/similar?user_id=secret-user", headers=_bearer(tokens["read"]))
        client.get("/v1/secret-path", headers=_bearer("aisle_secret"))
    finally:
        logger.removeHandler(lines)
    text = written.getvalue()
    told = [json.loads(line) for line in text.splitlines()]
    assert [line["route"] for line in told if line["logger"] == "aisle.requests"][:2] == [
        "/v1/search",
        "/v1/items/{item_id:path}/similar",
    ]
    assert "secret" not in text
    assert not any(token in text for token in tokens.values())


def test_health_says_whether_the_process_takes_requests(trained_folder, tmp_path) -> None:
    with in_process(trained_folder, tmp_path / "shop") as client:
        assert client.get("/health/ready").status_code == 200
        client.app.state.serving.is_ready = False
        refused = client.get("/health/ready")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert client.get("/health/live").status_code == 200


def test_metrics_count_requests_stages_and_events(trained_folder, tmp_path) -> None:
    with in_process(trained_folder, tmp_path / "shop") as client:
        client.post("/v1/recommend", json={"user_id": "dora"})
        look = {"event_id": "once", "user_id": "dora", "type": "view_item", "item_id": "kettle"}
        client.post("/v1/events", json=[look, {**look, "event_id": "twice", "item_id": None}])
        client.post("/v1/events", json=look)
        text = client.get("/metrics").text
    assert 'aisle_requests_total{method="POST",route="/v1/events",status="200"} 2.0' in text
    assert 'aisle_events_total{outcome="new"} 1.0' in text
    assert 'aisle_events_total{outcome="duplicate"} 1.0' in text
    assert 'aisle_events_total{outcome="refused"} 1.0' in text
    assert 'aisle_answer_seconds_count{placement="recommended-for-you"} 1.0' in text


def test_metrics_are_told_though_the_state_of_the_process_cannot_be_observed(caplog) -> None:
    metrics = Metrics()
    metrics.requested("/v1/search", "POST", 200, 0.01)

    def unobservable() -> None:
        raise UnavailableError("the database cannot be used now")

    metrics.before_telling(unobservable)

    assert 'aisle_requests_total{method="POST",route="/v1/search",status="200"} 1.0' in metrics.text().decode()
    assert "the database cannot be used now" in caplog.text


def test_gauges_are_kept_up_to_now_without_being_asked_for_another_worker_may_be_the_one_that_tells(caplog) -> None:
    metrics = Metrics()
    observed: list[int] = []

    def observe() -> None:
        observed.append(1)
        raise UnavailableError("the database cannot be used now")

    metrics.before_telling(observe)
    metrics.keep_history()
    try:
        wait_until(lambda: observed)
    finally:
        metrics.close()
    metrics.observe()
    assert caplog.text.count("the database cannot be used now") == 1  # once, however often it fails


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token}"}


def _copy(folder: Path, to: Path) -> Path:
    to.write_bytes((folder / "shop.db").read_bytes())
    return to
