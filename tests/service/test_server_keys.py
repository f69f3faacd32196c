"""Every route of the interface asked with every kind of key; limits of a caller; what logs and health say."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from aisle.errors import UnavailableError
from aisle.serving.keys import BELIEVED_SECONDS, FRESH_SECONDS, ROLES, Keys, add_key
from aisle.serving.logs import JsonLines
from aisle.serving.metrics import Metrics
from aisle.settings import ServingConfig
from aisle.shop import Shop
from aisle.storage.keys import SqlKeys
from tests.service.tiny_server import in_process, problem, wait_until

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
                    assert answer.headers["www-authenticate"].startswith("Bearer")
                elif ROLES.index(name) < ROLES.index(needed):
                    assert problem(answer, 403)["type"].endswith(":forbidden"), (method, path, name)
                else:
                    assert answer.status_code < 500, (method, path, name)
                    assert answer.status_code not in (401, 403), (method, path, name)
                asked += 1
    assert asked >= 7 * 15


@pytest.mark.parametrize("path", ["/metrics", "/", "/search?q=kettle"])
def test_pages_and_metrics_ask_for_a_key_too_a_browser_as_for_a_password(keyed, path: str) -> None:
    client, tokens, _, _ = keyed
    assert client.get(path).status_code == 401
    assert client.get(path, auth=("anybody", tokens["read"])).status_code == 200
    assert client.get(path, auth=("anybody", "garbage")).status_code == 401


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
