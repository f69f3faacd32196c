"""Keys of the interface over HTTP, as they are kept: a hash of each, never the key itself.

Enters and leaves: ``KeyRecord``. Knows nothing of requests or of what a role may do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import insert, select, update

from aisle.storage.schema import api_keys
from aisle.storage.sqlite import BUSY_TIMEOUT_SECONDS, Database


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key: its public id, what it is called, its role, SHA-256 of its token, UTC milliseconds of its life."""

    key_id: str
    name: str
    role: str
    token_hash: bytes
    created_ms: int
    revoked_ms: int | None = None


class SqlKeys:
    """The keys of a shop's database, whose tables exist already. Safe to use from several threads and processes."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the database that ``SqlRecords.open`` made or upgraded. Raises as that does."""
        return cls(Database(path, BUSY_TIMEOUT_SECONDS))

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, record: KeyRecord) -> None:
        """Keep a new key."""
        with self._database.writing() as connection:
            connection.execute(
                insert(api_keys).values(
                    key_id=record.key_id,
                    name=record.name,
                    roles=record.role,
                    token_hash=record.token_hash,
                    created_ms=record.created_ms,
                    revoked_ms=record.revoked_ms,
                )
            )

    def read(self) -> list[KeyRecord]:
        """Every key that was ever made, oldest first."""
        columns = api_keys.c
        asked = select(
            columns.key_id, columns.name, columns.roles, columns.token_hash, columns.created_ms, columns.revoked_ms
        ).order_by(columns.created_ms, columns.key_id)
        with self._database.reading() as connection:
            return [KeyRecord(*row) for row in connection.execute(asked)]

    def revoke(self, key_id: str, now_ms: int) -> bool:
        """Take a key back; False when there is none of that id, or it was taken back before."""
        of_key = (api_keys.c.key_id == key_id) & api_keys.c.revoked_ms.is_(None)
        with self._database.writing() as connection:
            return bool(connection.execute(update(api_keys).where(of_key).values(revoked_ms=now_ms)).rowcount)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
