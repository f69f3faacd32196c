"""Scores of every item at once, and what sources do with them: propose the best, or tell the scores of given items.

A dense score vector is (n_items,) with ``-inf`` where the source has no opinion. Knows nothing of any source.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class _Sorted:
    """The best ``n`` of ``dense`` under ``allowed``; holds both, so that no other object takes their identity."""

    dense: Dense
    allowed: NDArray[np.bool_] | None
    n: int
    best: Candidates


class CrowdBest:
    """The best of scores that are the same for everybody, sorted out once and not for each request.

    Requests that share a mask of allowed items (they do unless their filters differ) share the sorted list; only what a
    request leaves out beside it is looked at anew. Safe to use from several threads.
    """

    def __init__(self, catalogue: Catalogue, n_kept: int = 8, n_spare: int = 200) -> None:
        """``n_kept`` masks are remembered; up to ``n_spare`` rows a request leaves out cost no sorting."""
        self._catalogue = catalogue
        self._lists: OrderedDict[tuple[int, int], _Sorted] = OrderedDict()
        self._n_kept = n_kept
        self._n_spare = n_spare
        self._lock = threading.Lock()

    def propose(self, name: str, dense: Dense, n: int, request: Request) -> Candidates:
        """As the function ``propose``, within the request's categories.

        ``dense`` must not change, and should be the same object as long as nothing happens.
        """
        left_out = np.concatenate([request.excluded_rows, request.anchor_rows])
        if request.filters.categories or len(left_out) > self._n_spare:
            return propose(name, within_categories(dense, request, self._catalogue), n, request)
        key = id(dense), id(request.allowed)
        with self._lock:
            kept = self._lists.get(key)
        if kept is None or kept.n < n + len(left_out):
            everybody = Request(request.placement, request.now_ms, allowed=request.allowed)
            n_sorted = n + self._n_spare
            kept = _Sorted(dense, request.allowed, n_sorted, propose(name, dense, n_sorted, everybody))
            with self._lock:
                self._lists[key] = kept
                if len(self._lists) > self._n_kept:
                    self._lists.popitem(last=False)
        best = kept.best
        if len(left_out):
            best = best.keep(~np.isin(best.item_rows, left_out))
        return best.best(n)


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
