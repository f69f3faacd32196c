"""The linear ranker: a logistic regression of clicks, another of purchases after a click.

Enters: examples. Leaves: outcomes. Small, quick and steady with few examples; it cannot see that two things matter only
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aisle.contracts import Float32Array, Parts
from aisle.domain import Candidates, Examples, Features, Outcomes, Request
from aisle.ranking.calibration import CLICKS_PULL, Calibration
from aisle.ranking.learning import (
    LearningConfig,
    earlier_and_later,
    expected,
    importance,
    in_one_table,
    log_purchase_known,
    require_enough,
)
from aisle.ranking.linear_model import Design, LinearModel, minimise
from aisle.ranking.position import Examination, frequent_placements, placement_codes, position_columns
from aisle.storage.arrays import read_arrays, write_arrays

Floats = NDArray[np.float64]
Calibrations = tuple[Calibration, Calibration]
"""Of clicks and of purchases after a click."""


class LogisticConfig(LearningConfig):
    """Settings of ``LogisticRanker``."""

    ridge: float = Field(default=20.0, gt=0)
    """Pull of every click weight towards 0. Raising it trusts the examples less."""
    purchase_ridge: float = Field(default=20.0, gt=0)
    """The same for purchases, which are rarer."""


@dataclass(frozen=True)
class ClickAndPurchase:
    """Linear models of a click by who looks, and of a purchase after a click; and how much each place is looked at."""

    names: tuple[str, ...]
    click: LinearModel
    purchase: LinearModel
    examination: Examination

    @classmethod
    def fit(cls, examples: Examples, config: LearningConfig, ridge: float, purchase_ridge: float) -> ClickAndPurchase:
        """Clicks from all examples, purchases from the clicked ones."""
        names, values, clicked = examples.features.names, examples.features.values, examples.is_click
        weight = importance(examples, config)
        design, of_clicked = Design.of(names, values), Design.of(names, values[clicked])
        codes = placement_codes(examples)
        placements = frequent_placements(codes)
        places = position_columns(examples.slots, codes, placements)
        surely = np.zeros(len(examples))
        solution, fall = minimise(design.columns(values), places, surely, clicked, weight, ridge)
        bought, known = examples.is_purchase[clicked], log_purchase_known(examples)[clicked]
        nowhere = np.empty((len(bought), 0), dtype=np.float32)  # who has clicked no longer sees the place
        columns = of_clicked.columns(values[clicked])
        of_purchase, _ = minimise(columns, nowhere, known, bought, weight[clicked], purchase_ridge)
        return cls(
            names,
            LinearModel(design, float(solution[0]), solution[1:]),
            LinearModel(of_clicked, float(of_purchase[0]), of_purchase[1:]),
            Examination(placements, fall),
        )


class LogisticRanker:
    """Logistic regressions over standardised features and indicators of what is unknown.

    The place in the list is allowed for in learning and left out in predicting.
    """

    Config = LogisticConfig

    def __init__(self, name: str, models: ClickAndPurchase, calibrations: Calibrations, parts: Parts) -> None:
        self.name = name
        self._models = models
        self._calibrations = calibrations
        self._parts = parts

    @classmethod
    def fit(cls, name: str, examples: Examples, config: LogisticConfig, parts: Parts) -> LogisticRanker:
        """Calibrate on the latest lists, then learn from all of them. Raises ``NotReadyError`` for too few."""
        require_enough(examples, config)
        earlier, later = earlier_and_later(examples, config.calibration_share)
        first = ClickAndPurchase.fit(earlier, config, config.ridge, config.purchase_ridge)
        values, clicked = later.features.aligned(first.names), later.is_click
        looked = first.examination.log_examined(later.slots, placement_codes(later))
        click, purchase = first.click.log_odds(values), first.purchase.log_odds(values[clicked])
        calibrations = (
            Calibration.fit(click, looked, clicked, CLICKS_PULL),
            Calibration.fit(purchase, log_purchase_known(later)[clicked], later.is_purchase[clicked]),
        )
        models = ClickAndPurchase.fit(examples, config, config.ridge, config.purchase_ridge)
        return cls(name, models, calibrations, parts)

    @classmethod
    def load(cls, name: str, folder: Path, config: LogisticConfig, parts: Parts) -> LogisticRanker:
        """Read back what ``save`` wrote."""
        return cls(name, *cls.read_models(folder), parts)

    @classmethod
    def read_models(cls, folder: Path) -> tuple[ClickAndPurchase, Calibrations]:
        """The models and calibrations that ``save`` wrote; raises ``CorruptError`` for a damaged file."""
        wanted = (*LinearModel.array_names("click"), *LinearModel.array_names("purchase"))
        arrays = read_arrays(folder, "names", "calibrations", "placements", "fall", *wanted)
        click, purchase = (LinearModel.restored(prefix, arrays) for prefix in ("click", "purchase"))
        of_click, of_purchase = (Calibration(*line) for line in arrays["calibrations"].tolist())
        examination = Examination(arrays["placements"], arrays["fall"])
        return ClickAndPurchase(tuple(arrays["names"].tolist()), click, purchase, examination), (of_click, of_purchase)

    def save(self, folder: Path) -> None:
        """Write one npz file."""
        models = self._models
        arrays = {
            "names": np.array(models.names),
            "calibrations": np.array([[line.slope, line.shift] for line in self._calibrations]),
            **vars(models.examination),
        }
        write_arrays(folder, {**arrays, **models.click.as_arrays("click"), **models.purchase.as_arrays("purchase")})

    def predict(
        self, requests: Sequence[Request], candidates: Sequence[Candidates], features: Sequence[Features]
    ) -> list[Outcomes]:
        """Outcomes of each request's candidates, as if shown in the first slot."""
        del requests  # who asks stands in the features
        values = in_one_table(features, self._models.names)
        click = self._calibrations[0].probability(self._models.click.log_odds(values))
        purchase = self._calibrations[1].probability(self._models.purchase.log_odds(values))
        return expected(click, purchase, candidates, self._parts, self.name)

    def attribute(self, features: Features) -> dict[str, Float32Array]:
        """Weight times standardised value of each feature. Implements ``contracts.Explainer``."""
        models = self._models
        values = features.aligned(models.names)
        place = [models.names.index(name) if name in models.names else -1 for name in features.names]
        found = {}
        for outcome, model in (("click", models.click), ("purchase", models.purchase)):
            parts = np.concatenate([model.contributions(values), np.zeros((len(values), 1))], axis=1)
            found[outcome] = parts[:, place].astype(np.float32)
        found["purchase"] = found["click"] + found["purchase"]
        return found
