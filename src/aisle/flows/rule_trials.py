"""What rules would change: the list of a query with those that count, and with others, side by side.

Enters: a question and two sets of rules. Leaves: a ``Trial``. Nothing is written down and nothing is left to chance.
"""

from __future__ import annotations

from dataclasses import replace

from aisle.domain import Response
from aisle.flows.asks import Ask, all_answered
from aisle.flows.quiet import quiet
from aisle.flows.search import search
from aisle.flows.stages import Stages
from aisle.merchandising import CompiledRules
from aisle.wire.rules import Move, Trial, TriedList


def try_rules(ask: Ask, stages: Stages, published: CompiledRules, draft: CompiledRules) -> Trial:
    """The lists of ``ask`` with both sets of rules, and what moves. Raises ``DataError`` for a wrong question."""
    before, after = (_listed(ask, stages, rules) for rules in (published, draft))
    places = [{item_id: place for place, item_id in enumerate(one.item_ids, 1)} for one in (before, after)]
    item_ids = dict.fromkeys((*after.item_ids, *before.item_ids))
    moves = [
        Move(item_id=item_id, before=places[0].get(item_id), after=places[1].get(item_id))
        for item_id in item_ids
        if places[0].get(item_id) != places[1].get(item_id)
    ]
    return Trial(published=before, draft=after, moves=tuple(moves))


def _listed(ask: Ask, stages: Stages, rules: CompiledRules) -> TriedList:
    quietly = replace(quiet(stages), published_rules=lambda: rules)
    response: Response = all_answered(search([ask], quietly))[0]
    return TriedList(
        item_ids=response.item_ids,
        rules=response.rules,
        searched=response.searched or response.slate.query or "",
        redirect=response.redirect,
    )
