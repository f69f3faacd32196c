"""What another version of a model changes: the same queries asked of two lineups.

Enters: two lineups, and queries with weights or judgments. Leaves: ``ChangeReport``. How a version is opened is known
to ``wiring.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Progress
from aisle.evaluation.clustered import clustered_mean
from aisle.evaluation.intervals import Interval, mean_interval, paired_difference
from aisle.evaluation.list_overlap import overlap, rank_biased_overlap
from aisle.evaluation.search_report import ChangeReport, SideBySide
from aisle.evaluation.targets import padded
from aisle.flows.quiet import lists_of
from aisle.flows.search_judged import SHOWN, Asked, Judgments, KindOf, grouped, titled
from aisle.flows.stages import Stages


@dataclass(frozen=True)
class Change:
    """Stages with two versions of the model ``name``."""

    name: str
    before_version: str
    after_version: str
    before: Stages
    after: Stages


def read_changes(
    change: Change,
    stages: Stages,
    judgments: Judgments | None,
    weights: Mapping[str, float],
    kinds: KindOf,
    n_worst: int,
    seed: int,
    progress: Progress,
) -> ChangeReport:
    """Compared on the judged queries where there are any, each counting once, else on ``weights`` (text to weight)."""
    asked = None if judgments is None else Asked.of(judgments, stages)
    texts = asked.texts if asked else sorted(weights)
    weight = np.array([1.0 if asked else weights[text] for text in texts])
    lists = [
        lists_of(texts, SHOWN, side, progress, f"ask version {version}")
        for side, version in ((change.before, change.before_version), (change.after, change.after_version))
    ]
    pairs = list(zip(*lists, strict=True))
    of_lists = {
        "overlap@10": np.array([overlap(one, other) for one, other in pairs]),
        "rbo": np.array([rank_biased_overlap(one, other) for one, other in pairs]),
    }
    values = {name: _mean(column, weight) for name, column in of_lists.items()}
    by_query: dict[str, NDArray[np.float64]] = dict(of_lists)
    if asked:
        ranked = [padded([stages.catalogue.rows(ids) for ids in side], SHOWN) for side in lists]
        before, after = (asked.ndcg(rows) for rows in ranked)
        rng = np.random.default_rng(seed)
        values["ndcg@10_before"], values["ndcg@10_after"] = (mean_interval(one, rng) for one in (before, after))
        values["ndcg@10_change"] = paired_difference(after, before, rng)
        by_query |= {"ndcg@10_before": before, "ndcg@10_after": after, "ndcg@10_change": after - before}
    of_texts = [kinds(text) for text in texts]
    order = np.lexsort((np.arange(len(texts)), -weight, by_query["rbo"]))
    moved = []
    first: list[int] = order[:n_worst].tolist()
    for place in first:
        if pairs[place][0] == pairs[place][1]:
            break
        grades = asked.grades(place) if asked else None
        left, right = (titled(side[place], stages, grades) for side in lists)
        figures = {name: float(column[place]) for name, column in by_query.items()}
        kind = of_texts[place].query_class
        moved.append(SideBySide(texts[place], kind, float(weight[place]), left, right, figures))
    times = np.rint(weight).astype(np.int64)  # a query stands in its group as often as it was drawn
    return ChangeReport(
        name=change.name,
        before=change.before_version,
        after=change.after_version,
        n_queries=len(texts),
        is_judged=asked is not None,
        n_unchanged=sum(one == other for one, other in pairs),
        values=values,
        groups=grouped(
            {name: np.repeat(column, times) for name, column in by_query.items()},
            [kind for kind, n in zip(of_texts, times.tolist(), strict=True) for _ in range(n)],
            seed,
        ),
        moved=tuple(moved),
    )


def _mean(column: NDArray[np.float64], weight: NDArray[np.float64]) -> Interval:
    """Over searches, drawn together by query, since all searches of a query have the same value."""
    times = np.rint(weight).astype(np.int64)
    found = clustered_mean(np.repeat(column, times), np.repeat(np.arange(len(column)), times))
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0)) if found.low == found.low else found
