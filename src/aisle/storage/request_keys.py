"""Keys of requests that may be sent again: what was sent under each first, and when.

Enters and leaves: hashes; the keys and the bodies themselves are kept nowhere. Knows nothing of what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, insert, select

from aisle.storage.schema import request_keys
from aisle.storage.sqlite import BUSY_TIMEOUT_SECONDS, Database


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """The first request under a key: the hash of its body, and when it came in UTC milliseconds."""

    body_hash: bytes
    time_ms: int


class SqlRequestKeys:
    """The keys of requests in a shop's database, whose tables exist already. Safe in several threads and processes."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the database that ``SqlRecords.open`` made or upgraded. Raises as that does."""
        return cls(Database(path, BUSY_TIMEOUT_SECONDS))

    def __init__(self, database: Database) -> None:
        self._database = database

    def first(self, key_hash: bytes, body_hash: bytes, now_ms: int) -> FirstRequest:
        """The first request under a key; if there was none it is this one, and on the disk when this returns.

        Args:
            key_hash: of the key, (16,) bytes.
            body_hash: of what is sent now, (16,) bytes.
            now_ms: when it came, UTC milliseconds.

        Raises:
            UnavailableError: the database cannot be written now.
        """
        with self._database.reading() as connection:
            found = _found(connection, key_hash)
        if found is not None:
            return found
        with self._database.writing() as connection:
            found = _found(connection, key_hash)  # another worker may have been quicker
            if found is not None:
                return found
            row = {"key_hash": key_hash, "body_hash": body_hash, "time_ms": now_ms}
            connection.execute(insert(request_keys).values(row))
        return FirstRequest(body_hash, now_ms)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _found(connection: Connection, key_hash: bytes) -> FirstRequest | None:
    columns = request_keys.c
    asked = select(columns.body_hash, columns.time_ms).where(columns.key_hash == key_hash)
    row = connection.execute(asked).first()
    return None if row is None else FirstRequest(*row)
