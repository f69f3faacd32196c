"""Makes one list of several sources' lists, keeping where each candidate came from.

Enters: each source's candidates. Leaves: one ``Candidates`` a request with a score column a source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array, Scorer
from aisle.domain import Candidates, Request
from aisle.settings import FloorConfig, FusionConfig


def fuse(
    requests: Sequence[Request],
    found: Mapping[str, Sequence[Candidates]],
    config: FusionConfig,
    scorers: Mapping[str, Scorer],
) -> list[Candidates]:
    """Fused candidates of each request: what the sources proposed and vouch for, best first, ties by ascending row.

    A source vouches for what has at least its floor, whoever proposed it (``config.floors``); what no source vouches
    for is left out before scores are put together.

    Args:
        requests: the requests.
        found: by source name, one ``Candidates`` a request; the order of sources is the order of score columns.
        config: method, weights and floors; a source without a weight counts 1.
        scorers: sources that can score others' proposals. What they have no score for (nan) stays nan in the answer.

    Methods, s being a source's score and w its weight:
        rank: sum of w / (rank_constant + rank), rank from 1, absent ones nothing (Cormack et al. 2009).
        scaled: sum of w s / max |s| over the request's candidates; absent ones count as the source's least, or 0
            where that is positive.
        zscore: sum of w (s - mean) / deviation over the request's candidates; absent ones count as the least.
    """
    names = tuple(found)
    rows = [_union([found[name][place].item_rows for name in names]) for place in range(len(requests))]
    columns = [_scores(found[name], requests, rows, scorers.get(name)) for name in names]
    floors = [config.floors.get(name) for name in names]
    fused: list[Candidates] = []
    for place, of_request in enumerate(rows):
        if not len(of_request):
            fused.append(Candidates.empty(*names))
            continue
        scores = np.stack([column[place] for column in columns], axis=1)  # (n, n_sources), nan where unknown
        proposed = [found[name][place].item_rows for name in names]
        if config.floors:
            kept = _vouched_for(of_request, scores, proposed, floors)
            of_request, scores = of_request[kept], scores[kept]
        total = _total(of_request, scores, proposed, config, names)
        order = np.lexsort((of_request, -total))
        fused.append(Candidates(of_request[order], scores[order], names, total[order].astype(np.float32)))
    return fused


def _total(
    rows: NDArray[np.int64],
    scores: Float32Array,
    proposed: Sequence[NDArray[np.int64]],
    config: FusionConfig,
    names: Sequence[str],
) -> NDArray[np.float64]:
    """(n,) the fused score of each candidate; see ``fuse`` for the methods."""
    if config.method == "rank":
        parts = [_reciprocal_ranks(rows, of_source, config.rank_constant) for of_source in proposed]
    elif config.method == "scaled":
        parts = [_scaled(column) for column in scores.T]
    else:
        parts = [_standardised(column) for column in scores.T]
    weights = np.array([config.weights.get(name, 1.0) for name in names], dtype=np.float64)
    return np.stack(parts, axis=1) @ weights


def _union(lists: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.unique(np.concatenate(lists)) if lists else np.empty(0, np.int64)


def _scores(
    proposed: Sequence[Candidates],
    requests: Sequence[Request],
    rows: Sequence[NDArray[np.int64]],
    scorer: Scorer | None,
) -> list[Float32Array]:
    """One source's score of every candidate of each request; a scorer is asked about what others proposed."""
    columns: list[Float32Array] = []
    for candidates, wanted in zip(proposed, rows, strict=True):
        column = np.full(len(wanted), np.nan, dtype=np.float32)
        column[np.searchsorted(wanted, candidates.item_rows)] = candidates.fused
        columns.append(column)
    if scorer is None:
        return columns
    asked = [place for place, column in enumerate(columns) if np.isnan(column).any()]
    if asked:
        missing = [np.isnan(columns[place]) for place in asked]
        answers = scorer.score(
            [requests[place] for place in asked], [rows[place][gap] for place, gap in zip(asked, missing, strict=True)]
        )
        for place, gap, answer in zip(asked, missing, answers, strict=True):
            columns[place][gap] = answer
    return columns


def _vouched_for(
    rows: NDArray[np.int64],
    scores: Float32Array,
    proposed: Sequence[NDArray[np.int64]],
    floors: Sequence[FloorConfig | None],
) -> NDArray[np.bool_]:
    """Which candidates (n,) at least one source vouches for; ``scores`` (n, n_sources), the rest a source each."""
    vouched = np.zeros(len(rows), dtype=np.bool_)
    for column, of_source, floor in zip(scores.T, proposed, floors, strict=True):
        if floor is None:
            vouched |= np.isin(rows, of_source)
            continue
        known = np.nan_to_num(column, nan=0.0, neginf=0.0)
        vouched |= (known > 0) & (known >= max(floor.least or 0.0, floor.share * float(known.max())))
    return vouched


def _reciprocal_ranks(
    rows: NDArray[np.int64], proposed: NDArray[np.int64], rank_constant: float
) -> NDArray[np.float64]:
    part = np.zeros(len(rows))
    is_kept = np.isin(proposed, rows)
    ranks = np.arange(1, len(proposed) + 1)[is_kept]
    part[np.searchsorted(rows, proposed[is_kept])] = 1.0 / (rank_constant + ranks)
    return part


def _scaled(column: Float32Array) -> NDArray[np.float64]:
    known = np.isfinite(column)
    if not known.any():
        return np.zeros(len(column))
    values = np.where(known, column, min(0.0, float(column[known].min()))).astype(np.float64)
    largest = np.abs(values).max()
    return values / largest if largest > 0 else values


def _standardised(column: Float32Array) -> NDArray[np.float64]:
    known = np.isfinite(column)
    if not known.any():
        return np.zeros(len(column))
    values = np.where(known, column, column[known].min()).astype(np.float64)
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 0 else np.zeros(len(column))
