"""Everything that is SQLite's own: connections, durability, bulk statements and the meaning of its errors.

Enters: a path. Leaves: a ``Database`` whose transactions the rest of the room uses through plain SQLAlchemy. Another
database needs a file like this one and nothing else.

Durability: write-ahead log with ``synchronous = FULL``, so the log is flushed to the disk before a commit returns; with
NORMAL (SQLite's usual advice for this mode) a power cut could take back acknowledged commits. Group commit
(``commits.py``) spreads the cost of the flush over concurrent writers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import ClauseElement, Column, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from aisle.errors import AisleError, ConfigError, CorruptError, NotReadyError, UnavailableError

BUSY_TIMEOUT_SECONDS = 30.0
"""How long a statement waits for another process's transaction before it gives up."""

SHED_PATIENCE_SECONDS = 0.02
"""How long emptying the log waits for readers and writers; it keeps other writers waiting for as long."""

RESTORE_FROM_BACKUP = "restore it from a backup; indexes and models are rebuilt from it"

_READER_CACHE_KIB = 16 * 1024
_WRITER_CACHE_KIB = 128 * 1024
_LOG_PAGES = 8_000
"""Pages (4 KiB) in the log before it is copied into the database: a page changed often is then copied once."""
_LOG_LIMIT_BYTES = 64 * 2**20
_IN_CHUNK = 8_000
"""Values in one IN list; SQLite allows 32,766 parameters."""


class Database:
    """A SQLite file. Safe to use from several threads and processes. ``repair`` says what to do if it is damaged."""

    def __init__(
        self, path: Path, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS, repair: str = RESTORE_FROM_BACKUP
    ) -> None:
        if not path.parent.is_dir():
            raise ConfigError(f"cannot keep a database at {path}: folder {path.parent} does not exist; create it first")
        self.path = path
        self.busy_timeout_seconds = busy_timeout_seconds
        self.is_closed = False
        self._repair = repair
        self._log_path = path.with_name(f"{path.name}-wal")
        self.engine = _engine(path, busy_timeout_seconds)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction: everything read in it is as of one moment.

        Raises:
            NotReadyError: ``close`` was called.
        """
        if self.is_closed:
            raise closed_error()
        with self.translating(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One write transaction, on the disk when it is left without an error. Raises as ``translating`` does."""
        with self.translating(), self.writer() as connection, connection.begin():
            yield connection

    def writer(self) -> Connection:
        """A connection whose transactions take the write lock at once; for one thread at a time."""
        with self.translating():
            connection = self.engine.connect().execution_options(is_writing=True)
            _driver(connection).execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            return connection

    def wait_at_most(self, connection: Connection, seconds: float) -> None:
        """How long this connection waits for another process's transaction from now on."""
        _driver(connection).execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn SQLite's errors into the package's own.

        Raises:
            UnavailableError: locked by another process, disk full, not readable or writable now.
            CorruptError: the file is damaged or is no database.
        """
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            original = error.orig if isinstance(error, DBAPIError) else error
            translated = self._meaning(original)
            if translated is None:
                raise
            raise translated from error

    def has_transaction(self, connection: Connection) -> bool:
        """Whether the database still has the transaction open; it ends one by itself when the disk is full."""
        return _driver(connection).in_transaction

    def has_log(self) -> bool:
        """Whether there is anything in the write-ahead log, or was since it was emptied."""
        try:
            return self._log_path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def shed_log(self) -> bool:
        """Copy the log into the database and empty it; whether that was possible now.

        It is not while another connection reads an older state, writes, or does the same: then what can be copied is.
        """
        with self.translating(), self.engine.connect() as connection:
            driver = _driver(connection)
            try:
                # Most is copied beside writers; only for the rest, and for emptying it, are they held up.
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)")
                self.wait_at_most(connection, SHED_PATIENCE_SECONDS)
                is_busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not is_busy
            finally:
                self.wait_at_most(connection, self.busy_timeout_seconds)

    def close(self) -> None:
        """Let go of the file."""
        self.is_closed = True
        self.engine.dispose()

    def _meaning(self, error: BaseException | None) -> AisleError | None:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return None
        primary = code & 0xFF
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return UnavailableError(
                f"{self.path} is locked by another process; nothing of this call was stored. "
                "Try again when the other process has finished"
            )
        if primary == sqlite3.SQLITE_FULL:
            return UnavailableError(
                f"no room left on the disk for {self.path}; nothing of this call was stored. "
                "Free some space and try again"
            )
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return CorruptError(f"{self.path} is damaged ({error}); {self._repair}", path=str(self.path))
        if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return UnavailableError(
                f"{self.path} cannot be used now ({error}); check the disk and the permissions of {self.path.parent}"
            )
        return None


def closed_error() -> NotReadyError:
    """What using a closed database raises."""
    return NotReadyError("the shop is closed; open it again")


ABSENT_NUMBER = -(2**63)
ABSENT_TEXT = "\x1a"
"""May stand for NULL in ``insert_rows``: the driver takes four times as long over a None as over a value."""


def insert_rows(
    connection: Connection,
    table: Table,
    columns: Mapping[str, Sequence[Any]],
    absent: Mapping[str, int | str] = MappingProxyType({}),
) -> None:
    """Insert rows given as one sequence a column; the fastest way into this database.

    ``absent`` names columns in which ``ABSENT_NUMBER`` or ``ABSENT_TEXT`` stands for NULL.
    """
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join(f"NULLIF(?, {_literal(absent[name])})" if name in absent else "?" for name in columns)
    statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608 own names
    # Straight to the driver and from an iterator: no list of rows is ever made.
    _driver(connection).executemany(statement, zip(*columns.values(), strict=True))


class Compiled:
    """A statement run by the driver itself: SQLAlchemy's own way costs some hundred microseconds each time."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    def run(self, connection: Connection, **parameters: Any) -> sqlite3.Cursor:
        """Execute it with these parameters; rows are the driver's own tuples."""
        text, names, constants = self._compiled
        values = [parameters[name] if name in parameters else constants[name] for name in names]
        return _driver(connection).execute(text, values)

    @cached_property
    def _compiled(self) -> tuple[str, Sequence[str], Mapping[str, Any]]:
        compiled = self._statement.compile(dialect=sqlite_dialect.dialect())
        assert isinstance(compiled, SQLCompiler)
        return compiled.string, compiled.positiontup or (), compiled.params


def rows_where_in(
    connection: Connection, columns: Sequence[Column[Any]], key: Column[Any], values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Rows of ``key``'s table whose ``key`` is among ``values``, in no particular order. Sorted values read faster."""
    names = ", ".join(f'"{column.name}"' for column in columns)
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(values), _IN_CHUNK):
        chunk = tuple(values[start : start + _IN_CHUNK])
        marks = ", ".join("?" * len(chunk))
        statement = f'SELECT {names} FROM "{key.table.name}" WHERE "{key.name}" IN ({marks})'  # noqa: S608 names of our schema
        found.extend(_driver(connection).execute(statement, chunk).fetchall())
    return found


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _literal(value: int | str) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"


def _engine(path: Path, busy_timeout_seconds: float) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": busy_timeout_seconds, "check_same_thread": False},
        max_overflow=-1,
        hide_parameters=True,  # they name users, and errors end in logs
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver guesses
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT_BYTES}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("is_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine
