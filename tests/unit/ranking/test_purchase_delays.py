"""How long purchases take, told from lists that are too young to tell of the long ones."""

import numpy as np
import pytest

from aisle.ranking.delays import chance_known

DAY = 1_000
NO_AGE = np.empty(0, np.int64)


def known(n_days: int, n_lists: int, mean_delay: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Delays within 7 days of the purchases that are known by now, and the ages of their lists."""
    rng = np.random.default_rng(seed)
    ages = rng.integers(0, n_days * DAY, n_lists)
    delays = np.floor(rng.exponential(mean_delay * DAY, n_lists)).astype(np.int64)
    is_known = (delays <= ages) & (delays <= 7 * DAY)
    return delays[is_known], ages[is_known]


def within(days: np.ndarray, mean_delay: float, most_days: float) -> np.ndarray:
    return (1.0 - np.exp(-days / mean_delay)) / (1.0 - np.exp(-most_days / mean_delay))


@pytest.mark.parametrize("n_days", [21, 10])
def test_the_curve_is_that_of_all_purchases_not_of_the_known_ones(n_days: int) -> None:
    days = np.array([0.5, 1.0, 2.0, 4.0, 8.0])

    found = chance_known(*known(n_days, 20_000, 2.0), (days * DAY).astype(np.int64))

    np.testing.assert_allclose(found, within(np.minimum(days, 7.0), 2.0, 7.0), atol=0.02)


def test_a_shop_younger_than_the_window_speaks_of_its_own_age() -> None:
    days = np.array([0.5, 1.0, 2.0])

    found = chance_known(*known(3, 40_000, 1.0), (days * DAY).astype(np.int64))

    np.testing.assert_allclose(found, within(days, 1.0, 3.0), atol=0.04)


def test_where_all_buy_at_once_nothing_is_to_come() -> None:
    found = chance_known(np.zeros(200, np.int64), np.arange(200), np.array([0, 50]))

    assert found.tolist() == [1.0, 1.0]


def test_one_late_purchase_in_an_old_list_does_not_outweigh_the_others() -> None:
    delays, ages = np.array([6 * DAY, *[10] * 50]), np.array([9 * DAY, *[DAY] * 50])

    (found,) = chance_known(delays, ages, np.array([DAY]))

    assert 0.8 < found < 1.0


def test_without_purchases_nothing_is_held_back() -> None:
    assert chance_known(NO_AGE, NO_AGE, np.array([0, 5])).tolist() == [1.0, 1.0]


def test_it_is_never_zero() -> None:
    (found,) = chance_known(np.full(1_000, 5), np.full(1_000, 9), np.array([1]))

    assert 0.0 < found < 0.01
