"""Taking back everything that is known of one user.

Enters: a user id, inside a write transaction. Leaves: the number of rows that went. ``PRAGMA secure_delete`` (see
``sqlite.py``) overwrites them in the file, once the log is copied there and emptied (``log_shedding.py``).
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from aisle.storage.codes import find_user_codes
from aisle.storage.event_writer import sort_in_tail
from aisle.storage.ledger import Ledger
from aisle.storage.schema import event_keys, events, user_codes, user_events, users, waiting_events
from aisle.storage.slate_rows import clear_slates

_ROWS_A_STATEMENT = 5_000


def erase_user(connection: Connection, user_id: str) -> int:
    """Delete events, what waits and the profile; take the user out of his slates. Returns rows touched.

    Counted in ``ledger.n_erasures`` in any case: a list made for him may be on its way here from another process.
    Cost: one pass over all events (about a second for five million).
    """
    n_rows = clear_slates(connection, user_id)
    n_rows += connection.execute(delete(users).where(users.c.user_id == user_id)).rowcount
    ledger = Ledger.read(connection)
    code = find_user_codes(connection, [user_id]).get(user_id)
    if code is not None:
        n_rows += _delete_events(connection, ledger, code)
    ledger.n_erasures += 1
    ledger.write(connection)
    return n_rows


def _delete_events(connection: Connection, ledger: Ledger, code: int) -> int:
    """Delete a user's events and their lookups; ``ledger`` is moved on, not written."""
    sort_in_tail(connection, ledger)
    columns = (events.c.seq, events.c.event_key, events.c.item_code, events.c.is_suspect)
    mine = connection.execute(select(*columns).where(events.c.user_code == code)).all()
    n_waiting = 0
    for start in range(0, len(mine), _ROWS_A_STATEMENT):
        seqs, keys, codes, _ = zip(*mine[start : start + _ROWS_A_STATEMENT], strict=True)
        connection.execute(delete(events).where(events.c.seq.in_(seqs)))
        connection.execute(delete(event_keys).where(event_keys.c.event_key.in_(keys)))
        waiting = (waiting_events.c.item_code.in_(set(codes)), waiting_events.c.seq.in_(seqs))
        n_waiting += connection.execute(delete(waiting_events).where(*waiting)).rowcount
    connection.execute(delete(user_events).where(user_events.c.user_code == code))
    connection.execute(delete(user_codes).where(user_codes.c.user_code == code))
    n_events, n_suspect = len(mine), sum(is_suspect for *_, is_suspect in mine)
    ledger.n_events -= n_events
    ledger.n_suspect -= n_suspect
    return n_events + n_waiting
