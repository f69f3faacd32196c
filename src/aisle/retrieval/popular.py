"""What sells: time-decayed counts with a weight for each event type, the same list for everyone.

Enters: events. Leaves: ``Candidates``. Knows nothing of users; a request limited to categories gets their best.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aisle.contracts import Float32Array, Parts, Rows
from aisle.domain import Candidates, Catalogue, EventTable, EventType, ItemTable, Request, Snapshot
from aisle.retrieval.decayed_counts import DecayedCounts
from aisle.retrieval.dense_scores import NO_OPINION, CrowdBest, opinions
from aisle.retrieval.interactions import EVENT_WEIGHTS, event_arrays, interaction_arrays, weight_of_code
from aisle.settings import Config
from aisle.storage.arrays import read_arrays, write_arrays

DAY_MS = 86_400_000


class PopularConfig(Config):
    """Settings of ``Popular``."""

    half_life_days: float = Field(default=30.0, gt=0)
    """Age at which an event counts half. Raising it makes the list calmer and later."""
    event_weights: Mapping[EventType, float] = Field(default_factory=lambda: dict(EVENT_WEIGHTS))
    """What one event of a type counts; types left out count nothing, negative ones take away."""


class Popular:
    """Decayed event counts per item; ``score = log(1 + count)``, only items that come out above 0.

    Counts are taken as of the newest event: when no events arrive for a while the list stays as it was.

    Cost: O(1) per event; O(n_items) for the first request after one, O(n) for the others; 8 bytes an item.
    """

    Config = PopularConfig
    is_index = False

    def __init__(self, name: str, counts: DecayedCounts, config: PopularConfig, catalogue: Catalogue) -> None:
        self.name = name
        self._counts = counts
        self._weights = weight_of_code(config.event_weights)
        self._half_life_ms = config.half_life_days * DAY_MS
        self._catalogue = catalogue
        self._latest: tuple[DecayedCounts, NDArray[np.float64]] | None = None
        """Counts and what was worked out of them; the same for everyone until something happens."""
        self._best = CrowdBest(catalogue)
        self._lock = threading.Lock()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: PopularConfig, parts: Parts) -> Popular:
        """Count the snapshot's events."""
        counts = DecayedCounts.empty(snapshot.n_items, config.half_life_days * DAY_MS)
        rows, codes, times = interaction_arrays(snapshot)
        counts = counts.plus(rows, weight_of_code(config.event_weights)[codes], times, snapshot.n_items)
        return cls(name, counts, config, parts.catalogue)

    @classmethod
    def load(cls, name: str, folder: Path, config: PopularConfig, parts: Parts) -> Popular:
        """Read back what ``save`` wrote."""
        arrays = read_arrays(folder, "sums", "newest_ms")
        counts = DecayedCounts(arrays["sums"], int(arrays["newest_ms"]), config.half_life_days * DAY_MS)
        return cls(name, counts, config, parts.catalogue)

    def save(self, folder: Path) -> None:
        """Write the counts."""
        counts = self._counts
        write_arrays(folder, {"sums": counts.sums, "newest_ms": np.array(counts.newest_ms)})

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """The most popular items that each request allows."""
        dense = self._dense()
        return [self._best.propose(self.name, dense, n, request) for request in requests]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores of given items, nan for items nobody wanted."""
        dense = self._dense()
        return [opinions(dense, rows) for rows in item_rows]

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Count new events."""
        rows, codes, times = event_arrays(events, self._catalogue)
        with self._lock:
            self._counts = self._counts.plus(rows, self._weights[codes], times, self._catalogue.n_items)

    def _dense(self) -> NDArray[np.float64]:
        counts, latest = self._counts, self._latest
        if latest is None or latest[0] is not counts:
            dense = np.where(counts.sums > 0, np.log1p(np.maximum(counts.sums, 0)), NO_OPINION)
            latest = self._latest = (counts, dense)
        return latest[1]
