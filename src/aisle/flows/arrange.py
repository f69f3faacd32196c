"""The order in which what was found is listed: by relevance, by a property of items, or as an earlier page pinned it.

Enters: requests and what was found for each. Leaves: ``Arranged``: what is listed, variants of a group gathered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aisle.decision import utilities
from aisle.domain import NO_VALUE, Candidates, Catalogue, Outcomes, Request, Slate, Sort, allowed_mask
from aisle.domain.attributes import NO_PAIR
from aisle.flows.asks import Ask
from aisle.flows.degraded import Degraded
from aisle.flows.paging import Page, write_cursor
from aisle.flows.stages import Stages, known_statistics
from aisle.settings import PlacementConfig

N_SORTED = 1_000
"""Candidates asked of each source for an order other than relevance: the cheapest may be far down."""


@dataclass(frozen=True)
class Arranged:
    """What is listed of one request. ``policy`` names the order that is to be kept as it is; None leaves it open.

    ``n_more`` has, by row, how many further variants of an item's group were found that are not listed.
    """

    candidates: Candidates
    n_found: int
    policy: str | None = None
    n_more: Mapping[int, int] | None = None


def wide_enough(requests: Sequence[Request], config: PlacementConfig) -> PlacementConfig:
    """The placement's settings, with more candidates where a list is put into another order."""
    if all(request.sort == "relevance" for request in requests):
        return config
    return config.model_copy(update={"n_candidates": max(config.n_candidates, N_SORTED)})


def arrange(
    requests: Sequence[Request],
    found: Sequence[Candidates],
    pages: Sequence[Page | None],
    config: PlacementConfig,
    stages: Stages,
    degraded: Degraded,
) -> list[Arranged]:
    """What is listed of each request, in order.

    Of a group (``config.group``) the first ``config.group_most`` stay. A further page shows what its cursor pinned, but
    for what may not be shown any more.
    """
    return degraded.guard(
        "arrange",
        lambda: [_arrange(*one, config, stages) for one in zip(requests, found, pages, strict=True)],
        otherwise=lambda: [Arranged(of, len(of)) for of in found],
    )


def _arrange(
    request: Request, found: Candidates, page: Page | None, config: PlacementConfig, stages: Stages
) -> Arranged:
    catalogue = stages.catalogue
    policy = None
    if page is not None:
        listed, policy = pinned(page, found, request, catalogue.n_items), "page"
    else:
        listed = found
        if request.sort != "relevance":
            listed, policy = ordered(found, sort_keys(request.sort, found.item_rows, stages)), f"sort-{request.sort}"
    n_found = len(listed) if page is None else page.n_found
    if config.group is None:
        return Arranged(listed, n_found, policy)
    if page is None:
        n_before = len(listed)
        listed = first_of_group(listed, catalogue, config)
        n_found -= n_before - len(listed)
    return Arranged(listed, n_found, policy, further_variants(listed, found, catalogue, config))


def sort_keys(sort: Sort, rows: NDArray[np.int64], stages: Stages) -> NDArray[np.float64]:
    """What ``rows`` are ordered by, ascending; (n,) float64, inf for what has no such property.

    Raises:
        NotReadyError: ratings or popularity are asked for, and nobody counts them.
    """
    catalogue = stages.catalogue
    match sort:
        case "price-up" | "price-down":
            prices, currencies = catalogue.column("price_minor")[rows], catalogue.column("currency")[rows]
            is_ours = (currencies == NO_VALUE) | (currencies == catalogue.currencies.find(stages.currency))
            return _or_last(prices if sort == "price-up" else -prices, (prices != NO_VALUE) & is_ours)
        case "newest":
            created = catalogue.column("created_ms")[rows]
            return _or_last(-created, created != NO_VALUE)
        case "rating":
            ratings = known_statistics(stages.lineup).mean_ratings(rows)
            return _or_last(-ratings, np.isfinite(ratings))
        case "popularity":
            return -known_statistics(stages.lineup).popularity(rows).astype(np.float64)
        case "relevance":
            return np.zeros(len(rows))


def _or_last(keys: NDArray, is_known: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(is_known, keys, np.inf).astype(np.float64)


def ordered(found: Candidates, keys: NDArray[np.float64]) -> Candidates:
    """``found`` by ascending ``keys`` (n,), ties as they stood."""
    return _in_order(found, np.argsort(keys, kind="stable"))


def pinned(page: Page, found: Candidates, request: Request, n_items: int) -> Candidates:
    """What a page has left, with the scores of what is found again; what may not be shown any more is left out."""
    rows = page.rows[page.rows < n_items]
    rows = rows[allowed_mask(request, n_items)[rows]]
    scores = np.full((len(rows), len(found.sources)), np.nan, dtype=np.float32)
    place_of = {row: place for place, row in enumerate(found.item_rows.tolist())}
    places = np.array([place_of.get(row, -1) for row in rows.tolist()], dtype=np.int64)
    scores[places >= 0] = found.scores[places[places >= 0]]
    listed = Candidates(rows, scores, found.sources, np.zeros(len(rows), dtype=np.float32))
    return _in_order(listed, np.arange(len(rows)))


def _in_order(found: Candidates, order: NDArray[np.int64]) -> Candidates:
    """The candidates at ``order``, with scores that say no more than this order."""
    fused = np.arange(len(order), 0, -1, dtype=np.float32)
    return Candidates(found.item_rows[order], found.scores[order], found.sources, fused)


def first_of_group(listed: Candidates, catalogue: Catalogue, config: PlacementConfig) -> Candidates:
    """Without what comes after the first ``config.group_most`` of its group; what is in no group stays."""
    groups = _groups(listed.item_rows, catalogue, config)
    order = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[order], groups[order])
    n_earlier = np.empty(len(groups), dtype=np.int64)
    n_earlier[order] = np.arange(len(groups)) - first
    return listed.keep((groups == NO_PAIR) | (n_earlier < config.group_most))


def further_variants(
    listed: Candidates, found: Candidates, catalogue: Catalogue, config: PlacementConfig
) -> dict[int, int]:
    """By listed row, how many of its group were found and are not listed; nothing for what is in no group."""
    groups, n_each = np.unique(_groups(found.item_rows, catalogue, config), return_counts=True)
    n_of = dict(zip(groups.tolist(), n_each.tolist(), strict=True))
    of_listed = _groups(listed.item_rows, catalogue, config).tolist()
    return {
        row: max(n_of.get(group, 0) - config.group_most, 0)
        for row, group in zip(listed.item_rows.tolist(), of_listed, strict=True)
        if group != NO_PAIR
    }


def _groups(rows: NDArray[np.int64], catalogue: Catalogue, config: PlacementConfig) -> NDArray[np.int64]:
    return catalogue.attributes.first_of(config.group or "", rows)


def next_cursor(
    placement: str,
    ask: Ask,
    request: Request,
    arranged: Arranged,
    page: Page | None,
    slate: Slate,
    shortlist: Candidates,
    outcomes: Outcomes,
    config: PlacementConfig,
    catalogue: Catalogue,
) -> str | None:
    """What asks for the items after ``slate``: in the order that was kept, or by utility; None at the end."""
    rows = arranged.candidates.item_rows
    if arranged.policy is None:
        utility = request.steering.weighed(utilities(outcomes, config), shortlist.item_rows)
        by_utility = np.argsort(-utility, kind="stable")
        rows = np.concatenate([shortlist.item_rows[by_utility], rows[len(shortlist) :]])
    left = rows[~np.isin(rows, catalogue.rows(slate.item_ids))]
    before = page or Page(left, 0, arranged.n_found, slate.time_ms // 1_000)
    return write_cursor(placement, ask, replace(before, rows=left, n_before=before.n_before + len(slate.slots)))
