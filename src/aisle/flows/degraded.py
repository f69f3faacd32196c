"""Runs the parts of one answer, each for as long as it may take, and remembers which of them the answer lacks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from aisle.contracts import Meter
from aisle.errors import AisleError
from aisle.flows.watch import Watch
from aisle.flows.workers import Ran, Workers

log = logging.getLogger("aisle.degraded")

T = TypeVar("T")

QUIET_SECONDS = 10.0
"""How long the same part is not complained of again in the log; the meter counts every time."""


class Complaints:
    """Keeps a part that is missing from every answer from filling the log. One of a process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last: dict[tuple[str, str], float] = {}

    def is_due(self, part: str, why: str) -> bool:
        """Whether to write it down now."""
        last = self._last.get((part, why))
        if last is not None and self._now() - last < QUIET_SECONDS:
            return False
        self._last[part, why] = self._now()
        return True


LEAST_SHARE = 0.1
"""Of the time for the answer that every part gets, even when those before it used up theirs."""
SOURCE = "source."
"""What the timing of a source is named after, before its name."""


class Degraded:
    """The parts of one answer: one that fails or is late is named, counted, logged with its cause and skipped."""

    def __init__(
        self,
        placement: str,
        meter: Meter,
        workers: Workers,
        watch: Watch,
        versions: Mapping[str, str],
        timeout_seconds: float,
        complaints: Complaints,
    ) -> None:
        """``versions`` of the parts in service; ``timeout_seconds`` from the start of ``watch`` for everything."""
        self._parts: list[str] = []
        self._placement = placement
        self._meter = meter
        self._workers = workers
        self._watch = watch
        self._versions = versions
        self._timeout_seconds = timeout_seconds
        self._complaints = complaints
        self._spared_seconds = 0.0
        """Time that is not held against the parts."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that failed, were late or were missing, in order, each once."""
        return tuple(dict.fromkeys(self._parts))

    def miss(self, part: str) -> None:
        """Name a part that is not there at all."""
        self._note(part, "missing")

    def guard(self, part: str, work: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """The result of ``work``, which does not wait for anything, or of ``otherwise`` when it fails."""
        try:
            return work()
        except Exception as error:
            self._failed(part, error)
        return otherwise()

    def guard_unhurried(self, part: str, work: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """As ``guard``, for work that has a limit of its own: the time it takes is not taken from the others."""
        start = self._watch.seconds
        try:
            return self.guard(part, work, otherwise)
        finally:
            self._spared_seconds += self._watch.seconds - start

    def attempt(self, part: str, by_share: float, work: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """The result of ``work``, or of ``otherwise`` when it fails or is not done by that share of the time."""
        ran = self._workers.run({part: work}, self._seconds_until(by_share), self._versions)[part]
        if ran.why is None:
            return ran.result  # type: ignore[return-value] # a run that says nothing of why has a result
        self._skip(part, ran)
        return otherwise()

    def attempt_sources(self, by_share: float, works: Mapping[str, Callable[[], T]]) -> dict[str, T]:
        """Ask sources beside each other; what those that succeed by that share of the time found."""
        found: dict[str, T] = {}
        for name, ran in self._workers.run(works, self._seconds_until(by_share), self._versions).items():
            self._watch.note(SOURCE + name, ran.seconds)
            if ran.why is None:
                found[name] = ran.result  # type: ignore[assignment] # as above
            else:
                self._skip(name, ran)
        return found

    def _seconds_until(self, share: float) -> float:
        left = self._spared_seconds + share * self._timeout_seconds - self._watch.seconds
        return max(left, LEAST_SHARE * self._timeout_seconds)

    def _skip(self, part: str, ran: Ran[T]) -> None:
        if ran.error is not None:
            self._failed(part, ran.error)
            return
        if ran.was_asked and self._complaints.is_due(part, "late"):
            log.warning("%s was late (%.0f ms); the answer goes on without it", part, 1000.0 * ran.seconds)
        self._note(part, "late")

    def _failed(self, part: str, error: BaseException) -> None:
        if not self._complaints.is_due(part, type(error).__name__):
            pass
        elif isinstance(error, AisleError):
            # Raised on purpose: the message says all, and people at a terminal read this log.
            log.warning("%s failed; the answer goes on without it: %s", part, error)
        else:
            log.error("%s failed; the answer goes on without it", part, exc_info=error)
        self._note(part, "failed")

    def _note(self, part: str, why: Literal["failed", "late", "missing"]) -> None:
        self._parts.append(part)
        self._meter.missed(self._placement, part, why)
