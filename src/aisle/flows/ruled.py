"""Query rules in a request: what they make of the query, what they ask of the list, and what the answer says of them.

Enters: the published rules and a question. Leaves: another query, other limits, and ``Steering``. What rules ask is
looked up here, in rows; the policy sees to pins and weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import RecordStore, Rows
from aisle.domain import NO_VALUE, Candidates, Catalogue, Filters, Query, Request, Response
from aisle.domain.catalogue import Names
from aisle.domain.steering import UNSTEERED, ItemSet, PinnedRow, Steering
from aisle.flows.asks import Ask
from aisle.flows.degraded import Degraded
from aisle.flows.stages import Stages
from aisle.merchandising import CompiledRules, Situation
from aisle.merchandising.compiled import NO_RULING, Ruling
from aisle.settings import PlacementConfig
from aisle.wire.rules import Narrow, Target

QUERY_RULES = "query-rules"
"""What an answer lacks whose rules could not be read, and the name of their version in a slate."""
MOST_WEIGHT = 1e6
"""What all boosts of one item come to at most, and its inverse what all that bury it do."""


def by_rules(
    placement: str, config: PlacementConfig, ask: Ask, query: Query | None, now_ms: int, stages: Stages
) -> tuple[Ruling, Filters, Steering]:
    """What the published rules make of a question: of its text, of its limits, and of the list."""
    ruling, version = rule_on(placement, config, ask, query, now_ms, stages.published_rules())
    return ruling, narrowed(ask.filters, ruling, stages.catalogue), steering_of(ruling, version, stages.catalogue)


def rule_on(
    placement: str, config: PlacementConfig, ask: Ask, query: Query | None, now_ms: int, rules: CompiledRules
) -> tuple[Ruling, int]:
    """What the rules make of a question, and their version."""
    if not len(rules):
        return NO_RULING, rules.version
    language = ask.context.language or (query.language if query else None)
    kinds = ask.filters.kinds or config.kinds
    situation = Situation(placement, now_ms, language, ask.filters.categories, tuple(map(str, kinds)))
    return rules.rule_on(query.effective if query else None, situation), rules.version


def kept_by_rules(
    placement: str, config: PlacementConfig, ask: Ask, query: Query | None, now_ms: int, stages: Stages
) -> Query | None:
    """The query as it was typed, where a rule speaks of it so: what the shop has rules for is no mistake."""
    if query is None or query.spelling is None or not query.spelling.is_searched:
        return query
    spelling = query.spelling
    typed = None if spelling.typed == query.text else spelling.typed
    as_typed = replace(query, corrected=typed, spelling=replace(spelling, is_searched=False))
    ruling, _ = rule_on(placement, config, ask, as_typed, now_ms, stages.published_rules())
    respelled, _ = rule_on(placement, config, ask, query, now_ms, stages.published_rules())
    return as_typed if set(ruling.rule_ids) - set(respelled.rule_ids) else query


def ruled(query: Query | None, ruling: Ruling, read: Callable[[str], Query]) -> Query | None:
    """The query with what the rules make of its text; what is guessed is then what ``read`` guesses of that.

    The price stays what was typed: rules see a query after its price was read.
    """
    if query is None or (ruling.text is None and not ruling.synonyms):
        return query
    if ruling.text is None:
        return replace(query, synonyms=ruling.synonyms)
    told = read(ruling.text)
    return replace(
        told,
        text=query.text,
        corrected=ruling.text,
        price=query.price,
        synonyms=ruling.synonyms,
        spelling=query.spelling,
        is_as_typed=query.is_as_typed,
    )


def narrowed(asked: Filters, ruling: Ruling, catalogue: Catalogue) -> Filters:
    """The caller's filters with the rules' limits where he sets none of the same sort; the first rule goes first.

    Names that no item has limit nothing.
    """
    filters = asked
    for limit in ruling.limits:
        filters = replace(filters, **_open_limits(filters, limit, catalogue))
    return filters


def _open_limits(filters: Filters, limit: Narrow, catalogue: Catalogue) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, names, values in (
        ("categories", catalogue.categories, limit.categories),
        ("brands", catalogue.brands, limit.brands),
    ):
        known = tuple(value for value in values if names.find(value) != NO_VALUE)
        if known and not getattr(filters, name):
            found[name] = known
    if filters.min_price_minor is None and filters.max_price_minor is None:
        found |= {"min_price_minor": limit.min_price_minor, "max_price_minor": limit.max_price_minor}
    return found


def steering_of(ruling: Ruling, version: int, catalogue: Catalogue) -> Steering:
    """What the rules ask of the list, in rows; names that the shop does not have are passed over."""
    if not ruling.rule_ids:
        return UNSTEERED
    rows = [catalogue.row(placing.item_id) for placing in ruling.placings]
    pins = [
        PinnedRow(row, placing.position - 1, placing.rule_id)
        for row, placing in zip(rows, ruling.placings, strict=True)
        if row != NO_VALUE
    ]
    unknown = {placing.rule_id for placing in ruling.placings} - {pin.rule_id for pin in pins}
    hidden = [item_set(target, catalogue) for target in ruling.hidden]
    return Steering(
        rule_ids=tuple(rule_id for rule_id in ruling.rule_ids if rule_id not in unknown),
        version=version,
        redirect=ruling.redirect,
        pins=tuple(pins),
        hidden=_marked(hidden, ruling.hidden, catalogue),
        left_out=tuple(ItemSet(attributes=one.attributes) for one in hidden if one.attributes),
        factors=tuple((item_set(target, catalogue), factor) for target, factor in ruling.weights),
        weighing=frozenset(ruling.weighing),
    )


def item_set(target: Target, catalogue: Catalogue) -> ItemSet:
    """The codes of what a rule names."""
    return ItemSet(
        frozenset(row for row in map(catalogue.row, target.item_ids) if row != NO_VALUE),
        _codes(catalogue.brands, target.brands),
        _codes(catalogue.categories, target.categories),
        frozenset((one.name, one.value) for one in target.attributes),
    )


def _codes(names: Names, values: Sequence[str]) -> frozenset[int]:
    return frozenset(code for code in map(names.find, values) if code != NO_VALUE)


def _marked(sets: Sequence[ItemSet], targets: Sequence[Target], catalogue: Catalogue) -> NDArray[np.bool_] | None:
    """Items of ``sets``, attributes aside, among all; None where there are none. (n_items,) bool, O(n_items)."""
    if not any(one.item_rows or one.brands or one.categories for one in sets):
        return None
    brands = catalogue.column("brand")
    marked = np.zeros(len(brands), dtype=np.bool_)
    for one, target in zip(sets, targets, strict=True):
        marked[[row for row in one.item_rows if row < len(marked)]] = True
        if one.brands:
            marked |= np.isin(brands, list(one.brands))
        for path in target.categories if one.categories else ():
            of_path = catalogue.in_category(path)[: len(marked)]
            marked[: len(of_path)] |= of_path
    return marked


def steered(
    requests: Sequence[Request], candidates: Sequence[Candidates], stages: Stages, degraded: Degraded
) -> tuple[list[Request], list[Candidates]]:
    """Requests with the weights of what was found for them, and that without what rules leave out.

    Attributes are read from the records, which takes some milliseconds, and only where a rule that acts names them.
    """
    steered_requests, kept = list(requests), list(candidates)
    for place, (request, found) in enumerate(zip(requests, candidates, strict=True)):
        if not (request.steering.factors or request.steering.left_out) or not len(found):
            continue

        def weigh(request: Request = request, found: Candidates = found) -> tuple[Request, Candidates]:
            return _steered(request, found, stages.catalogue, stages.records)

        steered_requests[place], kept[place] = degraded.guard(
            QUERY_RULES, weigh, otherwise=lambda request=request, found=found: (request, found)
        )
    return steered_requests, kept


def _steered(
    request: Request, found: Candidates, catalogue: Catalogue, records: RecordStore
) -> tuple[Request, Candidates]:
    steering = request.steering
    needs = [*steering.left_out, *(one for one, _ in steering.factors)]
    wanted = frozenset[tuple[str, str]]().union(*(one.attributes for one in needs))
    attributes = _attributes(found.item_rows, wanted, catalogue, records) if wanted else None
    if steering.left_out:
        gone = np.any([_members(one, found.item_rows, catalogue, attributes) for one in steering.left_out], axis=0)
        found = found.keep(~gone)
    weight = np.ones(len(found))
    for one, factor in steering.factors:
        weight[_members(one, found.item_rows, catalogue, attributes)] *= factor
    rows, weights = found.item_rows.tolist(), weight.clip(1 / MOST_WEIGHT, MOST_WEIGHT).tolist()
    of_rows = {row: one for row, one in zip(rows, weights, strict=True) if one != 1.0}
    return replace(request, steering=replace(steering, weights=of_rows)), found


def _attributes(
    rows: Rows, wanted: frozenset[tuple[str, str]], catalogue: Catalogue, records: RecordStore
) -> dict[int, frozenset[tuple[str, str]]]:
    """Which of ``wanted`` each of ``rows`` has."""
    found: dict[int, frozenset[tuple[str, str]]] = {}
    for item in records.read_items(catalogue.ids(rows)):
        pairs = {(name, value) for name, values in item.attributes.items() for value in values}
        found[catalogue.row(item.item_id)] = wanted & pairs
    return found


def _members(
    of: ItemSet, rows: Rows, catalogue: Catalogue, attributes: dict[int, frozenset[tuple[str, str]]] | None
) -> NDArray[np.bool_]:
    """Which of ``rows`` (k,) belong to the set. (k,) bool"""
    member = np.isin(rows, list(of.item_rows))
    if of.brands:
        member |= np.isin(catalogue.column("brand")[rows], list(of.brands))
    if of.categories:
        leaves = catalogue.column("category")[rows].tolist()
        member |= [leaf != NO_VALUE and not of.categories.isdisjoint(catalogue.ancestors(leaf)) for leaf in leaves]
    if of.attributes and attributes is not None:
        member |= [not of.attributes.isdisjoint(attributes.get(row, ())) for row in rows.tolist()]
    return member


def said(response: Response, request: Request) -> Response:
    """The answer with the rules that acted and where they lead; in another order than relevance none weighs."""
    steering = request.steering
    if not steering.rule_ids:
        return response
    placed = {slot.placed_by for slot in response.slate.slots}
    idle = {pin.rule_id for pin in steering.pins} - placed
    if request.sort != "relevance":
        idle |= steering.weighing
    acted = tuple(rule_id for rule_id in steering.rule_ids if rule_id not in idle)
    return replace(response, rules=acted, redirect=steering.redirect)
