"""Items that go with a history: the closed-form linear model, the strongest cheap source known to us.

Enters: histories and item columns. Leaves: ``Candidates`` for the items of a page or basket, else for the user's own
history. New events count at once because they come with the live state; what an item leads to is learnt at ``fit``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
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
    past_and_future,
    user_item_matrix,
    weight_of_code,
)
from aisle.retrieval.item_features import feature_matrix
from aisle.retrieval.ridge import Moments, solve_exact
from aisle.retrieval.ridge_sparse import solve_by_neighbours
from aisle.retrieval.sparse_rows import entries_of
from aisle.settings import Config
from aisle.storage.arrays import read_arrays, sparse_arrays, sparse_matrix, sparse_names, write_arrays


class LinearConfig(Config):
    """Settings of ``Linear``."""

    event_weights: Mapping[EventType, float] = Field(default_factory=lambda: dict(EVENT_WEIGHTS))
    """How much one event of a type says about interest; negative ones take it back."""
    ridge: float = Field(default=50.0, gt=0)
    """Penalty, in interactions of mean weight. Raising it trusts rare items less."""
    sequence_share: float = Field(default=0.5, ge=0, le=1)
    """Share of "what comes after" against "what is found in the same history". Raising it follows the order more."""
    basket_share: float = Field(default=1.0, ge=0)
    """Weight of "what is found in the same basket", beside the two above."""
    step_decay: float = Field(default=0.6, gt=0, le=1)
    """What one step of distance leaves of a pair when learning order. Raising it looks further."""
    window: int = Field(default=8, ge=1)
    """Steps looked at on either side when learning order."""
    attribute_weight: float = Field(default=3.0, ge=0)
    """How much items of the same category, brand and attributes are taken to go together, in interactions."""
    history_decay: float = Field(default=0.8, gt=0, le=1)
    """What one visit of age leaves of an item of the user's history when a request is answered. Raising it follows
    lasting taste, lowering it the moment. On Amazon Beauty 0.7 ranks 3% better; in the simulated shop 0.9 does."""
    history_half_life_days: float | None = Field(default=None, gt=0)
    """Age at which an item of the history counts half; None lets only its position count."""
    history_length: int = Field(default=200, ge=1)
    """Last items of a user that are learnt from and scored on. Raising it costs time in proportion."""
    beside_anchors: float = Field(default=0.05, ge=0)
    """Weight of the user's history when the request is about items of its own (a page, a basket)."""
    n_kept: int = Field(default=300, ge=1)
    """Entries kept for each item: 300 lose nothing measurable. Raising it costs memory and time in proportion."""
    exact_limit: int = Field(default=20_000, ge=0)
    """Catalogues up to this many items are solved exactly (4 bytes times its square of memory), larger ones item by
    item over ``n_neighbours``."""
    n_neighbours: int = Field(default=100, ge=1)
    """Items each item may depend on in a large catalogue. Raising it costs time with its cube."""


class Linear:
    """Ridge regression from histories to what is in them and to what follows them; see ``ridge`` for the formula.

    With X users' histories, S and Y what came before and after each step (Choi et al. 2021, SLIST), Z baskets and F
    item features: inputs ``(1-q) X'X + q S'S + b Z'Z + a FF'``, targets the same with ``q S'Y``. Scored as the sum of
    the rows of the history's items, each weighted by its recency.

    Cost: ``fit`` see ``ridge``; a request O(history x n_kept + n_items); memory 8 bytes x n_kept an item.
    """

    Config = LinearConfig
    is_index = False

    def __init__(self, name: str, weights: sp.csr_matrix, config: LinearConfig, catalogue: Catalogue) -> None:
        self.name = name
        self._weights = weights
        self._config = config
        self._catalogue = catalogue
        self._recency = Recency(
            weight_of_code(config.event_weights),
            config.history_decay,
            config.history_half_life_days,
            config.history_length,
        )
        self._handover = Handover()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: LinearConfig, parts: Parts) -> Linear:
        """Solve the regression over the snapshot's histories."""
        steps = history_steps(snapshot, config.event_weights, config.history_length)
        features = feature_matrix(snapshot.items)
        moments, ridge = moments_of(steps, features, config)
        if not moments.inputs.nnz:
            weights = sp.csr_matrix((snapshot.n_items, snapshot.n_items), dtype=np.float32)
        elif snapshot.n_items <= config.exact_limit:
            weights = solve_exact(moments, ridge, config.n_kept, parts.progress)
        else:
            weights = solve_by_neighbours(moments, ridge, config.n_neighbours, config.n_kept, parts.progress)
        return cls(name, weights, config, parts.catalogue)

    @classmethod
    def load(cls, name: str, folder: Path, config: LinearConfig, parts: Parts) -> Linear:
        """Read back what ``save`` wrote."""
        weights = sparse_matrix("weights", read_arrays(folder, *sparse_names("weights")))
        return cls(name, weights, config, parts.catalogue)

    def save(self, folder: Path) -> None:
        """Write the weights."""
        write_arrays(folder, sparse_arrays("weights", self._weights))

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """What goes with the request's items, else with the user's history."""
        return [
            propose(self.name, self._handover.leave(request, self._dense(request)), n, request) for request in requests
        ]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores of given items, nan for items that nothing in the history leads to."""
        return [
            opinions(self._handover.take(request, self._dense), rows)
            for request, rows in zip(requests, item_rows, strict=True)
        ]

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Nothing to do: new events come with the live state, new items get weights at the next ``fit``."""

    def _dense(self, request: Request) -> NDArray[np.float32]:
        n_fitted = len(self._weights.indptr) - 1
        rows, weights = self._history(request)
        is_fitted = (rows >= 0) & (rows < n_fitted)
        scores = sum_of_rows(self._weights, rows[is_fitted], weights[is_fitted])
        dense = np.full(max(self._catalogue.n_items, n_fitted), NO_OPINION, dtype=np.float32)
        dense[:n_fitted][scores != 0] = scores[scores != 0]
        return dense

    def _history(self, request: Request) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows, weights = self._recency.of(request.state, request.now_ms)
        if not len(request.anchor_rows):
            return rows, weights
        anchors = np.unique(request.anchor_rows)
        beside = ~np.isin(rows, anchors)
        faded = weights[beside] * np.float32(self._config.beside_anchors)
        return np.concatenate([anchors, rows[beside]]), np.concatenate([np.ones(len(anchors), np.float32), faded])


def moments_of(steps: Steps, features: sp.csr_matrix, config: LinearConfig) -> tuple[Moments, float]:
    """The regression's sparse products, and the ridge in the scale of the histories' weights.

    Weights are squared in the products, so the ridge is multiplied by their mean square: a shop that only has views
    (0.2 each) gets the same model as one that only has purchases.
    """
    unit = float(np.mean(steps.weight.astype(np.float64) ** 2)) if len(steps) else 1.0
    share = np.float32(config.sequence_share)
    histories = user_item_matrix(steps)
    inputs = (np.float32(1) - share) * (histories.T @ histories)
    shift = sp.csr_matrix((steps.n_items, steps.n_items), dtype=np.float32)
    if share > 0:
        before, after = past_and_future(steps, config.step_decay, config.window)
        inputs = inputs + share * (before.T @ before)
        shift = sp.csr_matrix(share * (before.T @ (after - before)))
    if config.basket_share > 0:
        baskets = basket_item_matrix(steps)
        inputs = inputs + np.float32(config.basket_share) * (baskets.T @ baskets)
    scaled = features * np.float32(np.sqrt(config.attribute_weight * unit))
    if not config.attribute_weight:
        scaled = sp.csr_matrix((steps.n_items, 0), dtype=np.float32)
    return Moments(sp.csr_matrix(inputs), shift, sp.csr_matrix(scaled)), config.ridge * unit


def sum_of_rows(matrix: sp.csr_matrix, rows: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """``weights @ matrix[rows]`` of a square matrix, dense. (n,) float64. Cost O(entries of those rows + n)."""
    place, column, value = entries_of(matrix, rows)
    return np.bincount(column, value * weights[place], minlength=len(matrix.indptr) - 1).astype(np.float64)
