"""Items, users and documents on their way into the database and out of it: rows that are replaced when they change.

Enters: a domain table. Leaves: rows with a content hash, so that only what really changed gets a new sequence number,
and the same table again. Lists (texts, category paths, attributes) are kept as JSON text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

import polars as pl
from sqlalchemy import Connection, Row, Table, bindparam, update

from aisle.contracts import Appended
from aisle.domain import DocumentTable, ItemTable, UserTable
from aisle.domain.tables import Column as TableColumn
from aisle.storage.codes import arrive, find_item_codes
from aisle.storage.ledger import Ledger
from aisle.storage.schema import CONTENT_HASH_BYTES, items
from aisle.storage.sqlite import insert_rows, rows_where_in

AnyTable = TypeVar("AnyTable", ItemTable, UserTable, DocumentTable)
_WRAPPED = "value"
_OPEN, _CLOSE = '{"value":', "}"
"""polars writes and reads JSON of structs only, so a list is wrapped in one on the way."""


@dataclass(frozen=True)
class PreparedContent:
    """Rows ready to store: for each id its last content in the batch, in order of the id's first appearance."""

    ids: list[str]
    hashes: list[bytes]
    names: list[str]
    values: list[list[Any]]
    n_repeated: int

    @classmethod
    def of(cls, table: ItemTable | UserTable | DocumentTable) -> PreparedContent:
        """Encode a table. The first column of its kind is the id."""
        key, *names = table.columns
        ids = table.frame[key].to_list()
        last = {content_id: position for position, content_id in enumerate(ids)}
        frame = table.frame if len(last) == len(ids) else table.frame[list(last.values())]
        encoded = frame.select(_encoded(name, column.dtype) for name, column in table.columns.items())
        texts = encoded.select(pl.struct(pl.all()).struct.json_encode()).to_series().cast(pl.Binary).to_list()
        hashes = [blake2b(text, digest_size=CONTENT_HASH_BYTES).digest() for text in texts]
        values = [encoded[name].to_list() for name in names]
        return cls(list(last), hashes, names, values, len(ids) - len(last))

    def at(self, positions: Sequence[int]) -> dict[str, list[Any]]:
        """Hash and values at ``positions``, by column."""
        columns = {"content_hash": self.hashes, **dict(zip(self.names, self.values, strict=True))}
        return {name: [values[position] for position in positions] for name, values in columns.items()}


def append_items(connection: Connection, ledger: Ledger, prepared: PreparedContent) -> Appended:
    """Store new items behind the known ones and replace changed ones; ``ledger`` is moved on, not written."""
    codes = find_item_codes(connection, prepared.ids)
    rows = [codes[item_id][1] if item_id in codes else None for item_id in prepared.ids]
    known = [row for row in rows if row is not None]
    hash_of = dict(rows_where_in(connection, [items.c.item_row, items.c.content_hash], items.c.item_row, known))
    new = [position for position, row in enumerate(rows) if row is None]
    changed = [
        position for position, row in enumerate(rows) if row is not None and hash_of[row] != prepared.hashes[position]
    ]
    new_rows = range(ledger.n_items, ledger.n_items + len(new))
    new_ids = [prepared.ids[position] for position in new]
    numbered = {"item_row": new_rows, "item_id": new_ids, "seq": ledger.take(len(new))}
    insert_rows(connection, items, {**numbered, **prepared.at(new)})
    arrive(connection, ledger, codes, dict(zip(new_ids, new_rows, strict=True)))
    ledger.n_items += len(new)
    _replace(connection, ledger, items, "item_row", [(rows[position], position) for position in changed], prepared)
    return _appended(ledger, prepared, len(new), len(changed))


def append_contents(connection: Connection, ledger: Ledger, table: Table, prepared: PreparedContent) -> Appended:
    """Store or replace users or documents; ``ledger`` is moved on, not written."""
    (key,) = table.primary_key.columns
    hash_of = dict(rows_where_in(connection, [key, table.c.content_hash], key, sorted(prepared.ids)))
    new = [position for position, content_id in enumerate(prepared.ids) if content_id not in hash_of]
    changed = [
        (content_id, position)
        for position, content_id in enumerate(prepared.ids)
        if content_id in hash_of and hash_of[content_id] != prepared.hashes[position]
    ]
    new_ids = [prepared.ids[position] for position in new]
    insert_rows(connection, table, {key.name: new_ids, "seq": ledger.take(len(new)), **prepared.at(new)})
    _replace(connection, ledger, table, key.name, changed, prepared)
    return _appended(ledger, prepared, len(new), len(changed))


def table_of(kind: type[AnyTable], rows: Sequence[Row[Any]] | Sequence[tuple[Any, ...]]) -> AnyTable:
    """Rows of the columns of ``kind``, in their order, as a table."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(kind.columns)
    series = [
        _decoded(pl.Series(name, values, dtype=_stored(column)), column)
        for (name, column), values in zip(kind.columns.items(), columns, strict=True)
    ]
    return kind(pl.DataFrame(series))


def _replace(
    connection: Connection,
    ledger: Ledger,
    table: Table,
    key: str,
    changed: Sequence[tuple[Any, int]],
    prepared: PreparedContent,
) -> None:
    if not changed:
        return
    values = {"seq": ledger.take(len(changed)), **prepared.at([position for _, position in changed])}
    statement = (
        update(table)
        .where(table.c[key] == bindparam("changed_key"))
        .values({name: bindparam(f"new_{name}") for name in values})
    )
    names = ["changed_key", *(f"new_{name}" for name in values)]
    keys = [changed_key for changed_key, _ in changed]
    parameters = [dict(zip(names, row, strict=True)) for row in zip(keys, *values.values(), strict=True)]
    connection.execute(statement, parameters)


def _appended(ledger: Ledger, prepared: PreparedContent, n_new: int, n_changed: int) -> Appended:
    n_unchanged = len(prepared.ids) - n_new - n_changed
    return Appended(ledger.seq, n_new, n_changed=n_changed, n_duplicate=n_unchanged + prepared.n_repeated)


def _is_nested(dtype: Any) -> bool:
    return isinstance(dtype, pl.List)


def _encoded(name: str, dtype: Any) -> pl.Expr:
    if _is_nested(dtype):
        wrapped = pl.struct(pl.col(name).alias(_WRAPPED)).struct.json_encode()
        return wrapped.str.strip_prefix(_OPEN).str.strip_suffix(_CLOSE).alias(name)
    return pl.col(name).cast(pl.String) if isinstance(dtype, pl.Enum) else pl.col(name)


def _stored(column: TableColumn) -> Any:
    if column.dtype == pl.Boolean:
        return pl.Boolean
    return pl.String if _is_nested(column.dtype) else column.dtype


def _decoded(series: pl.Series, column: TableColumn) -> pl.Series:
    if not _is_nested(column.dtype):
        return series
    if not len(series):
        return pl.Series(series.name, [], dtype=column.dtype)
    wrapped = pl.select(pl.concat_str(pl.lit(_OPEN), series, pl.lit(_CLOSE))).to_series()
    return wrapped.str.json_decode(pl.Struct({_WRAPPED: column.dtype})).struct.field(_WRAPPED).alias(series.name)
