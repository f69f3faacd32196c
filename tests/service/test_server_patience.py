"""Callers who never finish what they send are hung up on, whatever they were answered; those who do are left alone."""

from __future__ import annotations

import shutil
import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from aisle.serving import limits
from tests.service.tiny_server import on_a_port


@pytest.fixture
def address(trained_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SENDING_SECONDS", 1.0)
    monkeypatch.setattr(limits, "BODY_SECONDS", 1.5)
    shutil.copytree(trained_folder, tmp_path / "shop")
    with on_a_port(tmp_path / "shop") as served:
        yield served


def connected(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def is_closed(connection: socket.socket, seconds: float = 10.0) -> bool:
    """Whether the other side closes within this time."""
    connection.settimeout(seconds)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if not connection.recv(65_536):
                return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return False


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /health/live HTTP/1.1\r\nhost: x\r\n",
        b"POST /no-such-route HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nx",
        b"GET /health/live HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n",
        b"POST /v1/search HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    ],
    ids=["nothing", "half-a-head", "body-nobody-reads", "chunks-nobody-reads", "half-a-body"],
)
def test_who_never_ends_a_request_is_hung_up_on(address: str, begun: bytes) -> None:
    with connected(address) as connection:
        connection.sendall(begun)
        time.sleep(0.3)
        if begun.endswith(b"x") or begun.endswith(b"x\r\n"):
            connection.sendall(b"y" if begun.endswith(b"x") else b"1\r\ny\r\n")  # after it was answered
        assert is_closed(connection)


def test_an_endless_head_is_cut_off(address: str) -> None:
    with connected(address) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n")
        n_sent = 0
        with suppress(ConnectionError):  # how it ends; how soon is asserted
            while n_sent < 100 * limits.MOST_HEAD_BYTES:
                n_sent += connection.send(b"x-%d: %s\r\n" % (n_sent, b"y" * 1_000))
        assert n_sent < 100 * limits.MOST_HEAD_BYTES


def test_a_large_body_is_read_whole_and_the_connection_kept(address: str) -> None:
    rows = [
        {"user_id": f"u{n}", "type": "view_item", "item_id": "kettle", "event_id": f"big-{n}"} for n in range(3_000)
    ]
    with httpx.Client(base_url=address, timeout=60) as client:
        told = client.post("/v1/events", json=rows).json()
        time.sleep(2.0)  # longer than a body may take
        assert client.get("/health/live").status_code == 200

    assert told["n_new"] == 3_000
