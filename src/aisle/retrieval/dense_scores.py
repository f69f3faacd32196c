"""Scores of every item at once, and what sources do with them: propose the best, or tell the scores of given items.

A dense score vector is (n_items,) with ``-inf`` where the source has no opinion. Knows nothing of any source.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aisle.domain import Candidates, Catalogue, Request, top_candidates

NO_OPINION = -np.inf

Dense = NDArray[np.floating]


class Handover:
    """Dense scores that ``retrieve`` worked out, for the ``score`` of the same request a moment later.

    Fusion asks every source about what the others proposed; without this each would work everything out twice. Keeps
    the latest few, and each until it is taken. Safe to use from several threads.
    """

    def __init__(self, n_kept: int = 4) -> None:
        """``n_kept`` should be the requests that are answered at the same time; each costs a dense vector."""
        self._kept: deque[tuple[Request, Dense]] = deque(maxlen=n_kept)
        self._lock = threading.Lock()

    def leave(self, request: Request, dense: Dense) -> Dense:
        """Keep ``dense`` for this very ``request`` object; returns it."""
        with self._lock:
            self._kept.append((request, dense))
        return dense

    def take(self, request: Request, make: Callable[[Request], Dense]) -> Dense:
        """What was left for ``request``, or else what ``make`` gives."""
        with self._lock:
            for place, (kept_for, dense) in enumerate(self._kept):
                if kept_for is request:
                    del self._kept[place]
                    return dense
        return make(request)

    def clear(self) -> None:
        """Forget everything: the source has learned something."""
        with self._lock:
            self._kept.clear()


def propose(name: str, dense: Dense, n: int, request: Request) -> Candidates:
    """The ``n`` best items of ``dense`` that ``request`` allows; what the list is about is not proposed again."""
    anchors = request.anchor_rows[(request.anchor_rows >= 0) & (request.anchor_rows < len(dense))]
    if len(anchors):
        dense = dense.copy()
        dense[anchors] = NO_OPINION
    return top_candidates(name, dense, n, request)


def opinions(dense: Dense, item_rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Scores at ``item_rows``, nan where there is none. (len(item_rows),) float32."""
    found = np.full(len(item_rows), np.nan, dtype=np.float32)
    is_known = (item_rows >= 0) & (item_rows < len(dense))
    values = dense[item_rows[is_known]].astype(np.float32)
    found[is_known] = np.where(np.isfinite(values), values, np.nan)
    return found


def within_categories(dense: Dense, request: Request, catalogue: Catalogue) -> Dense:
    """``dense`` without opinion outside the categories the request is limited to; itself when there is no limit."""
    if not request.filters.categories:
        return dense
    inside = np.zeros(len(dense), dtype=np.bool_)
    for path in request.filters.categories:
        inside |= catalogue.in_category(path)[: len(dense)]
    return np.where(inside, dense, NO_OPINION)


def grown(array: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """``array`` with zeros appended to length ``n``; itself when it is long enough."""
    return array if len(array) >= n else np.concatenate([array, np.zeros(n - len(array), dtype=array.dtype)])
