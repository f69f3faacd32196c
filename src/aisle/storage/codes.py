"""Numbers that stand for user and item ids in the events.

Enters: ids. Leaves: their codes, new ones given out in order of first appearance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from aisle.storage.ledger import Ledger
from aisle.storage.schema import item_codes, user_codes
from aisle.storage.sqlite import insert_rows, rows_where_in


def find_user_codes(connection: Connection, user_ids: Iterable[str]) -> dict[str, int]:
    """Codes of the users that have one."""
    columns = [user_codes.c.user_id, user_codes.c.user_code]
    return dict(rows_where_in(connection, columns, user_codes.c.user_id, sorted(user_ids)))


def find_item_codes(connection: Connection, item_ids: Iterable[str]) -> dict[str, tuple[int, int | None]]:
    """Code and item row (None until the item arrives) of the items that were ever named."""
    columns = [item_codes.c.item_id, item_codes.c.item_code, item_codes.c.item_row]
    found = rows_where_in(connection, columns, item_codes.c.item_id, sorted(item_ids))
    return {item_id: (code, row) for item_id, code, row in found}


def encode_users(connection: Connection, ledger: Ledger, user_ids: Sequence[str]) -> dict[str, int]:
    """Codes of distinct ``user_ids``, giving new ones to users not seen before."""
    codes = find_user_codes(connection, user_ids)
    new_ids = [user_id for user_id in user_ids if user_id not in codes]
    new_codes = range(ledger.n_user_codes, ledger.n_user_codes + len(new_ids))
    insert_rows(connection, user_codes, ["user_code", "user_id"], [new_codes, new_ids])
    ledger.n_user_codes += len(new_ids)
    codes.update(zip(new_ids, new_codes, strict=True))
    return codes


def encode_items(connection: Connection, ledger: Ledger, item_ids: Sequence[str]) -> dict[str, tuple[int, int | None]]:
    """Code and item row of distinct ``item_ids``, giving codes (and no row) to items not named before."""
    codes = find_item_codes(connection, item_ids)
    new_ids = [item_id for item_id in item_ids if item_id not in codes]
    new_codes = range(ledger.n_item_codes, ledger.n_item_codes + len(new_ids))
    insert_rows(connection, item_codes, ["item_code", "item_id"], [new_codes, new_ids])
    ledger.n_item_codes += len(new_ids)
    codes.update((item_id, (code, None)) for item_id, code in zip(new_ids, new_codes, strict=True))
    return codes
