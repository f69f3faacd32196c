"""Makes one list of several sources' lists, keeping where each candidate came from.

Enters: each source's candidates. Leaves: one ``Candidates`` a request with a score column a source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Float32Array, Scorer
from aisle.domain import Candidates, Request
from aisle.settings import FusionConfig


def fuse(
    requests: Sequence[Request],
    found: Mapping[str, Sequence[Candidates]],
    config: FusionConfig,
    scorers: Mapping[str, Scorer],
) -> list[Candidates]:
    """Fused candidates of each request: the union of what the sources proposed, best first, ties by ascending row.

    Args:
        requests: the requests.
        found: by source name, one ``Candidates`` a request; the order of sources is the order of score columns.
        config: method and weights; a source without a weight counts 1.
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
    weights = np.array([config.weights.get(name, 1.0) for name in names], dtype=np.float64)
    fused: list[Candidates] = []
    for place in range(len(requests)):
        if not len(rows[place]):
            fused.append(Candidates.empty(*names))
            continue
        scores = np.stack([column[place] for column in columns], axis=1)  # (n, n_sources), nan where unknown
        if config.method == "rank":
            proposed = [found[name][place].item_rows for name in names]
            parts = np.stack([_reciprocal_ranks(rows[place], of, config.rank_constant) for of in proposed], axis=1)
        elif config.method == "scaled":
            parts = np.stack([_scaled(column) for column in scores.T], axis=1)
        else:
            parts = np.stack([_standardised(column) for column in scores.T], axis=1)
        total = parts @ weights
        order = np.lexsort((rows[place], -total))
        fused.append(Candidates(rows[place][order], scores[order], names, total[order].astype(np.float32)))
    return fused


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


def _reciprocal_ranks(
    rows: NDArray[np.int64], proposed: NDArray[np.int64], rank_constant: float
) -> NDArray[np.float64]:
    part = np.zeros(len(rows))
    part[np.searchsorted(rows, proposed)] = 1.0 / (rank_constant + np.arange(1, len(proposed) + 1))
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
