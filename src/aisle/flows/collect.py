"""Take in what happened, so that the next answer knows it.

Whatever was committed, by this process or another, reaches the live parts through the change feed: in order, and once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from aisle.contracts import CandidateSource, Changes
from aisle.domain import EventTable, ItemTable
from aisle.flows.stages import Stages

PAGE_ROWS = 50_000

log = logging.getLogger("aisle.collect")


class Follower:
    """Keeps the live parts of a process up to date with the record store.

    ``seq`` is the last change taken in. Methods may be called from several threads; one works, the others wait, so that
    after ``catch_up`` everything committed before the call is visible.
    """

    def __init__(self, stages: Stages, seq: int) -> None:
        self.seq = seq
        self._stages = stages
        self._listeners: list[Callable[[ItemTable], None]] = []
        self._lock = threading.RLock()

    def catch_up(self) -> int:
        """Take in everything since ``seq``; returns the new ``seq``."""
        with self._lock:
            for changes in self._pages(self.seq):
                self._take_in(changes)
            return self.seq

    def join(self, name: str, source: CandidateSource, version: str, seq: int, n_items: int) -> None:
        """Put a source into service that was fitted up to ``seq`` on the first ``n_items`` rows.

        It is first brought to where the others are, exactly: what it takes in here does not come again. Items before
        events, since it may meet an event of an item that it has not seen yet.
        """
        stages = self._stages
        with self._lock:
            self.catch_up()
            for changes in self._shared_pages(seq):
                if len(changes.items):
                    source.extend(changes.items, EventTable.empty())
            items_seq = self.seq
            n_given, late = stages.catalogue.n_items, set[str]()
            new_ids = stages.catalogue.item_ids[n_items:]
            if new_ids and seq:
                source.extend(ItemTable.empty(), stages.records.read_waiting_events(new_ids, seq))
            for changes in self._shared_pages(seq):
                # Only what another process wrote since the items were read brings items here.
                is_late = changes.seq > items_seq
                items = changes.items if is_late else ItemTable.empty()
                late_ids = [i for i in items.frame["item_id"] if stages.catalogue.row(i) >= n_given and i not in late]
                late.update(late_ids)
                waiting = stages.records.read_waiting_events(late_ids, seq) if late_ids else EventTable.empty()
                events = EventTable.concat([waiting, changes.events])
                if len(items) or len(events):
                    source.extend(items, events)
                seq = changes.seq
            stages.lineup.swap(name, source, version)

    def follow(self, seq: int, take_in: Callable[[ItemTable], None]) -> None:
        """Tell ``take_in`` of the items that changed since ``seq``, now and from now on."""
        with self._lock:
            self.catch_up()
            for changes in self._pages(seq):
                take_in(changes.items)
            self._listeners.append(take_in)

    def _pages(self, seq: int) -> Iterator[Changes]:
        while True:
            changes = self._stages.records.changes_since(seq, PAGE_ROWS)
            seq = changes.seq
            yield changes
            if changes.is_complete:
                return

    def _shared_pages(self, seq: int) -> Iterator[Changes]:
        """Pages from ``seq`` to exactly where the live parts are; each is taken in by them before it is given."""
        while seq < self.seq:
            changes = self._stages.records.changes_since(seq, PAGE_ROWS)
            if changes.seq > self.seq:
                self.catch_up()
            seq = changes.seq
            yield changes

    def _take_in(self, changes: Changes) -> None:
        stages = self._stages
        new_ids = [item_id for item_id in changes.items.frame["item_id"] if stages.catalogue.row(item_id) < 0]
        stages.catalogue.extend(changes.items)
        waiting = stages.records.read_waiting_events(new_ids, self.seq) if new_ids else EventTable.empty()
        events = EventTable.concat([waiting, changes.events])
        if len(changes.items) or len(events):
            stages.states.record(events)
            for name, source in stages.lineup.sources.items():
                self._extend(name, source, changes.items, events)
        if len(changes.items):
            for take_in in self._listeners:
                take_in(changes.items)
        self.seq = changes.seq

    def _extend(self, name: str, source: CandidateSource, items: ItemTable, events: EventTable) -> None:
        """A source that cannot take in what is new would answer wrongly from now on, so it answers no more."""
        try:
            source.extend(items, events)
        except Exception as error:
            log.exception("source %s cannot take in what is new; it is out of service", name)
            why = f"it could not take in what is new ({type(error).__name__}: {error}); open the shop again or train it"
            self._stages.lineup.withdraw(name, why)
