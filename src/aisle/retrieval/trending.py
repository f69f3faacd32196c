"""Trending items: what is wanted now, more than it used to be.

Enters: events. Leaves: ``Candidates``. Knows nothing of users: everyone in a category sees the same trend.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from aisle.contracts import Float32Array, Parts, Rows
from aisle.domain import Candidates, Catalogue, EventTable, EventType, ItemTable, Request, Snapshot
from aisle.retrieval.decayed_counts import DecayedCounts
from aisle.retrieval.dense_scores import NO_OPINION, CrowdBest, opinions
from aisle.retrieval.interactions import EVENT_WEIGHTS, event_arrays, interaction_arrays, weight_of_code
from aisle.settings import Config
from aisle.storage.arrays import read_arrays, write_arrays

HOUR_MS = 3_600_000
STEP_MS = 1_000
"""Trends are taken at whole seconds, so that the answers of one second share them."""


class TrendingConfig(Config):
    """Settings of ``Trending``."""

    half_life_hours: float = Field(default=48.0, gt=0)
    """Age at which an event counts half in "now". Raising it makes the list calmer and later."""
    usual_half_life_hours: float = Field(default=24.0 * 21, gt=0)
    """The same for "usually". Raising it remembers longer what an item used to sell."""
    prior: float = Field(default=3.0, gt=0)
    """Events added to both sides. Raising it asks for more events before something counts as a trend."""
    event_weights: Mapping[EventType, float] = Field(default_factory=lambda: dict(EVENT_WEIGHTS))
    """What one event of a type counts."""

    @model_validator(mode="after")
    def _is_usual_longer(self) -> TrendingConfig:
        if self.usual_half_life_hours <= self.half_life_hours:
            raise ValueError("usual_half_life_hours must be above half_life_hours")
        return self


class Trending:
    """Two decayed counts per item with different half-lives, compared as rates.

    A steady stream of r events an hour holds a decayed count of ``r * half_life / ln 2``, so the count with the longer
    half-life, scaled by the ratio of the two, is what the shorter one should be if nothing had changed:

    ``score = log((fast + prior) / (slow * half_life / usual_half_life + prior))``

    A steady best-seller scores 0, a sudden rise above it; only items above 0 are proposed. Both counts are taken at the
    request's time, so a trend fades when its events stop.

    Cost: O(1) per event; O(n_items) for the first request of a second or after an event; 16 bytes an item.
    """

    Config = TrendingConfig
    is_index = False

    def __init__(
        self, name: str, fast: DecayedCounts, slow: DecayedCounts, config: TrendingConfig, catalogue: Catalogue
    ) -> None:
        self.name = name
        self._counts = (fast, slow)
        self._config = config
        self._weights = weight_of_code(config.event_weights)
        self._catalogue = catalogue
        self._latest: tuple[tuple[DecayedCounts, DecayedCounts], int, NDArray[np.float64]] | None = None
        """Counts, moment and what was worked out of them: fusion asks for the same again."""
        self._best = CrowdBest(catalogue)
        self._lock = threading.Lock()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: TrendingConfig, parts: Parts) -> Trending:
        """Count the snapshot's events."""
        rows, codes, times = interaction_arrays(snapshot)
        weights = weight_of_code(config.event_weights)[codes]
        fast, slow = (
            DecayedCounts.empty(snapshot.n_items, hours * HOUR_MS).plus(rows, weights, times, snapshot.n_items)
            for hours in (config.half_life_hours, config.usual_half_life_hours)
        )
        return cls(name, fast, slow, config, parts.catalogue)

    @classmethod
    def load(cls, name: str, folder: Path, config: TrendingConfig, parts: Parts) -> Trending:
        """Read back what ``save`` wrote."""
        arrays = read_arrays(folder, "fast", "slow", "newest_ms")
        newest_ms = int(arrays["newest_ms"])
        fast = DecayedCounts(arrays["fast"], newest_ms, config.half_life_hours * HOUR_MS)
        slow = DecayedCounts(arrays["slow"], newest_ms, config.usual_half_life_hours * HOUR_MS)
        return cls(name, fast, slow, config, parts.catalogue)

    def save(self, folder: Path) -> None:
        """Write both counts."""
        fast, slow = self._counts
        write_arrays(folder, {"fast": fast.sums, "slow": slow.sums, "newest_ms": np.array(fast.newest_ms)})

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """Rising items that each request allows, the steepest first."""
        dense = self._dense_by_time(requests)
        return [self._best.propose(self.name, dense[request.now_ms], n, request) for request in requests]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores of given items, nan for those that do not rise."""
        dense = self._dense_by_time(requests)
        return [opinions(dense[request.now_ms], rows) for request, rows in zip(requests, item_rows, strict=True)]

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Count new events."""
        rows, codes, times = event_arrays(events, self._catalogue)
        with self._lock:
            fast, slow = self._counts
            n = self._catalogue.n_items
            weights = self._weights[codes]
            self._counts = (fast.plus(rows, weights, times, n), slow.plus(rows, weights, times, n))

    def _dense_by_time(self, requests: Sequence[Request]) -> dict[int, NDArray[np.float64]]:
        return {now_ms: self._dense(now_ms) for now_ms in {request.now_ms for request in requests}}

    def _dense(self, now_ms: int) -> NDArray[np.float64]:
        counts, latest = self._counts, self._latest
        now_ms -= now_ms % STEP_MS
        if latest is None or latest[0] is not counts or latest[1] != now_ms:
            fast, slow = counts
            ratio = self._config.half_life_hours / self._config.usual_half_life_hours
            prior = self._config.prior
            now = np.maximum(fast.at(now_ms), 0.0)
            usual = np.maximum(slow.at(now_ms), 0.0) * ratio
            score = np.log((now + prior) / (usual + prior))
            latest = self._latest = (counts, now_ms, np.where(score > 1e-6, score, NO_OPINION))
        return latest[2]
