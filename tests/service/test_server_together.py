"""Two workers of one real server, and other processes beside them: what one does, all know soon, and nobody waits."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.real_server import RealServer, event, served, wait_until


@pytest.fixture(scope="module")
def folder(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(trained_folder, tmp_path_factory.mktemp("together") / "shop")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RealServer]:
    with served(folder, "--workers", "2") as server:
        yield server


@pytest.fixture
def both(server: RealServer) -> Iterator[list[httpx.Client]]:
    """A connection to each of the two workers."""
    with server.client_of_each() as clients:
        assert len(clients) == 2
        yield clients


def test_an_event_that_one_worker_took_is_in_the_lists_of_both(both: list[httpx.Client]) -> None:
    for number, taking in enumerate(both):
        walker = f"walker-{number}"
        taking.post("/v1/events", json=event(f"step-{number}", walker, "boots")).raise_for_status()
        assert listed(taking, "recently-viewed", walker) == ["boots"]  # at once, for it was acknowledged here
        other = both[1 - number]
        wait_until(lambda other=other, walker=walker: listed(other, "recently-viewed", walker) == ["boots"])


def test_an_item_that_one_worker_took_is_found_by_both(both: list[httpx.Client]) -> None:
    for number, taking in enumerate(both):
        item_id, word = f"zither-{number}", ("zither", "ocarina")[number]
        texts = [{"language": "en", "title": f"A {word} of maple"}]
        taking.post("/v1/items", json={"item_id": item_id, "texts": texts, "stock": 3}).raise_for_status()
        assert found(taking, word)[0] == item_id
        other = both[1 - number]
        wait_until(lambda other=other, word=word, item_id=item_id: item_id in found(other, word))


def test_a_version_that_another_process_trains_comes_into_service_and_goes_again_while_requests_run(
    folder: Path, both: list[httpx.Client]
) -> None:
    before = current(both[0], "popular")
    assert in_service(both[0], "popular") == in_service(both[1], "popular") == before
    with asking(both[0].base_url) as statuses:
        wait_until(lambda: len(statuses) >= 10)
        command = [sys.executable, "-m", "aisle", "train", str(folder), "--source", "popular"]
        trained = subprocess.run(command, capture_output=True, text=True, check=False)
        assert trained.returncode == 0, trained.stdout + trained.stderr
        after = current(both[0], "popular")
        assert after != before
        wait_until(lambda: all(in_service(client, "popular") == after for client in both))

        rolled_back = both[0].post("/v1/models/popular/rollback")
        assert (rolled_back.status_code, rolled_back.json()["version"]) == (200, before)
        wait_until(lambda: all(in_service(client, "popular") == before for client in both))
        assert current(both[1], "popular") == before
        n_asked = len(statuses)
        wait_until(lambda: len(statuses) >= n_asked + 10)
    assert set(statuses) == {200}


def listed(client: httpx.Client, placement: str, user_id: str) -> list[str]:
    """The items of a placement for a user."""
    answer = client.post("/v1/recommend", json={"placement": placement, "user_id": user_id}).raise_for_status()
    return [entry["item_id"] for entry in answer.json()["items"]]


def found(client: httpx.Client, query: str) -> list[str]:
    """The items for a query."""
    answer = client.post("/v1/search", json={"query": query}).raise_for_status()
    return [entry["item_id"] for entry in answer.json()["items"]]


def current(client: httpx.Client, name: str) -> str:
    """The version of a model that is to serve."""
    models: list[dict[str, Any]] = client.get("/v1/models").raise_for_status().json()["models"]
    [model] = [model for model in models if model["name"] == name]
    [version] = [version["version"] for version in model["versions"] if version["is_current"]]
    return version


def in_service(client: httpx.Client, name: str) -> str:
    """The version of a model with which this worker answers."""
    return client.get("/v1/status").raise_for_status().json()["versions"][name]


@contextmanager
def asking(address: httpx.URL, n_connections: int = 2) -> Iterator[list[int]]:
    """Connections that ask for lists without a pause; yields the statuses of the answers, -1 for none."""
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=address, timeout=30) as client:
            while not stop.wait(0.01):
                try:
                    answer = client.post("/v1/recommend", json={"placement": "popular", "user_id": "dora"})
                    statuses.append(answer.status_code)
                except httpx.HTTPError:
                    statuses.append(-1)

    threads = [threading.Thread(target=ask) for _ in range(n_connections)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join(40)
