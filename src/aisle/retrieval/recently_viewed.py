"""What the user looked at lately, newest first.

Enters: the request's live state. Leaves: ``Candidates``. Nothing is learnt, so there is nothing to fit or keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aisle.contracts import Float32Array, Parts, Rows
from aisle.domain import EVENT_CODE, Candidates, Catalogue, EventTable, EventType, ItemTable, Request, Snapshot
from aisle.retrieval.dense_scores import NO_OPINION, opinions, propose
from aisle.settings import Config


class RecentlyViewedConfig(Config):
    """Settings of ``RecentlyViewed``."""

    event_types: tuple[EventType, ...] = Field(default=(EventType.VIEW, EventType.CLICK), min_length=1)
    """What counts as having looked. Adding types shows more of what the user did anyway."""


class RecentlyViewed:
    """Items of the user's latest views, each once: ``score = 1 / (1 + number of items viewed since)``."""

    Config = RecentlyViewedConfig
    is_index = False

    def __init__(self, name: str, config: RecentlyViewedConfig, catalogue: Catalogue) -> None:
        self.name = name
        self._codes = np.array([EVENT_CODE[event_type] for event_type in config.event_types], dtype=np.uint8)
        self._catalogue = catalogue

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: RecentlyViewedConfig, parts: Parts) -> RecentlyViewed:
        """Ready at once: everything comes with the request."""
        return cls(name, config, parts.catalogue)

    @classmethod
    def load(cls, name: str, folder: Path, config: RecentlyViewedConfig, parts: Parts) -> RecentlyViewed:
        """Ready at once: everything comes with the request."""
        return cls(name, config, parts.catalogue)

    def save(self, folder: Path) -> None:
        """Nothing is kept."""

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """What each user viewed, newest first."""
        return [propose(self.name, self._dense(request), n, request) for request in requests]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores of given items, nan for those not viewed."""
        return [opinions(self._dense(request), rows) for request, rows in zip(requests, item_rows, strict=True)]

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Nothing to do: the live state already holds what happened."""

    def _dense(self, request: Request) -> NDArray[np.float32]:
        state = request.state
        viewed = state.item_rows[np.isin(state.types, self._codes)][::-1]
        unique, first = np.unique(viewed, return_index=True)
        newest_first = unique[np.argsort(first)]
        dense = np.full(self._catalogue.n_items, NO_OPINION, dtype=np.float32)
        dense[newest_first] = 1.0 / np.arange(1, len(newest_first) + 1, dtype=np.float32)
        return dense
