"""Answer recommendation requests, for any placement that needs no query."""

from __future__ import annotations

from collections.abc import Sequence

from aisle.domain import Response
from aisle.errors import AisleError
from aisle.flows.answer import answer
from aisle.flows.asks import Ask
from aisle.flows.stages import Stages


def recommend(placement: str, asks: Sequence[Ask], stages: Stages) -> list[Response | AisleError]:
    """A response for each ask, by who asks (``user_id``) and by what the list is about, or what is wrong with it."""
    return answer(placement, asks, [None] * len(asks), stages)
