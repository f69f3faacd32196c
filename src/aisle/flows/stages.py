"""The parts a request passes through, as the composition root hands them to the flows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import (
    CandidateSource,
    Clock,
    LivePart,
    Meter,
    Policy,
    RecordStore,
    Rows,
    Scorer,
    StateStore,
    Statistics,
)
from aisle.decision import ItemVectors
from aisle.domain import Candidates, Catalogue, Features, Filters, Outcomes, Query, Request, Slate, UserState
from aisle.errors import ConfigError, NotReadyError, unknown_name
from aisle.flows.degraded import Complaints
from aisle.flows.workers import Workers
from aisle.merchandising import NO_RULES, CompiledRules
from aisle.settings import FusionConfig, PlacementConfig

Value = TypeVar("Value")

STATISTICS = "statistics"
"""The name under which the statistics stand among versions and failures; no source may be called so."""
UNDERSTANDING = "understanding"
"""The same for what reads queries."""
RANKER = "ranker"
"""The same for the trained ranker."""


class Fuse(Protocol):
    """Makes one list of several sources' lists, for each request."""

    def __call__(
        self,
        requests: Sequence[Request],
        found: Mapping[str, Sequence[Candidates]],
        config: FusionConfig,
        scorers: Mapping[str, Scorer],
    ) -> list[Candidates]:
        """Fused candidates of each request, keeping the score of every source."""
        ...


class QueryReader(LivePart, Protocol):
    """Guesses what a query asks for."""

    def read(self, text: str, language: str | None = None, is_as_typed: bool = False) -> Query:
        """The query with guesses; ``text`` in NFKC, ``language`` the asker's where it is known.

        ``is_as_typed`` looks for no other spelling.
        """
        ...


class Predict(Protocol):
    """What of ``contracts.Ranker`` a request needs."""

    def predict(
        self, requests: Sequence[Request], candidates: Sequence[Candidates], features: Sequence[Features]
    ) -> list[Outcomes]:
        """Outcomes of each request's candidates, in their order."""
        ...


class Rules(Protocol):
    """Decides what may be shown."""

    def allowed(self, filters: Filters, now_ms: int) -> NDArray[np.bool_]:
        """(n_items,) bool."""
        ...

    def excluded(self, filters: Filters, state: UserState) -> Rows:
        """Rows that this user should not be shown."""
        ...


class SlateLog(Protocol):
    """Takes lists that are about to be shown, writes them down soon, and finds them again."""

    def put(self, slates: Sequence[Slate]) -> None:
        """Have them written down; never waits. Raises ``UnavailableError`` when too many wait already."""
        ...

    def read(self, slate_id: str) -> Slate | None:
        """A list as it was shown, whether it is written already or not."""
        ...


class Unmetered:
    """The ``contracts.Meter`` that nobody reads."""

    def took(self, placement: str, stage: str, seconds: float) -> None:
        """Nothing."""

    def missed(self, placement: str, part: str, why: Literal["failed", "late", "missing"]) -> None:
        """Nothing."""

    def answered(self, placement: str, n_asks: int, seconds: float) -> None:
        """Nothing."""


@dataclass(frozen=True)
class InService:
    """The parts that answer at one moment, and the version of each.

    ``statistics`` and ``ranker`` are None while there is none of its own; the list then follows the fused score.
    Without a ``reader`` queries are taken as they are typed.
    """

    sources: Mapping[str, CandidateSource]
    versions: Mapping[str, str]
    statistics: Statistics | None = None
    ranker: Predict | None = None
    reader: QueryReader | None = None

    @property
    def live_parts(self) -> Mapping[str, LivePart]:
        """Everything that follows the records, by name."""
        others = {STATISTICS: self.statistics, UNDERSTANDING: self.reader}
        return {**self.sources, **{name: part for name, part in others.items() if part is not None}}

    @cached_property
    def scorers(self) -> Mapping[str, Scorer]:
        """The sources that can score what others propose."""
        return {name: source for name, source in self.sources.items() if isinstance(source, Scorer)}

    @cached_property
    def item_vectors(self) -> ItemVectors | None:
        """The first source that knows items as vectors, by which lists are kept varied."""
        return next((source for source in self.sources.values() if isinstance(source, ItemVectors)), None)


class Lineup:
    """The parts in service, replaced one by one while requests run.

    A request takes ``in_service`` once and keeps it, so that it never sees half of a change.
    """

    def __init__(self) -> None:
        self.in_service = InService({}, {})
        self.failures: Mapping[str, str] = {}
        """Parts with something wrong: not made ready, taken out, or serving less than they should; and why."""
        self._lock = threading.Lock()

    @property
    def sources(self) -> Mapping[str, CandidateSource]:
        """The sources in service now, by name."""
        return self.in_service.sources

    @property
    def versions(self) -> Mapping[str, str]:
        """The version of each part in service now."""
        return self.in_service.versions

    def swap(self, name: str, source: CandidateSource, version: str) -> None:
        """Put a source into service under ``name``, atomically for readers."""
        with self._lock:
            now = self.in_service
            self._replace(name, version, sources={**now.sources, name: source})

    def swap_statistics(self, statistics: Statistics, version: str) -> None:
        """Put statistics into service, atomically for readers."""
        with self._lock:
            self._replace(STATISTICS, version, statistics=statistics)

    def swap_reader(self, reader: QueryReader, version: str) -> None:
        """Put what reads queries into service, atomically for readers."""
        with self._lock:
            self._replace(UNDERSTANDING, version, reader=reader)

    def swap_ranker(self, ranker: Predict, version: str) -> None:
        """Put a ranker into service, atomically for readers."""
        with self._lock:
            self._replace(RANKER, version, ranker=ranker)

    def withdraw(self, name: str, why: str) -> None:
        """Take a part out of service, or note that it could not be put into service."""
        with self._lock:
            now = self.in_service
            self.in_service = InService(
                _without(name, now.sources),
                _without(name, now.versions),
                None if name == STATISTICS else now.statistics,
                None if name == RANKER else now.ranker,
                None if name == UNDERSTANDING else now.reader,
            )
            self.failures = {**self.failures, name: why}

    def note(self, name: str, why: str) -> None:
        """Say what is wrong with a part that answers nevertheless; the next version of it clears that."""
        with self._lock:
            self.failures = {**self.failures, name: why}

    def _replace(self, name: str, version: str, **parts: Any) -> None:
        now = self.in_service
        self.in_service = replace(now, versions={**now.versions, name: version}, **parts)
        self.failures = _without(name, self.failures)


def known_statistics(lineup: Lineup) -> Statistics:
    """The statistics in service; raises ``NotReadyError`` while there are none."""
    statistics = lineup.in_service.statistics
    if statistics is None:
        raise NotReadyError("ratings and popularity are not counted yet", command="aisle train")
    return statistics


def _without(name: str, mapping: Mapping[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in mapping.items() if key != name}


@dataclass(frozen=True)
class Stages:
    """Everything a flow needs, already chosen."""

    catalogue: Catalogue
    records: RecordStore
    slates: SlateLog
    states: StateStore
    lineup: Lineup
    rules: Rules
    fuse: Fuse
    fallback: Predict
    """Ranks by the fused score where no ranker was trained, or where it fails."""
    policy: Policy
    placements: Mapping[str, PlacementConfig]
    currency: str
    """The shop's, in which prices are counted."""
    clock: Clock
    new_slate_id: Callable[[], str]
    meter: Meter
    catch_up: Callable[[], None]
    """Sees to it that the answer knows what was acknowledged; raises ``UnavailableError`` when that takes too long."""
    published_rules: Callable[[], CompiledRules] = lambda: NO_RULES
    """The query rules that count now."""
    workers: Workers = field(default_factory=Workers)
    """Run the parts of answers, so that one that hangs does not hold the others up."""
    complaints: Complaints = field(default_factory=Complaints)
    """Said of parts in the log, not too often."""

    def placement(self, name: str) -> PlacementConfig:
        """The settings of a placement; an unknown name raises ``ConfigError`` with the known ones."""
        if name not in self.placements:
            raise ConfigError(unknown_name("placement", name, self.placements), setting=f"placement.{name}")
        return self.placements[name]
