"""Clicks that need a look first, against numbers worked out by hand; and what chance tells of places."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.domain import Examples, Features
from aisle.ranking.examined_clicks import expected_curvature, losses, slopes
from aisle.ranking.position import Examination, turns

HALF = np.log(np.array([0.5]))
EVEN = np.zeros(1)
YES, NO = np.ones(1), np.zeros(1)


def test_the_loss_where_half_of_them_look_and_half_of_those_click() -> None:
    """P(click) = 1/2 x 1/2 = 1/4."""
    assert losses(EVEN, HALF, YES) == pytest.approx(np.log(4.0))
    assert losses(EVEN, HALF, NO) == pytest.approx(np.log(4.0 / 3.0))


def test_its_slopes() -> None:
    """With p = e s, s' = s (1 - s) = 1/4: p' = 1/8 by the odds and p = 1/4 by log e.

    A click: -p' / p = -1/2 and -p / p = -1. None: p' / (1 - p) = 1/6 and p / (1 - p) = 1/3. Fisher information of the
    odds: p'^2 / (p (1 - p)) = (1/64) / (3/16) = 1/12.
    """
    assert slopes(EVEN, HALF, YES) == (pytest.approx(-1 / 2), pytest.approx(-1.0))
    assert slopes(EVEN, HALF, NO) == (pytest.approx(1 / 6), pytest.approx(1 / 3))
    assert expected_curvature(EVEN, HALF) == pytest.approx(1 / 12)


def test_where_everybody_looks_it_is_a_logistic_regression() -> None:
    """At log-odds log 3, s = 3/4: slope s - y, curvature s (1 - s); far out it stays finite."""
    odds, surely = np.log(np.array([3.0, 3.0])), np.zeros(2)
    labels = np.array([1.0, 0.0])

    np.testing.assert_allclose(losses(odds, surely, labels), np.log([4 / 3, 4.0]))
    np.testing.assert_allclose(slopes(odds, surely, labels)[0], [-1 / 4, 3 / 4])
    np.testing.assert_allclose(expected_curvature(odds, surely), [3 / 16, 3 / 16])
    assert losses(np.array([800.0]), EVEN, NO) == pytest.approx(800.0)
    assert losses(np.array([-800.0]), EVEN, YES) == pytest.approx(800.0)


def test_slopes_are_those_of_the_losses() -> None:
    rng = np.random.default_rng(0)
    odds, looked, labels = rng.normal(size=50) * 3.0, -rng.random(50) - 0.01, (rng.random(50) < 0.4).astype(float)
    step = 1e-6

    by_odds, by_looked = slopes(odds, looked, labels)

    rise = losses(odds + step, looked, labels) - losses(odds - step, looked, labels)
    np.testing.assert_allclose(by_odds, rise / (2 * step), atol=1e-6)
    rise = losses(odds, looked + step, labels) - losses(odds, looked - step, labels)
    np.testing.assert_allclose(by_looked, rise / (2 * step), atol=1e-6)


def shown(propensities: np.ndarray, clicks: np.ndarray) -> Examples:
    """Lists (n_lists, n_slots) of nothing known."""
    n_lists, n_slots = propensities.shape
    values = np.full((propensities.size, 1), 5.0, np.float32)
    lists = np.repeat(np.arange(n_lists), n_slots)
    return Examples(
        Features(("context.placement",), values),
        lists,
        np.tile(np.arange(n_slots), n_lists),
        lists,
        propensities.ravel().astype(np.float32),
        clicks.ravel(),
        np.zeros(clicks.size, np.bool_),
        np.ones(clicks.size, np.float32),
    )


def test_what_chance_brought_takes_no_turn_of_the_policy() -> None:
    propensities = np.array([[0.9, 0.002, 0.9, 0.9], [0.002, 0.002, 0.9, 0.002]])
    examples = shown(propensities, np.zeros((2, 4), np.bool_))
    shuffled = np.array([6, 2, 0, 4, 3, 7, 1, 5])

    assert turns(examples).tolist() == [0, -1, 1, 2, -1, -1, 0, -1]
    lists, slots = examples.lists[shuffled], examples.slots[shuffled]
    assert lists.tolist() != sorted(lists)
    mixed = Examples(
        examples.features.at(shuffled), lists, slots, lists, examples.propensities[shuffled],
        examples.is_click[shuffled], examples.is_purchase[shuffled], examples.purchase_known[shuffled],
    )  # fmt: skip
    assert turns(mixed).tolist() == turns(examples)[shuffled].tolist()


def better_ones_higher(chance_share: float, seed: int = 3) -> Examples:
    """The policy's choices attract with 0.5, 0.4, ...; what comes by chance with 0.2; place p has (1 + p) ** -0.7."""
    rng = np.random.default_rng(seed)
    n_lists, n_slots = 6_000, 6
    is_chance = rng.random((n_lists, n_slots)) < chance_share
    turn = np.cumsum(~is_chance, axis=1) - 1
    attraction = np.where(is_chance, 0.2, 0.5 * 0.8**turn)
    clicks = rng.random((n_lists, n_slots)) < attraction * (1.0 + np.arange(n_slots)) ** -0.7
    return shown(np.where(is_chance, 0.01, 0.9), clicks)


def test_chance_tells_the_place_from_the_better_item() -> None:
    examples = better_ones_higher(0.2)
    too_steep = Examination(np.empty(0, np.float32), np.array([1.2, 0.0, 0.0]))
    slots, nowhere = np.arange(6), np.full(6, np.nan)

    found = too_steep.told_by_chance(examples, np.zeros(len(examples)))

    np.testing.assert_allclose(np.exp(found.log_examined(slots, nowhere)), (1.0 + slots) ** -0.7, atol=0.05)


def test_without_chance_the_place_stays_what_the_features_make_of_it() -> None:
    examples = better_ones_higher(0.0)
    given = Examination(np.empty(0, np.float32), np.array([0.4, 0.1, 0.0]))

    np.testing.assert_allclose(given.told_by_chance(examples, np.zeros(len(examples))).fall, given.fall, atol=0.02)
