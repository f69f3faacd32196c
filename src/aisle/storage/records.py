"""The record store: one SQLite file that everything else in a shop is rebuilt from.

Enters: domain tables. Leaves: the same rows again, in the ways ``contracts.RecordStore`` names. This file says what
happens in which transaction; how rows look is known to ``contents.py``, ``event_rows.py``, ``slate_rows.py`` and
``snapshots.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TypeVar

import polars as pl
from sqlalchemy import ColumnElement, Connection, Table, and_, func, insert, select, update

from aisle.contracts import Appended, Changes, Checkpoint, Listed
from aisle.domain import (
    Document,
    DocumentTable,
    Event,
    EventTable,
    Item,
    ItemTable,
    Slate,
    Snapshot,
    User,
    UserState,
    UserTable,
)
from aisle.errors import ConfigError, UnavailableError
from aisle.storage import contents, event_rows, listing, schema, slate_rows
from aisle.storage.changes import count_since, read_changes
from aisle.storage.commits import GroupCommit
from aisle.storage.erasure import erase_user
from aisle.storage.event_writer import EventWriter, sort_in_tail
from aisle.storage.ledger import Ledger
from aisle.storage.log_shedding import LogShedding
from aisle.storage.prepared_events import prepare_events
from aisle.storage.snapshots import SnapshotReader, read_items
from aisle.storage.sqlite import BUSY_TIMEOUT_SECONDS, Database, rows_where_in
from aisle.storage.upgrades import upgrade
from aisle.storage.user_states import read_user_states

Result = TypeVar("Result")

log = logging.getLogger(__name__)

_KEYS_A_QUERY = 1_000
SLATE_PATIENCE_SECONDS = 0.8
"""How long writing down lists waits for other writers before it is tried again later."""
JOINED_EVENTS = 200
"""An append of at most so many events is stored together with those of others who wait."""
_FEW_USERS = 100
"""Reading more users than this first sorts in the tail of the events; a few look through the tail instead."""
_SQLITE = "sqlite:///"


class SqlRecords:
    """``contracts.RecordStore`` in one SQLite file. Make it with ``open``."""

    def __init__(self, database: Database, snapshot_folder: Path | None) -> None:
        self._database = database
        self._writer = EventWriter()
        self._commits = GroupCommit(database, self._writer.forget)
        self._snapshots = SnapshotReader(snapshot_folder)
        self._shedding = LogShedding(database, self._count_erasures())

    @classmethod
    def open(cls, path_or_url: str | Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> SqlRecords:
        """Open a shop's database, making or upgrading its tables.

        Args:
            path_or_url: a file, or ``sqlite:///`` and a file. Snapshots are kept in ``snapshots/`` beside it.
            busy_timeout_seconds: how long to wait for another process's transaction.

        Raises:
            ConfigError: another kind of address, a folder that does not exist, a database of a newer version.
            UnavailableError, CorruptError: the file cannot be used now, or not at all.
        """
        text = str(path_or_url)
        if "://" in text and not text.startswith(_SQLITE):
            raise ConfigError(
                f"database address {text.split('://')[0]}://... is not known; allowed: a path or {_SQLITE}PATH"
            )
        path = Path(text.removeprefix(_SQLITE))
        database = Database(path, busy_timeout_seconds)
        try:
            upgrade(database)
            return cls(database, path.parent / "snapshots")
        except BaseException:
            database.close()
            raise

    # Writing: prepare outside the lock, then one piece of work inside the shared transaction.

    def append_items(self, items: ItemTable, checkpoint: Checkpoint | None = None) -> Appended:
        """Add or replace items; an unchanged item gets no new sequence number."""
        prepared = contents.PreparedContent.of(items)
        return self._append(lambda connection, ledger: contents.append_items(connection, ledger, prepared), checkpoint)

    def append_users(self, users: UserTable, checkpoint: Checkpoint | None = None) -> Appended:
        """Add or replace users."""
        return self._append_contents(schema.users, users, checkpoint)

    def append_documents(self, documents: DocumentTable, checkpoint: Checkpoint | None = None) -> Appended:
        """Add or replace documents."""
        return self._append_contents(schema.documents, documents, checkpoint)

    def append_events(self, events: EventTable, checkpoint: Checkpoint | None = None) -> Appended:
        """Add events; one that is known (see ``event_keys.py``) is counted as a duplicate and not stored again."""
        if checkpoint is None and len(events) <= JOINED_EVENTS:
            return self.append_event_groups(events, [len(events)])[0]
        prepared = prepare_events([events], [len(events)])
        return self._append(lambda connection, ledger: self._writer.append(connection, ledger, prepared)[0], checkpoint)

    def append_event_groups(self, events: EventTable, n_each: Sequence[int]) -> list[Appended]:
        """Add the events of several callers in one transaction, at the price of one append; what became of each's.

        ``events`` has the rows of one caller after those of the other; ``n_each`` says how many each has.
        """
        if not n_each:
            return []
        appended = self._commits.run_jointly(self._append_groups, (events, n_each))
        self._shedding.try_again()
        return appended

    def append_slates(self, slates: Sequence[Slate], n_erasures: int | None = None) -> Appended:
        """Write down lists before they are shown; a known ``slate_id`` is counted as a duplicate.

        Args:
            slates: the lists.
            n_erasures: of a moment before they were made. If a user was erased since, they are written without user,
                query, anchors and features.

        Raises:
            UnavailableError: others were writing for longer than ``SLATE_PATIENCE_SECONDS``; nothing was stored.
        """
        prepared = slate_rows.PreparedSlates.of(slates)

        def write(connection: Connection, ledger: Ledger) -> Appended:
            if n_erasures is None or n_erasures == ledger.n_erasures:
                return slate_rows.append_slates(connection, ledger, prepared)
            cleared = slate_rows.PreparedSlates.of([slate_rows.without_user(slate) for slate in slates])
            return slate_rows.append_slates(connection, ledger, cleared)

        return self._append(write, None, SLATE_PATIENCE_SECONDS)

    def read_checkpoint(self, source: str, fingerprint: str) -> Checkpoint | None:
        """How far an import of this very content came."""
        with self._database.reading() as connection:
            position = _read_position(connection, source, fingerprint)
        return None if position is None else Checkpoint(source, fingerprint, position)

    def read_items(self, item_ids: Sequence[str]) -> list[Item]:
        """The items that exist among ``item_ids``, in that order."""
        with self._database.reading() as connection:
            coded = rows_where_in(
                connection,
                [schema.item_codes.c.item_id, schema.item_codes.c.item_row],
                schema.item_codes.c.item_id,
                sorted(set(item_ids)),
            )
            item_rows = sorted(row for _, row in coded if row is not None)
            found: dict[str, Item] = {}
            for start in range(0, len(item_rows), _KEYS_A_QUERY):
                chunk = item_rows[start : start + _KEYS_A_QUERY]
                columns = [schema.items.c[name] for name in ItemTable.columns]
                rows = connection.execute(select(*columns).where(schema.items.c.item_row.in_(chunk))).fetchall()
                found.update((item.item_id, item) for item in contents.table_of(ItemTable, rows).rows())
        return [found[item_id] for item_id in item_ids if item_id in found]

    def read_catalogue(self, from_row: int = 0) -> Iterable[ItemTable]:
        """Items from row ``from_row`` on in row order, in pages, as of the first page."""
        with self._database.reading() as connection:
            yield from read_items(connection, from_row)

    def read_user(self, user_id: str) -> User | None:
        """A user's profile."""
        columns = [schema.users.c[name] for name in UserTable.columns]
        with self._database.reading() as connection:
            rows = connection.execute(select(*columns).where(schema.users.c.user_id == user_id)).fetchall()
        return next(contents.table_of(UserTable, rows).rows(), None)

    def read_documents(self) -> DocumentTable:
        """All documents, by id."""
        columns = [schema.documents.c[name] for name in DocumentTable.columns]
        with self._database.reading() as connection:
            rows = connection.execute(select(*columns).order_by(schema.documents.c.document_id)).fetchall()
        return contents.table_of(DocumentTable, rows)

    def read_user_states(self, user_ids: Sequence[str], n_events: int, n_shown: int) -> list[UserState]:
        """What each user did lately with known items: see ``contracts.RecordStore``. About 0.3 ms for one user."""
        if len(user_ids) > _FEW_USERS:
            try:
                self._sort_in_tail(SLATE_PATIENCE_SECONDS)
            except UnavailableError as error:
                log.info("reading users looks through the newest events, which takes longer: %s", error)
        with self._database.reading() as connection:
            return read_user_states(connection, user_ids, n_events, n_shown, Ledger.read(connection))

    def read_waiting_events(self, item_ids: Sequence[str], up_to_seq: int) -> EventTable:
        """Events up to ``up_to_seq`` of ``item_ids`` that came before their item did, in order of arrival."""
        with self._database.reading() as connection:
            coded = rows_where_in(
                connection, [schema.item_codes.c.item_code], schema.item_codes.c.item_id, sorted(set(item_ids))
            )
            codes = sorted(code for (code,) in coded)
            waiting = rows_where_in(connection, [schema.waiting_events.c.seq], schema.waiting_events.c.item_code, codes)
            seqs = sorted(seq for (seq,) in waiting if seq <= up_to_seq)
            frames: list[pl.DataFrame] = []
            for start in range(0, len(seqs), _KEYS_A_QUERY):
                chunk = seqs[start : start + _KEYS_A_QUERY]
                statement = event_rows.EVENTS.where(schema.events.c.seq.in_(chunk)).order_by(schema.events.c.seq)
                frames.append(event_rows.read_events(connection, statement))
        return event_rows.as_table(pl.concat(frames)) if frames else EventTable.empty()

    def read_query_counts(self, limit: int = 100_000) -> Mapping[str, int]:
        """Queries of search events and how often they were asked, most frequent first, ties alphabetical."""
        query, n_asked = schema.events.c.query, func.count().label("n_asked")
        counted = select(query, n_asked).where(query.is_not(None), schema.events.c.is_suspect.is_(False))
        with self._database.reading() as connection:
            rows = connection.execute(counted.group_by(query).order_by(n_asked.desc(), query).limit(limit)).all()
        return {text: int(n) for text, n in rows}

    def read_slate(self, slate_id: str) -> Slate | None:
        """A list as it was shown."""
        with self._database.reading() as connection:
            return slate_rows.read_slate(connection, slate_id)

    def read_slates(self, after_seq: int, limit: int = 1_000) -> tuple[int, list[Slate]]:
        """Slates in the order they were written down, with their features, and the sequence number of the last."""
        with self._database.reading() as connection:
            return slate_rows.read_slates(connection, after_seq, limit)

    def seq_before_slates(self, n: int) -> int:
        """The sequence number after which the newest ``n`` slates were written down; 0 when there are no others."""
        with self._database.reading() as connection:
            return slate_rows.seq_before(connection, n)

    def drop_slates(self, before_ms: int, limit: int = 200) -> int:
        """Delete the slates that were written down first and made before a moment, at most ``limit``; how many went.

        Only if the first ``limit`` are all older are there more. Their room in the file is used again.

        Raises:
            UnavailableError: others were writing for longer than ``SLATE_PATIENCE_SECONDS``; nothing was deleted.
        """
        with self._database.reading() as connection:
            old = slate_rows.find_old(connection, before_ms, limit)
        if not old:
            return 0
        return self._commits.run(lambda connection: slate_rows.delete_slates(connection, old), SLATE_PATIENCE_SECONDS)

    def read_slate_events(self, after_seq: int = 0) -> Iterable[EventTable]:
        """Events that carry a ``slate_id``, robots left out, in order of arrival, in pages, as of the first page."""
        with self._database.reading() as connection:
            yield from event_rows.read_slate_events(connection, after_seq)

    def read_searches(self, after_seq: int = 0) -> Iterable[EventTable]:
        """Events of typed queries, robots left out, in order of arrival, in pages, as of the first page."""
        with self._database.reading() as connection:
            yield from event_rows.read_searches(connection, after_seq)

    def list_items(self, cursor: str | None = None, limit: int = 100) -> Listed[Item]:
        """Items in the order of their arrival. Raises ``DataError`` for an unreadable cursor; so do the others."""
        with self._database.reading() as connection:
            return listing.list_items(connection, cursor, limit)

    def list_users(self, cursor: str | None = None, limit: int = 100) -> Listed[User]:
        """Profiles by id."""
        with self._database.reading() as connection:
            return listing.list_users(connection, cursor, limit)

    def list_events(self, cursor: str | None = None, limit: int = 100, *, user_id: str | None = None) -> Listed[Event]:
        """Events, newest arrival first; of one user when ``user_id`` is given."""
        with self._database.reading() as connection:
            return listing.list_events(connection, cursor, limit, user_id)

    def list_documents(self, cursor: str | None = None, limit: int = 100) -> Listed[Document]:
        """Documents by id."""
        with self._database.reading() as connection:
            return listing.list_documents(connection, cursor, limit)

    def changes_since(
        self, seq: int, limit: int = 50_000, until: int | None = None, *, with_events: bool = True
    ) -> Changes:
        """The change feed: items and events after ``seq`` up to ``until``, at most ``limit`` rows, in order."""
        with self._database.reading() as connection:
            changes = read_changes(connection, seq, limit, until, with_events)
        self._shedding.note(changes.n_erasures)
        return changes

    def count_since(self, seq: int) -> Mapping[str, int]:
        """How many ``items`` changed and how many ``events`` came after ``seq``."""
        with self._database.reading() as connection:
            return count_since(connection, seq)

    def snapshot(self) -> Snapshot:
        """Everything to fit models on, as of now, consistent."""
        with self._database.reading() as connection:
            return self._snapshots.read(connection)

    def counts(self) -> Mapping[str, int]:
        """Rows by table, and ``waiting_events``, ``suspect_events``, ``seq``."""
        with self._database.reading() as connection:
            ledger = Ledger.read(connection)
            waiting = select(func.count()).select_from(
                schema.waiting_events.join(
                    schema.item_codes, schema.item_codes.c.item_code == schema.waiting_events.c.item_code
                )
            )
            return {
                "items": ledger.n_items,
                "users": _count(connection, schema.users),
                "documents": _count(connection, schema.documents),
                "events": ledger.n_events,
                "slates": _count(connection, schema.slates),
                "waiting_events": connection.execute(
                    waiting.where(schema.item_codes.c.item_row.is_(None))
                ).scalar_one(),
                "suspect_events": ledger.n_suspect,
                "seq": ledger.seq,
            }

    def erase_user(self, user_id: str) -> int:
        """Remove everything known of a user; returns how many rows went.

        Events, their lookups and the profile are deleted and overwritten; slates stay without user, query, anchors and
        features, and count as well. Kept snapshots are deleted. Nobody can read him when this returns, but as long as
        somebody reads a state of before (a training, a backup) his rows still lie on the disk, in the database's log:
        see ``log_shedding.py``.
        """
        n_rows = self._commits.run(lambda connection: erase_user(connection, user_id))
        self._snapshots.forget()
        self._shedding.note(self._count_erasures())
        return n_rows

    def close(self) -> None:
        """Finish pending commits and let go of the database; what is asked afterwards raises ``NotReadyError``."""
        if self._database.is_closed:
            return
        try:
            self._sort_in_tail()
            self._shedding.note(self._count_erasures())
            self._shedding.attempt()
        except UnavailableError as error:
            log.info("the newest events stay outside the lookups until the next writer: %s", error)
        finally:
            self._commits.close()
            self._database.close()

    def _append(
        self,
        work: Callable[[Connection, Ledger], Result],
        checkpoint: Checkpoint | None,
        patience_seconds: float | None = None,
    ) -> Result:
        def write(connection: Connection) -> Result:
            ledger = Ledger.read(connection)
            appended = work(connection, ledger)
            ledger.write(connection)
            if checkpoint is not None:
                _write_checkpoint(connection, checkpoint)
            return appended

        appended = self._commits.run(write, patience_seconds)
        self._shedding.try_again()
        return appended

    def _append_groups(
        self, connection: Connection, given: Sequence[tuple[EventTable, Sequence[int]]]
    ) -> Sequence[Sequence[Appended]]:
        """Store the groups of all callers that wait as if one had brought them; what became of each caller's."""
        prepared = prepare_events([events for events, _ in given], [n for _, n_each in given for n in n_each])
        ledger = Ledger.read(connection)
        appended = iter(self._writer.append(connection, ledger, prepared))
        ledger.write(connection)
        return [list(islice(appended, len(n_each))) for _, n_each in given]

    def _append_contents(
        self, table: Table, given: UserTable | DocumentTable, checkpoint: Checkpoint | None
    ) -> Appended:
        prepared = contents.PreparedContent.of(given)
        return self._append(
            lambda connection, ledger: contents.append_contents(connection, ledger, table, prepared), checkpoint
        )

    def _count_erasures(self) -> int:
        with self._database.reading() as connection:
            return Ledger.read(connection).n_erasures

    def _sort_in_tail(self, patience_seconds: float | None = None) -> None:
        with self._database.reading() as connection:
            ledger = Ledger.read(connection)
        if ledger.indexed_seq < ledger.seq:
            self._commits.run(_sort_in_tail, patience_seconds)


def _sort_in_tail(connection: Connection) -> None:
    ledger = Ledger.read(connection)
    sort_in_tail(connection, ledger)
    ledger.write(connection)


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _read_position(connection: Connection, source: str, fingerprint: str) -> int | None:
    found = select(schema.checkpoints.c.position).where(_same_import(source, fingerprint))
    return connection.execute(found).scalar()


def _write_checkpoint(connection: Connection, checkpoint: Checkpoint) -> None:
    """Move a checkpoint on, never back: a batch sent again has its rows counted as duplicates."""
    known = _read_position(connection, checkpoint.source, checkpoint.fingerprint)
    if known is None:
        connection.execute(insert(schema.checkpoints).values(asdict(checkpoint)))
    elif known < checkpoint.position:
        same = _same_import(checkpoint.source, checkpoint.fingerprint)
        connection.execute(update(schema.checkpoints).where(same).values(position=checkpoint.position))


def _same_import(source: str, fingerprint: str) -> ColumnElement[bool]:
    return and_(schema.checkpoints.c.source == source, schema.checkpoints.c.fingerprint == fingerprint)
