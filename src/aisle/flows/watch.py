"""Times the stages of one answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aisle.contracts import Meter


class Watch:
    """Runs from its making to ``finish``; each stage and source in between is timed and told to the meter."""

    def __init__(self, placement: str, meter: Meter) -> None:
        self.timings_ms: dict[str, float] = {}
        """Milliseconds by stage and ``source.<name>``, and ``total`` once finished."""
        self._placement = placement
        self._meter = meter
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the watch was made."""
        return time.perf_counter() - self._start

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Time what happens inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.note(stage, time.perf_counter() - start)

    def note(self, stage: str, seconds: float) -> None:
        """Take down a time that was measured elsewhere."""
        self.timings_ms[stage] = self.timings_ms.get(stage, 0.0) + 1000.0 * seconds
        self._meter.took(self._placement, stage, seconds)

    def finish(self, n_asks: int) -> None:
        """Note the time of the whole."""
        self.timings_ms["total"] = 1000.0 * self.seconds
        self._meter.answered(self._placement, n_asks, self.seconds)
