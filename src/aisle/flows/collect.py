"""Take in what happened, so that the next answer knows it.

Whatever was committed, by this process or another, reaches the live parts through the change feed: in order, and once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from aisle.contracts import Changes, LivePart
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

    def join(self, part: LivePart, seq: int, n_items: int, put_into_service: Callable[[], None]) -> None:
        """Put a part into service that was fitted up to ``seq`` on the first ``n_items`` rows.

        It is first brought to where the others are, exactly: what it takes in here does not come again. An item comes
        before its events, and it has every row of the live catalogue when it begins to answer.
        """
        catalogue = self._stages.catalogue
        with self._lock:
            self.catch_up()
            n_given = self._bring(part, n_items, seq)
            for changes in self._shared_pages(seq):
                n_before, n_given = n_given, self._bring(part, n_given, seq)
                # The rows from n_before on were brought just now, as they are at this moment.
                changed = _items_where(changes.items, lambda item_id, n=n_before: catalogue.row(item_id) < n)
                if len(changed) or len(changes.events):
                    part.extend(changed, changes.events)
                seq = changes.seq
            put_into_service()

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

    def _bring(self, part: LivePart, n_given: int, seq: int) -> int:
        """Give a part the live rows from ``n_given`` on, with what waited for them up to ``seq``."""
        stages = self._stages
        n_items = stages.catalogue.n_items
        if n_given < n_items:
            # The store may know more by now than the live catalogue, which learns of it with its page.
            rows = ItemTable.concat(stages.records.read_catalogue(n_given)).frame[: n_items - n_given]
            part.extend(ItemTable(rows), self._waiting(rows["item_id"].to_list(), seq))
        return n_items

    def _take_in(self, changes: Changes) -> None:
        stages = self._stages
        # Everything is read before anything is changed: should the database fail, the page is simply taken in later.
        new = self._unknown_items(changes)
        new_ids = set(new.frame["item_id"])
        waiting = self._waiting(list(new_ids), self.seq)
        changed = _items_where(changes.items, lambda item_id: item_id not in new_ids)
        items, events = ItemTable.concat([new, changed]), EventTable.concat([waiting, changes.events])
        stages.catalogue.extend(items)
        if len(items) or len(events):
            stages.states.record(events)
            for name, part in stages.lineup.in_service.live_parts.items():
                self._extend(name, part, items, events)
        if len(items):
            for take_in in self._listeners:
                take_in(items)
        self.seq = changes.seq

    def _unknown_items(self, changes: Changes) -> ItemTable:
        """In row order, all items behind the live catalogue, if ``changes`` names one that it lacks.

        Not the items of the page, which stand by their last change: they would be numbered otherwise than in the store,
        and an item that changed later on stands behind its own events, perhaps on another page.
        """
        catalogue = self._stages.catalogue
        named = {*changes.items.frame["item_id"], *changes.events.frame["item_id"].drop_nulls()}
        if all(catalogue.row(item_id) >= 0 for item_id in named):
            return ItemTable.empty()
        return ItemTable.concat(self._stages.records.read_catalogue(catalogue.n_items))

    def _waiting(self, new_ids: list[str], seq: int) -> EventTable:
        """Events up to ``seq`` of items that were unknown when these came; those after it are still in the feed."""
        return self._stages.records.read_waiting_events(new_ids, seq) if new_ids and seq else EventTable.empty()

    def _extend(self, name: str, part: LivePart, items: ItemTable, events: EventTable) -> None:
        """A part that cannot take in what is new would answer wrongly from now on, so it answers no more."""
        try:
            part.extend(items, events)
        except Exception as error:
            log.exception("%s cannot take in what is new; it is out of service", name)
            why = f"it could not take in what is new ({type(error).__name__}: {error}); open the shop again or train it"
            self._stages.lineup.withdraw(name, why)


def _items_where(items: ItemTable, is_wanted: Callable[[str], bool]) -> ItemTable:
    return ItemTable(items.frame.filter([is_wanted(item_id) for item_id in items.frame["item_id"]]))
