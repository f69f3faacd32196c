"""From questions to lists, one stage a line; search and recommend differ only in how the question is understood.

Enters: asks and a placement. Leaves: responses whose slates are written down. Several asks are answered together, which
costs far less than one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from aisle.contracts import Scorer
from aisle.domain import Candidates, Features, Filters, Outcomes, Query, Request, Response, Slate, UserState
from aisle.domain.catalogue import require_rows
from aisle.errors import DataError
from aisle.flows.asks import Ask
from aisle.flows.degraded import Degraded
from aisle.flows.facets import count_facets
from aisle.flows.stages import RANKER, STATISTICS, Fuse, InService, Predict, Stages
from aisle.flows.watch import Watch
from aisle.settings import PlacementConfig


def answer(placement: str, asks: Sequence[Ask], queries: Sequence[Query | None], stages: Stages) -> list[Response]:
    """One response for each ask: candidates, outcomes, a slate, written down before it is shown.

    Raises:
        ConfigError: unknown placement.
        DataError: an item that an ask names is not in the catalogue.
    """
    if not asks:
        return []
    config = stages.placement(placement)
    watch = Watch(placement, stages.meter)
    degraded = Degraded(placement, stages.meter)
    in_service = stages.lineup.in_service
    with watch.timing("understand"):
        requests = understand(placement, config, asks, queries, stages, degraded)
    with watch.timing("retrieve"):
        candidates = propose(requests, config, in_service, stages.fuse, degraded)
    facets = [
        count_facets(stages.catalogue, found) if ask.with_facets else None
        for ask, found in zip(asks, candidates, strict=True)
    ]
    shortlists = [
        found.best(max(config.n_ranked, request.size)) for request, found in zip(requests, candidates, strict=True)
    ]
    with watch.timing("describe"):
        features = describe(requests, shortlists, in_service, degraded)
    with watch.timing("rank"):
        outcomes = rank(requests, shortlists, features, in_service, stages.fallback, degraded)
    with watch.timing("decide"):
        slates = [
            stages.policy.select(request, found, outcome, config, stages.new_slate_id(), known)
            for request, found, outcome, known in zip(requests, shortlists, outcomes, features, strict=True)
        ]
        slates = [stamp(slate, config, in_service) for slate in slates]
    with watch.timing("record"):
        degraded.guard("slate-log", lambda: stages.records.append_slates(slates), otherwise=lambda: None)
    watch.finish(len(asks))
    return [
        Response(slate, degraded.parts, len(found), watch.timings_ms, counted)
        for slate, found, counted in zip(slates, candidates, facets, strict=True)
    ]


def understand(
    placement: str,
    config: PlacementConfig,
    asks: Sequence[Ask],
    queries: Sequence[Query | None],
    stages: Stages,
    degraded: Degraded,
) -> list[Request]:
    """Turn outside names into rows, and limits into masks."""
    now_ms = stages.clock()
    user_ids = [ask.user_id for ask in asks]
    states = degraded.guard(
        "user-state",
        lambda: stages.states.read(user_ids),
        otherwise=lambda: [UserState.empty(user_id) for user_id in user_ids],
    )
    requests = []
    for ask, query, state in zip(asks, queries, states, strict=True):
        filters = limits(ask.filters, config)
        anchors = require_rows(stages.catalogue, ask.item_ids)
        requests.append(
            Request(
                placement=placement,
                now_ms=now_ms,
                state=state,
                query=query,
                anchor_rows=anchors,
                allowed=stages.rules.allowed(filters, now_ms),
                excluded_rows=np.union1d(stages.rules.excluded(filters, state), anchors),
                filters=filters,
                context=ask.context,
                size=size_of(ask, config),
            )
        )
    return requests


def limits(asked: Filters, config: PlacementConfig) -> Filters:
    """The caller's filters inside the placement's: a caller can narrow a placement, never widen it."""
    kinds = tuple(kind for kind in asked.kinds if kind in config.kinds) if asked.kinds else config.kinds
    if not kinds:
        wanted = ", ".join(kind.value for kind in asked.kinds)
        shown = ", ".join(kind.value for kind in config.kinds)
        raise DataError(f"kinds {wanted} are not shown in this placement; it shows {shown}", field="kinds")
    return replace(
        asked,
        kinds=kinds,
        has_seen=asked.has_seen and config.has_seen,
        has_bought=asked.has_bought and config.has_bought,
        is_in_stock_only=asked.is_in_stock_only or config.is_in_stock_only,
    )


def size_of(ask: Ask, config: PlacementConfig) -> int:
    """How many items are wanted; at most 1,000."""
    if ask.size is None:
        return config.size
    if not isinstance(ask.size, int) or not 1 <= ask.size <= 1000:
        raise DataError(f"size is {ask.size!r}; allowed are 1 to 1000", field="size")
    return ask.size


def propose(
    requests: Sequence[Request], config: PlacementConfig, in_service: InService, fuse: Fuse, degraded: Degraded
) -> list[Candidates]:
    """Ask the placement's sources, fuse what they found, and top short lists up from the backfill sources."""
    n = max(config.n_candidates, *(request.size for request in requests))
    found = retrieve(config.sources, requests, n, in_service, degraded)
    scorers = {name: source for name, source in in_service.sources.items() if isinstance(source, Scorer)}
    candidates = degraded.guard(
        "fusion",
        lambda: fuse(requests, found, config.fusion, scorers),
        otherwise=lambda: list(next(iter(found.values()), [Candidates.empty() for _ in requests])),
    )
    for name in config.backfill:
        short = [i for i, request in enumerate(requests) if len(candidates[i]) < request.size]
        if not short:
            break
        extra = retrieve((name,), [requests[i] for i in short], n, in_service, degraded).get(name)
        for position, i in enumerate(short):
            if extra is not None:
                candidates[i] = behind(candidates[i], extra[position], requests[i].size)
    return candidates


def retrieve(
    names: Sequence[str], requests: Sequence[Request], n: int, in_service: InService, degraded: Degraded
) -> dict[str, list[Candidates]]:
    """What each source proposes; a source that is missing or fails is named and left out."""
    found: dict[str, list[Candidates]] = {}
    sources = in_service.sources
    for name in names:
        if name not in sources:
            degraded.miss(name)
            continue
        proposals = degraded.guard(
            name, lambda source=sources[name]: source.retrieve(requests, n), otherwise=lambda: None
        )
        if proposals is not None:
            found[name] = proposals
    return found


def behind(first: Candidates, second: Candidates, size: int) -> Candidates:
    """``first``, then what of ``second`` is new, until ``size`` is reached; fused scores go on below the first's."""
    fresh = second.keep(~np.isin(second.item_rows, first.item_rows)).best(size - len(first))
    n_first, n_fresh = len(first), len(fresh)
    sources = tuple(dict.fromkeys((*first.sources, *fresh.sources)))
    scores = np.full((n_first + n_fresh, len(sources)), np.nan, dtype=np.float32)
    scores[:n_first, [sources.index(name) for name in first.sources]] = first.scores
    scores[n_first:, [sources.index(name) for name in fresh.sources]] = fresh.scores
    floor = first.fused.min() if n_first else np.float32(0.0)
    below = floor - np.arange(1, n_fresh + 1, dtype=np.float32)
    return Candidates(
        np.concatenate([first.item_rows, fresh.item_rows]), scores, sources, np.concatenate([first.fused, below])
    )


def describe(
    requests: Sequence[Request], candidates: Sequence[Candidates], in_service: InService, degraded: Degraded
) -> Sequence[Features | None]:
    """What is known of each candidate, as numbers; None where nothing can be said."""
    statistics = in_service.statistics
    nothing = [None] * len(requests)
    if statistics is None:
        return nothing
    return degraded.guard(STATISTICS, lambda: statistics.describe(requests, candidates), otherwise=lambda: nothing)


def rank(
    requests: Sequence[Request],
    candidates: Sequence[Candidates],
    features: Sequence[Features | None],
    in_service: InService,
    fallback: Predict,
    degraded: Degraded,
) -> list[Outcomes]:
    """What each candidate would bring; by the fused score where no ranker was trained, or where it fails."""
    ranker = in_service.ranker
    known = [table for table in features if table is not None]

    def by_fused_score() -> list[Outcomes]:
        return fallback.predict(requests, candidates, known)

    if ranker is None or len(known) < len(requests):
        return by_fused_score()
    return degraded.guard(RANKER, lambda: ranker.predict(requests, candidates, known), otherwise=by_fused_score)


def stamp(slate: Slate, config: PlacementConfig, in_service: InService) -> Slate:
    """Write the versions of the sources that answered into the slate."""
    versions = in_service.versions
    used = {name: versions[name] for name in (*config.sources, *config.backfill, STATISTICS) if name in versions}
    return replace(slate, versions={**used, **slate.versions})
