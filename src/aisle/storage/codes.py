"""Numbers that stand for user and item ids in the events.

Enters: ids. Leaves: their codes, new ones given out in order of first appearance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, update

from aisle.storage.ledger import Ledger
from aisle.storage.schema import item_codes, user_codes
from aisle.storage.sqlite import insert_rows, rows_where_in

MOST_REMEMBERED = 400_000
"""Ids of each kind whose codes a writing process remembers; more costs memory and saves look-ups."""


def find_user_codes(connection: Connection, user_ids: Iterable[str]) -> dict[str, int]:
    """Codes of the users that have one."""
    columns = [user_codes.c.user_id, user_codes.c.user_code]
    return dict(rows_where_in(connection, columns, user_codes.c.user_id, sorted(user_ids)))


def find_item_codes(connection: Connection, item_ids: Iterable[str]) -> dict[str, tuple[int, int | None]]:
    """Code and item row (None until the item arrives) of the items that were ever named."""
    columns = [item_codes.c.item_id, item_codes.c.item_code, item_codes.c.item_row]
    found = rows_where_in(connection, columns, item_codes.c.item_id, sorted(item_ids))
    return {item_id: (code, row) for item_id, code, row in found}


class CodeBook:
    """Gives out codes, and remembers those asked for lately; used only while the write lock is held.

    Memory: about 200 bytes an id, ``MOST_REMEMBERED`` ids of each kind at most.
    """

    def __init__(self) -> None:
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._n_erasures = 0

    def forget(self) -> None:
        """Drop what is remembered: a transaction that gave out codes was taken back."""
        self._users.clear()
        self._items.clear()

    def follow(self, ledger: Ledger) -> None:
        """Forget users when one was erased, by whatever process: his code is not given out again."""
        if self._n_erasures != ledger.n_erasures:
            self._users.clear()
            self._n_erasures = ledger.n_erasures

    def encode_users(self, connection: Connection, ledger: Ledger, user_ids: Sequence[str]) -> dict[str, int]:
        """Codes of at least the distinct ``user_ids``, giving new ones to users not seen before."""
        known = self._users
        asked = [user_id for user_id in user_ids if user_id not in known]
        if len(known) + len(asked) > MOST_REMEMBERED:
            known.clear()
            asked = list(user_ids)
        if asked:
            found = find_user_codes(connection, asked)
            new_ids = [user_id for user_id in asked if user_id not in found]
            new_codes = range(ledger.n_user_codes, ledger.n_user_codes + len(new_ids))
            insert_rows(connection, user_codes, {"user_code": new_codes, "user_id": new_ids})
            ledger.n_user_codes += len(new_ids)
            known.update(found)
            known.update(zip(new_ids, new_codes, strict=True))
        return known

    def encode_items(
        self, connection: Connection, ledger: Ledger, item_ids: Sequence[str]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Codes of the distinct ``item_ids``, new ones for items not named before.

        Two answers: of (at least) those whose item has arrived, and of those whose item has not.
        """
        known = self._items
        asked = [item_id for item_id in item_ids if item_id not in known]
        if len(known) + len(asked) > MOST_REMEMBERED:
            known.clear()
            asked = list(item_ids)
        if not asked:
            return known, {}
        found = find_item_codes(connection, asked)
        new_ids = [item_id for item_id in asked if item_id not in found]
        new_codes = range(ledger.n_item_codes, ledger.n_item_codes + len(new_ids))
        insert_rows(connection, item_codes, {"item_code": new_codes, "item_id": new_ids})
        ledger.n_item_codes += len(new_ids)
        known.update((item_id, code) for item_id, (code, row) in found.items() if row is not None)
        unknown = {item_id: code for item_id, (code, row) in found.items() if row is None}
        unknown.update(zip(new_ids, new_codes, strict=True))
        return known, unknown


def arrive(
    connection: Connection, ledger: Ledger, codes: Mapping[str, tuple[int, int | None]], row_of: Mapping[str, int]
) -> None:
    """Note the rows of items that are new: with those named before (in ``codes``), or with new codes."""
    waited_for = [{"code": codes[item_id][0], "row": row} for item_id, row in row_of.items() if item_id in codes]
    if waited_for:
        connection.execute(_ARRIVE, waited_for)
    new = {item_id: row for item_id, row in row_of.items() if item_id not in codes}
    new_codes = range(ledger.n_item_codes, ledger.n_item_codes + len(new))
    insert_rows(connection, item_codes, {"item_code": new_codes, "item_id": list(new), "item_row": list(new.values())})
    ledger.n_item_codes += len(new)


_ARRIVE = update(item_codes).where(item_codes.c.item_code == bindparam("code")).values(item_row=bindparam("row"))
