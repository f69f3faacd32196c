"""Gathers the events of concurrent requests, so that many callers share one commit.

Enters: each request's checked events. Leaves: what became of them, once they are on the disk. While one group is being
written the next gathers; nothing waits for a clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from aisle.contracts import Appended
from aisle.domain import Event, EventTable
from aisle.errors import AisleError, UnavailableError
from aisle.shop import Shop

log = logging.getLogger("aisle.serving")

MOST_TOGETHER = 256
"""Requests whose events go into one transaction; bounds how long the first of them waits."""


@dataclass(eq=False)
class _Waiting:
    """One request's events and the place its answer goes to."""

    events: EventTable | Sequence[Event]
    answer: asyncio.Future[Appended]


class EventIntake:
    """Takes events in for one process; to be used from its event loop only.

    ``max_waiting`` requests may wait, more are refused. A group that cannot be stored is refused as a whole:
    nothing of it was written, and every caller learns it.
    """

    def __init__(self, shop: Shop, max_waiting: int = 4_096) -> None:
        self._shop = shop
        self._max_waiting = max_waiting
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def n_waiting(self) -> int:
        """Requests whose events are not being written yet."""
        return len(self._waiting)

    async def add(self, events: EventTable | Sequence[Event]) -> Appended:
        """Store ``events`` durably together with what else is waiting; what became of them.

        A few are better brought as they are: one table is made of all that are written together.

        Raises:
            UnavailableError: too many are waiting, the server is shutting down, or the database takes nothing now.
        """
        if self._is_closed:
            raise UnavailableError("the server is shutting down; send the events again in a moment")
        if len(self._waiting) >= self._max_waiting:
            raise UnavailableError(f"{self._max_waiting} requests with events are waiting; send them again in a moment")
        own = _Waiting(events, asyncio.get_running_loop().create_future())
        own.answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())  # whoever hung up
        self._waiting.append(own)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        # A caller who hangs up takes nothing back: what he sent is being stored.
        return await asyncio.shield(own.answer)

    async def drain(self) -> None:
        """Refuse what comes from now on and finish what is here."""
        self._is_closed = True
        while self._writer is not None:
            await asyncio.shield(self._writer)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                await self._write(group)
        finally:
            self._writer = None

    async def _write(self, group: list[_Waiting]) -> None:
        try:
            appended = await asyncio.to_thread(self._store, group)
        except Exception as error:
            reason = error if isinstance(error, AisleError) else UnavailableError("the events could not be stored")
            for member in group:
                if not member.answer.done():
                    member.answer.set_exception(reason)
            if not isinstance(error, AisleError):
                log.exception("events of %d requests could not be stored", len(group))
            return
        for member, outcome in zip(group, appended, strict=True):
            if not member.answer.done():
                member.answer.set_result(outcome)

    def _store(self, group: Sequence[_Waiting]) -> list[Appended]:
        return self._shop.add_event_groups(_together(group), [len(member.events) for member in group])


def _together(group: Sequence[_Waiting]) -> EventTable:
    """Everybody's events in order; those that came as they are, beside each other, go into one table."""
    tables: list[EventTable] = []
    loose: list[Sequence[Event]] = []
    for member in group:
        if isinstance(member.events, EventTable):
            if loose:
                tables.append(EventTable.from_rows(chain.from_iterable(loose)))
                loose = []
            tables.append(member.events)
        else:
            loose.append(member.events)
    if loose:
        tables.append(EventTable.from_rows(chain.from_iterable(loose)))
    return tables[0] if len(tables) == 1 else EventTable.concat(tables)
