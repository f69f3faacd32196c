"""Stops asking a part that does not come back, and tries it again after a while.

Enters: what became of each run of one part. Leaves: whether to run it now. Knows nothing of what the part does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

OPENS_AFTER = 3
"""Latenesses in a row after which a part is left out without being asked."""
RESTS_SECONDS = 5.0
"""How long it is left out before one request tries it again."""
RETURNED_SECONDS = 1.0
"""The same once all of its late runs have returned: what held it up has passed."""
MOST_STUCK = 4
"""Late runs that may still be under way; beyond it the part is left out, so that it cannot eat a thread a request."""


class Breaker:
    """One part's. Closed it lets every run pass; open none; half-open, after the rest, one run that decides.

    A run that fails in time counts as an answer: it cost nothing and may go better the next time. Safe to call from
    several threads. ``now`` gives seconds of a clock that never jumps.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._n_late = 0
        self._n_stuck = 0
        self._opened_at: float | None = None
        self._is_trying = False
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the part is being left out."""
        return self._opened_at is not None

    def admits(self) -> bool:
        """Whether to run the part now; a True must be followed by ``in_time`` or ``late``."""
        with self._lock:
            if self._n_stuck >= MOST_STUCK:
                return False
            if self._opened_at is None:
                return True
            rests = RESTS_SECONDS if self._n_stuck else RETURNED_SECONDS
            if self._is_trying or self._now() - self._opened_at < rests:
                return False
            self._is_trying = True
            return True

    def in_time(self) -> None:
        """A run came back, with a result or an error, while it was waited for."""
        with self._lock:
            self._n_late = 0
            self._opened_at = None
            self._is_trying = False

    def late(self) -> None:
        """A run was given up and is still under way; ``came_back`` follows, if ever it returns."""
        with self._lock:
            self._n_stuck += 1
            self._n_late += 1
            self._is_trying = False
            if self._n_late >= OPENS_AFTER:
                self._opened_at = self._now()

    def came_back(self) -> None:
        """A run that had been given up has returned after all."""
        with self._lock:
            self._n_stuck -= 1
