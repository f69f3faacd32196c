"""What items say of themselves in the shop's own words (``colour: red``), by row: for filters, facets and groups.

Rows follow the catalogue. Values longer than ``LONGEST_VALUE`` are texts rather than values: they are searched by their
words and are neither counted nor filtered by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

NO_PAIR = -1
LONGEST_VALUE = 100
"""Characters."""
_LENGTH_BITS = 16
_MOST_OF_AN_ITEM = (1 << _LENGTH_BITS) - 1

Pairs = NDArray[np.int32]


class ItemAttributes:
    """Numbered pairs of name and value, and which of them each row has.

    Reading is lock-free: spans and pairs are replaced together, and pairs are written before the span that names them.
    One writer at a time. Memory: 4 bytes a pair of an item and 8 an item, and each distinct pair once.
    """

    def __init__(self) -> None:
        self._codes: dict[str, dict[str, int]] = {}
        """Codes of pairs by name, then value."""
        self._pairs: list[tuple[str, str]] = []
        self._number_of: dict[str, int] = {}
        self._names = np.zeros(16, dtype=np.int32)
        """(n_pairs,) the number of each pair's name."""
        self._held = np.zeros(16, dtype=np.int64), np.zeros(16, dtype=np.int32)
        """(n_rows,) where each row's pairs begin (upper bits) and how many they are, and the pairs of all rows."""
        self._n_used = 0

    @property
    def names(self) -> list[str]:
        """Names that any item has ever had, in order of first appearance."""
        return list(self._codes)

    def has(self, name: str) -> bool:
        """Whether any item has ever had an attribute of this name."""
        return name in self._codes

    def values(self, name: str) -> list[str]:
        """Values that any item has ever had under ``name``; none for an unknown name."""
        return list(self._codes.get(name, ()))

    def find(self, name: str, value: str) -> int:
        """The code of a pair or ``NO_PAIR``."""
        return self._codes.get(name, {}).get(value, NO_PAIR)

    def pair(self, code: int) -> tuple[str, str]:
        """Name and value of a pair."""
        return self._pairs[code]

    def of_rows(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.int64], Pairs]:
        """The pairs of ``rows``: position in ``rows`` and code of each, both (m,), in order."""
        spans, pairs = self._held
        begins, lengths = _unpacked(spans[rows])
        owners = np.repeat(np.arange(len(rows)), lengths)
        offsets = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return owners, pairs[np.repeat(begins, lengths) + offsets]

    def having(self, name: str, values: Sequence[str], n_rows: int) -> NDArray[np.bool_]:
        """Which of the first ``n_rows`` rows have any of ``values`` under ``name``. Cost O(all pairs)."""
        wanted = [code for code in (self.find(name, value) for value in values) if code != NO_PAIR]
        spans, pairs = self._held
        begins, lengths = _unpacked(spans[:n_rows].copy())
        ends = begins + lengths
        n_hits = np.zeros(int(ends.max(initial=0)) + 1, dtype=np.int64)
        np.cumsum(np.isin(pairs[: len(n_hits) - 1], wanted), out=n_hits[1:])
        return n_hits[ends] > n_hits[begins]

    def first_of(self, name: str, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """The code of the first pair called ``name`` that each of ``rows`` has, or ``NO_PAIR``. (len(rows),) int64."""
        owners, pairs = self.of_rows(rows)
        is_named = self._names[pairs] == self._number_of.get(name, -1)
        found = np.full(len(rows), NO_PAIR, dtype=np.int64)
        found[owners[is_named][::-1]] = pairs[is_named][::-1]  # the first one is written last
        return found

    def put(self, rows: NDArray[np.int64], attributes: pl.Series) -> None:
        """Say what ``rows`` have: ``attributes`` is a list of name and value a row, as in ``ItemTable``."""
        if not len(rows):
            return
        said = (
            pl.DataFrame({"at": np.arange(len(rows)), "pair": attributes})
            .filter(pl.col("pair").list.len() > 0)
            .explode("pair")
            .unnest("pair")
            .filter(pl.col("value").str.len_chars() <= LONGEST_VALUE)
        )
        distinct = said.select("name", "value").unique(maintain_order=True)
        codes = pl.Series("code", [self._code(name, value) for name, value in distinct.iter_rows()], dtype=pl.Int32)
        coded = said.join(distinct.with_columns(codes), on=["name", "value"], how="left", maintain_order="left")
        lengths = np.bincount(coded["at"].to_numpy(), minlength=len(rows))
        spans, pairs = self._with_room(int(rows.max()) + 1, len(coded))
        begins = self._n_used + np.cumsum(lengths) - lengths
        pairs[self._n_used : self._n_used + len(coded)] = coded["code"].to_numpy()
        self._n_used += len(coded)
        spans[rows] = (begins << _LENGTH_BITS) | np.minimum(lengths, _MOST_OF_AN_ITEM)

    def _code(self, name: str, value: str) -> int:
        of_name = self._codes.get(name, {})
        code = of_name.setdefault(value, len(self._pairs))
        if code == len(self._pairs):
            if code == len(self._names):
                self._names = np.concatenate([self._names, np.zeros_like(self._names)])
            self._names[code] = self._number_of.setdefault(name, len(self._number_of))
            self._pairs.append((name, value))
        self._codes.setdefault(name, of_name)
        return code

    def _with_room(self, n_rows: int, n_more: int) -> tuple[NDArray[np.int64], Pairs]:
        """Spans and pairs with room; where pairs had none, those that no row has any more are left behind."""
        spans, pairs = self._held
        if n_rows > len(spans):
            grown = np.zeros(max(n_rows, 2 * len(spans)), dtype=np.int64)
            grown[: len(spans)] = spans
            spans = grown
        if self._n_used + n_more > len(pairs):
            self._held = spans, pairs
            _, kept = self.of_rows(np.arange(len(spans)))
            lengths = _unpacked(spans)[1]
            spans = ((np.cumsum(lengths) - lengths) << _LENGTH_BITS) | lengths
            pairs = np.zeros(2 * (len(kept) + n_more), dtype=np.int32)
            pairs[: len(kept)] = kept
            self._n_used = len(kept)
        self._held = spans, pairs
        return spans, pairs


def _unpacked(spans: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return spans >> _LENGTH_BITS, spans & _MOST_OF_AN_ITEM
