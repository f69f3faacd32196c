"""What goes out with a list: the cursor of its next page, what was relaxed, highlights, further variants.

Enters: lists as they were decided. Leaves: responses. Nothing here changes a list; what fails is named and left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aisle.domain import Candidates, Facets, Highlight, Outcomes, Relaxed, Request, Response, Slate
from aisle.flows.arrange import Arranged, next_cursor
from aisle.flows.asks import Ask
from aisle.flows.degraded import Degraded
from aisle.flows.highlight import highlight
from aisle.flows.paging import Page
from aisle.flows.ruled import said
from aisle.flows.stages import InService, Stages
from aisle.flows.watch import Watch
from aisle.settings import PlacementConfig

HIGHLIGHTS_BY = 1.0
"""Share of the time for the answer by which highlights must be done."""


@dataclass(frozen=True)
class Shown:
    """One list, what it answers and how it came about."""

    ask: Ask
    request: Request
    page: Page | None
    """Where the list went on; None for a first page."""
    arranged: Arranged
    relaxed: Relaxed | None
    shortlist: Candidates
    outcomes: Outcomes
    slate: Slate
    facets: Facets | None


def respond(
    placement: str,
    shown: Sequence[Shown],
    config: PlacementConfig,
    stages: Stages,
    in_service: InService,
    degraded: Degraded,
    watch: Watch,
) -> list[Response]:
    """A response for each list."""
    cursors = degraded.guard(
        "cursor",
        lambda: [_cursor(placement, one, config, stages) for one in shown],
        otherwise=lambda: [None] * len(shown),
    )
    highlights = _highlights(shown, config, stages, in_service, degraded, watch)
    watch.finish(len(shown))
    responses = [
        Response(
            slate=one.slate,
            degraded=degraded.parts,
            n_found=one.arranged.n_found,
            timings_ms=watch.timings_ms,
            facets=one.facets,
            cursor=cursor,
            relaxed=one.relaxed,
            highlights=marked,
            n_more_variants=_further(one, stages),
            query=one.request.query,
        )
        for one, cursor, marked in zip(shown, cursors, highlights, strict=True)
    ]
    return [said(response, one.request) for response, one in zip(responses, shown, strict=True)]


def _cursor(placement: str, one: Shown, config: PlacementConfig, stages: Stages) -> str | None:
    if one.relaxed is not None:
        return None  # what stands in for an answer is one page
    return next_cursor(
        placement,
        one.ask,
        one.request,
        one.arranged,
        one.page,
        one.slate,
        one.shortlist,
        one.outcomes,
        config,
        stages.catalogue,
    )


def _highlights(
    shown: Sequence[Shown],
    config: PlacementConfig,
    stages: Stages,
    in_service: InService,
    degraded: Degraded,
    watch: Watch,
) -> list[Mapping[str, Highlight] | None]:
    nothing: list[Mapping[str, Highlight] | None] = [None] * len(shown)
    if not any(one.ask.with_highlights for one in shown):
        return nothing

    def mark() -> list[Mapping[str, Highlight] | None]:
        return [
            highlight(one.request, one.slate.item_ids, config.sources, in_service, stages)
            if one.ask.with_highlights
            else None
            for one in shown
        ]

    with watch.timing("highlight"):
        return degraded.attempt("highlights", HIGHLIGHTS_BY, mark, otherwise=lambda: nothing)


def _further(one: Shown, stages: Stages) -> Mapping[str, int] | None:
    if one.arranged.n_more is None:
        return None
    row_of = stages.catalogue.row
    n_more = one.arranged.n_more
    return {item_id: n_more[row] for item_id in one.slate.item_ids if (row := row_of(item_id)) in n_more}
