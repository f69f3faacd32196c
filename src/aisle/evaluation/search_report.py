"""What was found about a shop's search: figures of its own log, of judged queries, and of two versions side by side.

Everything here is plain values that a table, a page and JSON are made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from aisle.evaluation.intervals import Interval

LOG_FIGURES = ("nothing", "rescued", "empty", "clicked", "first_rank", "purchases", "reworded")
"""``nothing``: share of searches for which nothing was found; of these ``rescued`` showed something near and ``empty``
showed nothing. ``clicked``: share with a click. ``first_rank``: mean place of the first click. ``purchases``: items
bought a search. ``reworded``: share without a click that was followed by the same errand in other words."""
GROUPINGS = ("query_class", "language", "n_words", "volume", "novelty")


@dataclass(frozen=True)
class Figures:
    """Figures of some searches; one that cannot be known is nan."""

    group: str
    n_searches: int
    n_queries: int
    n_people: int
    values: Mapping[str, Interval]


@dataclass(frozen=True)
class Advice:
    """A query rule worth looking at: ``rule`` as JSON values for `aisle rules add`, and what speaks for it."""

    rule: Mapping[str, Any]
    words: str
    n_people: int


@dataclass(frozen=True)
class WorstQuery:
    """One query of a table of the worst.

    ``share`` is what is wrong with it, of its searches; ``weight`` the searches that are surely lost to it: those
    expected by the interval's lower end, so that chance does not rule the table.
    """

    text: str
    n_searches: int
    n_people: int
    share: Interval
    weight: float
    query_class: str
    became: str | None = None
    """What most people typed next, or how the list was relaxed."""
    n_became: int = 0
    advice: Advice | None = None


@dataclass(frozen=True)
class LogReport:
    """Of the shop's own searches. ``hidden``: queries in no table because fewer people than asked for typed them."""

    since_ms: int
    until_ms: int
    overall: Figures
    groups: Mapping[str, tuple[Figures, ...]]
    zero_results: tuple[WorstQuery, ...]
    low_clicks: tuple[WorstQuery, ...]
    reworded: tuple[WorstQuery, ...]
    n_hidden: int
    least_people: int


@dataclass(frozen=True)
class Listed:
    """One item of a list, with what was judged of it and what stands at the same place in the other list."""

    item_id: str
    title: str
    grade: float | None = None


@dataclass(frozen=True)
class SideBySide:
    """A query and two lists. ``before`` and ``after`` are figures of theirs, nan where there are none."""

    text: str
    query_class: str
    weight: float
    left: tuple[Listed, ...]
    right: tuple[Listed, ...]
    values: Mapping[str, float]


@dataclass(frozen=True)
class JudgedReport:
    """Of queries with graded judgments. ``worst``: the shop's list on the left, the ideal one on the right."""

    source: str
    n_queries: int
    n_judgments: int
    n_unknown_items: int
    relevant_from: float
    overall: Figures
    groups: Mapping[str, tuple[Figures, ...]]
    worst: tuple[SideBySide, ...]


@dataclass(frozen=True)
class ChangeReport:
    """What changed from ``before`` to ``after``; means over searches, queries weighted by how often they are asked.

    ``values``: ``overlap@10`` and ``rbo``, and ``ndcg@10_before``, ``ndcg@10_after`` and ``ndcg@10_change`` where
    there are judgments. ``moved``: what moved most, before on the left, after on the right.
    """

    name: str
    before: str
    after: str
    n_queries: int
    is_judged: bool
    n_unchanged: int
    values: Mapping[str, Interval]
    groups: Mapping[str, tuple[Figures, ...]]
    moved: tuple[SideBySide, ...]


@dataclass(frozen=True)
class SearchReport:
    """All of it; a part that was not asked for, or of which nothing is known, is None and ``notes`` say why."""

    shop: str
    made_ms: int
    level: float
    notes: tuple[str, ...]
    log: LogReport | None = None
    judged: JudgedReport | None = None
    change: ChangeReport | None = None

    def as_json(self) -> str:
        """The whole report; a figure that has no value is null."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode()
