"""Vectors by model and content, so that an unchanged text is never encoded twice.

Enters: vectors under content hashes. Leaves: the same vectors, bit for bit (float32, so that a list made from kept
vectors equals the one made from fresh ones). The file can be deleted at any time; the vectors are then made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from aisle.errors import DataError
from aisle.storage.commits import GroupCommit
from aisle.storage.schema import CONTENT_HASH_BYTES, embeddings_metadata, vectors
from aisle.storage.sqlite import BUSY_TIMEOUT_SECONDS, Database, insert_rows, rows_where_in

_STORED = np.dtype("<f4")
_REPAIR = "delete it; the vectors are made again by `aisle train`"


class SqlEmbeddings:
    """``contracts.EmbeddingStore`` in a SQLite file of its own. Make it with ``open``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = GroupCommit(database)

    @classmethod
    def open(cls, path: str | Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> SqlEmbeddings:
        """Open or make the file.

        Raises:
            ConfigError: the folder does not exist.
            UnavailableError, CorruptError: the file cannot be used now, or not at all.
        """
        database = Database(Path(path), busy_timeout_seconds, _REPAIR)
        try:
            with database.writing() as connection:
                embeddings_metadata.create_all(connection)
            return cls(database)
        except BaseException:
            database.close()
            raise

    def read(self, fingerprint: str, hashes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors that are kept, by hash, read-only; absent ones are left out."""
        hash_of = {_key(fingerprint, content_hash): content_hash for content_hash in hashes}
        columns = [vectors.c.vector_key, vectors.c.vector]
        with self._database.reading() as connection:
            found = rows_where_in(connection, columns, vectors.c.vector_key, sorted(hash_of))
        return {hash_of[key]: np.frombuffer(vector, dtype=_STORED) for key, vector in found}

    def append(self, fingerprint: str, hashes: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep ``vectors`` (n, d) under ``hashes``; a hash that is kept already stays as it is."""
        if vectors.ndim != 2 or len(vectors) != len(hashes):
            raise DataError(
                f"{len(hashes)} hashes do not fit vectors of shape {vectors.shape}; one row a hash is wanted"
            )
        stored = np.ascontiguousarray(vectors, dtype=_STORED)
        bytes_of: dict[bytes, bytes] = {}
        for content_hash, vector in zip(hashes, stored, strict=True):
            bytes_of.setdefault(_key(fingerprint, content_hash), vector.tobytes())
        self._commits.run(lambda connection: _insert_new(connection, bytes_of))

    def close(self) -> None:
        """Let go of the file."""
        self._commits.close()
        self._database.close()


def _insert_new(connection: Connection, bytes_of: dict[bytes, bytes]) -> None:
    known = {row[0] for row in rows_where_in(connection, [vectors.c.vector_key], vectors.c.vector_key, list(bytes_of))}
    new = [key for key in bytes_of if key not in known]
    insert_rows(connection, vectors, {"vector_key": new, "vector": [bytes_of[key] for key in new]})


def _key(fingerprint: str, content_hash: str) -> bytes:
    named = blake2b(fingerprint.encode(), digest_size=CONTENT_HASH_BYTES).digest()
    return blake2b(content_hash.encode(), digest_size=CONTENT_HASH_BYTES, key=named).digest()
