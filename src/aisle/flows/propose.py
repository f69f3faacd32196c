"""From requests to candidates: a placement's sources asked beside each other, fused, and short lists topped up.

Enters: requests and the parts in service. Leaves: ``Candidates`` of each request. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aisle.domain import NO_VALUE, Candidates, Catalogue, Request, allowed_mask
from aisle.flows.degraded import Degraded
from aisle.flows.meant import meant_first
from aisle.flows.stages import Fuse, InService
from aisle.flows.watch import Watch
from aisle.settings import PlacementConfig

SOURCES_BY, FUSION_BY, BACKFILL_BY = 0.6, 0.7, 0.8
"""Shares of the time for the answer by which each must be done."""


def propose(
    requests: Sequence[Request],
    config: PlacementConfig,
    catalogue: Catalogue,
    in_service: InService,
    fuse: Fuse,
    degraded: Degraded,
    watch: Watch,
) -> list[Candidates]:
    """Ask the placement's sources, fuse what they found, top short lists up, and put what the query names first."""
    n = max(config.n_candidates, *(request.size for request in requests))
    with watch.timing("retrieve"):
        found = retrieve(config.sources, requests, n, in_service, degraded, SOURCES_BY)
    with watch.timing("fuse"):
        candidates = degraded.attempt(
            "fusion",
            FUSION_BY,
            lambda: fuse(requests, found, config.fusion, in_service.scorers),
            otherwise=lambda: list(next(iter(found.values()), [Candidates.empty() for _ in requests])),
        )
    candidates = [
        meant_first(request, beside(request, of, config, catalogue), config.guesses, catalogue)
        for request, of in zip(requests, candidates, strict=True)
    ]
    for name in config.backfill:
        short = [i for i, request in enumerate(requests) if len(candidates[i]) < request.size]
        if not short:
            break
        with watch.timing("backfill"):
            asked = [requests[i] for i in short]
            extra = retrieve((name,), asked, n, in_service, degraded, BACKFILL_BY).get(name)
        for position, i in enumerate(short):
            if extra is not None:
                more = beside(requests[i], extra[position], config, catalogue)
                candidates[i] = behind(candidates[i], more, requests[i].size)
    return [with_named(request, of) for request, of in zip(requests, candidates, strict=True)]


def beside(request: Request, candidates: Candidates, config: PlacementConfig, catalogue: Catalogue) -> Candidates:
    """With less for what could replace the items that the list is about: those of their deepest category."""
    if config.same_category == 1.0 or not len(request.anchor_rows) or not len(candidates):
        return candidates
    leaf = catalogue.column("category")
    replaces = np.isin(leaf[candidates.item_rows], leaf[request.anchor_rows]) & (leaf[candidates.item_rows] != NO_VALUE)
    weight = np.where(replaces & (candidates.fused > 0), np.float32(config.same_category), np.float32(1.0))
    fused = candidates.fused * weight
    order = np.lexsort((candidates.item_rows, -fused))
    return Candidates(candidates.item_rows[order], candidates.scores[order], candidates.sources, fused[order])


def with_named(request: Request, candidates: Candidates) -> Candidates:
    """The items that the query names by their id, or that rules pin, before all others, if they may be shown.

    No source needs to know them.
    """
    named = request.wanted_rows
    if not len(named):
        return candidates
    named = named[allowed_mask(request, int(named.max()) + 1)[named]]
    is_named = np.isin(candidates.item_rows, named)
    found, others = candidates.keep(is_named), candidates.keep(~is_named)
    missing = named[~np.isin(named, found.item_rows)]
    unknown = np.full((len(missing), len(candidates.sources)), np.nan, dtype=np.float32)
    ceiling = candidates.fused.max() if len(candidates) else np.float32(0.0)
    n_first = len(found) + len(missing)
    return Candidates(
        np.concatenate([found.item_rows, missing, others.item_rows]),
        np.concatenate([found.scores, unknown, others.scores]),
        candidates.sources,
        np.concatenate([ceiling + np.arange(n_first, 0, -1, dtype=np.float32), others.fused]),
    )


def retrieve(
    names: Sequence[str],
    requests: Sequence[Request],
    n: int,
    in_service: InService,
    degraded: Degraded,
    by_share: float,
) -> dict[str, list[Candidates]]:
    """What each source proposes; one that is missing, fails or is late is named and left out."""
    sources = in_service.sources
    for name in names:
        if name not in sources:
            degraded.miss(name)
    works = {name: lambda source=sources[name]: source.retrieve(requests, n) for name in names if name in sources}
    return degraded.attempt_sources(by_share, works)


def behind(first: Candidates, second: Candidates, size: int) -> Candidates:
    """``first``, then what of ``second`` is new, until ``size`` is reached.

    Fused scores go on just below the first's, in a tenth of their spread: what fills a list up must not make the
    differences above it look small to whoever weighs scores.
    """
    fresh = second.keep(~np.isin(second.item_rows, first.item_rows)).best(size - len(first))
    n_first, n_fresh = len(first), len(fresh)
    sources = tuple(dict.fromkeys((*first.sources, *fresh.sources)))
    scores = np.full((n_first + n_fresh, len(sources)), np.nan, dtype=np.float32)
    scores[:n_first, [sources.index(name) for name in first.sources]] = first.scores
    scores[n_first:, [sources.index(name) for name in fresh.sources]] = fresh.scores
    floor, spread = (first.fused.min(), np.ptp(first.fused)) if n_first else (np.float32(0.0), np.float32(0.0))
    step = (spread if spread > 0 else np.float32(1.0)) / (10 * max(n_fresh, 1))
    below = floor - step * np.arange(1, n_fresh + 1, dtype=np.float32)
    return Candidates(
        np.concatenate([first.item_rows, fresh.item_rows]), scores, sources, np.concatenate([first.fused, below])
    )
