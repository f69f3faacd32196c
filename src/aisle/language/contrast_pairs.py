"""Pairs of texts that belong together, as they are learned from."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array

Int64Array = NDArray[np.int64]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class TextPairs:
    """Which texts belong together.

    Args:
        lefts: texts that ask, such as queries.
        rights: texts that answer, such as titles.
        left: (n,) which left text each pair has.
        right: (n,) which right text.
        wrong: right texts known not to belong to a left text, by left text.
        weight: (n,) how much each pair counts, above 0; None for 1 each.
        is_query: (n_lefts,) which left texts people typed; None for none.
    """

    lefts: Sequence[str]
    rights: Sequence[str]
    left: Int64Array
    right: Int64Array
    wrong: Mapping[int, Int64Array] = field(default_factory=dict)
    weight: Float64Array | None = None
    is_query: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.left)

    def of_lefts(self, is_taken: NDArray[np.bool_]) -> TextPairs:
        """Those of some left texts, (n_lefts,); texts that no such pair has are gone."""
        pairs = np.flatnonzero(is_taken[self.left])
        lefts, left = np.unique(self.left[pairs], return_inverse=True)
        rights, right = np.unique(self.right[pairs], return_inverse=True)
        place = {int(row): at for at, row in enumerate(rights)}
        wrong = {
            at: np.array([place[row] for row in self.wrong[old].tolist() if row in place], dtype=np.int64)
            for at, old in enumerate(lefts.tolist())
            if old in self.wrong
        }
        kept: tuple[list[int], list[int]] = lefts.tolist(), rights.tolist()
        return TextPairs(
            [self.lefts[row] for row in kept[0]],
            [self.rights[row] for row in kept[1]],
            left.astype(np.int64),
            right.astype(np.int64),
            wrong={at: rows for at, rows in wrong.items() if len(rows)},
            weight=None if self.weight is None else self.weight[pairs],
            is_query=None if self.is_query is None else self.is_query[lefts],
        )

    def in_two(self, least: int) -> tuple[TextPairs, TextPairs]:
        """Pairs to choose by and pairs to measure what was chosen: about half each, decided by the left text alone.

        Both are all of them, the same object, where either half would have fewer than ``least`` left texts.
        """
        side = np.array([zlib.crc32(text.encode("utf-8", "replace")) % 2 for text in self.lefts], dtype=np.int64)
        halves = [self.of_lefts(side == one) for one in (0, 1)]
        if min(len(half.lefts) for half in halves) < least:
            return self, self
        return halves[0], halves[1]


def to_mine(pairs: TextPairs, most: int) -> tuple[Int64Array, Int64Array]:
    """Left texts to mine wrong ones for, and right texts to look among, as rows in ascending order.

    At most ``most`` left texts, drawn by chance; the right texts that belong to them, and others drawn by chance until
    there are ``most``.
    """
    rng = np.random.default_rng(0)
    lefts = np.unique(pairs.left)
    lefts = np.sort(rng.permutation(lefts)[:most])
    own = np.unique(pairs.right[np.isin(pairs.left, lefts)])
    others = rng.permutation(np.setdiff1d(np.arange(len(pairs.rights)), own))
    return lefts, np.sort(np.concatenate([own, others[: max(0, most - len(own))]]))


def with_hard_negatives(
    pairs: TextPairs,
    mined: tuple[Int64Array, Int64Array],
    lefts: Float32Array,
    rights: Float32Array,
    n: int,
    *,
    margin: float = 0.05,
) -> TextPairs:
    """The pairs with the nearest right texts that do not belong to a left text added to what is known wrong.

    What lies nearer than ``margin`` below the nearest text that belongs may belong too, only nobody has said so; it is
    left out (positive-aware mining, Moreira et al. 2024, "NV-Retriever", with an absolute margin).

    Args:
        pairs: what belongs.
        mined: rows of the left texts that are mined for and of the right texts that are looked among; see ``to_mine``.
        lefts: (len(mined[0]), d) unit rows of these by the model that is to learn.
        rights: (len(mined[1]), d) unit rows.
        n: at most for each left text.
        margin: in cosine.

    Cost: a matrix product of both, in parts.
    """
    asked, among = mined
    is_asked = np.isin(pairs.left, asked)
    left = np.searchsorted(asked, pairs.left[is_asked])
    right = np.searchsorted(among, pairs.right[is_asked])
    nearest_own = np.full(len(asked), -np.inf, dtype=np.float32)
    for start in range(0, len(left), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        cosines = np.einsum("nd,nd->n", lefts[left[part]], rights[right[part]])
        np.maximum.at(nearest_own, left[part], cosines)
    cosines, near = _nearest(lefts, rights, min(4 * n + 16, len(rights)))
    belongs = np.isin(np.arange(len(asked))[:, None] * len(among) + near, left * len(among) + right)
    is_wrong = ~belongs & (cosines < nearest_own[:, None] - margin)
    is_wrong &= np.cumsum(is_wrong, axis=1) <= n
    wrong = dict(pairs.wrong)
    for at in np.flatnonzero(is_wrong.any(axis=1)).tolist():
        row = int(asked[at])
        wrong[row] = np.union1d(wrong.get(row, np.empty(0, dtype=np.int64)), among[near[at, is_wrong[at]]])
    return replace(pairs, wrong=wrong)


_AT_ONCE = 8_192


def _nearest(lefts: Float32Array, rights: Float32Array, depth: int) -> tuple[Float32Array, Int64Array]:
    """(n_lefts, depth) cosines of the nearest rights to each left, nearest first, and which rights they are."""
    faiss: Any = import_module("faiss")  # its stubs leave out most of what its C++ side offers
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    return faiss.knn(lefts, rights, depth, metric=faiss.METRIC_INNER_PRODUCT)
