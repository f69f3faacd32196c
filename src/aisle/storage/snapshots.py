"""Everything to fit models on, read as columns in one read transaction.

Enters: a database, and a folder in which events that were read once are kept as Parquet. Leaves: a ``Snapshot``. Events
never change once stored, so only those after the last kept one are read from the database; an erased user makes all of
what is kept void. The folder can be deleted at any time.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from sqlalchemy import Connection, select

from aisle.domain import INTERACTION_SCHEMA, ItemTable, Snapshot
from aisle.storage.contents import table_of
from aisle.storage.event_rows import types_of
from aisle.storage.ledger import Ledger
from aisle.storage.schema import events, item_codes, items, user_codes

log = logging.getLogger(__name__)

PAGE_ROWS = 100_000
"""Rows fetched at a time; more costs memory (about 150 bytes a row while they are Python objects)."""
_KEEP_FROM_ROWS = 10_000
"""Fewer new events than this are not worth a file; they are read again next time."""
_MOST_FILES = 12
"""More kept files than this are written together as one."""

_ASIDE = "writing-"

_KEPT_SCHEMA: dict[str, type[pl.DataType] | pl.DataType] = {
    "seq": pl.Int64,
    "user_code": pl.Int32,
    "item_code": pl.Int32,
    "type": pl.UInt8,
    "time_ms": pl.Int64,
    "quantity": pl.Int64,
    "price_minor": pl.Int64,
    "rating": pl.Float64,
    "session_id": pl.String,
    "basket_id": pl.String,
    "platform": pl.String,
}
_NAME = re.compile(r"events-(?P<erasures>\d+)-(?P<first>\d+)-(?P<last>\d+)-(?P<key>-?\d+)\.parquet")


@dataclass(frozen=True)
class _Kept:
    """One file: the events with an item, of no suspect, with ``first < seq <= last``. ``key`` is that of ``last``."""

    path: Path
    n_erasures: int
    first: int
    last: int
    key: int

    @classmethod
    def parse(cls, path: Path) -> _Kept | None:
        match = _NAME.fullmatch(path.name)
        return match and cls(path, *(int(match[name]) for name in ("erasures", "first", "last", "key")))


class SnapshotReader:
    """Builds snapshots. ``folder`` None keeps nothing on disk."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, connection: Connection) -> Snapshot:
        """The snapshot as of the transaction of ``connection``.

        Memory: about 100 bytes an event, twice that while they are sorted; texts of items come on top.
        """
        ledger = Ledger.read(connection)
        found = self._read_events(connection, ledger)
        item_table = ItemTable.concat(read_items(connection))
        user_ids, interactions = _interactions(connection, found)
        return Snapshot(item_table, user_ids, interactions, ledger.seq)

    def forget(self) -> None:
        """Delete what is kept, because a user was erased."""
        for kept in self._files():
            kept.path.unlink(missing_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        """Delete what killed writers left half written (a living one then does without its file, and says so)."""
        for aside in self._folder.glob(f"{_ASIDE}*") if self._folder is not None else ():
            shutil.rmtree(aside, ignore_errors=True)

    def _read_events(self, connection: Connection, ledger: Ledger) -> pl.DataFrame:
        chain, frames = self._read_kept(connection, ledger)
        last = chain[-1].last if chain else 0
        fresh = list(_pages(connection, last))
        n_fresh = sum(page.height for page in fresh)
        if self._folder is not None and n_fresh >= _KEEP_FROM_ROWS:
            is_many = len(chain) >= _MOST_FILES
            kept_frame = pl.concat([*frames, *fresh] if is_many else fresh)
            first = 0 if is_many else last
            if self._keep(connection, ledger, first, kept_frame) and is_many:
                for kept in chain:
                    kept.path.unlink(missing_ok=True)
        every = [*frames, *fresh]
        return pl.concat(every) if every else pl.DataFrame(schema=_KEPT_SCHEMA)

    def _files(self) -> list[_Kept]:
        if self._folder is None or not self._folder.is_dir():
            return []
        return [kept for path in sorted(self._folder.iterdir()) if (kept := _Kept.parse(path)) is not None]

    def _read_kept(self, connection: Connection, ledger: Ledger) -> tuple[list[_Kept], list[pl.DataFrame]]:
        """The kept files that continue one another from the start and belong to this very database."""
        by_first: dict[int, _Kept] = {}
        for kept in self._files():
            if kept.n_erasures != ledger.n_erasures or not _is_ours(connection, kept):
                kept.path.unlink(missing_ok=True)
            elif kept.first not in by_first or by_first[kept.first].last < kept.last:
                by_first[kept.first] = kept
        chain: list[_Kept] = []
        frames: list[pl.DataFrame] = []
        while kept := by_first.get(chain[-1].last if chain else 0):
            try:
                frame = pl.read_parquet(kept.path)
                if dict(frame.schema) != _KEPT_SCHEMA:
                    raise pl.exceptions.SchemaError(f"columns {list(frame.schema)}")
            except (pl.exceptions.PolarsError, OSError) as error:
                log.warning(
                    "snapshot file %s cannot be read (%s); it is made again from the database", kept.path, error
                )
                kept.path.unlink(missing_ok=True)
                break
            chain.append(kept)
            frames.append(frame)
        return chain, frames

    def _keep(self, connection: Connection, ledger: Ledger, first: int, frame: pl.DataFrame) -> bool:
        """Write a file aside and rename it; a full disk costs only the saving of time, and says so."""
        assert self._folder is not None
        last = int(frame["seq"][-1])
        key = connection.execute(select(events.c.event_key).where(events.c.seq == last)).scalar_one()
        path = self._folder / f"events-{ledger.n_erasures}-{first}-{last}-{key}.parquet"
        try:
            self._folder.mkdir(exist_ok=True)
            self._sweep()
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=_ASIDE) as aside:
                written = Path(aside) / path.name
                frame.write_parquet(written, compression="zstd", compression_level=1)
                written.replace(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            log.warning("snapshot file %s was not written (%s); the next snapshot takes longer", path, error)
            return False
        return True


def read_items(connection: Connection, from_row: int = 0, page_rows: int = PAGE_ROWS) -> Iterator[ItemTable]:
    """Items from row ``from_row`` on in row order, in pages."""
    columns = [items.c[name] for name in ItemTable.columns]
    row = from_row - 1
    while True:
        statement = select(*columns).where(items.c.item_row > row).order_by(items.c.item_row).limit(page_rows)
        rows = connection.execute(statement).fetchall()
        if rows:
            yield table_of(ItemTable, rows)
        if len(rows) < page_rows:
            return
        row += len(rows)


def _is_ours(connection: Connection, kept: _Kept) -> bool:
    """Whether the database holds the event the file ends with; after a restored backup it may hold another there."""
    return connection.execute(select(events.c.event_key).where(events.c.seq == kept.last)).scalar() == kept.key


def _pages(connection: Connection, after: int) -> Iterator[pl.DataFrame]:
    """Events with an item, of no suspect, after a sequence number, in order."""
    columns = [events.c[name] for name in _KEPT_SCHEMA]
    wanted = (events.c.item_code.is_not(None), events.c.is_suspect.is_(False))
    while True:
        statement = select(*columns).where(events.c.seq > after, *wanted).order_by(events.c.seq).limit(PAGE_ROWS)
        cursor = connection.execute(statement).cursor
        assert cursor is not None
        rows = cursor.fetchall()  # the driver's own tuples: numbers and texts only, nothing to convert
        if not rows:
            return
        yield pl.DataFrame(
            [
                pl.Series(name, values, dtype=dtype)
                for (name, dtype), values in zip(_KEPT_SCHEMA.items(), zip(*rows, strict=True), strict=True)
            ]
        )
        after = rows[-1][0]


def _interactions(connection: Connection, found: pl.DataFrame) -> tuple[list[str], pl.DataFrame]:
    """Codes turned into rows, events of items that are still unknown left out, sorted by time and arrival."""
    codes = connection.execute(select(item_codes.c.item_code, item_codes.c.item_row)).fetchall()
    row_of_item = _lookup([(code, -1 if row is None else row) for code, row in codes])
    found = found.with_columns(item_row=pl.Series(row_of_item[found["item_code"].to_numpy()], dtype=pl.Int32))
    found = found.drop("item_code").filter(pl.col("item_row") >= 0)
    present = np.unique(found["user_code"].to_numpy())
    users = connection.execute(select(user_codes.c.user_code, user_codes.c.user_id)).all()
    id_of_user = {code: user_id for code, user_id in users}  # noqa: C416 rows are no pairs to the type checker
    user_rows = np.searchsorted(present, found["user_code"].to_numpy())
    found = found.with_columns(user_row=pl.Series(user_rows, dtype=pl.Int32), type=types_of(found["type"])).sort(
        "time_ms", "seq"
    )
    return [id_of_user[code] for code in present.tolist()], found.select(list(INTERACTION_SCHEMA))


def _lookup(pairs: list[tuple[int, int]]) -> np.ndarray:
    """An array that turns codes into what they stand for."""
    codes, values = np.array(pairs or [(0, -1)], dtype=np.int64).T
    lookup = np.full(int(codes.max()) + 1, -1, dtype=np.int64)
    lookup[codes] = values
    return lookup
