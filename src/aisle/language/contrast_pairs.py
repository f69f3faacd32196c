"""Pairs of texts that belong together, as they are learned from."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
        return TextPairs(
            [self.lefts[row] for row in lefts.tolist()],
            [self.rights[row] for row in rights.tolist()],
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


_AT_ONCE = 512


def with_hard_negatives(
    pairs: TextPairs, lefts: Float32Array, rights: Float32Array, n: int, *, margin: float = 0.05
) -> TextPairs:
    """The pairs with the nearest right texts that do not belong to each left text added to what is known wrong.

    What lies nearer than ``margin`` below the nearest text that belongs may belong too, only nobody has said so; it is
    left out (positive-aware mining, Moreira et al. 2024, "NV-Retriever", with an absolute margin).

    Args:
        pairs: what belongs.
        lefts: (n_lefts, d) unit rows of the left texts by the model that is to learn.
        rights: (n_rights, d) unit rows.
        n: at most for each left text.
        margin: in cosine.
    """
    order = np.argsort(pairs.left, kind="stable")
    starts = np.searchsorted(pairs.left[order], np.arange(len(pairs.lefts) + 1))
    depth = min(4 * n + 16, len(rights))
    wrong = dict(pairs.wrong)
    for start in range(0, len(lefts), _AT_ONCE):
        cosines = lefts[start : start + _AT_ONCE] @ rights.T  # (b, n_rights)
        near = np.argpartition(-cosines, depth - 1, axis=1)[:, :depth]
        for row in range(len(cosines)):
            left = start + row
            own = pairs.right[order[starts[left] : starts[left + 1]]]
            if not len(own):
                continue
            found = near[row][np.argsort(-cosines[row, near[row]], kind="stable")]
            found = found[cosines[row, found] < cosines[row, own].max() - margin]
            mined = found[~np.isin(found, own)][:n].astype(np.int64)
            wrong[left] = np.union1d(wrong.get(left, np.empty(0, dtype=np.int64)), mined)
    return replace(pairs, wrong={left: rows for left, rows in wrong.items() if len(rows)})
