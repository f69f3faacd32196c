"""The real server in processes of its own, as `aisle serve` starts it, and clients that keep asking."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from aisle.testing.tiny import NOW_MS


@dataclass
class RealServer:
    """A running `aisle serve`."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path
    client: httpx.Client

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        return psutil.Process(self.process.pid).children()

    @contextmanager
    def client_of_each(self) -> Iterator[list[httpx.Client]]:
        """A connection to every worker, made while the others stand still so that they cannot take it."""
        workers = self.workers()
        with ExitStack() as clients:
            connected: list[httpx.Client] = []
            for own in workers:
                others = [worker for worker in workers if worker is not own]
                for other in others:
                    other.suspend()
                try:
                    connected.append(clients.enter_context(httpx.Client(base_url=self.address, timeout=30)))
                    connected[-1].get("/health/live").raise_for_status()
                finally:
                    for other in others:
                        other.resume()
            yield connected

    def kill_everything(self) -> None:
        """SIGKILL to the supervisor and every worker at once."""
        family = [*self.workers(), psutil.Process(self.process.pid)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.send_signal(signal.SIGKILL)
        wait_until(lambda: not any(_runs(member) for member in family))
        self.process.wait(10)

    def end(self, seconds: float = 40.0) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def served(folder: Path, *options: str, log: Path | None = None) -> Iterator[RealServer]:
    """The shop in ``folder``, served and ready; killed afterwards if it still runs."""
    port = free_port()
    log = log or folder.parent / f"{folder.name}-{port}.log"
    command = [sys.executable, "-m", "aisle", "serve", str(folder), "--port", str(port), "--no-storefront", *options]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        server = RealServer(process, f"http://127.0.0.1:{port}", log, client)
        try:
            wait_until(lambda: "ready;" in log.read_text() or process.poll() is not None, 60)
            assert process.poll() is None, log.read_text()
            yield server
        finally:
            if process.poll() is None:
                server.kill_everything()


def _runs(process: psutil.Process) -> bool:
    """Whether a process has not ended; orphans that nobody has asked after yet have."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_so: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition; fails when it does not come about."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def event(event_id: str, user_id: str = "dora", item_id: str = "kettle") -> dict[str, Any]:
    """One look at an item."""
    return {"event_id": event_id, "user_id": user_id, "type": "view_item", "item_id": item_id, "time_ms": NOW_MS}


@dataclass
class Senders:
    """Connections that post events one after the other until told to stop or hung up on."""

    address: str
    name: str
    n_connections: int = 4
    acknowledged: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def __enter__(self) -> Senders:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(self.n_connections)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(40)

    def _send(self, connection: int) -> None:
        with httpx.Client(base_url=self.address, timeout=30) as client:
            number = 0
            while not self._stop.is_set():
                event_id = f"{self.name}-{connection}-{number}"
                number += 1
                try:
                    response = client.post("/v1/events", json=event(event_id))
                except httpx.HTTPError as error:
                    self.failures.append(error)
                    return
                self.statuses.append(response.status_code)
                if response.status_code == 200:
                    self.acknowledged.append(event_id)


def stored_event_ids(folder: Path) -> list[str]:
    """The ids of all events in the shop's database that have one, read without the shop."""
    with closing(sqlite3.connect(f"file:{folder / 'shop.db'}?mode=ro", uri=True)) as reading:
        return [event_id for (event_id,) in reading.execute("SELECT event_id FROM events WHERE event_id IS NOT NULL")]
