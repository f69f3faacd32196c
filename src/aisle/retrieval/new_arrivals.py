"""New items first, those in the user's favourite categories ahead of others.

Enters: when each item came (``created_ms``, else the first time it was seen). Leaves: ``Candidates``. Knows nothing of
what items sell; a new item is proposed from the moment it is added.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aisle.contracts import Clock, Float32Array, Parts, Rows
from aisle.domain import NO_VALUE, Candidates, Catalogue, EventTable, ItemTable, Request, Snapshot
from aisle.retrieval.dense_scores import NO_OPINION, Handover, opinions, propose, within_categories
from aisle.retrieval.interactions import EVENT_WEIGHTS, interaction_arrays, weight_of_code
from aisle.settings import Config
from aisle.storage.arrays import read_arrays, write_arrays

DAY_MS, MINUTE_MS = 86_400_000, 60_000


class NewArrivalsConfig(Config):
    """Settings of ``NewArrivals``."""

    half_life_days: float = Field(default=14.0, gt=0)
    """Age at which an item's newness has halved. Raising it lets taste weigh more than the exact day."""
    longest_days: float = Field(default=90.0, gt=0)
    """Older items are not new. Raising it makes the list longer."""
    taste: float = Field(default=2.0, ge=0)
    """How much the user's share of interest in the item's category lifts it; 0 shows everyone the same."""


@dataclass(frozen=True)
class _Newness:
    """Rows that are new in one minute and their scores before taste, of one state of the catalogue."""

    first_seen_ms: NDArray[np.int64]
    minute: int
    version: int
    n_items: int
    rows: Rows
    scores: NDArray[np.float64]


class NewArrivals:
    """``score = 0.5 ** (age / half_life) * (1 + taste * share of the user's interest in the item's category)``.

    Cost: O(n_items) per request, 8 bytes an item.
    """

    Config = NewArrivalsConfig
    is_index = False

    def __init__(
        self, name: str, first_seen_ms: NDArray[np.int64], config: NewArrivalsConfig, catalogue: Catalogue, clock: Clock
    ) -> None:
        self.name = name
        self._first_seen_ms = first_seen_ms
        self._config = config
        self._weights = weight_of_code(EVENT_WEIGHTS)
        self._catalogue = catalogue
        self._clock = clock
        self._newness: _Newness | None = None
        self._handover = Handover()
        self._lock = threading.Lock()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: NewArrivalsConfig, parts: Parts) -> NewArrivals:
        """Note when each item was first seen in an event; items without an event or ``created_ms`` are not new."""
        rows, _, times = interaction_arrays(snapshot)
        first_seen = np.full(snapshot.n_items, np.iinfo(np.int64).max)
        np.minimum.at(first_seen, rows, times)
        first_seen[first_seen == np.iinfo(np.int64).max] = NO_VALUE
        return cls(name, first_seen, config, parts.catalogue, parts.clock)

    @classmethod
    def load(cls, name: str, folder: Path, config: NewArrivalsConfig, parts: Parts) -> NewArrivals:
        """Read back what ``save`` wrote."""
        return cls(name, read_arrays(folder, "first_seen_ms")["first_seen_ms"], config, parts.catalogue, parts.clock)

    def save(self, folder: Path) -> None:
        """Write when each item was first seen."""
        write_arrays(folder, {"first_seen_ms": self._first_seen_ms})

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """The newest items that each request allows."""
        dense = [self._handover.leave(request, self._dense(request)) for request in requests]
        return [
            propose(self.name, within_categories(scores, request, self._catalogue), n, request)
            for scores, request in zip(dense, requests, strict=True)
        ]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores of given items, nan for those that are not new."""
        return [
            opinions(self._handover.take(request, self._dense), rows)
            for request, rows in zip(requests, item_rows, strict=True)
        ]

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Items that were not there before are new from now on."""
        self._handover.clear()
        with self._lock:
            n_known = len(self._first_seen_ms)
            n_new = self._catalogue.n_items - n_known
            if n_new > 0:
                self._first_seen_ms = np.concatenate([self._first_seen_ms, np.full(n_new, self._clock())])

    def _dense(self, request: Request) -> NDArray[np.float64]:
        newness = self._newness_at(request.now_ms)
        new = newness.rows
        dense = np.full(newness.n_items, NO_OPINION)
        dense[new] = newness.scores
        if self._config.taste > 0:
            dense[new] *= 1.0 + self._config.taste * self._shares(request, new)
        return dense

    def _newness_at(self, now_ms: int) -> _Newness:
        """What is new, the same for everybody: worked out once a minute and whenever items come or change."""
        first_seen, kept = self._first_seen_ms, self._newness
        minute, version = now_ms // MINUTE_MS, self._catalogue.version
        if kept is None or kept.first_seen_ms is not first_seen or (kept.minute, kept.version) != (minute, version):
            n = len(first_seen)
            created = self._catalogue.column("created_ms")[:n]
            came_ms = np.where(created != NO_VALUE, created, first_seen)
            is_new = (came_ms != NO_VALUE) & (came_ms >= now_ms - self._config.longest_days * DAY_MS)
            rows = np.flatnonzero(is_new)  # few of all items: only these are worked out
            days = np.maximum(now_ms - came_ms[rows], 0) / DAY_MS
            scores = 0.5 ** (days / self._config.half_life_days)
            kept = self._newness = _Newness(first_seen, minute, version, n, rows, scores)
        return kept

    def _shares(self, request: Request, rows: Rows) -> NDArray[np.float64]:
        """The user's share of positive interest in the category of each of ``rows``, 0 without any. (k,) float64."""
        category = self._catalogue.column("category")
        leaf = category[request.state.item_rows]
        weight = np.maximum(self._weights[request.state.types], 0)
        has_category = leaf != NO_VALUE
        if not weight[has_category].sum():
            return np.zeros(len(rows))
        share = np.bincount(leaf[has_category], weight[has_category], minlength=int(category.max()) + 1)
        share /= share.sum()
        of_item = category[rows]
        return np.where(of_item != NO_VALUE, share[of_item], 0.0)
