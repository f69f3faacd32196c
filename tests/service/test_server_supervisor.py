"""The supervisor over real processes that do as they are told: when it tries them again, and when the server ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aisle.errors import UnavailableError
from aisle.serving import supervisor
from aisle.serving.supervisor import MOST_EARLY_DEATHS, Supervisor, bound
from aisle.settings import ServingConfig
from tests.service.real_server import wait_until

WORKER = """
import argparse, os, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("root", type=Path)
for name in ("--config", "--listening", "--ready-to", "--parent"):
    parser.add_argument(name)
given = parser.parse_args()
ready_to = int(given.ready_to)
# The places are not told apart; each start takes the next line, and the last line counts for all that follow.
def is_taken(line):
    try:
        (given.root / f"taken-{line.name}").mkdir()
    except FileExistsError:
        return True
    return False


lines = sorted(given.root.glob("start-*"))
mine = next((line for line in lines[:-1] if not is_taken(line)), lines[-1])
match mine.read_text():
    case "ready":
        os.write(ready_to, b"r")
        (given.root / f"ready-{os.getpid()}").touch()
        os.read(int(given.parent), 1)
    case "die":
        os._exit(9)
    case "refuse":
        os.write(ready_to, b"f" + b"ConfigError: no such encoder")
        sys.exit(3)
"""


class Server:
    """A supervisor that runs in the main thread, and what it told meanwhile."""

    def __init__(self, root: Path, n_workers: int) -> None:
        self.root = root
        self.told: list[str] = []
        self.n_announced = 0
        self._supervisor = Supervisor(root, ServingConfig(workers=n_workers), self.told.append, "obedient")

    def workers_do(self, *words: str) -> None:
        """What those that are started next do, in this order; the last word counts for all that follow."""
        for number, word in enumerate(words):
            (self.root / f"start-{number:03d}").write_text(word)

    def run(self) -> None:
        """Serve until told to end."""

        def announce() -> None:
            self.n_announced += 1

        self._supervisor.run(bound("127.0.0.1", 0), announce)

    def ready(self) -> list[int]:
        """The processes that ever became ready."""
        return [int(path.name.removeprefix("ready-")) for path in self.root.glob("ready-*")]


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "obedient.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.02)


@pytest.fixture
def ending() -> Iterator[list[threading.Thread]]:
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join(30)


def end_when(is_so, threads: list[threading.Thread]) -> None:
    """End this process's supervisor as SIGTERM does, once something is so, or after some seconds anyhow."""

    def wait() -> None:
        deadline = time.monotonic() + 20
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threads.append(threading.Thread(target=wait))
    threads[-1].start()


@pytest.mark.parametrize("trouble", ["die", "refuse"])
def test_while_one_worker_answers_the_others_are_tried_for_ever(tmp_path, ending, trouble):
    server = Server(tmp_path, 3)
    server.workers_do("ready", trouble)
    end_when(lambda: len(server.told) > 4 * MOST_EARLY_DEATHS, ending)

    server.run()

    assert len(server.told) > 4 * MOST_EARLY_DEATHS
    assert len(server.ready()) == 1
    assert server.n_announced == 1
    assert all("before it was ready" in line for line in server.told)
    assert all(("no such encoder" in line) == (trouble == "refuse") for line in server.told)


def test_a_worker_that_comes_up_at_last_is_kept(tmp_path, ending):
    server = Server(tmp_path, 2)
    server.workers_do("ready", *["die"] * 5, "ready")
    end_when(lambda: len(server.ready()) == 2, ending)

    server.run()

    assert len(server.ready()) == 2
    assert len(server.told) == 5


def test_pauses_grow(tmp_path, ending):
    server = Server(tmp_path, 2)
    server.workers_do("ready", "die")
    end_when(lambda: len(server.told) >= 5, ending)

    server.run()

    assert [line.rpartition("in ")[2] for line in server.told[:5]] == ["0.02 s", "0.04 s", "0.08 s", "0.16 s", "0.32 s"]


def test_the_server_ends_when_no_worker_comes_up_however_many_places_there_are(tmp_path):
    server = Server(tmp_path, 2)
    server.workers_do("die")

    with pytest.raises(UnavailableError, match="no worker becomes ready") as raised:
        server.run()

    assert "status 9" in str(raised.value)
    assert len(server.told) >= 2 * MOST_EARLY_DEATHS - 1
    assert server.n_announced == 0


def test_a_shop_that_no_worker_can_serve_ends_the_server_with_the_reason(tmp_path):
    server = Server(tmp_path, 2)
    server.workers_do("refuse")

    with pytest.raises(UnavailableError, match="no such encoder"):
        server.run()

    assert len(server.told) <= 2


def test_when_the_last_that_answered_dies_it_is_tried_again_as_if_it_were_the_first(tmp_path, ending):
    server = Server(tmp_path, 2)
    server.workers_do("ready", *["die"] * 6, "ready")

    def kill_the_first() -> None:
        wait_until(lambda: len(server.told) >= 4)
        os.kill(server.ready()[0], signal.SIGKILL)

    ending.append(threading.Thread(target=kill_the_first))
    ending[-1].start()
    end_when(lambda: len(server.ready()) == 3, ending)

    server.run()

    assert len(server.ready()) == 3
    assert sum("another takes its place" in line for line in server.told) == 1
