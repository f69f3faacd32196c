"""Against a real HTTP server that speaks the protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from aisle.errors import ConfigError, ContractError, UnavailableError
from aisle.language.served import ServedEncoder
from aisle.settings import EncoderConfig


class _Server(ThreadingHTTPServer):
    """Vectors (length of text, 1, 2); ``behaviour`` makes it fail in a chosen way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.behaviour = "right"
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.requests.append(asked)
        server.keys.append(self.headers["Authorization"])
        status = {"no key": 401, "no model": 404, "overloaded": 503}.get(server.behaviour, 200)
        rows = [
            {"object": "embedding", "index": place, "embedding": [float(len(text)), 1.0, 2.0]}
            for place, text in enumerate(asked["input"])
        ]
        if server.behaviour == "shuffled":
            rows.reverse()
        if server.behaviour == "one short":
            rows = rows[1:]
        if server.behaviour == "zero":
            rows[0]["embedding"] = [0.0, 0.0, 0.0]
        body = json.dumps({"object": "list", "data": rows, "model": asked["model"]} if status == 200 else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _encoder(server: _Server, **changed: Any) -> ServedEncoder:
    return ServedEncoder("small", server.address, **{"batch_size": 2, "n_retries": 0, "timeout_seconds": 5, **changed})


@pytest.mark.parametrize("behaviour", ["right", "shuffled"])
def test_vectors_come_in_the_order_of_the_texts(server: _Server, behaviour: str) -> None:
    server.behaviour = behaviour
    texts = ["a", "bbb", "", "cccccc", "dd"]

    vectors = _encoder(server).encode(texts)

    expected = np.array([[max(len(text), 1), 1, 2] for text in texts], dtype=np.float32)
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-6)
    assert [len(asked["input"]) for asked in server.requests] == [1, 2, 2, 1]


def test_the_key_comes_from_the_environment(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert _encoder(server).dimension == 3
    assert server.keys == ["Bearer a-key"]


@pytest.mark.parametrize(
    ("behaviour", "error", "says"),
    [
        ("no key", ConfigError, "OPENAI_API_KEY"),
        ("no model", ConfigError, "encoder.model"),
        ("overloaded", UnavailableError, "try again"),
        ("one short", ContractError, "0 vectors for 1 texts"),
        ("zero", ContractError, "zero"),
    ],
)
def test_each_failure_says_who_must_act(server: _Server, behaviour: str, error: type[Exception], says: str) -> None:
    server.behaviour = behaviour
    with pytest.raises(error, match=says):
        _encoder(server).encode(["tea"])


def test_a_failed_attempt_is_repeated(server: _Server) -> None:
    server.behaviour = "overloaded"
    with pytest.raises(UnavailableError):
        _encoder(server, n_retries=1).encode(["tea"])
    assert len(server.requests) == 2


def test_a_server_that_is_not_there_is_unavailable() -> None:
    encoder = ServedEncoder("small", "http://127.0.0.1:9/v1", batch_size=2, n_retries=0)
    with pytest.raises(UnavailableError, match="127.0.0.1:9"):
        encoder.encode(["tea"])


def test_settings_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        ServedEncoder.from_config(EncoderConfig(kind="openai", model="small"))
    with pytest.raises(ConfigError, match=r"encoder\.model"):
        ServedEncoder.from_config(EncoderConfig(kind="openai", address="http://127.0.0.1:9/v1"))
