"""What users did lately, read from the database for answering them.

Enters: a connection in a read transaction, users. Leaves: ``UserState``. Straight through the driver and without
frames: somebody waits for a list, and a user has some tens of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select

from aisle.domain import EVENT_CODE, SHOWN_TYPES, UserState
from aisle.storage.codes import find_user_codes
from aisle.storage.ledger import Ledger
from aisle.storage.schema import events, item_codes, user_events
from aisle.storage.sqlite import Compiled

_READ_FOR_EACH_KEPT = 6
"""Latest entries looked through for each event that is kept; only who was shown very much has older ones left out."""
_SHOWN_CODES = np.array([EVENT_CODE[event_type] for event_type in SHOWN_TYPES], dtype=np.uint8)

_Entry = tuple[int, int, int, int]
"""Time, sequence number, item row, code of the type."""


def read_user_states(
    connection: Connection, user_ids: Sequence[str], n_events: int, n_shown: int, ledger: Ledger
) -> list[UserState]:
    """States in the order of ``user_ids``: the last ``n_events`` of what each did, ``n_shown`` of what he was shown."""
    codes = find_user_codes(connection, set(user_ids))
    late = _late_entries(connection, codes.values(), ledger)
    n_read = _READ_FOR_EACH_KEPT * (n_events + n_shown)
    return [
        UserState.empty(user_id)
        if (code := codes.get(user_id)) is None
        else _state(user_id, _entries(connection, code, n_read, late.get(code, [])), n_events, n_shown)
        for user_id in user_ids
    ]


def _entries(connection: Connection, code: int, n_read: int, late: Sequence[_Entry]) -> list[_Entry]:
    """The latest entries of one user, oldest first by time and then arrival."""
    indexed = _LATEST.run(connection, user_code=code, n_entries=n_read).fetchall()
    return sorted([*late, *indexed]) if late else indexed[::-1]


def _late_entries(connection: Connection, codes: Iterable[int], ledger: Ledger) -> Mapping[int, list[_Entry]]:
    """By user, what lies in the tail (see ``event_writer.py``): one look through it for all of them."""
    found: dict[int, list[_Entry]] = {}
    if ledger.indexed_seq < ledger.seq:
        parameters = {"indexed_seq": ledger.indexed_seq, "user_codes": list(codes)}
        for code, time_ms, seq, item_row, event_type in connection.execute(_IN_TAIL, parameters):
            found.setdefault(code, []).append((time_ms, seq, item_row, event_type))
    return found


def _state(user_id: str, entries: Sequence[_Entry], n_events: int, n_shown: int) -> UserState:
    if not entries:
        return UserState.empty(user_id)
    columns = np.array(entries, dtype=np.int64)  # (h, 4)
    types = columns[:, 3].astype(np.uint8)
    if len(entries) > min(n_events, n_shown):
        is_shown = np.isin(types, _SHOWN_CODES)
        kept = np.where(is_shown, _from_behind(is_shown) <= n_shown, _from_behind(~is_shown) <= n_events)
        columns, types = columns[kept], types[kept]
    return UserState(user_id, columns[:, 2].copy(), types, columns[:, 0].copy())


def _from_behind(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many are marked from each place to the end. (h,)"""
    return marked[::-1].cumsum()[::-1]


_ENTRY = (events.c.time_ms, events.c.seq, item_codes.c.item_row, events.c.type)
_LATEST = Compiled(
    select(*_ENTRY)
    .select_from(user_events)
    .join(events, events.c.seq == user_events.c.seq)
    .join(item_codes, item_codes.c.item_code == events.c.item_code)
    .where(user_events.c.user_code == bindparam("user_code"), item_codes.c.item_row.is_not(None))
    .order_by(user_events.c.time_ms.desc(), user_events.c.seq.desc())
    .limit(bindparam("n_entries"))
)
_IN_TAIL = (
    select(events.c.user_code, *_ENTRY)
    .join(item_codes, item_codes.c.item_code == events.c.item_code)
    .where(
        events.c.seq > bindparam("indexed_seq"),
        events.c.user_code.in_(bindparam("user_codes", expanding=True)),
        item_codes.c.item_row.is_not(None),
    )
)
