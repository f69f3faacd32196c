"""Times the stages of one answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aisle.contracts import Meter


class Watch:
    """Runs from its making to ``finish``; each stage in between is timed and told to the meter."""

    def __init__(self, placement: str, meter: Meter) -> None:
        self.timings_ms: dict[str, float] = {}
        """Milliseconds by stage, and ``total`` once finished."""
        self._placement = placement
        self._meter = meter
        self._start = time.perf_counter()

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Time what happens inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self.timings_ms[stage] = self.timings_ms.get(stage, 0.0) + 1000.0 * seconds
            self._meter.took(self._placement, stage, seconds)

    def finish(self, n_asks: int) -> None:
        """Note the time of the whole."""
        seconds = time.perf_counter() - self._start
        self.timings_ms["total"] = 1000.0 * seconds
        self._meter.answered(self._placement, n_asks, seconds)
