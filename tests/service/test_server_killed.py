"""The real server, killed: what it acknowledged is there afterwards, once; who dies is replaced; who is asked to end
finishes first.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest

from aisle.domain import Item, ItemText
from aisle.folder import init
from aisle.shop import Shop
from tests.service.real_server import RealServer, Senders, event, served, stored_event_ids, wait_until

ROUNDS = 10
QUICK = """
from pathlib import Path

from aisle.errors import ConfigError
from aisle.testing.hashed_words import HashedWords


class Quick(HashedWords):
    @classmethod
    def from_config(cls, config, *, progress):
        if (Path(__file__).parent / "refusing").exists():
            raise ConfigError("no [encoder] today")
        return cls()
"""


@pytest.fixture
def folder(trained_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained_folder, tmp_path / "shop")


@pytest.fixture
def plain_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop that is loaded quickly: one item, nothing trained, an encoder without a model, brought by a plug-in."""
    plug_in = tmp_path / "quick-1.dist-info"
    plug_in.mkdir()
    (plug_in / "METADATA").write_text("Metadata-Version: 2.1\nName: quick\nVersion: 1\n")
    (plug_in / "entry_points.txt").write_text("[aisle.encoders]\nquick = quick:Quick\n")
    (tmp_path / "quick.py").write_text(QUICK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    folder = init(tmp_path / "plain", toml='[encoder]\nkind = "quick"\n')
    with Shop(folder) as shop:
        shop.add_items([Item("kettle", (ItemText("en", "Kettle"),))])
    return folder.root


def test_a_request_with_a_key_is_stored_once_at_every_worker_and_after_a_kill(plain_folder: Path) -> None:
    look = {"user_id": "dora", "type": "view_item", "item_id": "kettle"}  # neither an id nor a time
    sent = {"json": [look, {"user_id": "dora", "type": "search", "query": "tea"}], "headers": {"idempotency-key": "k"}}
    told: list[tuple[int, int]] = []
    for _ in range(2):
        with served(plain_folder, "--workers", "2") as server:
            with server.client_of_each() as clients:
                for client in clients:
                    answer = client.post("/v1/events", **sent).raise_for_status().json()
                    told.append((answer["n_new"], answer["n_duplicate"]))
                    assert client.post("/v1/events", json=look, headers=sent["headers"]).status_code == 422
            server.kill_everything()

    assert told == [(2, 0), (0, 2), (0, 2), (0, 2)]
    with Shop.open(plain_folder) as shop:
        assert shop.counts()["events"] == 2


@pytest.mark.timeout(300)
def test_what_was_acknowledged_is_there_exactly_once_however_often_everything_is_killed(plain_folder: Path) -> None:
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        with served(plain_folder, "--workers", "2") as server, Senders(server.address, f"round{number}") as senders:
            wait_until(lambda s=senders: len(s.acknowledged) >= 20)
            server.kill_everything()
        assert set(senders.statuses) == {200}
        acknowledged += senders.acknowledged
        ids = stored_event_ids(plain_folder)
        assert len(acknowledged) >= 20 * (number + 1)
        assert set(acknowledged) <= set(ids)
        assert max(Counter(ids).values()) == 1


def test_workers_end_with_their_supervisor(folder: Path) -> None:
    with served(folder, "--workers", "2") as server:
        workers = server.workers()
        server.process.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive


def test_a_dead_worker_is_replaced_and_the_others_answer_meanwhile(folder: Path) -> None:
    with served(folder, "--workers", "2") as server:
        before = {worker.pid for worker in server.workers()}
        victim = server.workers()[0]
        victim.send_signal(signal.SIGKILL)
        with httpx.Client(base_url=server.address, timeout=30) as client:
            assert client.post("/v1/recommend", json={"user_id": "dora"}).status_code == 200
        wait_until(
            lambda: len({worker.pid for worker in server.workers()} & before) == 1 and len(server.workers()) == 2
        )
        assert f"worker {victim.pid} ended with status -9; another takes its place" in server.log.read_text()
        with httpx.Client(base_url=server.address, timeout=30) as client:
            assert client.post("/v1/events", json=event("after-the-death")).status_code == 200
        assert server.end() == 0
    assert "after-the-death" in stored_event_ids(folder)


def test_a_worker_that_does_not_come_up_is_tried_again_while_another_answers(
    plain_folder: Path, tmp_path: Path
) -> None:
    with served(plain_folder, "--workers", "2") as server:
        victim, survivor = server.workers()
        (tmp_path / "refusing").touch()
        victim.send_signal(signal.SIGKILL)
        wait_until(lambda: "before it was ready (ConfigError: no [encoder] today)" in told(server), 60)
        with httpx.Client(base_url=server.address, timeout=30) as client:
            assert client.post("/v1/events", json=event("meanwhile")).status_code == 200
        assert survivor in server.workers()

        (tmp_path / "refusing").unlink()

        wait_until(lambda: len(server.workers()) == 2, 60)
        with server.client_of_each() as clients:
            for number, client in enumerate(clients):
                assert client.post("/v1/events", json=event(f"again-{number}")).status_code == 200
        assert server.end() == 0
    assert {"meanwhile", "again-0", "again-1"} <= set(stored_event_ids(plain_folder))


def test_asked_to_end_under_load_it_finishes_what_is_under_way_and_loses_nothing(folder: Path) -> None:
    answers: list[int] = []
    with served(folder) as server, Senders(server.address, "load") as senders:
        wait_until(lambda: len(senders.acknowledged) >= 20)
        asking = threading.Thread(target=_ask_slowly, args=(server, answers))
        asking.start()
        time.sleep(0.3)
        assert server.end() == 0
        asking.join(30)
    assert set(senders.statuses) <= {200, 503}
    assert answers == [200]
    ids = stored_event_ids(folder)
    assert set(senders.acknowledged) <= set(ids)
    assert max(Counter(ids).values()) == 1
    assert "ended; everything acknowledged is stored" in server.log.read_text()


def test_lists_that_were_shown_are_written_down_before_it_ends(folder: Path) -> None:
    with served(folder) as server:
        shown = [server.client.post("/v1/recommend", json={"user_id": "dora"}).json() for _ in range(5)]
        assert server.end() == 0
    with Shop.open(folder) as shop:
        assert all(shop.read_slate(answer["slate_id"]) is not None for answer in shown)


def told(server: RealServer) -> str:
    """What the server has written, on one line."""
    return " ".join(server.log.read_text().split())


def _ask_slowly(server: RealServer, answers: list[int]) -> None:
    """One request that is under way while the server is told to end: its body comes in two pieces."""

    def pieces():
        yield b'{"user_id":'
        time.sleep(1.0)
        yield b'"dora"}'

    headers = {"content-type": "application/json"}
    answers.append(
        httpx.post(f"{server.address}/v1/recommend", content=pieces(), headers=headers, timeout=30).status_code
    )
