"""What each user did lately, in memory, for answering requests.

Enters: events that the record store acknowledged. Leaves: ``UserState``. The record store stays the truth: a user's
state is read from it when first asked for, kept while memory allows, and dropped when he does something, so that the
next request reads it anew, in the right order and without repeats.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from aisle.contracts import RecordStore
from aisle.domain import Catalogue, EventTable, UserState

KEPT_USERS = 20_000
"""States held in memory; each costs about 17 bytes an event and 600 bytes more."""
EVENTS_A_USER = 500
"""Latest events in a state. Raising it remembers longer what was seen or bought; reading a user takes longer."""
SHOWN_A_USER = 200
"""Latest impressions beside them."""
_USERS_A_READ = 5_000


class LiveStates:
    """``contracts.StateStore`` over a record store of this process.

    ``catalogue`` numbers items as the store does and must already hold an item when its events are recorded. Events of
    items that it does not hold are left out; ``record`` them again when the item arrives.
    """

    def __init__(
        self,
        records: RecordStore,
        catalogue: Catalogue,
        *,
        kept_users: int = KEPT_USERS,
        events_a_user: int = EVENTS_A_USER,
        shown_a_user: int = SHOWN_A_USER,
    ) -> None:
        self._records = records
        self._catalogue = catalogue
        self._kept_users = kept_users
        self._events_a_user = events_a_user
        self._shown_a_user = shown_a_user
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
        kept: dict[str, UserState] = {}
        try:
            found = self._records.read_user_states(user_ids, self._events_a_user, self._shown_a_user)
            kept = loaded = {user_id: self._known(state) for user_id, state in zip(user_ids, found, strict=True)}
        finally:
            with self._lock:
                self._outdated_by_read = [other for other in self._outdated_by_read if other is not outdated]
                if n_clearings == self._n_clearings:
                    self._states.update((user_id, state) for user_id, state in kept.items() if user_id not in outdated)
                while len(self._states) > self._kept_users:
                    self._states.popitem(last=False)
        return loaded

    def _known(self, state: UserState) -> UserState:
        """Without items that the store has already and the catalogue learns of in a moment."""
        known = state.item_rows < self._catalogue.n_items
        if known.all():
            return state
        return UserState(state.user_id, state.item_rows[known], state.types[known], state.times_ms[known])
