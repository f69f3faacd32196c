"""Group commit: concurrent writers share one transaction and one flush to the disk.

The first thread that finds nobody writing becomes the leader: it commits everything queued so far, its own work
included, while later callers queue up behind it. No thread of its own, nothing to shut down.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from aisle.storage.sqlite import Database

Result = TypeVar("Result")
Work = Callable[[Connection], Any]

_MOST_WORKS = 512
"""Works in one transaction; bounds how long the first of them waits."""


@dataclass
class _Ticket(Generic[Result]):
    """One caller's work and, later, what came of it."""

    work: Callable[[Connection], Result]
    is_done: bool = False
    result: Result | None = None
    error: BaseException | None = None

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
        self._is_led = False

    def run(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` inside a transaction and return its result once that is committed.

        Raises:
            UnavailableError, CorruptError: see ``Database.translating``; nothing of ``work`` was stored.
        """
        ticket = _Ticket(work)
        with self._turn:
            self._queue.append(ticket)
        while True:
            with self._turn:
                while self._is_led and not ticket.is_done:
                    self._turn.wait()
                if ticket.is_done:
                    break
                self._is_led = True
                batch, self._queue = self._queue[:_MOST_WORKS], self._queue[_MOST_WORKS:]
            self._lead(batch, ticket)
        return ticket.outcome()

    def close(self) -> None:
        """Wait for the transaction under way, then let go of the connection."""
        with self._turn:
            while self._is_led or self._queue:
                self._turn.wait()
            self._connection.close()

    def _lead(self, batch: list[_Ticket[Any]], own: _Ticket[Any]) -> None:
        try:
            self._commit(batch)
        finally:
            with self._turn:
                # Interrupted (Ctrl-C) before the end: the others' work goes back into the queue.
                self._queue[:0] = [ticket for ticket in batch if not ticket.is_done and ticket is not own]
                self._is_led = False
                self._turn.notify_all()

    def _commit(self, batch: list[_Ticket[Any]]) -> None:
        """Commit the batch together; should the shared transaction fail, each work gets one of its own."""
        try:
            self._commit_together(batch)
        except Exception as error:
            self._on_rollback()
            if len(batch) == 1:
                batch[0].error, batch[0].is_done = error, True
                return
            for ticket in batch:
                ticket.result = ticket.error = None
                self._commit([ticket])
            return
        except BaseException:
            self._on_rollback()
            raise
        for ticket in batch:
            ticket.is_done = True

    def _commit_together(self, batch: list[_Ticket[Any]]) -> None:
        connection = self._connection
        with self._database.translating(), connection.begin():
            if len(batch) == 1:
                batch[0].result = batch[0].work(connection)
                return
            for ticket in batch:
                try:
                    with self._database.translating(), connection.begin_nested():
                        ticket.result = ticket.work(connection)
                except Exception as error:
                    if not self._database.has_transaction(connection):
                        raise  # a full disk takes back the whole transaction, not only this part
                    ticket.error = error
                    self._on_rollback()
