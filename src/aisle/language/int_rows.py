"""Lists of whole numbers, one a text, as two arrays: a tenth of the memory that lists of Python's integers take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

AT_ONCE = 2_048
"""Texts that are tokenized together: what tokenizers tell of a text takes some 10 kB until it is in arrays."""


@dataclass(frozen=True)
class IntRows:
    """Rows of different lengths.

    Args:
        values: all rows one after another, int32.
        starts: (n + 1,) where each begins in ``values``; the last is where the last ends.
    """

    values: Int32Array
    starts: Int64Array

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Self:
        """``rows`` as they are."""
        listed = list(rows)
        starts = np.cumsum([0, *map(len, listed)], dtype=np.int64)
        return cls(np.fromiter(chain.from_iterable(listed), dtype=np.int32, count=int(starts[-1])), starts)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The rows of all parts, one part after another."""
        lengths = [np.zeros(1, dtype=np.int64), *(part.lengths for part in parts)]
        values = [np.empty(0, dtype=np.int32), *(part.values for part in parts)]
        return cls(np.concatenate(values), np.cumsum(np.concatenate(lengths)))

    @classmethod
    def in_pages(cls, pages: Iterable[Iterable[Sequence[int]]]) -> Self:
        """The rows of all ``pages``; one page is a list of lists at a time."""
        return cls.joined([cls.of(page) for page in pages])

    @property
    def lengths(self) -> Int64Array:
        """(n,) numbers in each row."""
        return np.diff(self.starts)

    def counts(self, value: int) -> Int64Array:
        """(n,) how often ``value`` stands in each row."""
        so_far = np.concatenate([[0], np.cumsum(self.values == value)])
        return np.diff(so_far[self.starts])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Int32Array:
        """A row, a part of ``values``."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        at = row % len(self)
        return self.values[self.starts[at] : self.starts[at + 1]]

    def __iter__(self) -> Iterator[Int32Array]:
        return (self[row] for row in range(len(self)))


def pages_of(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """``texts`` in parts of ``AT_ONCE``."""
    return (texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE))
