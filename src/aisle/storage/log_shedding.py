"""Emptying the write-ahead log after a user was erased, without making anybody wait.

Enters: the number of erasures, whenever the database was read or written. Leaves: a log in which nothing of before the
last erasure lingers, sooner or later: now if nobody reads an older state, else at a later moment when something is
stored or read anyway, at the latest when the last process closes the shop. Knows nothing of what was erased.

Every process takes the duty on when it sees the number rise, so it does not end with the process that erased; one that
opens a database takes it on as well if there is a log and anybody was ever erased.
"""

from __future__ import annotations

import logging
import threading
import time

from aisle.errors import AisleError
from aisle.storage.sqlite import Database

log = logging.getLogger(__name__)

PAUSE_SECONDS = 3.0
"""Between two attempts; each may hold writers up for ``sqlite.SHED_PATIENCE_SECONDS``."""


class LogShedding:
    """Whether the log still has to be emptied, and trying it. Safe to use from several threads."""

    def __init__(self, database: Database, n_erasures: int) -> None:
        self._database = database
        self._n_erasures = n_erasures
        self._is_owed = n_erasures > 0 and database.has_log()
        self._next_try = 0.0
        self._is_trying = threading.Lock()

    @property
    def is_owed(self) -> bool:
        """Whether erased rows may still be found in the log."""
        return self._is_owed

    def note(self, n_erasures: int) -> None:
        """What the database says now; only outside of a transaction of this thread, which would be in the way."""
        if n_erasures > self._n_erasures:
            self._n_erasures, self._is_owed, self._next_try = n_erasures, True, 0.0
        self.try_again()

    def try_again(self) -> None:
        """Empty the log if that is owed and the last attempt was ``PAUSE_SECONDS`` ago; costs nothing otherwise."""
        if self._is_owed and time.monotonic() >= self._next_try:
            self.attempt()

    def attempt(self) -> None:
        """Empty the log now if that is possible; a failure is logged and leaves it owed."""
        if not self._is_owed or not self._is_trying.acquire(blocking=False):
            return
        try:
            # Taken back first: an erasure meanwhile sets it again and is not forgotten.
            self._is_owed = False
            if not self._shed():
                self._is_owed = True
                self._next_try = time.monotonic() + PAUSE_SECONDS
        finally:
            self._is_trying.release()

    def _shed(self) -> bool:
        try:
            is_shed = self._database.shed_log()
        except AisleError as error:
            log.warning("the log keeps erased rows, it cannot be emptied: %s; it is tried again", error)
            return False
        if not is_shed:
            log.info("the log keeps erased rows until nobody reads an older state; emptying it is tried again")
        return is_shed
