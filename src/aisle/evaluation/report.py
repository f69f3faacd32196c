"""What an evaluation found, as frozen records that say how they were measured.

Enters: figures. Leaves: JSON. ``report_table`` and ``report_page`` turn a report into something to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from aisle.evaluation.intervals import Interval

NO_LABEL = "(none)"
"""Group of users or items whose label is not known."""


@dataclass(frozen=True)
class SystemResult:
    """One system's figures: ``metrics`` are means over cases with intervals, ``totals`` describe all lists together.

    ``n_answered`` counts the cases that got any item at all; ``seconds`` is the wall time of answering, None where no
    clock was given.
    """

    name: str
    metrics: Mapping[str, Interval]
    totals: Mapping[str, float]
    n_answered: int
    seconds: float | None = None


@dataclass(frozen=True)
class Difference:
    """How a system's mean differs from the baseline's over the same cases."""

    system: str
    metric: str
    interval: Interval


@dataclass(frozen=True)
class GroupResult:
    """One system's figures for one group: users of a kind, or targets of a kind with the share of places it is shown.

    ``exposure`` is None for groups of users.
    """

    system: str
    grouping: str
    group: str
    n_cases: int
    metrics: Mapping[str, Interval]
    exposure: float | None = None


@dataclass(frozen=True)
class Report:
    """Everything one comparison found.

    ``method`` names the kind of interval, ``level`` its coverage, ``seed`` the seed of the generator that drew it (None
    when unknown). ``main_metric`` is the one drawn first.
    """

    title: str
    protocol: str
    notes: tuple[str, ...]
    n_cases: int
    n_items: int
    n_train_interactions: int
    cutoffs: tuple[int, ...]
    level: float
    n_resamples: int
    method: str
    seed: int | None
    baseline: str
    main_metric: str
    systems: tuple[SystemResult, ...]
    differences: tuple[Difference, ...]
    groups: tuple[GroupResult, ...]

    def system(self, name: str) -> SystemResult:
        """The figures of one system; raises ``KeyError`` for a name that was not compared."""
        return {system.name: system for system in self.systems}[name]

    def difference(self, system: str, metric: str) -> Interval | None:
        """How ``system`` differs from the baseline; None for the baseline itself."""
        found = (d.interval for d in self.differences if d.system == system and d.metric == metric)
        return next(found, None)

    def as_json(self) -> str:
        """The whole report; a figure that has no value is null."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode()

    def metrics(self, name: str) -> dict[str, Any]:
        """The plain figures of one system by metric, for a benchmark's last line or a model's manifest."""
        found = self.system(name)
        return {**{metric: interval.value for metric, interval in found.metrics.items()}, **found.totals}
