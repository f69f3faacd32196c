"""What is bought in the same basket more often than chance would have it.

Enters: purchases, put into baskets. Leaves: ``Candidates`` for the items of a page or basket. Knows nothing of users.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from aisle.contracts import Float32Array, Parts, Rows
from aisle.domain import Candidates, Catalogue, EventTable, EventType, ItemTable, Request, Snapshot
from aisle.retrieval.dense_scores import NO_OPINION, opinions, propose
from aisle.retrieval.pair_counts import OpenGroups, PairCounts
from aisle.retrieval.ridge_sparse import largest_of_sparse
from aisle.settings import Config
from aisle.storage.arrays import read_arrays, write_arrays

DAY_MS = 86_400_000


class BoughtTogetherConfig(Config):
    """Settings of ``BoughtTogether``."""

    min_support: float = Field(default=2.0, ge=1)
    """Baskets a pair must share to count at all."""
    shrink: float = Field(default=20.0, gt=0)
    """Baskets added to what was met and to what chance would give. Raising it trusts rare pairs less."""
    largest_basket: int = Field(default=200, ge=2)
    """Items of a basket that are looked at; the rest of a wholesale order says little about pairs."""
    n_kept: int = Field(default=300, ge=1)
    """Partners kept for each item. Raising it costs memory in proportion."""
    n_open_baskets: int = Field(default=50_000, ge=1)
    """Baskets that may still grow between two calls of ``extend``, remembered in memory only."""


class BoughtTogether:
    """Association by shrunk lift, added over the request's items.

    With ``c_ij`` baskets that hold both and ``e_ij = c_i c_j / N`` that would by chance:

    ``score(j) = sum over i of max(0, log((c_ij + shrink) / (e_ij + shrink)))``

    Adding ``shrink`` to both is the mean of lift under a gamma prior around 1 (DuMouchel 1999, "Bayesian Data Mining in
    Large Frequency Tables"): plain lift ranks pairs met by accident first, this asks for evidence.

    A basket is the events of one ``basket_id``, else of one user's session, else of one user's day (UTC). Cost:
    O(anchors x n_kept + n_items) per request; 8 bytes x n_kept an item.
    """

    Config = BoughtTogetherConfig
    is_index = False

    def __init__(self, name: str, counts: PairCounts, config: BoughtTogetherConfig, catalogue: Catalogue) -> None:
        self.name = name
        self._counts = counts
        self._config = config
        self._catalogue = catalogue
        self._open = OpenGroups(config.n_open_baskets, config.largest_basket)
        self._lock = threading.Lock()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: BoughtTogetherConfig, parts: Parts) -> BoughtTogether:
        """Count the snapshot's baskets."""
        frame = _with_basket(
            snapshot.interactions.lazy().filter(pl.col("type") == EventType.PURCHASE.value), pl.col("user_row")
        )
        pairs = (
            frame.select("basket", "item_row")
            .unique(maintain_order=True)
            .filter(pl.int_range(pl.len()).over("basket") < config.largest_basket)
            .with_columns(row=pl.col("basket").rank("dense") - 1)
            .collect()
        )
        return cls(
            name,
            count_baskets(
                pairs["row"].cast(pl.Int64).to_numpy(),
                pairs["item_row"].cast(pl.Int64).to_numpy(),
                snapshot.n_items,
                config,
            ),
            config,
            parts.catalogue,
        )

    @classmethod
    def load(cls, name: str, folder: Path, config: BoughtTogetherConfig, parts: Parts) -> BoughtTogether:
        """Read back what ``save`` wrote."""
        counts = PairCounts.from_arrays(read_arrays(folder, *PairCounts.array_names()))
        return cls(name, counts, config, parts.catalogue)

    def save(self, folder: Path) -> None:
        """Write the counts."""
        write_arrays(folder, self._counts.arrays())

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """What is bought together with the request's items, best first."""
        return [propose(self.name, self._dense(request), n, request) for request in requests]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Scores of given items, nan for those never bought together with the request's items."""
        return [opinions(self._dense(request), rows) for request, rows in zip(requests, item_rows, strict=True)]

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Count new purchases; they join the baskets that earlier calls opened."""
        purchases = events.frame.filter(~pl.col("is_suspect") & (pl.col("type") == EventType.PURCHASE.value))
        if not len(purchases):
            return
        bought = _with_basket(purchases.lazy(), pl.col("user_id")).select("basket", "item_id").collect()
        rows = self._catalogue.rows(bought["item_id"].to_list())
        baskets = bought["basket"].filter(pl.Series(rows >= 0)).to_list()
        rows = rows[rows >= 0]
        with self._lock:
            n_opened = len({basket for basket in baskets if basket not in self._open})
            earlier, is_new = self._open.join(baskets, rows.tolist())
            lengths = np.array([len(others) for others in earlier], dtype=np.int64)
            second = np.array([other for others in earlier for other in others], dtype=np.int64)
            self._counts = self._counts.plus(
                np.repeat(rows, lengths),
                second,
                np.ones(len(second)),
                rows[is_new],
                float(n_opened),
                self._catalogue.n_items,
                self._config.n_kept,
            )

    def _dense(self, request: Request) -> NDArray[np.float64]:
        counts = self._counts
        scores = np.zeros(max(self._catalogue.n_items, len(counts.singles)))
        for row in np.unique(request.anchor_rows).tolist():
            if 0 <= row < len(counts.singles):
                partners, met = counts.partners(row)
                is_supported = met >= self._config.min_support
                partners, met = partners[is_supported], met[is_supported]
                chance = counts.singles[row] * counts.singles[partners] / max(counts.n_groups, 1.0)
                scores[partners] += np.maximum(shrunk_log_lift(met, chance, self._config.shrink), 0.0)
        return np.where(scores > 0, scores, NO_OPINION)


def shrunk_log_lift(met: NDArray[np.float64], chance: NDArray[np.float64], shrink: float) -> NDArray[np.float64]:
    """``log((met + shrink) / (chance + shrink))``: 0 where two items meet as often as chance would have it."""
    return np.log((met + shrink) / (chance + shrink))


def count_baskets(
    basket: NDArray[np.int64], item: NDArray[np.int64], n_items: int, config: BoughtTogetherConfig
) -> PairCounts:
    """Counts over baskets given as pairs of basket number and item row, each pair once."""
    n_baskets = int(basket.max()) + 1 if len(basket) else 0
    held = sp.csr_matrix((np.ones(len(item), np.float32), (basket, item)), shape=(n_baskets, n_items))
    singles = np.bincount(item, minlength=n_items).astype(np.float64)
    together = sp.coo_matrix(held.T @ held)
    kept = (together.row != together.col) & (together.data >= config.min_support)
    row, column, met = together.row[kept], together.col[kept], together.data[kept].astype(np.float64)
    lift = shrunk_log_lift(met, singles[row] * singles[column] / max(n_baskets, 1), config.shrink)
    shape = (n_items, n_items)
    strongest = largest_of_sparse(sp.csr_matrix((np.maximum(lift, 1e-9), (row, column)), shape=shape), config.n_kept)
    strongest.data[:] = 1.0
    pairs = sp.csr_matrix((met.astype(np.float32), (row, column)), shape=shape).multiply(strongest)
    return PairCounts.of(singles, float(n_baskets), sp.csr_matrix(pairs, dtype=np.float32))


def _with_basket(frame: pl.LazyFrame, user: pl.Expr) -> pl.LazyFrame:
    """Adds ``basket``: the basket's id, else user and session, else user and day, as text that cannot collide."""
    day = pl.col("time_ms") // DAY_MS
    return frame.with_columns(
        basket=pl.when(pl.col("basket_id").is_not_null())
        .then(pl.lit("basket ") + pl.col("basket_id"))
        .when(pl.col("session_id").is_not_null())
        .then(pl.format("session {} {}", user, pl.col("session_id")))
        .otherwise(pl.format("day {} {}", user, day))
    )
