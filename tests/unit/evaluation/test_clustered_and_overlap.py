"""Intervals of shares whose rows come in bunches, and how alike two lists are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aisle.evaluation.clustered import clustered_mean, clustered_share, wilson
from aisle.evaluation.list_overlap import overlap, rank_biased_overlap


def test_wilson_is_the_known_interval():
    # Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662, 0 of 20 gives 0 to 0.1611.
    found = wilson(81 / 263, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 20).low == 0.0
    assert wilson(0.0, 20).high == pytest.approx(0.1611, abs=5e-5)
    assert math.isnan(wilson(0.5, 0).value)


def test_searches_of_one_person_tell_less_than_those_of_many():
    values = np.tile([1.0, 0.0], 50)
    alone = clustered_share(values, np.arange(100))
    bunched = clustered_share(np.repeat([1.0, 0.0], 50), np.repeat(np.arange(10), 10))

    assert alone.value == bunched.value == 0.5
    assert alone.low == pytest.approx(wilson(0.5, 100).low, abs=2e-3)
    assert bunched.low == pytest.approx(wilson(0.5, 10).low, abs=0.02)


def test_unknown_values_are_passed_over():
    found = clustered_share([1.0, float("nan"), 0.0], [1, 2, 3])
    assert found.value == 0.5
    assert clustered_mean([2.0, float("nan"), 4.0], [1, 2, 3]).value == 3.0
    assert math.isnan(clustered_mean([float("nan")], [1]).value)


@pytest.mark.parametrize(("share", "within"), [(0.1, 0.8), (0.5, 0.3)])
def test_intervals_cover_the_truth(share, within):
    """People differ (beta), and search 1 to 9 times each; 400 repetitions, so 95% means 93% to 98%."""
    rng = np.random.default_rng(5)
    n_covered = 0
    for _ in range(400):
        sizes = rng.integers(1, 10, 60)
        strength = (1 - within) / within
        of_person = rng.beta(share * strength, (1 - share) * strength, 60)
        values = rng.random(sizes.sum()) < np.repeat(of_person, sizes)
        found = clustered_share(values.astype(float), np.repeat(np.arange(60), sizes))
        n_covered += found.low <= share <= found.high
    assert 0.92 <= n_covered / 400 <= 0.99


def test_overlap_by_hand():
    assert overlap("abc", "cab") == 1.0
    assert overlap("abcd", "ab") == 0.5
    assert overlap("", "") == 1.0
    assert overlap("abc", "abx", cutoff=2) == 1.0


def test_rank_biased_overlap_by_hand():
    # Depth 2, p = 0.9: agreements 0 and 1: 0.1 x (0 + 1 x 0.9) + 1 x 0.81 = 0.9.
    assert rank_biased_overlap("ab", "ba") == pytest.approx(0.9)
    assert rank_biased_overlap("abcde", "abcde") == pytest.approx(1.0)
    assert rank_biased_overlap("abc", "xyz") == 0.0
    assert rank_biased_overlap("", "") == 1.0
    assert rank_biased_overlap("ab", "") == 0.0
    assert rank_biased_overlap("abcd", "bacd") < rank_biased_overlap("abcd", "abdc"), "the top weighs more"
