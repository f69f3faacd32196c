"""Runs the parts of an answer, and goes on without those that take too long.

Enters: work by part and the seconds to wait. Leaves: what became of each. Quick parts share a thread and run one after
another: Python runs one at a time anyway, and handing over costs more than many of them take. A part that holds the
others up is left alone with its thread. One that hangs keeps it; its breaker sees to it that there are few of those.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, Literal, TypeVar

from aisle.flows.breaker import Breaker

T = TypeVar("T")

MOST_THREADS = 64
HELD_UP_SECONDS = 0.008
"""After so long without a part being done, another thread goes on with those that wait."""
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
        """Run all of ``works`` and wait at most ``seconds``; what became of each, in their order.

        A part whose breaker is open is ``late`` without being run. ``versions`` names the version of parts that have
        one: another version starts with a fresh breaker.
        """
        breakers = {name: self._breaker(name, versions.get(name, "")) for name in works}
        runs: dict[str, _Run[T] | None] = {
            name: _Run(work, breakers[name]) if breakers[name].admits() else None for name, work in works.items()
        }
        together = _Together([run for run in runs.values() if run is not None])
        together.wait(seconds, self._threads.submit)
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


class _Run(Generic[T]):
    """One run of one part: performed by a thread, asked for its outcome by another."""

    def __init__(self, work: Callable[[], T], breaker: Breaker) -> None:
        self._work = work
        self._breaker = breaker
        self._context = contextvars.copy_context()  # so that what is logged names the request
        self._ran: Ran[T] | None = None
        self._is_given_up = False
        self._lock = threading.Lock()

    def perform(self) -> None:
        with self._lock:
            if self._is_given_up:  # it was still waiting for a thread
                self._breaker.came_back()
                return
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

    def outcome(self, seconds: float) -> Ran[T]:
        with self._lock:
            if self._ran is not None:
                return self._ran
            self._is_given_up = True
        self._breaker.late()
        return Ran(None, "late", seconds=seconds)


class _Together:
    """Runs that were started together."""

    def __init__(self, runs: Sequence[_Run[Any]]) -> None:
        self._waiting = deque(runs)
        self._n_left = len(runs)
        self._lock = threading.Lock()
        self._all_done = threading.Lock()

    def wait(self, seconds: float, submit: Callable[[Callable[[], None]], None]) -> None:
        """Have threads work the runs off, until all are done or the time is up."""
        if not self._n_left:
            return
        self._all_done.acquire()
        submit(self._work_off)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            n_left = self._n_left
            if self._all_done.acquire(timeout=min(HELD_UP_SECONDS, left)):
                return
            if self._n_left == n_left and self._waiting:
                submit(self._work_off)

    def _work_off(self) -> None:
        while True:
            try:
                run = self._waiting.popleft()
            except IndexError:
                return
            run.perform()
            with self._lock:
                self._n_left -= 1
                if not self._n_left:
                    self._all_done.release()


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
