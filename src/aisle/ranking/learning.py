"""What every trained ranker does the same way: counts its examples, holds lists back, and turns odds into outcomes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aisle.contracts import Parts
from aisle.domain import NO_VALUE, OUTCOME_NAMES, Candidates, Examples, Features, Outcomes
from aisle.errors import NotReadyError
from aisle.ranking.prices import units
from aisle.settings import Config

Floats = NDArray[np.float64]


class LearningConfig(Config):
    """What all trained rankers can be told."""

    min_lists: int = Field(default=500, ge=10)
    """Shown lists needed. Raising it trains later and surer."""
    min_clicks: int = Field(default=200, ge=10)
    """Clicked items needed."""
    calibration_share: float = Field(default=0.2, gt=0.0, lt=0.5)
    """Share of the lists, the latest, on which probabilities are made honest and the number of trees is chosen."""
    max_weight: float = Field(default=1.0, ge=1.0)
    """Items shown by chance weigh 1 / propensity in learning, at most this; 1 weighs all alike."""


def require_enough(examples: Examples, config: LearningConfig) -> None:
    """Raise ``NotReadyError`` saying what is needed, when there is too little to learn from."""
    n_lists, n_clicks = len(np.unique(examples.lists)), int(examples.is_click.sum())
    if n_lists < config.min_lists or n_clicks < config.min_clicks:
        raise NotReadyError(
            f"the ranker learns from lists that were shown and what was clicked in them: it has {n_lists:,} lists with "
            f"{n_clicks:,} clicks and needs {config.min_lists:,} with {config.min_clicks:,}; send events with the "
            "slate_id of the list they answer, then run `aisle train SHOP --source ranker`",
            command="aisle train SHOP --source ranker",
        )


def earlier_and_later(examples: Examples, later_share: float) -> tuple[Examples, Examples]:
    """Two parts by time, whole lists each: the later one holds about ``later_share`` of the lists."""
    lists, first = np.unique(examples.lists, return_index=True)
    in_time = lists[np.argsort(examples.times_ms[first], kind="stable")]
    n_later = max(1, round(later_share * len(lists)))
    is_later = np.isin(examples.lists, in_time[len(in_time) - n_later :])
    return examples.where(~is_later), examples.where(is_later)


def importance(examples: Examples, config: LearningConfig) -> Floats:
    """Inverse propensities, cut at ``max_weight``. (n,) float64"""
    return np.minimum(1.0 / examples.propensities.astype(np.float64), config.max_weight)


def log_purchase_known(examples: Examples) -> Floats:
    """Log-probability that a purchase would be known by now, which is to purchases what a look is to clicks. (n,)"""
    return np.log(examples.purchase_known.astype(np.float64))


def in_one_table(features: Sequence[Features], names: tuple[str, ...]) -> NDArray[np.float32]:
    """All rows of several requests under each other, (n, len(names))."""
    tables = [table.aligned(names) for table in features]
    return np.concatenate(tables) if tables else np.empty((0, len(names)), dtype=np.float32)


def expected(
    click: Floats, purchase_after_click: Floats, candidates: Sequence[Candidates], parts: Parts, model: str
) -> list[Outcomes]:
    """Calibrated outcomes of each request's candidates from probabilities (n,) of all of them."""
    rows = np.concatenate([found.item_rows for found in candidates]) if candidates else np.empty(0, np.int64)
    price, cost = (units(parts.catalogue, name, rows) for name in ("price_minor", "cost_minor"))
    currency = parts.catalogue.column("currency")[rows]
    is_ours = (currency == NO_VALUE) | (currency == parts.catalogue.currencies.find(parts.currency))
    purchase = click * purchase_after_click
    revenue = purchase * np.where(is_ours, np.nan_to_num(price), 0.0)
    margin = purchase * np.where(is_ours, np.nan_to_num(price - cost), 0.0)
    table = np.stack([click, purchase, revenue, margin], axis=1).astype(np.float32)
    ends = np.cumsum([len(found) for found in candidates])
    return [
        Outcomes(OUTCOME_NAMES, table[end - len(found) : end], model, is_calibrated=True)
        for found, end in zip(candidates, ends, strict=True)
    ]
