"""Group commit: concurrent writers share one transaction and one flush to the disk.

The first thread that finds nobody writing becomes the leader: it commits everything queued so far, its own work
included, while later callers queue up behind it. No thread of its own, nothing to shut down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from aisle.errors import UnavailableError
from aisle.storage.sqlite import Database, closed_error

Result = TypeVar("Result")
Work = Callable[[Connection], Any]
JointWork = Callable[[Connection, Sequence[Any]], Sequence[Any]]

_MOST_WORKS = 512
"""Works in one transaction; bounds how long the first of them waits."""
_LEAST_PATIENCE_SECONDS = 0.05
"""A work whose time ran out in the queue still asks for the database this long before it fails."""


@dataclass(eq=False)
class _Ticket(Generic[Result]):
    """One caller's work and, later, what came of it."""

    work: Callable[[Connection], Result] | None
    """What to do by itself, or"""
    joint: JointWork | None
    """what to do together with all others who want the same done with what they"""
    given: Any
    deadline: float
    """When it gives up waiting for the database, on the clock of ``time.monotonic``."""
    is_hurried: bool
    """Whether it gives up waiting in the queue at that time as well."""
    is_taken: bool = False
    """It belongs to a transaction under way: too late to give up."""
    is_done: bool = False
    result: Result | None = None
    error: BaseException | None = None

    def seconds_left(self) -> float:
        return max(self.deadline - time.monotonic(), _LEAST_PATIENCE_SECONDS)

    def outcome(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # set whenever there is no error


class GroupCommit:
    """Runs pieces of work in shared write transactions.

    Guarantees: ``run`` returns after the transaction that holds its work was committed; work that raises leaves no
    trace and fails nobody else; only one work runs at a time. ``on_rollback`` is called whenever something that ran was
    taken back, so that what a work remembered outside the database can be dropped.
    """

    def __init__(self, database: Database, on_rollback: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._on_rollback = on_rollback
        self._connection = database.writer()
        self._turn = threading.Condition()
        self._queue: list[_Ticket[Any]] = []
        self._is_led = self._is_closed = False

    def run_jointly(self, work: JointWork, given: Any) -> Any:
        """Like ``run``, but what all who wait have ``given`` for the same work is done in one call of it.

        ``work`` takes what was given and returns a result for each, in the same order. Should it fail, it is called
        again for each by itself.
        """
        return self._wait_for(_Ticket(None, work, given, self._deadline(None), is_hurried=False))

    def run(self, work: Callable[[Connection], Result], patience_seconds: float | None = None) -> Result:
        """Do ``work`` inside a transaction and return its result once that is committed.

        Args:
            work: what to do.
            patience_seconds: how long to wait for others, of this process too, before giving up; None: for another
                process's transaction as long as the database is set to, for our own as long as they take.

        Raises:
            UnavailableError, CorruptError: see ``Database.translating``; nothing of ``work`` was stored.
            NotReadyError: ``close`` was called.
        """
        is_hurried = patience_seconds is not None
        return self._wait_for(_Ticket(work, None, None, self._deadline(patience_seconds), is_hurried))

    def _deadline(self, patience_seconds: float | None) -> float:
        seconds = self._database.busy_timeout_seconds if patience_seconds is None else patience_seconds
        return time.monotonic() + seconds

    def _wait_for(self, ticket: _Ticket[Result]) -> Result:
        with self._turn:
            if self._is_closed:
                raise closed_error()
            self._queue.append(ticket)
        while True:
            with self._turn:
                while self._is_led and not ticket.is_done:
                    self._wait(ticket)
                if ticket.is_done:
                    break
                self._is_led = True
                self._queue.remove(ticket)
            self._lead(ticket)
        return ticket.outcome()

    def close(self) -> None:
        """Wait for what is queued, then let go of the connection."""
        with self._turn:
            self._is_closed = True
            while self._is_led or self._queue:
                self._turn.wait()
            self._connection.close()

    def _wait(self, ticket: _Ticket[Any]) -> None:
        if not ticket.is_hurried or ticket.is_taken:
            self._turn.wait()
        elif not self._turn.wait(ticket.seconds_left()) and ticket in self._queue:
            self._queue.remove(ticket)
            self._turn.notify_all()
            raise UnavailableError(
                f"{self._database.path} is busy with other writing; nothing of this call was stored. Try again later"
            )

    def _lead(self, own: _Ticket[Any]) -> None:
        batch: list[_Ticket[Any]] = []
        try:
            self._commit(own, batch)
        finally:
            with self._turn:
                # Interrupted (Ctrl-C) before the end: the others' work goes back into the queue.
                returned = [ticket for ticket in batch if not ticket.is_done and ticket is not own]
                for ticket in returned:
                    ticket.is_taken = False
                self._queue[:0] = returned
                self._is_led = False
                self._turn.notify_all()

    def _commit(self, own: _Ticket[Any], batch: list[_Ticket[Any]]) -> None:
        """Commit a batch together; should the shared transaction fail, each work gets one of its own."""
        try:
            self._commit_together(own, batch)
        except Exception as error:
            self._on_rollback()
            if len(batch) > 1:
                for ticket in batch:
                    ticket.result = ticket.error = None
                    self._commit(ticket, [ticket])
            else:
                own.error, own.is_done = error, True
            return
        except BaseException:
            self._on_rollback()
            raise
        for ticket in batch:
            ticket.is_done = True

    def _claim(self, own: _Ticket[Any], batch: list[_Ticket[Any]]) -> None:
        """Fill the batch with the leader's work and what is queued.

        Only once the database is ours: while the leader waits for it, the others may give up or wait longer than he.
        """
        with self._turn:
            batch.extend([own, *self._queue[: _MOST_WORKS - 1]])
            del self._queue[: _MOST_WORKS - 1]
            for ticket in batch:
                ticket.is_taken = True

    def _commit_together(self, own: _Ticket[Any], batch: list[_Ticket[Any]]) -> None:
        connection = self._connection
        self._database.wait_at_most(connection, own.seconds_left())
        with self._database.translating(), connection.begin():
            if not batch:
                self._claim(own, batch)
            parts = _parts(batch)
            if len(parts) == 1:
                _do(connection, parts[0])
                return
            for part in parts:
                self._do_apart(connection, part)

    def _do_apart(self, connection: Connection, part: list[_Ticket[Any]]) -> None:
        """Do a part of the transaction so that its failing takes back nothing else."""
        try:
            with self._database.translating(), connection.begin_nested():
                _do(connection, part)
        except Exception as error:
            if not self._database.has_transaction(connection):
                raise  # a full disk takes back the whole transaction, not only this part
            self._on_rollback()
            if len(part) == 1:
                part[0].error = error
                return
            for ticket in part:
                self._do_apart(connection, [ticket])


def _parts(batch: Sequence[_Ticket[Any]]) -> list[list[_Ticket[Any]]]:
    """Tickets of the same joint work together, every other one by itself; in order of the first of each."""
    parts: list[list[_Ticket[Any]]] = []
    joint: dict[JointWork, list[_Ticket[Any]]] = {}
    for ticket in batch:
        if ticket.joint is None or ticket.joint not in joint:
            parts.append([ticket])
            if ticket.joint is not None:
                joint[ticket.joint] = parts[-1]
        else:
            joint[ticket.joint].append(ticket)
    return parts


def _do(connection: Connection, part: Sequence[_Ticket[Any]]) -> None:
    first = part[0]
    if first.joint is None:
        assert first.work is not None
        first.result = first.work(connection)
        return
    results = first.joint(connection, [ticket.given for ticket in part])
    for ticket, result in zip(part, results, strict=True):
        ticket.result = result
