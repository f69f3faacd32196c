"""New items first, those in the user's favourite categories ahead of others.

Enters: when each item came (``created_ms``, else the first time it was seen). Leaves: ``Candidates``. Knows nothing of
what items sell; a new item is proposed from the moment it is added.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
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

DAY_MS = 86_400_000


class NewArrivalsConfig(Config):
    """Settings of ``NewArrivals``."""

    half_life_days: float = Field(default=14.0, gt=0)
    """Age at which an item's newness has halved. Raising it lets taste weigh more than the exact day."""
    longest_days: float = Field(default=90.0, gt=0)
    """Older items are not new. Raising it makes the list longer."""
    taste: float = Field(default=2.0, ge=0)
    """How much the user's share of interest in the item's category lifts it; 0 shows everyone the same."""


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
        first_seen = self._first_seen_ms
        n = len(first_seen)
        created = self._catalogue.column("created_ms")[:n]
        came_ms = np.where(created != NO_VALUE, created, first_seen)
        is_new = (came_ms != NO_VALUE) & (came_ms >= request.now_ms - self._config.longest_days * DAY_MS)
        new = np.flatnonzero(is_new)  # few of all items: only these are worked out
        days = np.maximum(request.now_ms - came_ms[new], 0) / DAY_MS
        dense = np.full(n, NO_OPINION)
        dense[new] = 0.5 ** (days / self._config.half_life_days)
        if self._config.taste > 0:
            dense[new] *= 1.0 + self._config.taste * self._shares(request, new)
        return dense

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
