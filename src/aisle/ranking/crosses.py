"""Where a user's history, or the items a list is about, meet the candidates.

Enters: a request. Leaves: columns of features in the order of ``USER_NAMES``, ``CROSS_NAMES`` and ``ANCHOR_NAMES``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.domain import EVENT_CODE, EVENT_TYPES, INTEREST_TYPES, NO_VALUE, Catalogue, EventType, Request
from aisle.ranking.counters import DAY_MS, KIND_OF_CODE, LOOKED, SHOWN, WANTED
from aisle.ranking.features import ANCHOR_NAMES, CROSS_NAMES, USER_NAMES, Shares
from aisle.ranking.prices import PriceLevels

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Columns = list[Floats | float]

HOUR_MS = 3_600_000
VISIT_MS = 30 * 60_000
"""What happened this long before the request belongs to the visit under way."""
RECENT_DAYS, LASTING_DAYS = 2.0, 60.0
"""Half-lives of what a user shops for just now, and of what he generally likes."""

_PURCHASE = EVENT_CODE[EventType.PURCHASE]
_IS_INTEREST = np.array([event_type in INTEREST_TYPES for event_type in EVENT_TYPES])
_WEIGHT = np.array([3.0 if event_type is EventType.PURCHASE else 1.0 for event_type in EVENT_TYPES])
"""A purchase tells more of a lasting taste than a look."""
_NAN = float("nan")


def top_nodes(catalogue: Catalogue, leaf: Integers) -> Integers:
    """The uppermost category of each category code, ``NO_VALUE`` where there is none. (n,) int64"""
    distinct, at = np.unique(leaf, return_inverse=True)
    top = [catalogue.ancestors(int(code))[0] if code >= 0 else NO_VALUE for code in distinct]
    return np.array(top, dtype=np.int64)[at]


@dataclass(frozen=True)
class History:
    """What a user did, as keys and weights. ``weights`` (h, 4): this visit, recently, lastingly, lastingly bought."""

    catalogue: Catalogue
    now_ms: int
    rows: Integers
    times_ms: Integers
    kinds: Integers
    is_purchase: NDArray[np.bool_]
    leaf: Integers
    brand: Integers
    weights: Floats
    log_price: Floats
    shown_rows: Integers

    @classmethod
    def of(cls, request: Request, catalogue: Catalogue, prices: PriceLevels) -> History:
        """The request's state; impressions count only as having been shown."""
        state = request.state
        says = _IS_INTEREST[state.types]
        rows, types, times = state.item_rows[says], state.types[says], state.times_ms[says]
        age_days = np.maximum(request.now_ms - times, 0) / DAY_MS
        recently = _WEIGHT[types] * 0.5 ** (age_days / RECENT_DAYS)
        lastingly = _WEIGHT[types] * 0.5 ** (age_days / LASTING_DAYS)
        in_visit = age_days * DAY_MS <= VISIT_MS
        weights = np.stack([in_visit, recently, lastingly, lastingly * (types == _PURCHASE)], axis=1)
        return cls(
            catalogue,
            request.now_ms,
            rows,
            times,
            KIND_OF_CODE[types],
            types == _PURCHASE,
            catalogue.column("category")[rows].astype(np.int64),
            catalogue.column("brand")[rows].astype(np.int64),
            weights.astype(np.float64),
            prices.log_prices(rows),
            state.item_rows[KIND_OF_CODE[state.types] == SHOWN],
        )

    def user_block(self) -> Columns:
        """One number for all candidates each."""
        n = len(self.rows)
        if not n:
            return [0.0, 0.0, *[_NAN] * (len(USER_NAMES) - 2)]
        n_bought = int(self.is_purchase.sum())
        return [
            float(np.log1p(n)),
            float(np.log1p(n_bought)),
            max(self.now_ms - int(self.times_ms.max()), 0) / HOUR_MS,
            float(self.weights[:, 0].sum()),
            self._usual_price(bought=False),
            self._usual_price(bought=True),
            float((self.kinds == LOOKED).sum()) / n,
            float((self.kinds == WANTED).sum()) / n,
            n_bought / n,
        ]

    def cross_block(self, rows: Integers, leaf: Integers, brand: Integers, log_price: Floats) -> Columns:
        """One number for each candidate each."""
        n = len(rows)
        shown = _times(self.shown_rows, rows)
        if not len(self.rows):
            empty: Columns = [_NAN] * len(CROSS_NAMES)
            empty[CROSS_NAMES.index("cross.times_shown")] = shown
            return empty
        total = np.maximum(self.weights.sum(axis=0), 1e-9)
        top, top_here = top_nodes(self.catalogue, self.leaf), top_nodes(self.catalogue, leaf)
        by_top, _ = Shares(top, self.weights, self.times_ms).of(top_here)
        by_leaf, leaf_ms = Shares(self.leaf, self.weights, self.times_ms).of(leaf)
        by_brand, _ = Shares(self.brand, self.weights, self.times_ms).of(brand)
        bought = self.is_purchase
        by_item, seen_ms = Shares(
            self.rows, np.stack([np.ones(len(bought)), bought.astype(np.float64)], axis=1), self.times_ms
        ).of(rows)
        nothing = self.weights[bought][:, :0]
        _, leaf_bought_ms = Shares(self.leaf[bought], nothing, self.times_ms[bought]).of(leaf)
        _, bought_ms = Shares(self.rows[bought], nothing, self.times_ms[bought]).of(rows)
        top_share, leaf_share, brand_share = by_top / total, by_leaf / total, by_brand / total
        likeliest = max(float(leaf_share[:, 1].max(initial=0.0)), 1e-9)
        return [
            top_share[:, 0],
            leaf_share[:, 0],
            top_share[:, 1],
            leaf_share[:, 1],
            brand_share[:, 1],
            top_share[:, 2],
            leaf_share[:, 2],
            brand_share[:, 2],
            leaf_share[:, 1] / likeliest if n else np.empty(0),
            shown,
            by_item[:, 0],
            by_item[:, 1],
            self._days_since(seen_ms),
            self._days_since(bought_ms),
            self._days_since(leaf_ms),
            self._days_since(leaf_bought_ms),
            leaf_share[:, 3],
            brand_share[:, 3],
            log_price - self._usual_price(bought=False),
            log_price - self._usual_price(bought=True),
        ]

    def _usual_price(self, *, bought: bool) -> float:
        known = np.isfinite(self.log_price) & (self.is_purchase if bought else True)
        weight = self.weights[known, 2]
        return float(self.log_price[known] @ weight / weight.sum()) if weight.sum() > 0 else _NAN

    def _days_since(self, times_ms: Floats) -> Floats:
        return np.maximum(self.now_ms - times_ms, 0.0) / DAY_MS


@dataclass(frozen=True)
class Anchors:
    """The items a list is about: the page's item, the basket's content."""

    catalogue: Catalogue
    rows: Integers
    log_price: Floats

    @classmethod
    def of(cls, request: Request, catalogue: Catalogue, prices: PriceLevels) -> Anchors:
        """The request's anchors that the catalogue knows."""
        rows = request.anchor_rows
        rows = rows[(rows >= 0) & (rows < catalogue.n_items)]
        return cls(catalogue, rows, prices.log_prices(rows))

    def block(self, leaf: Integers, brand: Integers, log_price: Floats) -> Columns:
        """One number for each candidate each; nan where the list is about no item."""
        if not len(self.rows):
            return [_NAN] * len(ANCHOR_NAMES)
        leaves = self.catalogue.column("category")[self.rows].astype(np.int64)
        brands = self.catalogue.column("brand")[self.rows].astype(np.int64)
        known = self.log_price[np.isfinite(self.log_price)]
        usual = float(known.mean()) if len(known) else _NAN
        return [
            ((leaf[:, None] == leaves) & (leaves >= 0)).mean(axis=1),
            ((top_nodes(self.catalogue, leaf)[:, None] == top_nodes(self.catalogue, leaves)) & (leaves >= 0)).mean(
                axis=1
            ),
            ((brand[:, None] == brands) & (brands >= 0)).mean(axis=1),
            log_price - usual,
        ]


def _times(history: Integers, rows: Integers) -> Floats:
    """How often each of ``rows`` stands in ``history``. (len(rows),)"""
    in_order = np.sort(history)
    return (np.searchsorted(in_order, rows, side="right") - np.searchsorted(in_order, rows, side="left")).astype(float)
