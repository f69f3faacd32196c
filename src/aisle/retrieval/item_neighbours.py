"""Items that the same people come to: cosine of co-occurrence in histories.

Enters: histories. Leaves: ``Candidates`` for the items of a page or basket, else for the user's history. New events
change the counts at once; new items take part from their first events.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from aisle.contracts import Float32Array, Parts, Rows
from aisle.domain import Candidates, Catalogue, EventTable, EventType, ItemTable, Request, Snapshot
from aisle.retrieval.dense_scores import NO_OPINION, Handover, opinions, propose
from aisle.retrieval.interactions import (
    EVENT_WEIGHTS,
    Recency,
    Steps,
    basket_item_matrix,
    history_steps,
    numbered_steps,
    past_and_future,
    trusted,
    weight_of_code,
)
from aisle.retrieval.pair_counts import OpenGroups, PairCounts
from aisle.retrieval.ridge_sparse import largest_of_sparse
from aisle.settings import Config
from aisle.storage.arrays import read_arrays, write_arrays


class ItemNeighboursConfig(Config):
    """Settings of ``ItemNeighbours``."""

    event_weights: Mapping[EventType, float] = Field(default_factory=lambda: dict(EVENT_WEIGHTS))
    """Which event types count: those above 0 in training, all of them when a history is weighed."""
    window: int = Field(default=20, ge=1)
    """Steps between two items within which they still count as met. Raising it finds looser relations."""
    distance_decay: float = Field(default=0.9, gt=0, le=1)
    """What one step of distance leaves of a meeting."""
    shrink: float = Field(default=2.0, ge=0)
    """Meetings at which a similarity counts half. Raising it trusts rare pairs less."""
    history_decay: float = Field(default=1.0, gt=0, le=1)
    """What one visit of age leaves of an item of the user's history when a request is answered. At 1 the source speaks
    for lasting taste, beside ``linear``, which follows the moment."""
    history_length: int = Field(default=200, ge=1)
    """Last items of a user that are learnt from and scored on."""
    n_kept: int = Field(default=300, ge=1)
    """Partners kept for each item. Raising it costs memory in proportion."""
    n_open_users: int = Field(default=50_000, ge=1)
    """Users whose latest items are remembered between two calls of ``extend``, in memory only."""


class ItemNeighbours:
    """Item-to-item cosine: ``c_ij / sqrt(n_i n_j) * c_ij / (c_ij + shrink)``.

    ``c_ij`` adds 1 for each basket with both and, for each meeting of i and j in two steps at most ``window`` apart,
    ``distance_decay ** (steps between - 1)`` over the number of items in the earlier step; each term is divided by
    ``log2(1 + steps of the user)``: who has many steps says less with each of them (in the spirit of the inverse user
    frequency of Breese et al. 1998, "Empirical Analysis of Predictive Algorithms"). ``n_i`` counts the steps with i,
    divided alike. A request is the recency-weighted sum over its items.

    Cost: O(history x n_kept) per request; 8 bytes x n_kept an item. ``extend`` joins new events with the user's earlier
    ones since the last fit; meetings with events from before it wait for the next fit.
    """

    Config = ItemNeighboursConfig
    is_index = False

    def __init__(self, name: str, counts: PairCounts, config: ItemNeighboursConfig, catalogue: Catalogue) -> None:
        self.name = name
        self._counts = counts
        self._config = config
        self._catalogue = catalogue
        self._weights = weight_of_code(config.event_weights)
        self._recency = Recency(self._weights, config.history_decay, None, config.history_length)
        self._open = OpenGroups(config.n_open_users, config.window)
        self._handover = Handover()
        self._lock = threading.Lock()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: ItemNeighboursConfig, parts: Parts) -> ItemNeighbours:
        """Count meetings in the snapshot's histories."""
        steps = history_steps(snapshot, config.event_weights, config.history_length)
        return cls(name, count_meetings(steps, config), config, parts.catalogue)

    @classmethod
    def load(cls, name: str, folder: Path, config: ItemNeighboursConfig, parts: Parts) -> ItemNeighbours:
        """Read back what ``save`` wrote."""
        counts = PairCounts.from_arrays(read_arrays(folder, *PairCounts.array_names()))
        return cls(name, counts, config, parts.catalogue)

    def save(self, folder: Path) -> None:
        """Write the counts."""
        write_arrays(folder, self._counts.arrays())

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """The nearest items to the request's items, else to the user's history."""
        return [
            propose(self.name, self._handover.leave(request, self._dense(request)), n, request) for request in requests
        ]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores of given items, nan for those never met."""
        return [
            opinions(self._handover.take(request, self._dense), rows)
            for request, rows in zip(requests, item_rows, strict=True)
        ]

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Count new meetings, each as one of a user with few steps of one item each."""
        self._handover.clear()
        frame = trusted(events)
        rows = self._catalogue.rows(frame["item_id"].to_list())
        counted = (rows >= 0) & (self._weights[frame["type"].to_physical().to_numpy()] > 0)
        if not counted.any():
            return
        rows, users = rows[counted], frame["user_id"].filter(pl.Series(counted)).to_list()
        with self._lock:
            earlier, is_new = self._open.join(users, rows.tolist())
            lengths = np.array([len(others) for others in earlier], dtype=np.int64)
            second = np.array([other for others in earlier for other in others], dtype=np.int64)
            age = np.array([age for others in earlier for age in range(len(others))], dtype=np.float64)
            self._counts = self._counts.plus(
                np.repeat(rows, lengths),
                second,
                self._config.distance_decay**age,
                rows[is_new],
                0.0,
                self._catalogue.n_items,
                self._config.n_kept,
            )

    def _dense(self, request: Request) -> NDArray[np.float64]:
        counts = self._counts
        n = max(self._catalogue.n_items, len(counts.singles))
        if len(request.anchor_rows):
            rows = np.unique(request.anchor_rows)
            weights = np.ones(len(rows), dtype=np.float32)
        else:
            rows, weights = self._recency.of(request.state, request.now_ms)
        is_counted = (rows >= 0) & (rows < len(counts.singles))
        rows, weights = rows[is_counted], weights[is_counted]
        place, partners, met = counts.partners_of(rows)
        scale = np.sqrt(np.maximum(counts.singles[rows][place] * counts.singles[partners], 1e-12))
        likeness = np.minimum(met / scale, 1.0) * met / (met + self._config.shrink)
        scores = np.bincount(partners, weights[place] * likeness, minlength=n)
        return np.where(scores > 0, scores, NO_OPINION)


def count_meetings(steps: Steps, config: ItemNeighboursConfig) -> PairCounts:
    """The counts of ``ItemNeighbours`` over whole histories."""
    n = steps.n_items
    n_steps = np.zeros(steps.n_users, dtype=np.int64)
    np.maximum.at(n_steps, steps.user, steps.step + 1)
    says_less = (1.0 / np.log2(1.0 + np.maximum(n_steps, 1))).astype(np.float32)
    plain = replace(steps, weight=np.ones_like(steps.weight))
    step, size = numbered_steps(steps)
    shares = (1.0 / size[step]).astype(np.float32)  # so that large baskets do not drown the rest
    before, _ = past_and_future(replace(steps, weight=shares), config.distance_decay, config.window)
    _, following = past_and_future(plain, 1.0, 1)
    user_of_point = np.repeat(np.arange(steps.n_users), np.maximum(n_steps - 1, 0))
    ordered = before.T @ sp.diags(says_less[user_of_point]) @ following
    baskets = basket_item_matrix(replace(steps, weight=np.sqrt(says_less[steps.user])))
    pairs = sp.csr_matrix(ordered + ordered.T + baskets.T @ baskets)
    pairs.setdiag(0)
    pairs.eliminate_zeros()
    singles = np.bincount(steps.item, says_less[steps.user], minlength=n).astype(np.float64)
    return PairCounts.of(singles, float(steps.n_users), largest_of_sparse(pairs, config.n_kept))
