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
from aisle.ranking.calibration import Calibration
from aisle.ranking.learning import (
    LearningConfig,
    earlier_and_later,
    expected,
    importance,
    in_one_table,
    placement_codes,
    require_enough,
    to_calibrate,
)
from aisle.ranking.linear_model import LinearModel
from aisle.storage.arrays import read_arrays, write_arrays

Floats = NDArray[np.float64]


class LogisticConfig(LearningConfig):
    """Settings of ``LogisticRanker``."""

    ridge: float = Field(default=20.0, gt=0)
    """Pull of every click weight towards 0. Raising it trusts the examples less."""
    purchase_ridge: float = Field(default=20.0, gt=0)
    """The same for purchases, which are rarer."""


@dataclass(frozen=True)
class ClickAndPurchase:
    """Linear models of a click, and of a purchase after a click, fitted on the same examples."""

    names: tuple[str, ...]
    click: LinearModel
    purchase: LinearModel

    @classmethod
    def fit(cls, examples: Examples, config: LearningConfig, ridge: float, purchase_ridge: float) -> ClickAndPurchase:
        """Clicks from all examples, purchases from the clicked ones."""
        names, values = examples.features.names, examples.features.values
        codes, weight = placement_codes(examples), importance(examples, config)
        clicked = examples.is_click
        return cls(
            names,
            LinearModel.fit(names, values, examples.slots, codes, clicked, weight, ridge),
            LinearModel.fit(
                names,
                values[clicked],
                np.zeros(int(clicked.sum()), dtype=np.int64),  # who has clicked no longer sees the place
                codes[clicked],
                examples.is_purchase[clicked],
                weight[clicked],
                purchase_ridge,
            ),
        )


class LogisticRanker:
    """Logistic regressions over standardised features and indicators of what is unknown.

    The place in the list is a feature in learning and left out in predicting.
    """

    Config = LogisticConfig

    def __init__(
        self, name: str, models: ClickAndPurchase, calibrations: tuple[Calibration, Calibration], parts: Parts
    ) -> None:
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
        place, chosen = first.click.position(later.slots, placement_codes(later)), to_calibrate(later)
        calibrations = (
            Calibration.fit((first.click.log_odds(values) + place)[chosen], clicked[chosen]),
            Calibration.fit(first.purchase.log_odds(values[clicked]), later.is_purchase[clicked]),
        )
        models = ClickAndPurchase.fit(examples, config, config.ridge, config.purchase_ridge)
        return cls(name, models, calibrations, parts)

    @classmethod
    def load(cls, name: str, folder: Path, config: LogisticConfig, parts: Parts) -> LogisticRanker:
        """Read back what ``save`` wrote."""
        return cls(name, *cls.read_models(folder), parts)

    @classmethod
    def read_models(cls, folder: Path) -> tuple[ClickAndPurchase, tuple[Calibration, Calibration]]:
        """The models and calibrations that ``save`` wrote; raises ``CorruptError`` for a damaged file."""
        wanted = (*LinearModel.array_names("click"), *LinearModel.array_names("purchase"))
        arrays = read_arrays(folder, "names", "calibrations", *wanted)
        click, purchase = (LinearModel.restored(prefix, arrays) for prefix in ("click", "purchase"))
        first, second = (Calibration(*line) for line in arrays["calibrations"].tolist())
        return ClickAndPurchase(tuple(arrays["names"].tolist()), click, purchase), (first, second)

    def save(self, folder: Path) -> None:
        """Write one npz file."""
        models = self._models
        lines = np.array([[one.slope, one.shift] for one in self._calibrations])
        arrays = {"names": np.array(models.names), "calibrations": lines}
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
