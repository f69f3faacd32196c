"""The main ranker: boosted trees on top of a logistic regression, for clicks and for purchases after a click.

Enters: examples. Leaves: outcomes. The linear part carries what holds everywhere, so that candidates unlike those that
were shown are still judged sensibly; the trees (LightGBM, Ke et al. 2017) add what matters only together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aisle.contracts import Float32Array, Parts
from aisle.domain import Candidates, Examples, Features, Outcomes, Request
from aisle.errors import CorruptError
from aisle.ranking.calibration import CLICKS_PULL, PURCHASES_PULL, Calibration
from aisle.ranking.examined_clicks import expected_curvature, losses, slopes
from aisle.ranking.learning import (
    LearningConfig,
    earlier_and_later,
    expected,
    importance,
    in_one_table,
    log_purchase_known,
    require_enough,
)
from aisle.ranking.logistic import Calibrations, ClickAndPurchase, LogisticRanker
from aisle.ranking.position import Examination, placement_codes
from aisle.storage.checksums import check_files, write_checksums

if TYPE_CHECKING:
    import lightgbm  # elsewhere where it is used: it takes two seconds with scikit-learn, and many shops have no trees

Floats = NDArray[np.float64]

_FILES = ("click.txt", "purchase.txt")
_SEEDED = {"seed": 0, "deterministic": True, "force_row_wise": True, "verbosity": -1}


class BoostedTreesConfig(LearningConfig):
    """Settings of ``BoostedTrees``."""

    ridge: float = Field(default=20.0, gt=0)
    """Pull of every weight of the linear part of clicks towards 0. Raising it trusts the examples less."""
    purchase_ridge: float = Field(default=20.0, gt=0)
    """The same for purchases, which are rarer."""
    max_trees: int = Field(default=200, ge=1, le=5_000)
    """Trees at most; how many are grown shows on the latest lists. Raising it costs time in answering too."""
    learning_rate: float = Field(default=0.05, gt=0.0, le=1.0)
    """How much each tree says. Raising it needs fewer trees and learns more roughly."""
    leaves: int = Field(default=15, ge=2, le=255)
    """Leaves of a tree. Raising it lets more features act together, and learns more by heart."""
    rows_a_leaf: int = Field(default=100, ge=1)
    """Examples in a leaf at least. Raising it makes trees more careful."""


@dataclass(frozen=True)
class Trees:
    """Trees that correct log-odds they are given; none when they do not help."""

    booster: lightgbm.Booster | None

    def log_odds(self, values: NDArray[np.float32]) -> Floats:
        """What to add to the linear part. (n,)"""
        if self.booster is None or not len(values):
            return np.zeros(len(values))
        return np.asarray(self.booster.predict(values, raw_score=True, num_threads=1, validate_features=False))

    def contributions(self, values: NDArray[np.float32]) -> Floats:
        """How much each feature moved it (Lundberg & Lee 2017, exact for trees). (n, n_features)"""
        if self.booster is None:
            return np.zeros(values.shape)
        found = np.asarray(self.booster.predict(values, pred_contrib=True, num_threads=1, validate_features=False))
        return found[:, :-1]


@dataclass(frozen=True)
class Labelled:
    """Rows to learn one outcome from: features, what is known without trees, log P(it could show), labels, weights.

    A click can show where somebody looks, a purchase where there was time for it.
    """

    values: NDArray[np.float32]
    start: Floats
    log_examined: Floats
    labels: NDArray[np.bool_]
    weights: Floats


class BoostedTrees:
    """A click model and a purchase-after-click model, each linear part plus trees, each calibrated.

    How much each place is looked at is learned with the linear part, put right by chance and given to the trees, so
    that they learn what would be clicked by who looks. Cost: about 1 ms for 200 candidates on one core.
    """

    Config = BoostedTreesConfig

    def __init__(
        self,
        name: str,
        linear: ClickAndPurchase,
        trees: tuple[Trees, Trees],
        calibrations: Calibrations,
        parts: Parts,
    ) -> None:
        self.name = name
        self._linear = linear
        self._trees = trees
        self._calibrations = calibrations
        self._parts = parts

    @classmethod
    def fit(cls, name: str, examples: Examples, config: BoostedTreesConfig, parts: Parts) -> BoostedTrees:
        """Choose the trees and calibrate on the latest lists, then learn from all. Raises ``NotReadyError``."""
        require_enough(examples, config)
        earlier, later = earlier_and_later(examples, config.calibration_share)
        linear = ClickAndPurchase.fit(earlier, config, config.ridge, config.purchase_ridge)
        examination = told_by_chance(linear, earlier)
        learned, checked = (labelled(linear, examination, part, config) for part in (earlier, later))
        trees = [grown(one, config, other) for one, other in zip(learned, checked, strict=True)]
        of_click, of_purchase = (
            Calibration.fit(rows.start + tree.log_odds(rows.values), rows.log_examined, rows.labels, pull)
            for rows, tree, pull in zip(checked, trees, (CLICKS_PULL, PURCHASES_PULL), strict=True)
        )
        linear = ClickAndPurchase.fit(examples, config, config.ridge, config.purchase_ridge)
        n_trees = [0 if tree.booster is None else tree.booster.current_iteration() for tree in trees]
        rows_of_all = labelled(linear, told_by_chance(linear, examples), examples, config)
        grown_on_all = (
            grown(rows_of_all[0], config, n_trees=n_trees[0]),
            grown(rows_of_all[1], config, n_trees=n_trees[1]),
        )
        return cls(name, linear, grown_on_all, (of_click, of_purchase), parts)

    @classmethod
    def load(cls, name: str, folder: Path, config: BoostedTreesConfig, parts: Parts) -> BoostedTrees:
        """Read back what ``save`` wrote."""
        import lightgbm

        check_files(folder)
        linear, calibrations = LogisticRanker.read_models(folder)
        trees = []
        for file in _FILES:
            text = (folder / file).read_text(encoding="utf-8")
            try:
                trees.append(Trees(lightgbm.Booster(model_str=text) if text else None))
            except lightgbm.basic.LightGBMError as error:
                raise CorruptError(f"{folder / file} cannot be read ({error}); run `aisle train SHOP`") from error
        return cls(name, linear, (trees[0], trees[1]), calibrations, parts)

    def save(self, folder: Path) -> None:
        """Write the linear part as npz, the trees in LightGBM's text format."""
        written = LogisticRanker(self.name, self._linear, self._calibrations, self._parts)
        written.save(folder)
        for file, trees in zip(_FILES, self._trees, strict=True):
            text = "" if trees.booster is None else trees.booster.model_to_string()
            (folder / file).write_text(text, encoding="utf-8")
        write_checksums(folder, sorted(path.name for path in folder.iterdir()))

    def predict(
        self, requests: Sequence[Request], candidates: Sequence[Candidates], features: Sequence[Features]
    ) -> list[Outcomes]:
        """Outcomes of each request's candidates, as if shown in the first slot."""
        del requests  # who asks stands in the features
        values = in_one_table(features, self._linear.names)
        linear = (self._linear.click, self._linear.purchase)
        click, purchase = (
            line.probability(model.log_odds(values) + trees.log_odds(values))
            for model, trees, line in zip(linear, self._trees, self._calibrations, strict=True)
        )
        return expected(click, purchase, candidates, self._parts, self.name)

    def attribute(self, features: Features) -> dict[str, Float32Array]:
        """What the linear part and the trees owe to each feature. Implements ``contracts.Explainer``."""
        names = self._linear.names
        values = features.aligned(names)
        found = LogisticRanker(self.name, self._linear, self._calibrations, self._parts).attribute(features)
        place = [names.index(name) if name in names else -1 for name in features.names]
        click, purchase = (
            np.concatenate([trees.contributions(values), np.zeros((len(values), 1))], axis=1)[:, place]
            for trees in self._trees
        )
        return {
            "click": (found["click"] + click).astype(np.float32),
            "purchase": (found["purchase"] + click + purchase).astype(np.float32),
        }


def told_by_chance(linear: ClickAndPurchase, examples: Examples) -> Examination:
    """How much each place is looked at, put right by what was left to chance.

    The linear part keeps the curve that it learned: that one also makes up for what a straight line cannot say of the
    upper items, and the line orders worse without it; trees can say it.
    """
    log_odds = linear.click.log_odds(examples.features.aligned(linear.names))
    return linear.examination.told_by_chance(examples, log_odds)


def labelled(
    linear: ClickAndPurchase, examination: Examination, examples: Examples, config: LearningConfig
) -> tuple[Labelled, Labelled]:
    """Rows to learn clicks from, and purchases after a click, on top of ``linear``."""
    values, clicked = examples.features.aligned(linear.names), examples.is_click
    weight = importance(examples, config)
    looked = examination.log_examined(examples.slots, placement_codes(examples))
    bought, known = examples.is_purchase[clicked], log_purchase_known(examples)[clicked]
    return (
        Labelled(values, linear.click.log_odds(values), looked, clicked, weight),
        Labelled(values[clicked], linear.purchase.log_odds(values[clicked]), known, bought, weight[clicked]),
    )


def grown(rows: Labelled, config: BoostedTreesConfig, check: Labelled | None = None, *, n_trees: int = 0) -> Trees:
    """Trees on top of ``rows.start``: ``n_trees``, or as many as help on ``check``."""
    if check is None and not n_trees:
        return Trees(None)
    import lightgbm

    settings = {
        **_SEEDED,
        "objective": slope_and_curvature(rows),
        "metric": "None",
        "boost_from_average": False,
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.rows_a_leaf,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "max_bin": 127,
    }
    table = lightgbm.Dataset(rows.values, rows.labels, init_score=rows.start, params=settings)
    if check is None:
        return Trees(lightgbm.train(settings, table, n_trees))
    if not check.labels.any() or not rows.labels.any():
        return Trees(None)
    reference = lightgbm.Dataset(check.values, check.labels, init_score=check.start, reference=table, params=settings)

    def found_wrong(log_odds: Floats, _: lightgbm.Dataset) -> tuple[str, float, bool]:
        return "log_loss", weighted_log_loss(check, log_odds), False

    stop = lightgbm.early_stopping(40, verbose=False)
    booster = lightgbm.train(
        settings, table, config.max_trees, valid_sets=[reference], feval=found_wrong, callbacks=[stop]
    )
    without = weighted_log_loss(check, check.start)
    trees = Trees(kept(booster, booster.best_iteration))
    return trees if weighted_log_loss(check, check.start + trees.log_odds(check.values)) < without else Trees(None)


def kept(booster: lightgbm.Booster, n_trees: int) -> lightgbm.Booster:
    """Only the first ``n_trees``, as they would be read back from a file."""
    import lightgbm

    return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=n_trees))


def slope_and_curvature(rows: Labelled) -> Callable[[Floats, lightgbm.Dataset], tuple[Floats, Floats]]:
    """What LightGBM needs of the log loss at (n,) log-odds: its slope, and its expected curvature, never negative."""
    labels = rows.labels.astype(np.float64)

    def at(log_odds: Floats, _: lightgbm.Dataset) -> tuple[Floats, Floats]:
        by_odds = slopes(log_odds, rows.log_examined, labels)[0]
        return rows.weights * by_odds, rows.weights * expected_curvature(log_odds, rows.log_examined)

    return at


def weighted_log_loss(rows: Labelled, log_odds: Floats) -> float:
    """Mean log loss of (n,) log-odds."""
    return float(np.average(losses(log_odds, rows.log_examined, rows.labels.astype(np.float64)), weights=rows.weights))
