"""Take in what happened, so that the next answer knows it.

Whatever was committed, by this process or another, reaches the live parts through the change feed: in order, and once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aisle.contracts import Changes, LivePart
from aisle.domain import EventTable, ItemTable
from aisle.errors import AisleError
from aisle.flows.stages import Stages

PAGE_ROWS = 10_000
"""Rows taken in at a time; who waits for an acknowledged event gets his turn between two pages."""

LEAST_PAUSE_SECONDS = 0.01
"""The following thread gathers at least this long; raising it takes in more together and lets the next answer do it."""
LONGEST_PAUSE_SECONDS = 0.3
"""And at most this long, however much it had to take in before."""

log = logging.getLogger("aisle.collect")


@dataclass
class Joining:
    """A part on its way into service that was fitted up to ``seq`` on the first ``n_items`` rows.

    ``put_into_service`` is called at the moment when the part knows exactly what the others know. ``is_stale`` spares
    it the events since ``seq``: it only learns of the items.
    """

    part: LivePart
    seq: int
    n_items: int
    put_into_service: Callable[[], None]
    is_stale: bool = False


class Follower:
    """Keeps the live parts of a process up to date with the record store.

    ``seq`` is the last change taken in. Methods may be called from several threads; one works, the others wait, so that
    after ``catch_up`` everything committed before the call is visible.
    """

    def __init__(self, stages: Stages, seq: int) -> None:
        self.seq = seq
        self._stages = stages
        self._listeners: list[Callable[[ItemTable], None]] = []
        self._n_erasures: int | None = None
        self._lock = threading.RLock()

    def catch_up(self) -> int:
        """Take in everything since ``seq``; returns the new ``seq``."""
        is_complete = False
        while not is_complete:
            with self._lock:
                is_complete = self._take_page()
        return self.seq

    def reach(self, seq: int, patience_seconds: float) -> bool:
        """Take in everything up to ``seq`` unless that takes longer than ``patience_seconds``; whether it is done."""
        deadline = time.monotonic() + patience_seconds
        while self.seq < seq:
            if not self._lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
                return False
            try:
                if self.seq < seq:
                    self._take_page()
            finally:
                self._lock.release()
        return True

    def join(self, part: LivePart, seq: int, n_items: int, put_into_service: Callable[[], None]) -> None:
        """Put one part into service; see ``join_all``. Raises what the part raises."""
        for _, error in self.join_all([Joining(part, seq, n_items, put_into_service)]):
            raise error

    def join_all(self, joinings: Sequence[Joining]) -> list[tuple[Joining, Exception]]:
        """Put parts into service together, reading the feed once; returns those that failed, and why.

        Each is first brought to where the others are, exactly: what it takes in here does not come again. An item comes
        before its events, and it has every row of the live catalogue when it begins to answer. Answering and taking in
        go on between two pages.
        """
        failed: list[tuple[Joining, Exception]] = []
        self.catch_up()
        waiting = list(joinings)
        while waiting:
            with self._lock:
                failed += self._bring_on(waiting)
                gone = [joining for joining, _ in failed]
                waiting = [joining for joining in waiting if joining not in gone]
                if all(joining.seq == self.seq for joining in waiting):
                    for joining in waiting:
                        joining.put_into_service()
                    return failed
            time.sleep(0)  # a lock that is taken again at once would be given to nobody else
        return failed

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

    def _take_page(self) -> bool:
        """Take in the next page; whether it was the last one."""
        changes = self._stages.records.changes_since(self.seq, PAGE_ROWS)
        self._take_in(changes)
        return changes.is_complete

    def _bring_on(self, waiting: Sequence[Joining]) -> list[tuple[Joining, Exception]]:
        """Bring those that are furthest behind one page on, reading everything once for all; returns who failed."""
        first = min(joining.seq for joining in waiting)
        behind = [joining for joining in waiting if joining.seq == first]
        until = min((joining.seq for joining in waiting if joining.seq > first), default=self.seq)
        is_read = first < until and not all(joining.is_stale for joining in behind)
        page = self._stages.records.changes_since(first, PAGE_ROWS, until) if is_read else None
        lessons: dict[tuple[bool, int], list[tuple[ItemTable, EventTable]]] = {}
        failed: list[tuple[Joining, Exception]] = []
        for joining in behind:
            kind = joining.is_stale, joining.n_items
            if kind not in lessons:
                lessons[kind] = (
                    self._items_only(joining.n_items, first)
                    if joining.is_stale
                    else self._lessons(joining.n_items, first, page)
                )
            try:
                for items, events in lessons[kind]:
                    joining.part.extend(items, events)
            except Exception as error:
                failed.append((joining, error))
            joining.seq = self.seq if joining.is_stale else page.seq if page else first
            joining.n_items, joining.is_stale = self._stages.catalogue.n_items, False
        return failed

    def _lessons(self, n_given: int, seq: int, page: Changes | None) -> list[tuple[ItemTable, EventTable]]:
        """What a part learns next that knows ``n_given`` rows and everything up to ``seq``."""
        stages = self._stages
        n_items = stages.catalogue.n_items
        found: list[tuple[ItemTable, EventTable]] = []
        if n_given < n_items:
            # The store may know more by now than the live catalogue, which learns of it with its page.
            rows = ItemTable.concat(stages.records.read_catalogue(n_given)).frame[: n_items - n_given]
            found.append((ItemTable(rows), self._waiting(rows["item_id"].to_list(), seq)))
        if page is not None:
            # The rows from n_given on were brought just now, as they are at this moment.
            changed = _items_where(page.items, lambda item_id: stages.catalogue.row(item_id) < n_given)
            if len(changed) or len(page.events):
                found.append((changed, page.events))
        return found

    def _items_only(self, n_given: int, seq: int) -> list[tuple[ItemTable, EventTable]]:
        """Items that are new or changed to a part that knows ``n_given`` rows up to ``seq``, as they are now."""
        stages, is_complete = self._stages, False
        n_new = stages.catalogue.n_items - n_given
        found = [ItemTable(ItemTable.concat(stages.records.read_catalogue(n_given)).frame[:n_new])]
        while not is_complete:
            page = stages.records.changes_since(seq, PAGE_ROWS, self.seq, with_events=False)
            found.append(_items_where(page.items, lambda item_id: stages.catalogue.row(item_id) < n_given))
            seq, is_complete = page.seq, page.is_complete
        items = ItemTable.concat(found)
        return [(items, EventTable.empty())] if len(items) else []

    def _take_in(self, changes: Changes) -> None:
        stages = self._stages
        if self._n_erasures is not None and changes.n_erasures > self._n_erasures:
            stages.states.forget_all()
        self._n_erasures = changes.n_erasures
        # Everything is read before anything is changed: should the database fail, the page is simply taken in later.
        new = self._unknown_items(changes)
        items, events = changes.items, changes.events
        if len(new):
            new_ids = set(new.frame["item_id"])
            changed = _items_where(items, lambda item_id: item_id not in new_ids)
            items = ItemTable.concat([new, changed])
            events = EventTable.concat([self._waiting(list(new_ids), self.seq), events])
        if len(items):
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
        named = {*changes.items.frame["item_id"], *changes.events.frame["item_id"].to_list()} - {None}
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


class Following:
    """Two threads that keep a process up with the others until ``stop``.

    One takes in what is new whenever it is nudged and at least every ``every_seconds``. Much in a short time is taken
    in together: the thread rests four times as long as it worked, ``LONGEST_PAUSE_SECONDS`` at most. The other looks as
    often for what else changed, which may take seconds where new versions are loaded. Errors end neither: each is
    logged once and tried again.
    """

    def __init__(self, take_in: Callable[[], object], look: Callable[[], object], every_seconds: float) -> None:
        self._take_in = take_in
        self._look = look
        self._every_seconds = every_seconds
        self._news = threading.Event()
        self._end = threading.Event()
        self._told: dict[str, str] = {}
        self._threads = [
            threading.Thread(target=self._take_in_again_and_again, name="aisle-follow", daemon=True),
            threading.Thread(target=self._look_again_and_again, name="aisle-look", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def nudge(self) -> None:
        """Something was recorded; take it in soon."""
        self._news.set()

    def stop(self) -> None:
        """End the threads; returns when they have ended. Repeating is harmless."""
        self._end.set()
        self._news.set()
        for thread in self._threads:
            thread.join()

    def _take_in_again_and_again(self) -> None:
        while not self._end.is_set():
            start = time.monotonic()
            self._news.clear()
            self._try("take in", self._take_in)
            took_seconds = time.monotonic() - start
            self._end.wait(min(max(LEAST_PAUSE_SECONDS, 4 * took_seconds), LONGEST_PAUSE_SECONDS))
            self._news.wait(max(start + self._every_seconds - time.monotonic(), 0.0))

    def _look_again_and_again(self) -> None:
        while not self._end.is_set():
            self._try("look for new versions", self._look)
            self._end.wait(self._every_seconds)

    def _try(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            if self._told.get(what) != repr(error) and not self._end.is_set():
                log.warning("could not %s, trying again: %s", what, error, exc_info=not isinstance(error, AisleError))
            self._told[what] = repr(error)
        else:
            self._told.pop(what, None)
