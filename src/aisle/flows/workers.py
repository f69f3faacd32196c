"""Runs the parts of an answer beside each other, and goes on without those that take too long.

Enters: work by part and the seconds to wait. Leaves: what became of each. A part that hangs keeps its thread; its
breaker sees to it that there are few of those.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, Literal, TypeVar

from aisle.flows.breaker import Breaker

T = TypeVar("T")

MOST_THREADS = 64
IDLE_SECONDS = 30.0
"""A thread that had nothing to do for so long ends; a shop that is not asked has none."""


@dataclass(frozen=True)
class Ran(Generic[T]):
    """What became of one part: a ``result``, or ``why`` there is none; ``seconds`` it worked or was waited for."""

    result: T | None
    why: Literal["failed", "late"] | None = None
    error: BaseException | None = None
    seconds: float = 0.0
    was_asked: bool = True
    """False where the breaker is open."""


class Workers:
    """Threads for the parts of answers, made when needed, and a breaker for each part. Safe to use from many threads.

    Threads are daemons: a part that hangs for good does not keep the process from ending.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._threads = _Threads()
        self._breakers: dict[str, tuple[str, Breaker]] = {}
        self._lock = threading.Lock()

    def run(
        self, works: Mapping[str, Callable[[], T]], seconds: float, versions: Mapping[str, str]
    ) -> dict[str, Ran[T]]:
        """Run all of ``works`` at the same time and wait at most ``seconds``; what became of each, in their order.

        A part whose breaker is open is ``late`` without being run. ``versions`` names the version of parts that have
        one: another version starts with a fresh breaker.
        """
        together = _Together(len(works))
        runs: dict[str, _Run[T] | None] = {}
        for name, work in works.items():
            breaker = self._breaker(name, versions.get(name, ""))
            runs[name] = _Run(work, together, breaker) if breaker.admits() else None
        for run in runs.values():
            if run is None:
                together.one_done()
            else:
                self._threads.submit(run.perform)
        together.wait(seconds)
        return {
            name: Ran(None, "late", was_asked=False) if run is None else run.outcome(seconds)
            for name, run in runs.items()
        }

    def _breaker(self, name: str, version: str) -> Breaker:
        kept = self._breakers.get(name)
        if kept is not None and kept[0] == version:
            return kept[1]
        with self._lock:
            kept = self._breakers.get(name)
            if kept is None or kept[0] != version:
                kept = self._breakers[name] = (version, Breaker(self._now))
            return kept[1]


class _Together:
    """Opens when all runs that were started together are done."""

    def __init__(self, n_runs: int) -> None:
        self._n_left = n_runs
        self._lock = threading.Lock()
        self._gate = threading.Lock()
        if n_runs:
            self._gate.acquire()

    def one_done(self) -> None:
        with self._lock:
            self._n_left -= 1
            if not self._n_left:
                self._gate.release()

    def wait(self, seconds: float) -> None:
        self._gate.acquire(timeout=max(seconds, 0.0))


class _Run(Generic[T]):
    """One run of one part: performed by a thread, asked for its outcome by another."""

    def __init__(self, work: Callable[[], T], together: _Together, breaker: Breaker) -> None:
        self._work = work
        self._together = together
        self._breaker = breaker
        self._context = contextvars.copy_context()  # so that what is logged names the request
        self._ran: Ran[T] | None = None
        self._is_started = self._is_given_up = False
        self._lock = threading.Lock()

    def perform(self) -> None:
        with self._lock:
            if self._is_given_up:  # it was still waiting for a thread
                self._breaker.came_back()
                return
            self._is_started = True
        start = time.perf_counter()
        try:
            ran: Ran[T] = Ran(self._context.run(self._work), seconds=time.perf_counter() - start)
        except BaseException as error:  # whatever a part raises must not end the thread
            ran = Ran(None, "failed", error, time.perf_counter() - start)
        with self._lock:
            self._ran = ran
            is_given_up = self._is_given_up
        if is_given_up:
            self._breaker.came_back()
        else:
            self._breaker.in_time()
            self._together.one_done()

    def outcome(self, seconds: float) -> Ran[T]:
        with self._lock:
            if self._ran is not None:
                return self._ran
            self._is_given_up = True
        self._breaker.late()
        return Ran(None, "late", seconds=seconds)


class _Threads:
    """Threads that wait for work; a new one is started when none is free."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._n_threads = self._n_free = self._n_waiting = 0
        """Of free threads, each is counted until a piece of work is meant for it; ``_n_waiting`` has none meant."""
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._queue.put(work)
            if self._n_free:
                self._n_free -= 1
            elif self._n_threads < MOST_THREADS:
                self._n_threads += 1
                threading.Thread(target=self._serve, name="aisle-part", daemon=True).start()
            else:
                self._n_waiting += 1

    def _serve(self) -> None:
        while True:
            try:
                work = self._queue.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if not self._n_free:  # something is just coming
                        continue
                    self._n_free -= 1
                    self._n_threads -= 1
                    return
            work()
            del work
            with self._lock:
                if self._n_waiting:
                    self._n_waiting -= 1
                else:
                    self._n_free += 1
