"""Lists on their way into the records, just behind the answers they belong to.

Enters: slates, from any thread; ``put`` never waits. Leaves: the same slates in the records, those of some fifty
milliseconds in one transaction, written by a thread of its own that tries again while the database is busy. It is
bounded: when too many wait, ``put`` refuses. What a killed process had not written yet is gone; nothing else is, unless
it is counted in ``n_lost``. The same thread deletes slates that are older than they are kept, a few at a time. Knows
nothing of how slates are made or shown.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from itertools import islice

from aisle.contracts import Clock, RecordStore
from aisle.domain import Slate
from aisle.errors import AisleError, UnavailableError
from aisle.storage.slate_rows import without_user
from aisle.storage.sqlite import closed_error

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.05
"""How long slates are gathered; raising it makes fewer transactions and loses more when a process is killed."""
MOST_WAITING = 5_000
"""Slates that may wait while the database is busy; each costs some 20 kilobytes."""
_MOST_A_WRITE = 500
"""Slates in one transaction; events that are to be acknowledged wait behind it."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_DROPPED_AT_ONCE = 200
"""Old slates deleted in one transaction of some 40 ms; events that are to be acknowledged wait behind it."""
_DROP_SECONDS = 1.0
"""Between two such transactions while there are more."""
_LOOK_FOR_OLD_SECONDS = 600.0
_DAY_MS = 86_400_000
_NEVER = float("inf")
_THE_END = 2**63 - 1
"""After every sequence number: the change feed from there tells nothing but the number of erasures."""


class SlateOutbox:
    """Slates that wait to be written down. Safe to use from several threads; call ``drain`` before closing ``records``.

    A slate that was being made or waited while any user was erased, by whatever process, is written without its user:
    who it was is not kept, so it cannot be known whether it was his. ``n_lost`` counts slates that will never be
    written.
    """

    def __init__(
        self,
        records: RecordStore,
        clock: Clock,
        *,
        kept_days: int = 0,
        flush_seconds: float = FLUSH_SECONDS,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self.n_lost = 0
        self._records = records
        self._clock = clock
        self._kept_ms = kept_days * _DAY_MS
        """0 keeps all."""
        self._next_drop = 0.0
        self._flush_seconds = flush_seconds
        self._most_waiting = most_waiting
        self._waiting: dict[str, Slate] = {}
        """By id in order of arrival; a slate leaves when it is committed."""
        self._n_erasures = self._count_erasures()
        """As of a moment before any slate that waits was put."""
        self._erased_ms = 0
        """When an erasure was last seen; of lists made before it nobody knows any more whose they were."""
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = self._is_hurried = False
        self._deadline = _NEVER

    @property
    def n_waiting(self) -> int:
        """Slates that are not written yet."""
        return len(self._waiting)

    def put(self, slates: Sequence[Slate]) -> None:
        """Have slates written down soon; returns at once. Of slates with one id the first stays.

        Raises:
            UnavailableError: too many wait already; none of ``slates`` was taken.
            NotReadyError: ``drain`` was called.
        """
        with self._news:
            if self._is_closed:
                raise closed_error()
            if len(self._waiting) + len(slates) > self._most_waiting:
                raise UnavailableError(
                    f"{len(self._waiting)} slates wait to be written down, at most {self._most_waiting} may: the "
                    "database has been busy for long. See who is writing to it, or whether the disk is full"
                )
            for slate in slates:
                self._waiting.setdefault(slate.slate_id, slate)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="aisle-slates", daemon=True)
                self._thread.start()
            self._news.notify_all()

    def read(self, slate_id: str) -> Slate | None:
        """A list as it was shown, whether it is written already or not."""
        waiting = self._waiting.get(slate_id)  # looked at first: it leaves only once it is in the records
        return self._records.read_slate(slate_id) if waiting is None else waiting

    def forget(self, user_id: str) -> None:
        """Take a user who is being erased out of the slates that wait."""
        with self._news:
            mine = [slate for slate in self._waiting.values() if slate.user_id == user_id]
            self._waiting.update((slate.slate_id, without_user(slate)) for slate in mine)

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until what was put so far is written; False when it was not in time."""
        with self._news:
            wanted = list(self._waiting)
            self._is_hurried = True
            self._news.notify_all()
            is_written = self._news.wait_for(
                lambda: not any(slate_id in self._waiting for slate_id in wanted), timeout_seconds
            )
            self._is_hurried = False
        return is_written

    def drain(self, timeout_seconds: float = 5.0) -> int:
        """Write what waits and stop; returns how many slates were lost because the time ran out."""
        with self._news:
            self._is_closed = True
            self._deadline = time.monotonic() + timeout_seconds
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join()
        with self._news:
            n_left = len(self._waiting)
            self._waiting.clear()
            self.n_lost += n_left
        if n_left:
            log.warning("%d slates were not written down: the database was busy for %s s", n_left, timeout_seconds)
        return n_left

    def _work(self) -> None:
        pause_seconds = 0.0
        while self._gather(pause_seconds):
            try:
                self._write_next()
                self._drop_old()
                pause_seconds = 0.0
            except Exception as error:
                if not pause_seconds:
                    trace = not isinstance(error, AisleError)
                    log.warning("slates wait in memory and are tried again: %s", error, exc_info=trace)
                pause_seconds = min(max(2 * pause_seconds, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)

    def _gather(self, pause_seconds: float) -> bool:
        """Wait for slates and a little longer for more of them; False when there is nothing more to do."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._is_closed)
            due = time.monotonic() + max(pause_seconds, 0.0 if self._is_urgent() else self._flush_seconds)
            while (left := min(due, self._deadline) - time.monotonic()) > 0:
                self._news.wait(left)
                if self._is_urgent() and not pause_seconds:
                    break
            return bool(self._waiting) and time.monotonic() < self._deadline

    def _is_urgent(self) -> bool:
        return self._is_closed or self._is_hurried

    def _write_next(self) -> None:
        n_erasures = self._count_erasures()
        if n_erasures != self._n_erasures:
            self._erased_ms = self._clock()
        with self._news:
            batch = list(islice(self._waiting.values(), _MOST_A_WRITE))
            is_everything = len(batch) == len(self._waiting)
        self._write([without_user(slate) if slate.time_ms < self._erased_ms else slate for slate in batch])
        if is_everything:
            self._n_erasures = n_erasures

    def _drop_old(self) -> None:
        """Delete a few slates that are too old, now and then; one process may do what another has begun."""
        if not self._kept_ms or time.monotonic() < self._next_drop or self._is_urgent():
            return
        self._next_drop = time.monotonic() + _LOOK_FOR_OLD_SECONDS
        if self._records.drop_slates(self._clock() - self._kept_ms, _DROPPED_AT_ONCE):
            self._next_drop = time.monotonic() + _DROP_SECONDS

    def _write(self, batch: Sequence[Slate]) -> None:
        """Write slates together; should that fail for a reason of their own, each by itself."""
        try:
            self._records.append_slates(batch, self._n_erasures)
        except AisleError:
            raise
        except Exception:
            if len(batch) > 1:
                for slate in batch:
                    self._write([slate])
                return
            log.exception("a slate cannot be written down and is lost")
            self.n_lost += 1
        with self._news:
            for slate in batch:
                del self._waiting[slate.slate_id]
            self._news.notify_all()

    def _count_erasures(self) -> int:
        return self._records.changes_since(_THE_END).n_erasures
