"""What the user buys regularly and is due to buy again.

Enters: purchases. Leaves: ``Candidates``: the probability that an item the user bought is bought again soon. Knows
nothing of items the user never bought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtr

from aisle.contracts import Float32Array, Parts, Rows
from aisle.domain import (
    EVENT_CODE,
    NO_VALUE,
    Candidates,
    Catalogue,
    EventTable,
    EventType,
    ItemTable,
    Request,
    Snapshot,
)
from aisle.retrieval.dense_scores import NO_OPINION, Handover, opinions, propose
from aisle.settings import Config
from aisle.storage.arrays import read_arrays, write_arrays

DAY_MS = 86_400_000
_PURCHASE = EVENT_CODE[EventType.PURCHASE]
_REFUND = EVENT_CODE[EventType.REFUND]


class BuyAgainConfig(Config):
    """Settings of ``BuyAgain``."""

    horizon_days: float = Field(default=14.0, gt=0)
    """How far ahead "soon" reaches. Raising it shows items earlier."""
    shortest_gap_days: float = Field(default=1.0, gt=0)
    """Purchases closer than this count as one."""
    strength: float = Field(default=5.0, gt=0)
    """Buyers (or gaps) that what is known of the category, and of the whole shop, weighs when an item has few."""
    user_strength: float = Field(default=2.0, gt=0)
    """Gaps that the item's rhythm weighs against the user's own."""


@dataclass(frozen=True)
class Rhythm:
    """How items are bought again; each (n_items,) float64.

    ``repeat_rate`` share of an item's buyers who buy it again; ``log_gap`` mean and ``spread`` standard deviation of
    the natural logarithm of the days between two purchases by one user.
    """

    repeat_rate: NDArray[np.float64]
    log_gap: NDArray[np.float64]
    spread: NDArray[np.float64]


class BuyAgain:
    """Purchase cycles with a chance that the user is done with the item.

    With probability ``r`` (the item's repeat rate) another purchase comes, after a log-normal time with distribution
    ``F``; having waited ``t`` days, the probability that it comes within the horizon ``h`` is by Bayes' rule

    ``p = r (F(t + h) - F(t)) / (1 - r F(t))``

    The repeat rate and the log-normal gap follow Bhagat et al. 2018, "Buy It Again: Modeling Repeat Purchase
    Recommendations" (their repeat customer probability and time-distribution models); conditioning on the wait is the
    mixture cure model of survival analysis (Boag 1949). A user's own gaps are averaged with the item's; a user who
    bought ``k`` times has ``r`` raised to ``1 - (1 - r) / k``.

    Cost: O(history) per request, 24 bytes an item. Refunded purchases do not count.
    """

    Config = BuyAgainConfig
    is_index = False

    def __init__(self, name: str, rhythm: Rhythm, config: BuyAgainConfig, catalogue: Catalogue) -> None:
        self.name = name
        self._rhythm = rhythm
        self._config = config
        self._catalogue = catalogue
        self._handover = Handover()

    @classmethod
    def fit(cls, name: str, snapshot: Snapshot, config: BuyAgainConfig, parts: Parts) -> BuyAgain:
        """Learn repeat rates and gaps of items, shrunk to their category's and the shop's."""
        category = parts.catalogue.column("category")[: snapshot.n_items]
        return cls(name, learn_rhythm(snapshot, category, config), config, parts.catalogue)

    @classmethod
    def load(cls, name: str, folder: Path, config: BuyAgainConfig, parts: Parts) -> BuyAgain:
        """Read back what ``save`` wrote."""
        return cls(name, Rhythm(**read_arrays(folder, "repeat_rate", "log_gap", "spread")), config, parts.catalogue)

    def save(self, folder: Path) -> None:
        """Write the rhythm of every item."""
        rhythm = self._rhythm
        write_arrays(folder, {"repeat_rate": rhythm.repeat_rate, "log_gap": rhythm.log_gap, "spread": rhythm.spread})

    def retrieve(self, requests: Sequence[Request], n: int) -> list[Candidates]:
        """Items each user bought, the likeliest to be bought again first."""
        return [
            propose(self.name, self._handover.leave(request, self._dense(request)), n, request) for request in requests
        ]

    def score(self, requests: Sequence[Request], item_rows: Sequence[Rows]) -> list[Float32Array]:
        """Probabilities for given items, nan for those the user did not buy."""
        return [
            opinions(self._handover.take(request, self._dense), rows)
            for request, rows in zip(requests, item_rows, strict=True)
        ]

    def extend(self, items: ItemTable, events: EventTable) -> None:
        """Nothing to do: purchases come with the live state, rhythms are learnt when the source is fitted."""

    def _dense(self, request: Request) -> NDArray[np.float64]:
        dense = np.full(self._catalogue.n_items, NO_OPINION)
        state = request.state
        refunded = state.item_rows[state.types == _REFUND]
        is_bought = (state.types == _PURCHASE) & ~np.isin(state.item_rows, refunded)
        is_bought &= state.item_rows < len(self._rhythm.repeat_rate)
        rows, times = state.item_rows[is_bought], state.times_ms[is_bought]
        if not len(rows):
            return dense
        items, n_bought, first_ms, last_ms = _purchases(rows, times, self._config.shortest_gap_days * DAY_MS)
        waited = np.maximum((request.now_ms - last_ms) / DAY_MS, 1e-3)
        n_gaps = n_bought - 1
        own_gap = np.log(np.maximum((last_ms - first_ms) / DAY_MS, 1e-3) / np.maximum(n_gaps, 1))
        trust = n_gaps / (n_gaps + self._config.user_strength)
        rhythm = self._rhythm
        log_gap = trust * own_gap + (1 - trust) * rhythm.log_gap[items]
        repeat = 1.0 - (1.0 - rhythm.repeat_rate[items]) / n_bought
        dense[items] = probability_due(waited, self._config.horizon_days, repeat, log_gap, rhythm.spread[items])
        return dense


def probability_due(
    waited_days: NDArray[np.float64],
    horizon_days: float,
    repeat_rate: NDArray[np.float64],
    log_gap: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> NDArray[np.float64]:
    """``r (F(t + h) - F(t)) / (1 - r F(t))`` with a log-normal F, see ``BuyAgain``. In [0, 1]; arrays alike."""
    by_now = ndtr((np.log(waited_days) - log_gap) / spread)
    by_then = ndtr((np.log(waited_days + horizon_days) - log_gap) / spread)
    return repeat_rate * (by_then - by_now) / np.maximum(1.0 - repeat_rate * by_now, 1e-12)


def learn_rhythm(snapshot: Snapshot, category: NDArray[np.integer], config: BuyAgainConfig) -> Rhythm:
    """Repeat rates, mean log gaps and their spread for every item; ``category`` (n_items,) gives the leaf codes."""
    frame = snapshot.interactions.lazy()
    refunds = frame.filter(pl.col("type") == EventType.REFUND.value).select("user_row", "item_row").unique()
    purchases = (
        frame.filter(pl.col("type") == EventType.PURCHASE.value)
        .join(refunds, on=["user_row", "item_row"], how="anti")
        .sort("user_row", "item_row", "time_ms")
        .with_columns(days=pl.col("time_ms").diff().over("user_row", "item_row") / DAY_MS)
        .filter(pl.col("days").is_null() | (pl.col("days") >= config.shortest_gap_days))
        .with_columns(log_days=pl.col("days").log())
    )
    pairs = purchases.group_by("user_row", "item_row").agg(
        has_repeated=pl.col("days").is_not_null().any(),
        n_gaps=pl.col("log_days").count(),
        log_sum=pl.col("log_days").sum(),
        square_sum=(pl.col("log_days") ** 2).sum(),
    )
    by_item = (
        pairs.group_by("item_row")
        .agg(pl.len().alias("n_buyers"), pl.col("has_repeated", "n_gaps", "log_sum", "square_sum").sum())
        .collect()
    )
    n = snapshot.n_items
    buyers, repeated, gaps, log_sum, squares = np.zeros((5, n))
    rows = by_item["item_row"].to_numpy()
    for target, name in (
        (buyers, "n_buyers"),
        (repeated, "has_repeated"),
        (gaps, "n_gaps"),
        (log_sum, "log_sum"),
        (squares, "square_sum"),
    ):
        target[rows] = by_item[name].to_numpy()
    strength = config.strength
    log_gap = _shrunk(log_sum, gaps, category, strength, np.log(30.0))
    deviation = squares - 2 * log_gap * log_sum + gaps * log_gap**2
    return Rhythm(
        repeat_rate=np.clip(_shrunk(repeated, buyers, category, strength, 0.0), 0.0, 0.99),
        log_gap=log_gap,
        spread=np.sqrt(np.maximum(_shrunk(deviation, gaps, category, strength, 1.0), 0.04)),
    )


def _shrunk(
    total: NDArray[np.float64],
    count: NDArray[np.float64],
    category: NDArray[np.integer],
    strength: float,
    fallback: float,
) -> NDArray[np.float64]:
    """Means per item, drawn to the category's mean, itself drawn to the shop's (``fallback`` without any data)."""
    overall = (total.sum() + strength * fallback) / (count.sum() + strength)
    code = category - NO_VALUE  # 0 stands for no category
    n_codes = int(code.max(initial=0)) + 1
    in_category = np.bincount(code, total, n_codes) + strength * overall
    of_category = in_category / (np.bincount(code, count, n_codes) + strength)
    return (total + strength * of_category[code]) / (count + strength)


def _purchases(
    rows: NDArray[np.int64], times_ms: NDArray[np.int64], shortest_gap_ms: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each item once: its row, how often it was bought (near repeats count once), first and last time."""
    order = np.lexsort((times_ms, rows))
    rows, times_ms = rows[order], times_ms[order]
    is_first = np.concatenate([[True], rows[1:] != rows[:-1]])
    is_counted = is_first | np.concatenate([[True], np.diff(times_ms) >= shortest_gap_ms])
    start = np.flatnonzero(is_first)
    counts = np.add.reduceat(is_counted.astype(np.int64), start)
    last = np.concatenate([start[1:], [len(rows)]]) - 1
    return rows[start], counts, times_ms[start], times_ms[last]
