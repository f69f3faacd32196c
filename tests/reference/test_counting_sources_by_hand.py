"""Lift, cosine, decay, trend and purchase cycle against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aisle.domain import EventType
from aisle.retrieval.bought_together import BoughtTogether, BoughtTogetherConfig
from aisle.retrieval.buy_again import BuyAgainConfig, learn_rhythm, probability_due
from aisle.retrieval.decayed_counts import DecayedCounts
from aisle.retrieval.item_neighbours import ItemNeighbours, ItemNeighboursConfig
from aisle.retrieval.trending import Trending, TrendingConfig
from behaviour import Did, ask, parts_for, snapshot_of


def test_lift_of_ten_baskets() -> None:
    """Of 10 baskets, 4 hold a, 5 hold b, 3 hold both: chance would give 4 * 5 / 10 = 2.

    With shrink 1 the score of b beside a is log((3 + 1) / (2 + 1)) = log(4/3). c shares one basket with a: below the
    support of 2.
    """
    baskets = ["ab", "ab", "ab", "ac", "b", "b", "c", "d", "d", "d"]
    events = [Did(f"u{k}", item, k, basket=f"k{k}") for k, items in enumerate(baskets) for item in items]
    snapshot = snapshot_of(events, "abcd")
    source = BoughtTogether.fit("together", snapshot, BoughtTogetherConfig(shrink=1.0), parts_for(snapshot))

    scores = source.score([ask(source._catalogue, about="a")], [np.array([1, 2, 3])])[0]

    np.testing.assert_allclose(scores, [math.log(4 / 3), np.nan, np.nan], rtol=1e-6)


def test_cosine_of_two_users() -> None:
    """Both go a, b; one of them goes on to c. log2(1 + 2 steps) = log2 3, log2(1 + 3 steps) = 2.

    c_ab = 1/log2 3 + 1/2, n_a = n_b = the same, so the cosine is 1; c_ac = .9 / 2 (two steps apart), n_c = 1/2.
    Without shrink: a-b 1, a-c .45 / sqrt(n_a / 2).
    """
    events = [Did("u", "a", 0), Did("u", "b", 1), Did("v", "a", 0), Did("v", "b", 1), Did("v", "c", 2)]
    snapshot = snapshot_of(events, "abc")
    config = ItemNeighboursConfig(shrink=0.0, distance_decay=0.9)
    source = ItemNeighbours.fit("neighbours", snapshot, config, parts_for(snapshot))
    n_a = 1 / math.log2(3) + 0.5

    scores = source.score([ask(source._catalogue, about="a")], [np.array([1, 2])])[0]

    np.testing.assert_allclose(scores, [1.0, 0.45 / math.sqrt(n_a * 0.5)], rtol=1e-5)


def test_an_event_of_one_half_life_counts_half() -> None:
    counts = DecayedCounts.empty(2, half_life_ms=100.0)
    counts = counts.plus(np.array([0, 1]), np.array([1.0, 2.0]), np.array([1000, 900]), 2)

    np.testing.assert_allclose(counts.at(1000), [1.0, 1.0])
    np.testing.assert_allclose(counts.at(1200), [0.25, 0.25])


def test_counts_do_not_depend_on_how_events_arrive() -> None:
    rows, weights, times = np.array([0, 1, 0, 2]), np.array([1.0, 2.0, 3.0, -1.0]), np.array([10, 500, 350, 20])
    at_once = DecayedCounts.empty(3, 100.0).plus(rows, weights, times, 3)
    one_by_one = DecayedCounts.empty(3, 100.0)
    for k in (2, 0, 3, 1):
        one_by_one = one_by_one.plus(rows[k : k + 1], weights[k : k + 1], times[k : k + 1], 3)

    np.testing.assert_allclose(one_by_one.at(700), at_once.at(700))
    assert one_by_one.newest_ms == 500


def test_a_trend_by_hand() -> None:
    """Three purchases now: fast 3, slow 3, ratio 48 / 480 = 1/10, prior 3: log((3 + 3) / (.3 + 3)) = log(20/11)."""
    snapshot = snapshot_of([Did(user, "a", 5) for user in "uvw"], "ab")
    config = TrendingConfig(half_life_hours=48, usual_half_life_hours=480, prior=3)
    source = Trending.fit("trending", snapshot, config, parts_for(snapshot))

    scores = source.score([ask(source._catalogue, day=5)], [np.array([0, 1])])[0]

    np.testing.assert_allclose(scores, [math.log(20 / 11), np.nan], rtol=1e-6)


def test_probability_due_at_the_median() -> None:
    """At the median gap F(t) = 1/2. With r = 1/2 and F(t + h) = F(exp(mu + sigma)) = .8413447:

    p = .5 (.8413447 - .5) / (1 - .25) = .2275631
    """
    mu, sigma = math.log(20.0), 0.7
    horizon = 20.0 * (math.exp(sigma) - 1)

    found = probability_due(np.array([20.0]), horizon, np.array([0.5]), np.array([mu]), np.array([sigma]))

    assert found[0] == pytest.approx(0.2275631, abs=1e-6)


def test_rhythm_of_one_item() -> None:
    """Two of three buyers of a buy again, after 10, 10 and 40 days; b was never bought again.

    strength s = 5 buyers. Shop: rate (2 + 5 * 0) / (4 + 5) = 2/9; no categories, so the "category" of all items is
    (2 + 5 * 2/9) / (4 + 5) = 28/81; a: (2 + 5 * 28/81) / (3 + 5), b: (0 + 5 * 28/81) / (1 + 5).
    """
    events = [Did("u", "a", 0), Did("u", "a", 10), Did("u", "a", 20), Did("v", "a", 0), Did("v", "a", 40)]
    events += [Did("w", "a", 3), Did("w", "b", 3), Did("w", "a", 3.5)]  # half a day later is the same purchase
    snapshot = snapshot_of(events, "ab")
    category = parts_for(snapshot).catalogue.column("category")

    rhythm = learn_rhythm(snapshot, category, BuyAgainConfig(strength=5.0))

    np.testing.assert_allclose(rhythm.repeat_rate, [(2 + 140 / 81) / 8, (140 / 81) / 6])
    total = math.log(10) + math.log(10) + math.log(40)
    overall = (total + 5 * math.log(30)) / 8
    category_mean = (total + 5 * overall) / 8
    np.testing.assert_allclose(rhythm.log_gap, [(total + 5 * category_mean) / 8, category_mean])


def test_a_refunded_purchase_is_no_purchase() -> None:
    events = [Did("u", "a", 0), Did("u", "a", 10), Did("u", "a", 11, EventType.REFUND)]
    snapshot = snapshot_of(events, "a")

    rhythm = learn_rhythm(snapshot, parts_for(snapshot).catalogue.column("category"), BuyAgainConfig())

    assert rhythm.repeat_rate[0] == 0.0
