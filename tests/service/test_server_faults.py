"""Faults under a real server: the database locked, the disk full, a model damaged, a worker killed.

Lists come all the same, what cannot be stored is refused and never acknowledged, and everything works again afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service.real_server import RealServer, Senders, event, served, stored_event_ids, wait_until
from tests.service.tiny_server import problem

LOCKED_SECONDS = 3.0
DAMAGED = "linear"


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A file system of 16 MiB; None where this user may not mount one."""
    folder = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def folder(trained_folder: Path, small_disk: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop, on the small disk where there is one, with a model that cannot be read."""
    folder = shutil.copytree(trained_folder, (small_disk or tmp_path_factory.mktemp("faults")) / "shop")
    [weights] = (folder / "models" / DAMAGED).glob("*/arrays.npz")
    weights.write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with served(folder, "--workers", "2", log=tmp_path_factory.mktemp("log") / "server.log") as server:
        yield server


def test_a_damaged_model_is_named_in_the_answer_in_the_metrics_and_in_the_log(server: RealServer) -> None:
    before = counted(server, "aisle_degraded_total", part=DAMAGED)

    answer = server.client.post("/v1/recommend", json={"user_id": "dora"}, headers={"x-request-id": "lacking"})

    assert answer.status_code == 200
    assert DAMAGED in answer.json()["degraded"]
    assert answer.json()["items"]
    assert counted(server, "aisle_degraded_total", part=DAMAGED) == before + 1
    wait_until(lambda: '"lacking"' in server.log.read_text())
    [line] = [json.loads(line) for line in server.log.read_text().splitlines() if '"lacking"' in line]
    assert DAMAGED in line["degraded"]


def test_while_another_process_locks_the_database_lists_come_and_events_wait(server: RealServer, folder: Path) -> None:
    locking = sqlite3.connect(folder / "shop.db", isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    end = time.monotonic() + LOCKED_SECONDS
    with Senders(server.address, "locked") as senders:
        while time.monotonic() < end:
            assert items_for(server.client)
        n_before = len(senders.acknowledged)
        locking.execute("ROLLBACK")
        locking.close()
        wait_until(lambda: len(senders.acknowledged) >= 20)
    assert n_before == 0  # nothing is acknowledged that could not be stored
    assert not senders.failures
    assert set(senders.statuses) <= {200, 503}
    assert_stored_once(folder, senders.acknowledged)


def test_on_a_full_disk_lists_come_and_events_are_refused_until_there_is_room(
    server: RealServer, folder: Path, small_disk: Path | None
) -> None:
    if small_disk is None:
        pytest.skip("mounting a small disk needs root")
    filler = small_disk / "filler"
    fill_up(filler)
    acknowledged: list[str] = []
    with server.client_of_each() as clients:
        refused = [post_until_refused(client, f"full-{number}", acknowledged) for number, client in enumerate(clients)]
        for client, answer in zip(clients, refused, strict=True):
            assert "disk" in problem(answer, 503)["detail"]
            assert int(answer.headers["retry-after"]) >= 1
            assert all(items_for(client) for _ in range(20))
        assert_stored_once(folder, acknowledged)

        filler.unlink()

        for number, client in enumerate(clients):
            wait_until(lambda c=client, n=number: post(c, [f"room-{n}"]).status_code == 200)
    assert_stored_once(folder, [*acknowledged, "room-0", "room-1"])


def test_metrics_and_answers_go_on_when_a_worker_is_killed(server: RealServer) -> None:
    assert items_for(server.client)
    before = counted(server, "aisle_requests_total", route="/v1/recommend")
    victim = server.workers()[0]
    victim.send_signal(signal.SIGKILL)
    wait_until(lambda: len(server.workers()) == 2 and victim.pid not in [worker.pid for worker in server.workers()])
    for _ in range(5):  # on new connections, for those to the dead worker are gone
        with httpx.Client(base_url=server.address, timeout=30) as client:
            assert items_for(client)
    with server.client_of_each() as clients:  # the new worker loads the shop before it answers
        for client in clients:
            assert items_for(client)
            text = client.get("/metrics").raise_for_status().text
            assert total(text, "aisle_requests_total", route="/v1/recommend") >= before + 6


def items_for(client: httpx.Client) -> list[Any]:
    """A list that came."""
    return client.post("/v1/recommend", json={"user_id": "dora"}).raise_for_status().json()["items"]


def post(client: httpx.Client, event_ids: list[str]) -> httpx.Response:
    """Send events of these ids."""
    return client.post("/v1/events", json=[event(event_id) for event_id in event_ids])


def post_until_refused(client: httpx.Client, name: str, acknowledged: list[str]) -> httpx.Response:
    """Send events until some are refused, noting those acknowledged before; the refusal."""
    for batch in range(200):
        event_ids = [f"{name}-{batch}-{number}" for number in range(500)]
        answer = post(client, event_ids)
        if answer.status_code != 200:
            return answer
        acknowledged += event_ids
    raise AssertionError("the disk did not fill")


def fill_up(filler: Path) -> None:
    """Leave no room on the disk."""
    with filler.open("wb", buffering=0) as file:
        for piece in (2**20, 2**12):
            try:
                while True:
                    file.write(b"\0" * piece)
            except OSError:
                continue


def counted(server: RealServer, name: str, **labels: str) -> float:
    """What ``/metrics`` tells of a counter."""
    return total(server.client.get("/metrics").raise_for_status().text, name, **labels)


def total(text: str, name: str, **labels: str) -> float:
    """The sum of a counter over all labels that are not given."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def assert_stored_once(folder: Path, event_ids: list[str]) -> None:
    """All of these events are in the database, each once."""
    stored = Counter(stored_event_ids(folder))
    assert set(event_ids) <= stored.keys()
    assert max(stored.values()) == 1
