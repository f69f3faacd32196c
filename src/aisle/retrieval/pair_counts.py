"""How often two items were met together, kept incrementally and within bounds.

Enters: groups of items (a user's latest items, a basket). Leaves: counts of items and of pairs. Knows nothing of what
sources make of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from aisle.retrieval.dense_scores import grown
from aisle.retrieval.ridge_sparse import largest_of_sparse
from aisle.retrieval.sparse_rows import entries_of
from aisle.storage.arrays import sparse_arrays, sparse_matrix, sparse_names

Integers = NDArray[np.int64]
Float64 = NDArray[np.float64]

_MOST_RECENT = 200_000
"""Pairs that may wait beside the fitted ones before they are merged and cut back."""
_ARRAY_NAMES = ("singles", "n_groups", *sparse_names("pairs"), *sparse_names("recent"))


@dataclass(frozen=True)
class PairCounts:
    """Symmetric counts without diagonal; values are immutable, ``plus`` gives a new record.

    ``pairs`` (n, n) what was fitted, each row cut to its strongest; ``recent`` (n, n) what came since; ``singles``
    (n_items,) float64 how often each item was met; ``n_groups`` how many groups there were.
    """

    singles: Float64
    n_groups: float
    pairs: sp.csr_matrix
    recent: sp.csr_matrix

    @classmethod
    def of(cls, singles: Float64, n_groups: float, pairs: sp.csr_matrix) -> PairCounts:
        """Counts just fitted."""
        return cls(singles, n_groups, pairs, sp.csr_matrix(pairs.shape, dtype=np.float32))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> PairCounts:
        """Counts read back."""
        return cls(
            arrays["singles"],
            float(arrays["n_groups"]),
            sparse_matrix("pairs", arrays),
            sparse_matrix("recent", arrays),
        )

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        """Names of the arrays that ``arrays`` gives and ``from_arrays`` wants."""
        return _ARRAY_NAMES

    def arrays(self) -> dict[str, NDArray]:
        """Everything as plain arrays."""
        return {
            "singles": self.singles,
            "n_groups": np.array(self.n_groups),
            **sparse_arrays("pairs", self.pairs),
            **sparse_arrays("recent", self.recent),
        }

    def partners(self, item_row: int) -> tuple[Integers, Float64]:
        """Items met together with ``item_row`` and how often; each once, in any order."""
        found: list[tuple[NDArray, NDArray]] = []
        for matrix in (self.pairs, self.recent):
            if item_row < len(matrix.indptr) - 1:
                span = slice(matrix.indptr[item_row], matrix.indptr[item_row + 1])
                found.append((matrix.indices[span], matrix.data[span]))
        filled = [part for part in found if len(part[0])]
        if len(filled) == 1:  # nothing new since the fit, by far the usual case
            return filled[0][0].astype(np.int64), filled[0][1].astype(np.float64)
        rows = np.concatenate([rows for rows, _ in found]) if found else np.empty(0, np.int64)
        counts = np.concatenate([counts for _, counts in found]) if found else np.empty(0)
        unique, position = np.unique(rows, return_inverse=True)
        return unique.astype(np.int64), np.bincount(position, counts, minlength=len(unique)).astype(np.float64)

    def partners_of(self, item_rows: Integers) -> tuple[Integers, Integers, Float64]:
        """Items met together with each of ``item_rows`` (k,), and how often: place in ``item_rows``, partner, count."""
        places, partners, counts = entries_of(self.pairs, item_rows)
        new_places, new_partners, new_counts = entries_of(self.recent, item_rows)
        if not len(new_places):  # nothing new since the fit, by far the usual case
            return places, partners, counts
        n = len(self.singles)
        keys = np.concatenate([places * n + partners, new_places * n + new_partners])
        unique, position = np.unique(keys, return_inverse=True)
        summed = np.bincount(position, np.concatenate([counts, new_counts]), minlength=len(unique)).astype(np.float64)
        return unique // n, unique % n, summed

    def plus(
        self,
        first: Integers,
        second: Integers,
        weights: Float64,
        met: Integers,
        n_groups: float,
        n_items: int,
        n_kept: int,
    ) -> PairCounts:
        """With pairs ``first[k]``-``second[k]`` of ``weights[k]``, items ``met`` once each and ``n_groups`` more."""
        n = max(n_items, len(self.singles))
        singles = grown(self.singles, n) + np.bincount(met, minlength=n)
        if not len(first):
            return PairCounts(singles, self.n_groups + n_groups, self.pairs, self.recent)
        both = np.concatenate([first, second]), np.concatenate([second, first])
        added = sp.csr_matrix((np.tile(weights, 2).astype(np.float32), both), shape=(n, n))
        recent, pairs = sp.csr_matrix(_resized(self.recent, n) + added), self.pairs
        if recent.nnz > _MOST_RECENT:
            pairs = largest_of_sparse(sp.csr_matrix(_resized(pairs, n) + recent), n_kept)
            recent = sp.csr_matrix((n, n), dtype=np.float32)
        return PairCounts(singles, self.n_groups + n_groups, pairs, recent)


class OpenGroups:
    """The last items of the groups (users or baskets) that were heard of lately, in memory only.

    The least recently heard of are forgotten beyond ``n_groups``; of each group the last ``n_items`` items are kept.
    """

    def __init__(self, n_groups: int, n_items: int) -> None:
        self._n_groups = n_groups
        self._n_items = n_items
        self._items: OrderedDict[Hashable, list[int]] = OrderedDict()

    def join(self, keys: Sequence[Hashable], item_rows: Sequence[int]) -> tuple[list[list[int]], NDArray[np.bool_]]:
        """Put each item into its group, in order.

        Returns, for each item, the group's other items before it (newest first; empty if the item was there already),
        and whether it is new to the group.
        """
        earlier: list[list[int]] = []
        is_new = np.zeros(len(keys), dtype=np.bool_)
        for position, (key, item) in enumerate(zip(keys, item_rows, strict=True)):
            items = self._items.setdefault(key, [])
            self._items.move_to_end(key)
            is_new[position] = item not in items
            earlier.append(items[::-1] if is_new[position] else [])
            if not is_new[position]:
                items.remove(item)
            items.append(item)
            del items[: -self._n_items]
            if len(self._items) > self._n_groups:
                self._items.popitem(last=False)
        return earlier, is_new

    def __contains__(self, key: Hashable) -> bool:
        return key in self._items


def _resized(matrix: sp.csr_matrix, n: int) -> sp.csr_matrix:
    n_rows = len(matrix.indptr) - 1
    if n_rows == n:
        return matrix
    indptr = np.concatenate([matrix.indptr, np.full(n - n_rows, matrix.indptr[-1], matrix.indptr.dtype)])
    return sp.csr_matrix((matrix.data, matrix.indices, indptr), shape=(n, n))
