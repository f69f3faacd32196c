"""The names of all features, and the arithmetic that several of them share.

A feature has one name in training and in serving. Families: ``source.*`` and ``raw.*`` (what sources said), ``fused*``,
``item.*``, ``category.*``, ``brand.*``, ``user.*``, ``cross.*`` (user meets item), ``anchor.*``, ``query.*``,
``context.*``.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

FUSED = "fused"
FUSED_GAP = "fused.gap"
FUSED_RANK = "fused.rank"
PLACEMENT = "context.placement"

FUSED_NAMES = (FUSED, "fused.share", FUSED_GAP, FUSED_RANK, "fused.n_sources")
ITEM_NAMES = (
    "item.log_price",
    "item.price_in_category",
    "item.margin",
    "item.age_days",
    "item.log_stock",
    "item.kind",
    "item.log_impressions",
    "item.click_rate",
    "item.log_popularity",
    "item.log_purchases",
    "item.purchase_rate",
    "item.trend",
    "item.rating",
    "item.log_ratings",
    "category.click_rate",
    "category.purchase_rate",
    "category.log_popularity",
    "brand.purchase_rate",
    "brand.log_popularity",
)
USER_NAMES = (
    "user.log_events",
    "user.log_purchases",
    "user.hours_since",
    "user.visit_events",
    "user.log_price",
    "user.log_price_bought",
    "user.view_share",
    "user.cart_share",
    "user.purchase_share",
)
CROSS_NAMES = (
    "cross.visit_top",
    "cross.visit_leaf",
    "cross.recent_top",
    "cross.recent_leaf",
    "cross.recent_brand",
    "cross.lasting_top",
    "cross.lasting_leaf",
    "cross.lasting_brand",
    "cross.leaf_over_share",
    "cross.times_shown",
    "cross.times_seen",
    "cross.times_bought",
    "cross.days_since_seen",
    "cross.days_since_bought",
    "cross.days_since_leaf",
    "cross.days_since_leaf_bought",
    "cross.bought_leaf",
    "cross.bought_brand",
    "cross.price_to_seen",
    "cross.price_to_bought",
)
ANCHOR_NAMES = ("anchor.same_leaf", "anchor.same_top", "anchor.same_brand", "anchor.price")
QUERY_NAMES = ("query.is_there", "query.length", "query.words")
CONTEXT_NAMES = ("context.hour", "context.weekday", "context.device", "context.platform", PLACEMENT, "context.n_found")

OWN_NAMES = FUSED_NAMES + ITEM_NAMES + USER_NAMES + CROSS_NAMES + ANCHOR_NAMES + QUERY_NAMES + CONTEXT_NAMES
"""All names but those of sources, in the order of columns."""

CODE_NAMES = ("item.kind", "context.device", "context.platform", PLACEMENT)
"""Features whose number only names something: larger is not more."""


def feature_names(sources: Sequence[str]) -> tuple[str, ...]:
    """All names, in the order of columns, in a shop with ``sources``."""
    return (*OWN_NAMES, *(f"source.{name}" for name in sources), *(f"raw.{name}" for name in sources))


def code_of(name: str | None) -> float:
    """A small number that stands for a name, the same in every process and version; nan for None."""
    return float("nan") if name is None else float(zlib.crc32(name.encode()) % 9_973)


class Shares:
    """How much of a history falls on each key, and when a key came last.

    ``keys`` (h,) int64 oldest first, ``weights`` (h, k) float64, one column for each way of weighing. Looking up n keys
    costs O((h + n) log h), however many keys there are in the world.
    """

    def __init__(self, keys: Integers, weights: Floats, times_ms: Integers) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._times = times_ms[order]
        self._sums = np.zeros((len(keys) + 1, weights.shape[1]))
        np.cumsum(weights[order], axis=0, out=self._sums[1:])

    def of(self, keys: Integers) -> tuple[Floats, Floats]:
        """Summed weights (n, k) and time of the last (n,), nan where a key never came; key -1 stands for none."""
        left = np.searchsorted(self._keys, keys, side="left")
        right = np.searchsorted(self._keys, keys, side="right")
        found = self._sums[right] - self._sums[left]
        last = np.full(len(keys), np.nan)
        found[keys < 0] = 0.0
        known = (right > left) & (keys >= 0)
        last[known] = self._times[right[known] - 1]
        return found, last


def scaled(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each column (n, k) divided by its largest absolute value; nan stays, as it says that a source has no opinion."""
    magnitude = np.where(np.isnan(scores), np.float32(0.0), np.abs(scores))
    largest = magnitude.max(axis=0, initial=0.0)
    return (scores / np.where(largest > 0, largest, 1.0)).astype(np.float32)


def smoothed(hits: Floats, trials: Floats, rate: Floats | float, prior: float) -> Floats:
    """A rate that starts from ``rate``, worth ``prior`` trials, and moves to ``hits / trials`` as trials come."""
    return (hits + prior * rate) / (trials + prior)
