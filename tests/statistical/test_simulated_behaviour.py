"""The simulated shop behaves as its truth says: what happens often enough agrees with the probabilities asked for.

Tolerances are four standard errors of the compared sums unless said otherwise; the seeds are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from aisle.domain import EventType
from aisle.simulation import SimulatedShop, SimulationConfig, simulate
from aisle.simulation.behaviour import SEARCH, TOGETHER


@dataclass(frozen=True)
class History:
    """A simulated shop and everything it showed: one row for each shown item, and its events."""

    shop: SimulatedShop
    shown: pl.DataFrame
    events: pl.DataFrame


@pytest.fixture(scope="module")
def history() -> History:
    shop = simulate(SimulationConfig(n_products=1_000, n_users=500, n_days=150, visits_per_user=12.0), seed=3)
    frames = []
    for day in shop.days():
        for lists, responses in day.parts:
            frames.append(
                pl.DataFrame(
                    {
                        "day": np.full(len(responses.is_click), day.day),
                        "user": responses.user_rows,
                        "item": responses.item_rows,
                        "position": responses.position,
                        "placement": lists.placement[responses.list_row],
                        "session": lists.session[responses.list_row],
                        "time_ms": lists.time_ms[responses.list_row],
                        "relevance": lists.relevance[responses.list_row, responses.position],
                        "p_click": responses.click_probability.astype(np.float64),
                        "p_purchase": responses.purchase_probability.astype(np.float64),
                        "is_click": responses.is_click,
                        "is_purchase": responses.is_purchase,
                    }
                )
            )
    events = pl.concat([table.frame for table in shop.events()])
    return History(shop, pl.concat(frames), events)


def standard_error(p: pl.Series) -> float:
    """Of the sum of independent draws with probabilities ``p``."""
    return float((p * (1 - p)).sum()) ** 0.5


def test_clicks_are_as_frequent_as_their_probabilities_in_every_tenth(history):
    by_tenth = history.shown.sort("p_click").with_columns(
        (pl.int_range(pl.len()) * 10 // pl.len()).alias("tenth")
    ).partition_by("tenth")  # fmt: skip

    for part in by_tenth:
        difference = part["is_click"].sum() - part["p_click"].sum()
        assert abs(difference) < 4 * standard_error(part["p_click"]) + 1


def test_purchases_after_a_click_are_as_frequent_as_their_probabilities(history):
    clicked = history.shown.filter(pl.col("is_click"))

    for part in (
        clicked.sort("p_purchase")
        .with_columns((pl.int_range(pl.len()) * 5 // pl.len()).alias("fifth"))
        .partition_by("fifth")
    ):
        difference = part["is_purchase"].sum() - part["p_purchase"].sum()
        assert abs(difference) < 4 * standard_error(part["p_purchase"]) + 1


def test_answers_of_visitors_agree_with_the_truth_asked_beforehand(history):
    visitors = history.shop.visitors()
    users = np.arange(400)
    items = np.random.default_rng(1).integers(history.shop.config.n_products, size=(400, 10))
    now = history.shop.now_ms
    before = visitors.truth.click(users[:, None], items, now, position=np.arange(10))
    value = before * visitors.truth.purchase(users[:, None], items, now)
    needs = visitors.truth.needs
    n_clicks, n_purchases, rounds = 0, 0, 40
    for number in range(rounds):
        again = type(visitors)(visitors.truth.with_needs(needs.copy()))
        types = again.respond(users, items, now, np.random.default_rng(number)).frame["type"]
        n_clicks += (types == EventType.CLICK.value).sum()
        n_purchases += (types == EventType.PURCHASE.value).sum()

    clicks, purchases = rounds * float(before.sum()), rounds * float(value.sum())
    assert n_clicks == pytest.approx(clicks, abs=4 * clicks**0.5)
    assert n_purchases == pytest.approx(purchases, abs=4 * purchases**0.5)


def test_the_click_rate_falls_with_the_position_as_specified(history):
    """Where the item in a slot is random, clicks by slot are examination times a constant."""
    visitors = history.shop.visitors()
    rng = np.random.default_rng(5)
    n = 20_000
    users = rng.integers(history.shop.config.n_users, size=n)
    items = np.argsort(rng.random((n, 40)), axis=1)[:, :10]
    clicks = visitors.respond(users, items, history.shop.now_ms, rng).frame.filter(
        pl.col("type") == EventType.CLICK.value
    )
    rate = np.bincount(clicks["slot"].to_numpy(), minlength=10) / n

    assert rate / rate[0] == pytest.approx((1 + np.arange(10)) ** -0.7, abs=0.08)


def test_popularity_has_a_long_tail(history):
    clicks = history.shown.filter(pl.col("is_click"))["item"].value_counts()["count"].sort(descending=True)
    n_top = history.shop.config.n_products // 10

    assert clicks.head(n_top).sum() > 0.3 * clicks.sum()
    assert clicks.tail(history.shop.config.n_products // 2).sum() < 0.25 * clicks.sum()


def test_what_goes_together_is_bought_together(history):
    shop = history.shop
    leaf = shop.assortment.leaf[history.shown["item"].to_numpy()]
    bought = history.shown.with_columns(pl.Series("leaf", leaf)).filter(pl.col("is_purchase"))
    baskets = bought.select("day", "session", "leaf").unique()
    incidence = np.zeros((baskets.select("day", "session").n_unique(), shop.vocabulary.n_leaves))
    basket_row = baskets.select(pl.struct("day", "session").rank("dense") - 1).to_series().to_numpy()
    incidence[basket_row, baskets["leaf"].to_numpy()] = 1
    together = shop.vocabulary.together_matrix() | shop.vocabulary.together_matrix().T
    apart = ~together & ~np.eye(len(together), dtype=bool)
    both, each = incidence.T @ incidence, incidence.mean(axis=0)
    expected = len(incidence) * np.outer(each, each)

    assert both[together].sum() / expected[together].sum() > 2.5 * both[apart].sum() / expected[apart].sum()


def test_the_true_complement_is_more_likely_right_after_the_purchase(history):
    shop = history.shop
    truth = shop.truth_at_start
    keys = [leaf.key for leaf in shop.vocabulary.leaves]
    kettle = np.flatnonzero(shop.assortment.leaf == keys.index("kettles"))[:1]
    teas = np.flatnonzero(shop.assortment.leaf[: shop.config.n_products] == keys.index("green-tea"))
    drills = np.flatnonzero(shop.assortment.leaf[: shop.config.n_products] == keys.index("drills"))
    now = shop.config.start_ms + 100 * 86_400_000
    users = np.arange(200)[:, None]
    before_tea, before_drill = truth.click(users, teas, now), truth.click(users, drills, now)
    truth.needs.record(np.arange(200), np.repeat(kettle, 200), np.full(200, 100.0), shop.assortment)

    assert truth.click(users, teas, now).mean() > 2 * before_tea.mean()
    assert np.array_equal(truth.click(users, drills, now), before_drill)


def test_consumables_are_bought_again_after_their_cycle(history):
    shop = history.shop
    cycle = np.array([leaf.cycle_days for leaf in shop.vocabulary.leaves])
    leaf = shop.assortment.leaf[history.shown["item"].to_numpy()]
    bought = (
        history.shown.with_columns(pl.Series("leaf", leaf), pl.Series("cycle", cycle[leaf]))
        .filter(pl.col("is_purchase") & (pl.col("cycle") > 0))
        .sort("day")
        .with_columns((pl.col("day") - pl.col("day").shift(1).over("user", "leaf")).alias("gap"))
        .filter(pl.col("gap") > 0)
    )
    phase = bought["gap"] / bought["cycle"]

    # were purchases spread evenly, the three bands would hold about as many
    assert phase.is_between(0.75, 1.25).sum() > 2 * phase.is_between(0.25, 0.75).sum()
    assert phase.is_between(0.75, 1.25).sum() > 2 * phase.is_between(1.25, 1.75).sum()


def test_taste_predicts_clicks_better_than_popularity(history):
    """In the first slot of searches the truth separates clicks from the rest; popularity hardly does."""
    searched = history.shown.filter(pl.col("placement") == SEARCH)
    clicked = searched["is_click"].to_numpy()
    popularity = np.bincount(searched["item"].to_numpy(), weights=clicked)[searched["item"].to_numpy()]
    attraction = (searched["p_click"] / (1 + searched["position"]) ** -0.7).to_numpy()
    slot_zero = (searched["position"] == 0).to_numpy()

    assert area(attraction[slot_zero], clicked[slot_zero]) > area(popularity[slot_zero], clicked[slot_zero]) + 0.08


def test_an_oracle_beats_popularity_which_beats_chance(history):
    shop = history.shop
    truth, users = shop.truth, np.arange(200)[:, None]
    products = np.arange(shop.config.n_products)
    attraction = truth.click(users, products, shop.now_ms)
    n_clicks = np.bincount(
        history.shown.filter(pl.col("is_click"))["item"].to_numpy(), minlength=shop.assortment.n_items
    )
    popular = np.argsort(-n_clicks[: shop.config.n_products])[:10]
    slots = truth.examination(np.arange(10))
    ideal = (-np.sort(-attraction, axis=1)[:, :10] @ slots).mean()
    by_popularity = (attraction[:, popular] @ slots).mean()
    by_chance = attraction.mean() * slots.sum()

    assert ideal > 2 * by_popularity
    assert by_popularity > 2 * by_chance
    assert ideal < 0.85 * slots.sum()


def test_seasons_move_what_is_bought():
    shop = simulate("tiny", seed=0)
    keys = [leaf.key for leaf in shop.vocabulary.leaves]
    truth = shop.truth_at_start
    is_old = shop.assortment.created_day[:200] < 0
    down = np.flatnonzero(is_old & (shop.assortment.leaf[:200] == keys.index("down-jackets")))
    day = 86_400_000
    users = np.arange(100)[:, None]
    summer = truth.click(users, down, shop.config.start_ms + 190 * day).mean()
    winter = truth.click(users, down, shop.config.start_ms + 350 * day).mean()

    assert winter > 3 * summer


def test_visits_of_the_same_days_look_for_the_same_things(history):
    """Errands: two searches of a user within five days share their category more often than two a season apart."""
    leaf = history.shop.assortment.leaf[history.shown["item"].to_numpy()]
    searches = (
        history.shown.with_columns(pl.Series("leaf", leaf))
        .filter((pl.col("placement") == SEARCH) & (pl.col("position") == 0))
        .select("user", "day", "leaf")
    )
    pairs = searches.join(searches, on="user").filter(pl.col("day") < pl.col("day_right"))
    gap = pairs["day_right"] - pairs["day"]
    is_same = pairs["leaf"] == pairs["leaf_right"]

    assert is_same.filter(gap <= 5).mean() > 1.5 * is_same.filter(gap > 60).mean()


def test_tastes_drift_by_the_configured_angle():
    shop = simulate("tiny", seed=0)
    truth = shop.truth_at_start
    cosine = (truth.taste(np.arange(100), 0.0) * truth.taste(np.arange(100), 180.0)).sum(axis=1)

    assert cosine == pytest.approx(np.cos(np.deg2rad(30.0)), abs=1e-5)


def test_reviews_agree_with_quality_and_refunds_with_disappointment(history):
    shop = history.shop
    rows = pl.DataFrame({"item_id": shop.item_ids(), "quality": shop.assortment.quality})
    events = history.events.join(rows, on="item_id")
    reviews = events.filter(pl.col("type") == EventType.REVIEW.value)

    assert np.corrcoef(reviews["quality"], reviews["rating"])[0, 1] > 0.5
    mean_quality = {name: events.filter(pl.col("type") == name)["quality"].mean() for name in ("purchase", "refund")}
    assert mean_quality["refund"] < mean_quality["purchase"] - 0.3


def test_more_is_added_after_a_purchase_than_chance_would(history):
    added = history.shown.filter(pl.col("placement") == TOGETHER)
    other = history.shown.filter(pl.col("placement") == 0)

    assert added["is_purchase"].mean() > 5 * other["is_purchase"].mean()


def area(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve by ranks; ties count half."""
    ranks = pl.Series(scores).rank("average").to_numpy()
    n_positive = labels.sum()
    return float((ranks[labels].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * (~labels).sum()))
