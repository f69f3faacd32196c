"""How well lists are ordered.

Each metric gives one value a case, (n_cases,) float64, so that means, groups and intervals are taken the same way
everywhere.

Cases without a relevant item have no right answer and give nan. Places are counted from 1. A list shorter than the
cut-off simply finds nothing further. Definitions are those of trec_eval unless said.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aisle.evaluation.targets import Judged, Targets

Values = NDArray[np.float64]
Gain = Callable[[Values], Values]
"""Turns grades into gains, element by element; used by ``ndcg``."""


def linear_gain(grades: Values) -> Values:
    """The grade itself."""
    return grades


def exponential_gain(grades: Values) -> Values:
    """2^grade - 1, which sets the best grades apart (Burges et al., 2005, "Learning to rank")."""
    return np.exp2(grades) - 1.0


def recall(judged: Judged, cutoff: int) -> Values:
    """Share of the relevant items that stand in the first ``cutoff`` places."""
    return _share(_hits(judged, cutoff).sum(axis=1), judged.n_relevant)


def precision(judged: Judged, cutoff: int) -> Values:
    """Share of the first ``cutoff`` places that hold a relevant item; empty places count as wrong."""
    return _where_asked(judged, _hits(judged, cutoff).sum(axis=1) / cutoff)


def hit_rate(judged: Judged, cutoff: int) -> Values:
    """1 where any relevant item stands in the first ``cutoff`` places, else 0."""
    return _where_asked(judged, np.any(_hits(judged, cutoff), axis=1).astype(np.float64))


def reciprocal_rank(judged: Judged, cutoff: int) -> Values:
    """1 / place of the first relevant item, 0 when it is not in the first ``cutoff``; the mean is MRR."""
    hits = _hits(judged, cutoff)
    inverse_places = 1.0 / np.arange(1, hits.shape[1] + 1)
    return _where_asked(judged, np.max(hits * inverse_places, axis=1, initial=0.0))


def average_precision(judged: Judged, cutoff: int) -> Values:
    """Mean of the precision at each relevant item found, over all relevant items; the mean over cases is MAP.

    Divided by the number of relevant items even where it exceeds ``cutoff``, as trec_eval's ``map_cut`` does.
    """
    hits = _hits(judged, cutoff)  # (n_cases, k)
    places = np.arange(1, hits.shape[1] + 1)
    return _share((hits * np.cumsum(hits, axis=1) / places).sum(axis=1), judged.n_relevant)


def ndcg(judged: Judged, cutoff: int, gain: Gain | None = None) -> Values:
    """Discounted gain of the first ``cutoff`` places over that of the best possible list (Järvelin & Kekäläinen, 2002).

    The discount is log2(place + 1). Without ``gain`` every relevant item is worth 1 and every other 0; with it each
    target is worth ``gain(grade)``, relevant or not, and an item that is no target 0. nan where nothing can be gained.
    """
    if gain is None:
        found = _hits(judged, cutoff).astype(np.float64)
        possible = judged.targets.is_relevant.astype(np.float64)
    else:
        grades = judged.grades[:, :cutoff]
        found = np.zeros(grades.shape)
        is_target = ~np.isnan(grades)
        found[is_target] = gain(grades[is_target])
        possible = gain(judged.targets.grades)
    reached = (found * _discounts(cutoff)[: judged.grades.shape[1]]).sum(axis=1)
    return _share(reached, _ideal(judged.targets, possible, cutoff))


def mean_rank(judged: Judged, n_items: int) -> Values:
    """Mean place of a case's relevant items among ``n_items``.

    An item that is not in the list counts as if the rest were in random order: halfway between the list's end and
    ``n_items``. Exact for full rankings; for short lists it tells little more than recall.
    """
    hits = judged.hits
    width = hits.shape[1]
    places = (hits * np.arange(1, width + 1)).sum(axis=1)
    n_missing = judged.n_relevant - hits.sum(axis=1)
    return _share(places + n_missing * (width + 1 + max(n_items, width + 1)) / 2.0, judged.n_relevant)


def _hits(judged: Judged, cutoff: int) -> NDArray[np.bool_]:
    return judged.hits[:, :cutoff]


def _share(part: NDArray[np.number], whole: NDArray[np.number]) -> Values:
    result = np.full(len(whole), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _where_asked(judged: Judged, values: Values) -> Values:
    return np.where(judged.n_relevant > 0, values, np.nan)


def _discounts(n: int) -> Values:
    return 1.0 / np.log2(np.arange(2, n + 2))


def _ideal(targets: Targets, gains: Values, cutoff: int) -> Values:
    """Discounted gain of each case's targets in their best order, cut at ``cutoff``. (n_cases,)"""
    owners = targets.items.owners
    order = np.lexsort((-gains, owners))
    place = np.arange(len(owners)) - targets.items.offsets[owners]
    discounted = gains[order] / np.log2(place + 2.0) * (place < cutoff)
    return np.bincount(owners, weights=discounted, minlength=len(targets)).astype(np.float64)
