"""What failed while an answer was made, so that the answer can say so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, TypeVar

from aisle.contracts import Meter
from aisle.errors import AisleError

log = logging.getLogger("aisle.degraded")

T = TypeVar("T")


class Degraded:
    """Runs the parts of a request; a part that fails is named, logged with its cause and skipped."""

    def __init__(self, placement: str, meter: Meter) -> None:
        self._parts: list[str] = []
        self._placement = placement
        self._meter = meter

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that failed or were missing, in order, each once."""
        return tuple(dict.fromkeys(self._parts))

    def miss(self, part: str) -> None:
        """Name a part that is not there at all."""
        self._note(part, "missing")

    def guard(self, part: str, work: Callable[[], T], otherwise: Callable[[], T]) -> T:
        """The result of ``work``, or of ``otherwise`` when it fails."""
        try:
            return work()
        except AisleError as error:
            # Raised on purpose: the message says all, and people at a terminal read this log.
            log.warning("%s failed; the answer goes on without it: %s", part, error)
        except Exception:
            log.exception("%s failed; the answer goes on without it", part)
        self._note(part, "failed")
        return otherwise()

    def _note(self, part: str, why: Literal["failed", "late", "missing"]) -> None:
        self._parts.append(part)
        self._meter.missed(self._placement, part, why)
