"""What is shown where nothing was found: the question made wider, step by step, and what was given up for it.

Enters: requests for which nothing was found. Leaves: candidates of the first step that finds any, and ``Relaxed``,
which says what that step was. Steps, in order: fewer words of the query; filters left out, one by one, then together;
what is nearest in meaning although no source vouches for it; what is popular in the category that the query means.
Limits of the placement, kinds, and what the caller excluded are never given up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aisle.domain import NO_VALUE, Candidates, Filters, Relaxed, Request, allowed_mask
from aisle.flows.degraded import Degraded
from aisle.flows.paging import Page
from aisle.flows.propose import propose
from aisle.flows.stages import InService, Stages
from aisle.flows.watch import Watch
from aisle.language.analysis import word_starts
from aisle.settings import FloorConfig, PlacementConfig

MOST_WORDS = 5
"""Of a query with more words either half is left out; of a shorter one each word."""
NEAR = 0.6
"""Share of the score from which on a source vouches that makes a neighbour in meaning."""
N_NEAREST = 10
"""Nearest items that are asked which category the query means."""
FILTERS: Mapping[str, Mapping[str, Any]] = {
    "attributes": {"attributes": {}},
    "rating": {"min_rating": None},
    "price": {"min_price_minor": None, "max_price_minor": None},
    "sellers": {"sellers": ()},
    "brands": {"brands": ()},
    "categories": {"categories": ()},
}
"""The caller's filters in the order in which they are given up."""

Step = tuple[Relaxed, Request]
Found = tuple[Candidates, Relaxed]


class Relaxing:
    """Widens requests of one answer."""

    def __init__(
        self, config: PlacementConfig, stages: Stages, in_service: InService, degraded: Degraded, watch: Watch
    ) -> None:
        self._config = config
        self._stages = stages
        self._in_service = in_service
        self._degraded = degraded
        self._watch = watch

    def relax_empty(
        self, requests: Sequence[Request], found: Sequence[Candidates], pages: Sequence[Page | None]
    ) -> tuple[list[Candidates], list[Relaxed | None]]:
        """``found``, with other candidates where there were none, and how they came about; further pages stay."""
        candidates = list(found)
        told: list[Relaxed | None] = [None] * len(found)
        for place, (request, of, page) in enumerate(zip(requests, found, pages, strict=True)):
            if len(of) or page is not None or not self._config.is_relaxed_when_empty:
                continue
            with self._watch.timing("relax"):
                wider = self._degraded.guard(
                    "relax", lambda request=request: self.relax(request), otherwise=lambda: None
                )
            if wider is not None:
                candidates[place], told[place] = wider
        return candidates, told

    def relax(self, request: Request) -> Found | None:
        """What the first step that finds anything finds; None without a query, and where there is nothing to show."""
        if request.query is None or not request.query.text:
            return None
        if not request.query.effective:  # nothing but limits was typed
            return self._popular(request, None)
        for steps in (fewer_words(request), self._fewer_filters(request)):
            found = self._first(list(steps))
            if found is not None:
                return found
        return self._nearest(request)

    def _first(self, steps: Sequence[Step]) -> Found | None:
        """Of ``steps``, asked together, the first of the shortest that give up least and find anything.

        Of queries without a word that is the one whose items fit best.
        """
        if not steps:
            return None
        found = self._propose([request for _, request in steps], self._config)
        filled = [(place, of) for place, of in enumerate(found) if len(of)]
        if not filled:
            return None
        by_fit = steps[0][0].step == "words"
        place, of = max(filled, key=lambda pair: (_fit(pair[1]) if by_fit else 0.0, -pair[0]))
        return of, steps[place][0]

    def _fewer_filters(self, request: Request) -> Iterator[Step]:
        given = [name for name, without in FILTERS.items() if replace(request.filters, **without) != request.filters]
        together = [given[:n] for n in range(2, len(given) + 1)]
        for names in [*([name] for name in given), *together]:
            yield Relaxed("filters", dropped_filters=tuple(names)), self._without(request, names)

    def _without(self, request: Request, names: Sequence[str]) -> Request:
        filters = _lifted(request.filters, names)
        return replace(
            request,
            filters=filters,
            allowed=request.steering.limited(self._stages.rules.allowed(filters, request.now_ms)),
        )

    def _nearest(self, request: Request) -> Found | None:
        """Neighbours in meaning, or what is popular in the category of the nearest ones."""
        fusion = self._config.fusion
        open_to_all = self._config.model_copy(update={"fusion": fusion.model_copy(update={"floors": {}})})
        [nearest] = self._propose([request], open_to_all)
        near = nearest.keep(_is_near(nearest, fusion.floors))
        if len(near):
            return near, Relaxed("neighbours")
        return self._popular(request, self._meant_category(nearest))

    def _popular(self, request: Request, category: str | None) -> Found | None:
        stages, dropped = self._stages, ()
        mask = allowed_mask(request, stages.catalogue.n_items)
        if not mask.any():
            dropped = tuple(
                n for n, without in FILTERS.items() if replace(request.filters, **without) != request.filters
            )
            mask = allowed_mask(self._without(request, dropped), stages.catalogue.n_items)
        within = mask if category is None else mask & stages.catalogue.in_category(category)[: len(mask)]
        rows = np.flatnonzero(within if within.any() else mask)
        if not len(rows):
            return None
        statistics = self._in_service.statistics
        popularity = np.zeros(len(rows), np.float32) if statistics is None else statistics.popularity(rows)
        found = Candidates.of_one("popular", rows, popularity).best(self._config.n_candidates)
        told = category if within.any() else None
        return found, Relaxed("popular", category=told, dropped_filters=dropped)

    def _meant_category(self, nearest: Candidates) -> str | None:
        """The deepest category that at least half of the nearest items lie in; None where they agree in none."""
        catalogue = self._stages.catalogue
        leaves = catalogue.column("category")[nearest.item_rows[:N_NEAREST]]
        nodes = Counter(node for leaf in leaves.tolist() if leaf != NO_VALUE for node in catalogue.ancestors(leaf))
        shared = [node for node, n in nodes.items() if 2 * n >= len(leaves)]
        deepest = max(shared, key=lambda node: (len(catalogue.ancestors(node)), nodes[node]), default=None)
        return None if deepest is None else catalogue.categories.values[deepest]

    def _propose(self, requests: Sequence[Request], config: PlacementConfig) -> list[Candidates]:
        stages = self._stages
        return propose(requests, config, stages.catalogue, self._in_service, stages.fuse, self._degraded, self._watch)


def count_over(
    found: Sequence[Candidates], shown: Sequence[Candidates], relaxed: Sequence[Relaxed | None]
) -> list[Candidates]:
    """What facets are counted over: what is shown, but where filters were given up what was found within them.

    Counts then say what another choice would find, and the chosen values stay the ones that found nothing.
    """
    return [
        strict if how is not None and how.step == "filters" else of
        for strict, of, how in zip(found[: len(shown)], shown, relaxed, strict=True)
    ]


def fewer_words(request: Request) -> Iterator[Step]:
    """The query without each of its words; of one with more than ``MOST_WORDS``, without either half."""
    if request.query is None:
        return
    text = request.query.effective
    starts = word_starts(text)
    if len(starts) < 2:
        return
    pieces = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    half = len(pieces) // 2
    dropped = (
        [range(place, place + 1) for place in range(len(pieces))]
        if len(pieces) <= MOST_WORDS
        else [range(half, len(pieces)), range(half)]
    )
    for places in dropped:
        kept = "".join(piece for place, piece in enumerate(pieces) if place not in places).strip()
        words = tuple(pieces[place].strip() for place in places)
        yield (
            Relaxed("words", query=kept, dropped_words=words),
            replace(request, query=replace(request.query, corrected=kept)),
        )


def _lifted(filters: Filters, names: Sequence[str]) -> Filters:
    for name in names:
        filters = replace(filters, **FILTERS[name])
    return filters


def _fit(found: Candidates) -> float:
    """How well the items fit: the best score of each source, added up."""
    return float(np.nan_to_num(found.scores, nan=0.0).max(axis=0).sum())


def _is_near(nearest: Candidates, floors: Mapping[str, FloorConfig]) -> np.ndarray:
    """(n,) bool: which candidates have ``NEAR`` of the score from which on a source would vouch for them."""
    near = np.zeros(len(nearest), dtype=np.bool_)
    for name, column in zip(nearest.sources, nearest.scores.T, strict=True):
        floor = floors.get(name)
        if floor is not None and floor.least:
            near |= np.nan_to_num(column, nan=-np.inf) >= NEAR * floor.least
    return near
