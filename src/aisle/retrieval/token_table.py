"""Which words stand in which field of which row, in order: what scoring reads, what an inverted index is made from.

Enters: stems by row and field. Leaves: flat arrays. Rows may be replaced; readers need no lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Rows
from aisle.errors import CorruptError
from aisle.storage.arrays import read_arrays, write_arrays

Fields = Sequence[Sequence[str]]
"""The words of one row, field by field."""


@dataclass(frozen=True)
class Gathered:
    """The words of some rows, one after another. m words of k rows.

    ``owner`` (m,) index of the row among those asked for; ``token`` (m,) int32 and ``field`` (m,) uint8 of each word;
    ``lengths`` (k, n_fields) float32 words in each field.
    """

    owner: NDArray[np.int64]
    token: NDArray[np.int32]
    field: NDArray[np.uint8]
    lengths: NDArray[np.float32]


class TokenTable:
    """Words numbered in order of first appearance; each row's words in one stretch of a growing array.

    A replaced row's words are appended and its old stretch is left behind until the table is made anew. Writers hold
    the owner's lock; what is published last is the row's new stretch, so readers see the old or the new row.

    Memory: 5 bytes a word and 16 bytes a row, and the vocabulary.
    """

    def __init__(self, n_fields: int) -> None:
        """An empty table of rows with ``n_fields`` fields each."""
        self.n_fields = n_fields
        self.id_of: dict[str, int] = {}
        self._tokens = np.zeros(1024, dtype=np.int32)
        self._fields = np.zeros(1024, dtype=np.uint8)
        self._n_used = 0
        self._start_stop = np.zeros((0, 2), dtype=np.int64)
        self._n_rows_of = np.zeros(1024, dtype=np.int32)
        self._field_totals = np.zeros(n_fields, dtype=np.int64)
        self._field_rows = np.zeros(n_fields, dtype=np.int64)

    @property
    def n_rows(self) -> int:
        """One more than the last row."""
        return len(self._start_stop)

    def find(self, word: str) -> int | None:
        """The number of ``word`` if a row uses it, or ever did."""
        token = self.id_of.get(word)
        # A writer numbers words before it counts them; until then nobody uses them.
        return token if token is None or token < len(self._n_rows_of) else None

    def n_rows_of(self, token: NDArray[np.integer] | int) -> NDArray[np.int32]:
        """In how many rows each of ``token`` stands."""
        return self._n_rows_of[token]

    def mean_lengths(self) -> NDArray[np.float32]:
        """Mean number of words of each field over the rows that have it. (n_fields,) float32, at least 1."""
        return np.maximum(self._field_totals / np.maximum(self._field_rows, 1), 1).astype(np.float32)

    def put(self, rows: Rows, fields: Sequence[Fields]) -> None:
        """Set the words of ``rows`` (k,), each once, new or known."""
        code = self.id_of
        flat: list[int] = []
        counts = np.zeros((len(rows), self.n_fields), dtype=np.int64)
        for place, row_fields in enumerate(fields):
            for field, words in enumerate(row_fields):
                flat.extend([code.setdefault(word, len(code)) for word in words])
                counts[place, field] = len(words)
        tokens = np.array(flat, dtype=np.int32)
        known = rows[rows < self.n_rows]
        self._count(self.gather(known), -1)
        first = self._append(tokens, counts)
        ends = first + np.cumsum(counts.sum(axis=1))
        start_stop = np.zeros((max(self.n_rows, int(rows.max(initial=-1)) + 1), 2), dtype=np.int64)
        start_stop[: self.n_rows] = self._start_stop
        start_stop[rows] = np.stack([np.concatenate([[first], ends[:-1]]), ends], axis=1) if len(rows) else 0
        self._start_stop = start_stop
        self._count(self.gather(rows), 1)

    def gather(self, rows: Rows) -> Gathered:
        """The words of ``rows`` (k,), all of them below ``n_rows``."""
        start, stop = self._start_stop[rows].T
        length = stop - start
        total = int(length.sum())
        owner = np.repeat(np.arange(len(rows)), length)
        place = np.arange(total) + np.repeat(start - (np.cumsum(length) - length), length)
        field = self._fields[place]
        lengths = np.bincount(owner * self.n_fields + field, minlength=len(rows) * self.n_fields)
        shape = (len(rows), self.n_fields)
        return Gathered(owner, self._tokens[place], field, lengths.reshape(shape).astype(np.float32))

    def save(self, folder: Path) -> None:
        """Write the rows as they are now, without what replaced rows left behind."""
        tidy = self.gather(np.arange(self.n_rows))
        vocabulary = "\n".join(self.id_of).encode()
        write_arrays(
            folder,
            {
                "vocabulary": np.frombuffer(vocabulary, dtype=np.uint8),
                "token": tidy.token,
                "field": tidy.field,
                "n_words": tidy.lengths.sum(axis=1).astype(np.int64),
                "n_fields": np.array(self.n_fields),
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote; raises ``CorruptError`` when its parts do not fit together."""
        arrays = read_arrays(folder, "vocabulary", "token", "field", "n_words", "n_fields")
        table = cls(int(arrays["n_fields"]))
        text = arrays["vocabulary"].tobytes().decode("utf-8", "replace")
        table.id_of = {word: number for number, word in enumerate(text.split("\n") if text else [])}
        token, field, ends = arrays["token"], arrays["field"], np.cumsum(arrays["n_words"])
        n_used = int(ends[-1]) if len(ends) else 0
        fits = len(token) == len(field) == n_used and (not n_used or int(token.max()) < len(table.id_of))
        if not fits or (n_used and int(field.max()) >= table.n_fields):
            raise CorruptError(f"the words in {folder} do not fit together; run `aisle train`", path=str(folder))
        table._tokens, table._fields, table._n_used = token, field, n_used
        table._start_stop = np.stack([ends - arrays["n_words"], ends], axis=1)
        table._count(table.gather(np.arange(table.n_rows)), 1)
        return table

    def _append(self, tokens: NDArray[np.int32], counts: NDArray[np.int64]) -> int:
        first = self._n_used
        needed = first + len(tokens)
        if needed > len(self._tokens):
            size = max(needed, 2 * len(self._tokens))
            self._tokens = _grown(self._tokens, size)
            self._fields = _grown(self._fields, size)
        self._tokens[first:needed] = tokens
        names = np.tile(np.arange(self.n_fields, dtype=np.uint8), len(counts))
        self._fields[first:needed] = np.repeat(names, counts.ravel())
        self._n_used = needed
        return first

    def _count(self, gathered: Gathered, sign: int) -> None:
        """Add (+1) or take away (-1) rows in the counts of rows by word and of words by field."""
        if len(self.id_of) > len(self._n_rows_of):
            self._n_rows_of = _grown(self._n_rows_of, max(len(self.id_of), 2 * len(self._n_rows_of)))
        pairs = np.sort(gathered.owner * np.int64(len(self.id_of) or 1) + gathered.token)
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]  # np.unique takes ten times as long on millions
        n_rows_of = np.bincount(pairs % (len(self.id_of) or 1), minlength=len(self._n_rows_of))
        self._n_rows_of = (self._n_rows_of + sign * n_rows_of).astype(np.int32)
        self._field_totals = self._field_totals + sign * gathered.lengths.sum(axis=0).astype(np.int64)
        self._field_rows = self._field_rows + sign * (gathered.lengths > 0).sum(axis=0)


def _grown(array: NDArray, size: int) -> NDArray:
    larger = np.zeros(size, dtype=array.dtype)
    larger[: len(array)] = array
    return larger
