"""Keeps the workers of a server running: starts them on one socket, replaces those that die, ends them in good order.

A worker that dies before it was ready is tried again after a pause that grows. As long as any worker answers, or may
yet come to answer, the server stays.

Enters: a shop's folder and how it is to be served. Loads nothing of the shop itself.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aisle.errors import ConfigError, UnavailableError
from aisle.settings import ServingConfig

READY, FAILED = b"r", b"f"
FAILED_STATUS = 3
"""Exit status of a worker that said why the shop cannot be served, for a reason that does not pass by itself."""
GRACE_SECONDS = 25
"""How long requests under way may take once a worker is to end."""
PATIENCE_SECONDS = 0.05
MOST_EARLY_DEATHS = 3
"""So often in a row a worker may die before it is ready; once none is ready and all have, the server gives up."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
"""Before a worker is tried again that died before it was ready; doubled each time."""
_MEMORY = Path("/dev/shm")
_METRICS = "aisle-metrics-"
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Chooses prometheus_client's multi-process mode; it must be set before that package is imported."""
FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}
"""glibc gives each thread memory of its own to hold back; with two such places a worker holds some 5% less."""


@dataclass
class Worker:
    """One process that answers, and the pipe on which it says that it is ready."""

    process: subprocess.Popen[bytes]
    ready_from: int
    n_early_deaths: int
    """How many before it in its place died in a row before they were ready."""
    is_ready: bool = False
    failure: str | None = None

    def listen(self) -> None:
        """Hear whether it became ready."""
        try:
            told = os.read(self.ready_from, 4_096)
        except BlockingIOError:
            return
        if told.startswith(READY):
            self.is_ready = True
            self.n_early_deaths = 0
        elif told.startswith(FAILED):
            self.failure = told[len(FAILED) :].decode(errors="replace")

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self.ready_from)


@dataclass(frozen=True)
class Pause:
    """A place without a worker until ``end_s`` (monotonic seconds)."""

    end_s: float
    n_early_deaths: int
    is_ready: bool = False


class Supervisor:
    """The parent of all workers, each of which runs ``module``.

    ``told`` hears what a person at the terminal wants to know.
    """

    def __init__(
        self, root: Path, config: ServingConfig, told: Callable[[str], None], module: str = "aisle.serving.workers"
    ) -> None:
        self._root = root
        self._config = config
        self._told = told
        self._module = module
        self._places: list[Worker | Pause] = []
        self._is_ending = False
        self._life, self._life_end = os.pipe()
        """Workers hold the first end and wait on it; the system closes the other one whenever this process ends."""

    def run(self, listening: socket.socket, on_ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; ``on_ready`` is called once, when every worker answers that can.

        Raises:
            UnavailableError: no worker comes up.
        """
        with _metrics_folder() as metrics, self._signals():
            self._places = [self._start(listening, metrics, 0) for _ in range(self._config.workers)]
            try:
                is_announced = False
                while not self._is_ending:
                    for place, found in enumerate(self._places):
                        self._places[place] = self._looked_after(found, place, listening, metrics)
                    if not is_announced and self._is_up():
                        is_announced = True
                        on_ready()
                    time.sleep(PATIENCE_SECONDS)
            finally:
                self._end(listening)

    def _is_up(self) -> bool:
        """Whether somebody answers, and whoever does not was tried in vain."""
        return any(one.is_ready for one in self._places) and all(
            one.is_ready or one.n_early_deaths for one in self._places
        )

    def _looked_after(
        self, found: Worker | Pause, place: int, listening: socket.socket, metrics: Path
    ) -> Worker | Pause:
        """What is in a place from now on."""
        if isinstance(found, Pause):
            is_over = time.monotonic() >= found.end_s
            return self._start(listening, metrics, found.n_early_deaths) if is_over else found
        found.listen()
        return found if found.process.poll() is None else self._after(found, place, metrics)

    def _start(self, listening: socket.socket, metrics: Path, n_early_deaths: int) -> Worker:
        ready_from, ready_to = os.pipe()
        os.set_blocking(ready_from, False)
        command = [
            *(sys.executable, "-m", self._module, str(self._root)),
            *("--config", self._config.model_dump_json()),
            *("--listening", str(listening.fileno()), "--ready-to", str(ready_to), "--parent", str(self._life)),
        ]
        n_threads = str(max(1, (os.cpu_count() or 1) // self._config.workers))
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=(listening.fileno(), ready_to, self._life),
            env={"OMP_NUM_THREADS": n_threads, **FEW_ARENAS, **os.environ, METRICS_VARIABLE: str(metrics)},
            start_new_session=True,  # Ctrl-C reaches this process alone, which then asks its workers to end
        )
        os.close(ready_to)
        return Worker(process, ready_from, n_early_deaths)

    def _after(self, dead: Worker, place: int, metrics: Path) -> Pause:
        """Bury a worker; raises ``UnavailableError`` when there is no hope for any other either."""
        dead.listen()
        dead.close()
        for file in metrics.glob(f"gauge_live*_{dead.process.pid}.db"):
            file.unlink(missing_ok=True)
        status = dead.process.returncode
        ended = f"worker {dead.process.pid} ended with status {status}"
        if dead.is_ready:
            self._told(f"{ended}; another takes its place")
            return Pause(0.0, 0)
        n_deaths = dead.n_early_deaths + 1
        if status == FAILED_STATUS:
            n_deaths = max(n_deaths, MOST_EARLY_DEATHS)
        others = [other for at, other in enumerate(self._places) if at != place]
        if n_deaths >= MOST_EARLY_DEATHS and all(
            not other.is_ready and other.n_early_deaths >= MOST_EARLY_DEATHS for other in others
        ):
            raise UnavailableError(
                dead.failure
                or f"no worker becomes ready; one ended {n_deaths} times in a row before it was (the last time with "
                f"status {status}); look at the lines above, and at the memory of this machine"
            )
        pause_s = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(n_deaths - 1, 10))
        why = f" ({dead.failure})" if dead.failure else ""
        self._told(f"{ended} before it was ready{why}; it is tried again in {pause_s:g} s")
        return Pause(time.monotonic() + pause_s, n_deaths)

    def _end(self, listening: socket.socket) -> None:
        listening.close()
        workers = [found for found in self._places if isinstance(found, Worker)]
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS + 5.0
        for worker in workers:
            try:
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._told(f"worker {worker.process.pid} does not end; it is killed")
                worker.process.kill()
                worker.process.wait()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def end(number: int, frame: object) -> None:
            self._is_ending = True

        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, was in before.items():
                signal.signal(number, was)
            for end_of_pipe in (self._life, self._life_end):
                os.close(end_of_pipe)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: somebody else listens there, or the address is none of this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2_048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            what = f"something listens on {host}:{port} already; stop it or choose another port with --port"
        else:
            what = f"{host}:{port} cannot be listened on: {error.strerror or error}"
        raise ConfigError(what, setting="serving.port") from error
    return listening


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _metrics_folder() -> Iterator[Path]:
    """Where the workers count: in memory where there is such a folder, for a full disk would kill who counts on it."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in parent.glob(f"{_METRICS}*"):  # of servers that were killed
        pid = left.name.removeprefix(_METRICS).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_METRICS}{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
