"""From questions to lists, one stage a line; search and recommend differ only in how the question is understood.

Enters: asks and a placement. Leaves: responses whose slates are written down. Several asks are answered together, which
costs far less than one by one. A part that fails or is late is left out and named; the list still comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aisle.decision import plain_slate, unpredicted
from aisle.domain import Candidates, Facets, Features, Outcomes, Query, Relaxed, Request, Response, Slate
from aisle.errors import AisleError
from aisle.flows.arrange import arrange, wide_enough
from aisle.flows.asks import Ask
from aisle.flows.degraded import Degraded
from aisle.flows.facets import Widened, count_facets, widened
from aisle.flows.paging import Page, read_cursor
from aisle.flows.propose import propose
from aisle.flows.relax import Relaxing, count_over
from aisle.flows.respond import Shown, respond
from aisle.flows.ruled import QUERY_RULES, steered
from aisle.flows.stages import RANKER, STATISTICS, InService, Predict, Stages
from aisle.flows.understand import understand
from aisle.flows.watch import Watch
from aisle.settings import PlacementConfig

STATISTICS_BY, RANKER_BY, POLICY_BY, FACETS_BY = 0.85, 0.95, 1.0, 1.0
"""Shares of the time for the answer by which each must be done."""
LATEST_EVENTS = "latest-events"
"""What an answer lacks that could not wait for everything that was acknowledged before it."""
LONGEST_SECONDS = 60.0
"""Asks answered together may take the placement's timeout each, but no longer than this in all."""


def answer(
    placement: str, asks: Sequence[Ask], queries: Sequence[Query | AisleError | None], stages: Stages
) -> list[Response | AisleError]:
    """A response for each ask, its slate on its way into the records, or the error of an ask that is wrong.

    Raises:
        ConfigError: unknown placement.
    """
    if not asks:
        return []
    config = stages.placement(placement)
    watch = Watch(placement, stages.meter)
    in_service = stages.lineup.in_service
    seconds = max(config.timeout_ms / 1000.0, min(len(asks) * config.timeout_ms / 1000.0, LONGEST_SECONDS))
    degraded = Degraded(placement, stages.meter, stages.workers, watch, in_service.versions, seconds, stages.complaints)
    with watch.timing("catch_up"):
        degraded.guard_unhurried(LATEST_EVENTS, stages.catch_up, otherwise=lambda: None)
    with watch.timing("understand"):
        cursors = [read_cursor(placement, ask, stages.clock()) for ask in asks]
        queries = [
            page if isinstance(page, AisleError) else query for page, query in zip(cursors, queries, strict=True)
        ]
        understood = understand(placement, config, asks, queries, stages, degraded)
    requests = [one for one in understood if isinstance(one, Request)]
    if not requests:
        return [one for one in understood if isinstance(one, AisleError)]
    of_requests = [place for place, one in enumerate(understood) if isinstance(one, Request)]
    pages = [page if isinstance(page := cursors[place], Page) else None for place in of_requests]
    wants_facets = [asks[place].with_facets for place in of_requests]
    wider = degraded.guard("facets", lambda: widened(requests, wants_facets, stages.rules), otherwise=list)
    asked = [*requests, *(one.request for one in wider)]
    wide = wide_enough(requests, config)
    proposed = propose(asked, wide, stages.catalogue, in_service, stages.fuse, degraded, watch)
    relaxing = Relaxing(wide, stages, in_service, degraded, watch)
    candidates, relaxed = relaxing.relax_empty(requests, proposed[: len(requests)], pages)
    steered_requests, kept = steered(asked, [*candidates, *proposed[len(requests) :]], stages, degraded)
    requests, candidates = steered_requests[: len(requests)], kept[: len(requests)]
    counted = count_over(proposed, candidates, relaxed)
    facets = facets_of(wants_facets, counted, wider, kept[len(requests) :], stages, degraded, watch)
    arranged = arrange(requests, candidates, pages, config, stages, degraded)
    shortlists = [
        one.candidates.best(max(config.n_ranked, request.size) if one.policy is None else request.size)
        for request, one in zip(requests, arranged, strict=True)
    ]
    with watch.timing("describe"):
        features = describe(requests, shortlists, in_service, degraded)
    with watch.timing("rank"):
        outcomes = rank(requests, shortlists, features, in_service, stages.fallback, degraded)
    with watch.timing("decide"):
        policies = [one.policy for one in arranged]
        slates = decide(requests, shortlists, outcomes, features, policies, config, stages, degraded)
        slates = [
            stamp(slate, request, config, in_service, how)
            for slate, request, how in zip(slates, requests, relaxed, strict=True)
        ]
    with watch.timing("record"):
        degraded.guard("slate-log", lambda: stages.slates.put(slates), otherwise=lambda: None)
    parts = (
        [asks[place] for place in of_requests], requests, pages, arranged, relaxed, shortlists, outcomes, slates, facets
    )  # fmt: skip
    shown = [Shown(*one) for one in zip(*parts, strict=True)]
    responses = iter(respond(placement, shown, config, stages, in_service, degraded, watch))
    return [next(responses) if isinstance(one, Request) else one for one in understood]


def facets_of(
    wanted: Sequence[bool],
    candidates: Sequence[Candidates],
    wider: Sequence[Widened],
    found_wider: Sequence[Candidates],
    stages: Stages,
    degraded: Degraded,
    watch: Watch,
) -> list[Facets | None]:
    """Counts over what was found, for those who want them; ``found_wider`` is what was found for ``wider``."""
    nothing: list[Facets | None] = [None] * len(wanted)
    if not any(wanted):
        return nothing
    more: list[dict[str, Candidates]] = [{} for _ in wanted]
    for one, found in zip(wider, found_wider, strict=True):
        more[one.place][one.facet] = found

    statistics = stages.lineup.in_service.statistics
    ratings = None if statistics is None else statistics.mean_ratings

    def count() -> list[Facets | None]:
        return [
            count_facets(stages.catalogue, found, of_facet, stages.currency, ratings) if is_wanted else None
            for is_wanted, found, of_facet in zip(wanted, candidates, more, strict=True)
        ]

    with watch.timing("facets"):
        return degraded.attempt("facets", FACETS_BY, count, otherwise=lambda: nothing)


def describe(
    requests: Sequence[Request], candidates: Sequence[Candidates], in_service: InService, degraded: Degraded
) -> Sequence[Features | None]:
    """What is known of each candidate, as numbers; None where nothing can be said."""
    statistics = in_service.statistics
    nothing = [None] * len(requests)
    if statistics is None:
        return nothing
    return degraded.attempt(
        STATISTICS, STATISTICS_BY, lambda: statistics.describe(requests, candidates), otherwise=lambda: nothing
    )


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
    return degraded.attempt(
        RANKER, RANKER_BY, lambda: ranker.predict(requests, candidates, known), otherwise=by_fused_score
    )


def decide(
    requests: Sequence[Request],
    candidates: Sequence[Candidates],
    outcomes: Sequence[Outcomes],
    features: Sequence[Features | None],
    policies: Sequence[str | None],
    config: PlacementConfig,
    stages: Stages,
    degraded: Degraded,
) -> list[Slate]:
    """The slates; plain ones by the fused score where the policy fails, or where ``policies`` names an order that the
    candidates stand in already.
    """
    slate_ids = [stages.new_slate_id() for _ in requests]
    for name in dict.fromkeys(name for one in outcomes for name in unpredicted(one, config)):
        degraded.miss(f"objective.{name}")

    def by_policy() -> list[Slate]:
        return [
            stages.policy.select(request, found, outcome, config, slate_id, known)
            if kept is None
            else plain_slate(request, found, stages.catalogue, slate_id, kept)
            for request, found, outcome, known, kept, slate_id in zip(
                requests, candidates, outcomes, features, policies, slate_ids, strict=True
            )
        ]

    def plainly() -> list[Slate]:
        return [
            plain_slate(request, found, stages.catalogue, slate_id)
            for request, found, slate_id in zip(requests, candidates, slate_ids, strict=True)
        ]

    return degraded.attempt("policy", POLICY_BY, by_policy, otherwise=plainly)


def stamp(
    slate: Slate, request: Request, config: PlacementConfig, in_service: InService, relaxed: Relaxed | None
) -> Slate:
    """Write into the slate the versions of what answered, of query rules that acted, and how it was relaxed."""
    versions = in_service.versions
    used = {name: versions[name] for name in (*config.sources, *config.backfill, STATISTICS) if name in versions}
    if request.steering.rule_ids:
        used[QUERY_RULES] = str(request.steering.version)
    how = {} if relaxed is None else {"relaxed": relaxed.step}
    return replace(slate, versions={**used, **slate.versions, **how})
