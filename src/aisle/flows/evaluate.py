"""Measure a placement on held-out behaviour: fit its sources on the past, ask them what came next.

Nothing of the shop is touched: the sources are fitted in memory on the split's training part only and thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import CandidateSource, Parts, Scorer
from aisle.domain import Candidates, Request, Snapshot, UserState
from aisle.domain.catalogue import codes_of_kinds
from aisle.domain.requests import NO_ROWS
from aisle.errors import ConfigError, DataError, unknown_name
from aisle.evaluation import Cases, ListFacts, Report, Split, compare, leave_one_out, temporal, time_at_share
from aisle.flows.propose import behind
from aisle.flows.stages import Fuse
from aisle.flows.train import SourceSpec
from aisle.settings import FusionConfig, PlacementConfig

CHUNK_CASES = 2_048
BASELINES = ("popular", "item_neighbours")
"""Sources every placement is measured against, where the shop has them."""

Protocol = Literal["last", "temporal"]
ABOUT_ITEMS = ("similar-items", "frequently-bought-together")
"""Placements that stand beside an item: they are asked about the last item of the user's history."""


@dataclass(frozen=True)
class EvaluationPlan:
    """How to measure. ``is_history_removed`` False also lets systems propose what the user already had."""

    placement: str = "recommended-for-you"
    protocol: Protocol = "last"
    """``last``: each user's last item is hidden. ``temporal``: what came after a moment is."""
    is_validation: bool = False
    """``last`` only: ask for the last but one item, keeping the last unseen."""
    train_share: float = 0.8
    """``temporal`` only: the part of the interactions, by time, that is learned from."""
    max_cases: int | None = 5_000
    """Users asked at most; None asks all."""
    cutoffs: tuple[int, ...] = (10,)
    is_history_removed: bool = True
    seed: int = 0


def evaluate(
    snapshot: Snapshot,
    placement: PlacementConfig,
    specs: Mapping[str, SourceSpec],
    parts: Parts,
    fuse: Fuse,
    plan: EvaluationPlan,
) -> Report:
    """The placement, each of its sources alone and the baselines, over the same cases.

    All are asked for the placement's kinds only, and in ``ABOUT_ITEMS`` about the last item of the user's history.

    Raises:
        ConfigError: an unknown protocol, or ``search``, which behaviour without queries cannot measure.
        DataError: nobody has enough history.
    """
    if plan.placement == "search":
        raise ConfigError(
            "search is measured by judged queries, not by what users did next; see benchmarks/ for search with "
            "judgments, or name another placement",
            setting="placement",
        )
    rng = np.random.default_rng(plan.seed)
    split = part(snapshot, plan, rng)
    if not len(split.cases):
        raise DataError("nobody has enough history to be asked; bring in more events first (`aisle import`)")
    names = list(dict.fromkeys([*BASELINES, *placement.sources, *placement.backfill]))
    fitted: dict[str, CandidateSource] = {}
    for done, name in enumerate(name for name in names if name in specs):
        parts.progress(f"fit {name}", done, len(names))
        fitted[name] = specs[name].implementation.fit(name, split.train, specs[name].config, parts)
    parts.progress("fit", len(names), len(names))
    kinds = parts.catalogue.column("kind")[: snapshot.n_items]
    allowed = np.isin(kinds, codes_of_kinds(placement.kinds))
    alone = {
        name: Ranking((source,), placement.fusion, (), fuse, plan, placement.n_candidates, allowed)
        for name, source in fitted.items()
    }
    together = Ranking(
        tuple(fitted[name] for name in placement.sources if name in fitted),
        placement.fusion,
        tuple(fitted[name] for name in placement.backfill if name in fitted),
        fuse,
        plan,
        placement.n_candidates,
        allowed,
    )
    whole = f"placement {plan.placement}" if plan.placement in alone else plan.placement
    return compare(
        {**alone, whole: together},
        split,
        rng=rng,
        cutoffs=plan.cutoffs,
        baseline=next(iter(alone)),
        facts=ListFacts(categories=parts.catalogue.column("category")[: snapshot.n_items]),
        seconds_now=time.perf_counter,
        title=f"Placement {plan.placement}",
        notes=notes(plan, placement),
    )


def notes(plan: EvaluationPlan, placement: PlacementConfig) -> tuple[str, ...]:
    """What the reader of the report must know."""
    told = ["history is removed from the lists" if plan.is_history_removed else "history is not removed"]
    told.append(f"lists hold {', '.join(kind.value for kind in placement.kinds)} only")
    if plan.placement in ABOUT_ITEMS:
        told.append("lists are asked for about the last item of each user's history")
    return tuple(told)


def part(snapshot: Snapshot, plan: EvaluationPlan, rng: np.random.Generator) -> Split:
    """What is learned from and what is asked."""
    if plan.protocol not in get_args(Protocol):
        raise ConfigError(unknown_name("protocol", plan.protocol, get_args(Protocol)), setting="protocol")
    if plan.protocol == "temporal":
        cut_ms = time_at_share(snapshot, plan.train_share)
        return temporal(snapshot, cut_ms, is_new_only=plan.is_history_removed, max_cases=plan.max_cases, rng=rng)
    return leave_one_out(
        snapshot,
        validation=plan.is_validation,
        is_new_only=plan.is_history_removed,
        max_cases=plan.max_cases,
        rng=rng,
    )


@dataclass(frozen=True)
class Ranking:
    """Sources, fused and backfilled, as a system of ``evaluation.compare``."""

    sources: Sequence[CandidateSource]
    fusion: FusionConfig
    backfill: Sequence[CandidateSource]
    fuse: Fuse
    plan: EvaluationPlan
    n_candidates: int
    allowed: NDArray[np.bool_]
    """(n_items,) bool, the items of the placement's kinds."""

    def __call__(self, cases: Cases, n: int) -> NDArray[np.int64]:
        """Item rows, (n_cases, n), padded with -1."""
        ranked = np.full((len(cases), n), -1, dtype=np.int64)
        states = cases.states()
        for start in range(0, len(cases), CHUNK_CASES):
            requests = [
                self._request(states[case], int(cases.times_ms[case]), n)
                for case in range(start, min(start + CHUNK_CASES, len(cases)))
            ]
            for offset, candidates in enumerate(self._answer(requests, n)):
                rows = candidates.item_rows[:n]
                ranked[start + offset, : len(rows)] = rows
        return ranked

    def _request(self, state: UserState, now_ms: int, n: int) -> Request:
        anchors = state.item_rows[-1:] if self.plan.placement in ABOUT_ITEMS else NO_ROWS
        return Request(
            placement=self.plan.placement,
            now_ms=now_ms,
            state=state,
            anchor_rows=anchors,
            allowed=self.allowed,
            excluded_rows=state.item_rows if self.plan.is_history_removed else anchors,
            size=n,
        )

    def _answer(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        n_candidates = max(n, self.n_candidates)
        found = {source.name: source.retrieve(requests, n_candidates) for source in self.sources}
        scorers = {source.name: source for source in self.sources if isinstance(source, Scorer)}
        candidates = self.fuse(requests, found, self.fusion, scorers)
        for source in self.backfill:
            extra = source.retrieve(requests, n_candidates)
            candidates = [behind(first, second, n) for first, second in zip(candidates, extra, strict=True)]
        return candidates
