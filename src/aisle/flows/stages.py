"""The parts a request passes through, as the composition root hands them to the flows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import CandidateSource, Clock, Policy, Ranker, RecordStore, Rows, Scorer, StateStore
from aisle.domain import Candidates, Catalogue, Filters, Request, UserState
from aisle.errors import ConfigError, unknown_name
from aisle.settings import FusionConfig, PlacementConfig

Value = TypeVar("Value")


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


class Rules(Protocol):
    """Decides what may be shown."""

    def allowed(self, filters: Filters, now_ms: int) -> NDArray[np.bool_]:
        """(n_items,) bool."""
        ...

    def excluded(self, filters: Filters, state: UserState) -> Rows:
        """Rows that this user should not be shown."""
        ...


@dataclass(frozen=True)
class InService:
    """The sources that answer at one moment, and the version of each."""

    sources: Mapping[str, CandidateSource]
    versions: Mapping[str, str]


class Lineup:
    """The sources in service, replaced one by one while requests run.

    A request takes ``in_service`` once and keeps it, so that it never sees half of a change.
    """

    def __init__(self) -> None:
        self.in_service = InService({}, {})
        self.failures: Mapping[str, str] = {}
        """Sources that could not be made ready or had to be taken out, and why."""
        self._lock = threading.Lock()

    @property
    def sources(self) -> Mapping[str, CandidateSource]:
        """The sources in service now, by name."""
        return self.in_service.sources

    @property
    def versions(self) -> Mapping[str, str]:
        """The version of each source in service now."""
        return self.in_service.versions

    def swap(self, name: str, source: CandidateSource, version: str) -> None:
        """Put a source into service under ``name``, atomically for readers."""
        with self._lock:
            now = self.in_service
            self.in_service = InService({**now.sources, name: source}, {**now.versions, name: version})
            self.failures = _without(name, self.failures)

    def withdraw(self, name: str, why: str) -> None:
        """Take a source out of service, or note that it could not be put into service."""
        with self._lock:
            now = self.in_service
            self.in_service = InService(_without(name, now.sources), _without(name, now.versions))
            self.failures = {**self.failures, name: why}


def _without(name: str, mapping: Mapping[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in mapping.items() if key != name}


@dataclass(frozen=True)
class Stages:
    """Everything a flow needs, already chosen."""

    catalogue: Catalogue
    records: RecordStore
    states: StateStore
    lineup: Lineup
    rules: Rules
    fuse: Fuse
    ranker: Ranker
    policy: Policy
    placements: Mapping[str, PlacementConfig]
    clock: Clock
    new_slate_id: Callable[[], str]

    def placement(self, name: str) -> PlacementConfig:
        """The settings of a placement; an unknown name raises ``ConfigError`` with the known ones."""
        if name not in self.placements:
            raise ConfigError(unknown_name("placement", name, self.placements), setting=f"placement.{name}")
        return self.placements[name]
