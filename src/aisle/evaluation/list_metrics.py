"""What lists are like beyond being right: how much of the shop they show, how unlike each other and how unknown.

Enters: ``ranked`` (n_cases, k) item rows, best first, padded with -1. Coverage and Gini describe all lists together;
diversity, novelty and serendipity give one value a case, nan where a list is too short to tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aisle.evaluation.targets import Judged

Ranked = NDArray[np.int64]
Values = NDArray[np.float64]
_CASES_AT_ONCE = 4096


def exposure(ranked: Ranked, n_items: int, cutoff: int) -> NDArray[np.int64]:
    """How many lists show each item in their first ``cutoff`` places. (n_items,) int64."""
    shown = ranked[:, :cutoff]
    return np.bincount(shown[shown >= 0], minlength=n_items)


def coverage(ranked: Ranked, n_items: int, cutoff: int) -> float:
    """Share of all items that at least one list shows in its first ``cutoff`` places; nan for an empty shop."""
    return float((exposure(ranked, n_items, cutoff) > 0).mean()) if n_items else float("nan")


def exposure_gini(ranked: Ranked, n_items: int, cutoff: int) -> float:
    """Gini coefficient of exposure over all items: 0 when all are shown equally often, near 1 when one takes all."""
    shown = np.sort(exposure(ranked, n_items, cutoff)).astype(np.float64)
    total = shown.sum()
    if not total:
        return float("nan")
    place = np.arange(1, n_items + 1)
    return float((2 * place - n_items - 1) @ shown / (n_items * total))


def category_diversity(ranked: Ranked, categories: NDArray[np.integer], cutoff: int) -> Values:
    """Share of the pairs of a list's first ``cutoff`` items that lie in different categories. (n_cases,)

    ``categories`` (n_items,) holds one code an item; one without a category (negative) counts as a category of its own.
    """
    own = np.where(categories >= 0, categories, -1 - np.arange(len(categories)))
    shown = ranked[:, :cutoff]
    is_there = shown >= 0
    codes = np.where(is_there, own[np.maximum(shown, 0)] if len(own) else -1, np.iinfo(np.int64).max)
    codes.sort(axis=1)
    n_shown = is_there.sum(axis=1)
    n_alike = np.zeros(len(shown))
    for distance in range(1, shown.shape[1]):  # sorted, so equal codes are neighbours; at most cutoff passes
        same = (codes[:, distance:] == codes[:, :-distance]) & (codes[:, distance:] != np.iinfo(np.int64).max)
        n_alike += same.sum(axis=1)
    return 1.0 - _over(n_alike, n_shown * (n_shown - 1) / 2.0)


def vector_diversity(ranked: Ranked, vectors: NDArray[np.floating], cutoff: int) -> Values:
    """Mean cosine distance between the first ``cutoff`` items of a list (intra-list distance). (n_cases,)

    ``vectors`` (n_items, d) unit rows. The sum over pairs follows from the length of the summed vector, so the cost is
    O(n_cases x cutoff x d) without a loop over pairs.
    """
    shown = ranked[:, :cutoff]
    n_shown = (shown >= 0).sum(axis=1)
    alike = np.zeros(len(shown))
    for start in range(0, len(shown), _CASES_AT_ONCE):
        part = shown[start : start + _CASES_AT_ONCE]
        chosen = vectors[np.maximum(part, 0)] * (part >= 0)[:, :, None]  # (cases, k, d)
        summed = chosen.sum(axis=1, dtype=np.float64)  # (cases, d)
        own = np.square(chosen, dtype=np.float64).sum(axis=(1, 2))
        alike[start : start + _CASES_AT_ONCE] = (np.square(summed).sum(axis=1) - own) / 2.0
    return 1.0 - _over(alike, n_shown * (n_shown - 1) / 2.0)


def novelty(ranked: Ranked, n_known: NDArray[np.integer], n_users: int, cutoff: int) -> Values:
    """Mean self-information of the items shown, in bits: -log2 of the share of users who know the item. (n_cases,)

    ``n_known`` (n_items,) counts the users who had to do with each item. One imaginary user knows everything, so that
    an item nobody knows is worth log2(n_users + 1) bits and not infinitely many (Zhou et al., 2010).
    """
    bits = np.log2(n_users + 1.0) - np.log2(n_known + 1.0)  # (n_items,)
    shown = ranked[:, :cutoff]
    is_there = shown >= 0
    if not len(bits):
        return np.full(len(shown), np.nan)
    return _over((bits[np.maximum(shown, 0)] * is_there).sum(axis=1), is_there.sum(axis=1))


def serendipity(judged: Judged, ranked: Ranked, is_expected: NDArray[np.bool_], cutoff: int) -> Values:
    """Share of a list's first ``cutoff`` places that are relevant and not expected. (n_cases,)

    ``is_expected`` (n_items,) marks what anybody would have shown, for instance the most popular items (Ge et al.,
    2010, "Beyond accuracy").
    """
    shown = ranked[:, :cutoff]
    if not len(is_expected):
        return np.full(len(shown), np.nan)
    surprise = judged.hits[:, :cutoff] & ~is_expected[np.maximum(shown, 0)]
    return np.where(judged.n_relevant > 0, surprise.sum(axis=1) / cutoff, np.nan)


def _over(part: NDArray[np.number], whole: NDArray[np.number]) -> Values:
    result = np.full(len(whole), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result
