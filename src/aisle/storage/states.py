"""What each user did lately, in memory, for answering requests.

Enters: events that the record store acknowledged. Leaves: ``UserState``. The record store stays the truth: a user's
state is read from it when first asked for, kept while memory allows, and dropped when he does something, so that the
next request reads it anew, in the right order and without repeats.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from aisle.contracts import RecordStore
from aisle.domain import NO_VALUE, Catalogue, EventTable, UserState

KEPT_USERS = 50_000
"""States held in memory; each costs about 17 bytes an event and 600 bytes more."""
EVENTS_A_USER = 500
"""Latest events in a state. Raising it remembers longer what was seen or bought; reading a user takes longer."""
_USERS_A_READ = 5_000


class LiveStates:
    """``contracts.StateStore`` over a record store of this process.

    ``catalogue`` turns item ids into rows; it must already hold an item when its events are recorded. Events of items
    it does not know are left out; ``record`` them again when the item arrives.
    """

    def __init__(
        self,
        records: RecordStore,
        catalogue: Catalogue,
        *,
        kept_users: int = KEPT_USERS,
        events_a_user: int = EVENTS_A_USER,
    ) -> None:
        self._records = records
        self._catalogue = catalogue
        self._kept_users = kept_users
        self._events_a_user = events_a_user
        self._states: OrderedDict[str, UserState] = OrderedDict()
        self._outdated_by_read: list[set[str]] = []
        """For each read of the record store under way, the users who did something meanwhile."""
        self._n_clearings = 0
        self._lock = threading.Lock()

    def read(self, user_ids: Sequence[str | None]) -> list[UserState]:
        """The states, in order; an empty one for an unknown user. Users not in memory are read together."""
        found: dict[str, UserState] = {}
        missing: list[str] = []
        with self._lock:
            for user_id in dict.fromkeys(user_ids):
                if user_id is None:
                    continue
                state = self._states.get(user_id)
                if state is None:
                    missing.append(user_id)
                else:
                    self._states.move_to_end(user_id)
                    found[user_id] = state
        for start in range(0, len(missing), _USERS_A_READ):
            found.update(self._load(missing[start : start + _USERS_A_READ]))
        return [UserState.empty() if user_id is None else found[user_id] for user_id in user_ids]

    def record(self, events: EventTable) -> None:
        """Make the states of these events' users be read anew."""
        self._drop(events.frame["user_id"].unique().to_list())

    def forget(self, user_id: str) -> None:
        """Drop what is kept of a user who was erased."""
        self._drop([user_id])

    def forget_all(self) -> None:
        """Drop everything kept: somebody was erased by another process."""
        with self._lock:
            self._states.clear()
            self._n_clearings += 1

    def _drop(self, user_ids: Iterable[str]) -> None:
        with self._lock:
            for user_id in user_ids:
                self._states.pop(user_id, None)
                for outdated in self._outdated_by_read:
                    outdated.add(user_id)

    def _load(self, user_ids: Sequence[str]) -> dict[str, UserState]:
        outdated: set[str] = set()
        with self._lock:
            self._outdated_by_read.append(outdated)
            n_clearings = self._n_clearings
        loaded = {user_id: UserState.empty(user_id) for user_id in user_ids}
        kept: dict[str, UserState] = {}
        try:
            loaded.update(states_of(self._records.read_user_events(user_ids, self._events_a_user), self._catalogue))
            kept = loaded
        finally:
            with self._lock:
                self._outdated_by_read = [other for other in self._outdated_by_read if other is not outdated]
                if n_clearings == self._n_clearings:
                    self._states.update((user_id, state) for user_id, state in kept.items() if user_id not in outdated)
                while len(self._states) > self._kept_users:
                    self._states.popitem(last=False)
        return loaded


def states_of(events: EventTable, catalogue: Catalogue) -> dict[str, UserState]:
    """The state of each user in ``events``, which are in order within a user; unknown items are left out."""
    frame = events.frame
    item_ids = frame["item_id"].unique()
    rows = pl.DataFrame({"item_id": item_ids, "item_row": catalogue.rows(item_ids.to_list())})
    known = frame.select("user_id", "type", "time_ms", "item_id").join(rows, on="item_id", maintain_order="left")
    known = known.filter(pl.col("item_row") != NO_VALUE)
    if not known.height:
        return {}
    runs = known.select(pl.col("user_id").rle()).unnest("user_id")
    ends = runs["len"].cum_sum().to_list()
    item_rows = known["item_row"].to_numpy().astype(np.int64)
    types = known["type"].to_physical().to_numpy().astype(np.uint8)
    times = known["time_ms"].to_numpy()
    states: dict[str, UserState] = {}
    start = 0
    for user_id, end in zip(runs["value"].to_list(), ends, strict=True):
        states[user_id] = UserState(
            user_id, item_rows[start:end].copy(), types[start:end].copy(), times[start:end].copy()
        )
        start = end
    return states
