"""Recall and NDCG when each question has exactly one right answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CUTOFFS = (5, 10, 20)


def metrics_at(ranks: NDArray[np.int64], cutoffs: Sequence[int] = CUTOFFS) -> dict[str, float]:
    """Recall@k and ndcg@k from the 0-based rank of each target, -1 where it is not in the list.

    With one relevant item, recall@k is the share of targets in the first k and ndcg@k the mean of 1 / log2(rank + 2).
    """
    found: dict[str, float] = {}
    for k in cutoffs:
        is_hit = (ranks >= 0) & (ranks < k)
        gain = np.where(is_hit, 1.0 / np.log2(np.maximum(ranks, 0) + 2.0), 0.0)
        found[f"recall@{k}"] = round(float(is_hit.mean()), 5)
        found[f"ndcg@{k}"] = round(float(gain.mean()), 5)
    return found


def ranks_in_lists(lists: Sequence[Sequence[str]], targets: Sequence[str]) -> NDArray[np.int64]:
    """Rank of each target in its list, -1 where absent."""
    return np.array(
        [list(found).index(target) if target in found else -1 for found, target in zip(lists, targets, strict=True)],
        dtype=np.int64,
    )


def ranks_in_scores(
    scores: NDArray[np.floating], targets: NDArray[np.int64], is_left_out: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Rank of each target among all items by score, ties by ascending column, -1 for a target that is left out.

    ``scores`` and ``is_left_out`` (n, n_items); a target of -1 (unknown item) has rank -1.
    """
    row = np.arange(len(targets))
    known = np.maximum(targets, 0)
    own = scores[row, known][:, None]
    is_before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1])[None, :] < known[:, None]))
    ranks = (is_before & ~is_left_out).sum(axis=1)
    return np.where((targets >= 0) & ~is_left_out[row, known], ranks, -1)
