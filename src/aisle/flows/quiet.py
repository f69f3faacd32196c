"""Asking a shop without anybody being shown the answer: nothing is written down, nothing is left to chance.

Enters: ``Stages``. Leaves: the same, quiet; and lists of texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aisle.contracts import Progress
from aisle.domain import Response, Slate
from aisle.flows.asks import Ask
from aisle.flows.search import search
from aisle.flows.stages import Stages, Unmetered
from aisle.settings import ExploreConfig

_AT_ONCE = 20


class Unlogged:
    """A ``SlateLog`` of lists that nobody is shown."""

    def put(self, slates: Sequence[Slate]) -> None:
        """Nothing."""

    def read(self, slate_id: str) -> Slate | None:
        """None."""


def quiet(stages: Stages) -> Stages:
    """``stages`` that write nothing down, measure nothing and explore nothing."""
    placements = {
        name: config.model_copy(update={"explore": ExploreConfig()}) for name, config in stages.placements.items()
    }
    return replace(stages, slates=Unlogged(), meter=Unmetered(), placements=placements)


def lists_of(texts: Sequence[str], n: int, stages: Stages, progress: Progress, task: str) -> list[tuple[str, ...]]:
    """Ids of the first ``n`` items of each query, as somebody unknown is shown them; empty where it is no query."""
    asked, found = quiet(stages), []
    for start in range(0, len(texts), _AT_ONCE):
        answers = search([Ask(text=text, size=n) for text in texts[start : start + _AT_ONCE]], asked)
        found += [one.item_ids if isinstance(one, Response) else () for one in answers]
        progress(task, len(found), len(texts))
    return found
