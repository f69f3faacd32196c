"""What a chat model made of texts, so that it is asked once for each.

Enters: answers under keys. Leaves: the same answers. The original texts are not kept, only hashes of them. The file can
be deleted at any time; the model is then asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from sqlalchemy import Connection

from aisle.storage.commits import GroupCommit
from aisle.storage.schema import CONTENT_HASH_BYTES, rewritings, rewritings_metadata
from aisle.storage.sqlite import BUSY_TIMEOUT_SECONDS, Database, insert_rows, rows_where_in

_REPAIR = "delete it; the chat model is asked again by `aisle adapt`"


@dataclass(frozen=True, slots=True)
class KeptRewriting:
    """``text`` is the answer; "" where it cannot be used, and ``unfit`` says why."""

    text: str
    unfit: str = ""


class SqlRewritings:
    """Rewritings in a SQLite file of its own, safe for several threads and processes. Make it with ``open``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = GroupCommit(database)

    @classmethod
    def open(cls, path: str | Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> SqlRewritings:
        """Open or make the file.

        Raises:
            ConfigError: the folder does not exist.
            UnavailableError, CorruptError: the file cannot be used now, or not at all.
        """
        database = Database(Path(path), busy_timeout_seconds, _REPAIR)
        try:
            with database.writing() as connection:
                rewritings_metadata.create_all(connection)
            return cls(database)
        except BaseException:
            database.close()
            raise

    def read(self, keys: Sequence[str]) -> dict[str, KeptRewriting]:
        """What is kept, by key; absent ones are left out."""
        key_of = {_hashed(key): key for key in keys}
        columns = [rewritings.c.rewriting_key, rewritings.c.rewriting, rewritings.c.unfit]
        with self._database.reading() as connection:
            found = rows_where_in(connection, columns, rewritings.c.rewriting_key, sorted(key_of))
        return {key_of[hashed]: KeptRewriting(text, unfit) for hashed, text, unfit in found}

    def append(self, answers: Mapping[str, KeptRewriting]) -> None:
        """Keep ``answers`` by key; what is kept already stays as it is, whoever came first."""
        by_hash = {_hashed(key): answer for key, answer in answers.items()}
        self._commits.run(lambda connection: _insert_new(connection, by_hash))

    def close(self) -> None:
        """Let go of the file."""
        self._commits.close()
        self._database.close()


def _insert_new(connection: Connection, by_hash: Mapping[bytes, KeptRewriting]) -> None:
    key = rewritings.c.rewriting_key
    known = {row[0] for row in rows_where_in(connection, [key], key, sorted(by_hash))}
    new = [(hashed, answer) for hashed, answer in by_hash.items() if hashed not in known]
    columns = {
        "rewriting_key": [hashed for hashed, _ in new],
        "rewriting": [answer.text for _, answer in new],
        "unfit": [answer.unfit for _, answer in new],
    }
    insert_rows(connection, rewritings, columns)


def _hashed(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "replace"), digest_size=CONTENT_HASH_BYTES).digest()
