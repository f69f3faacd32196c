"""Rankers learn what brings clicks apart from the place, and their probabilities are honest."""

from dataclasses import replace

import numpy as np
import pytest

from aisle.contracts import Parts
from aisle.domain import Candidates, Catalogue, Examples, Features, Item, ItemTable, ItemText, Request
from aisle.errors import CorruptError, NotReadyError
from aisle.evaluation.probability_metrics import calibration_error
from aisle.ranking.boosted_trees import BoostedTrees, BoostedTreesConfig
from aisle.ranking.calibration import CLICKS_PULL, Calibration
from aisle.ranking.delays import chance_known
from aisle.ranking.features import code_of
from aisle.ranking.gate import InService, is_worse_in, judge
from aisle.ranking.learning import earlier_and_later
from aisle.ranking.logistic import LogisticConfig, LogisticRanker

DAY_MS = 86_400_000
NAMES = ("worth", "price", "fused", "context.placement")
RANKERS = [(LogisticRanker, LogisticConfig()), (BoostedTrees, BoostedTreesConfig(max_trees=60))]
by_ranker = pytest.mark.parametrize(("implementation", "config"), RANKERS, ids=["logistic", "boosted_trees"])


def chance(log_odds):
    return 1.0 / (1.0 + np.exp(-log_odds))


def biased(n_lists=3_000, n_slots=8, seed=0, *, is_random=False):
    """Lists ordered by ``fused``, which only half reflects ``worth``; place p is looked at with (1 + p) ** -0.9."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_lists, n_slots, 4)).astype(np.float32)
    values[..., 2] = 0.5 * values[..., 0] + values[..., 2]
    values[..., 3] = 5.0
    key = rng.random((n_lists, n_slots)) if is_random else -values[..., 2]
    values = np.take_along_axis(values, np.argsort(key, axis=1)[..., None], axis=1).reshape(-1, 4)
    slots = np.tile(np.arange(n_slots), n_lists)
    first = chance(1.2 * values[:, 0] - 1.5)
    is_click = rng.random(len(slots)) < first * (1.0 + slots) ** -0.9
    is_purchase = is_click & (rng.random(len(slots)) < chance(-values[:, 1] - 1.0))
    lists = np.repeat(np.arange(n_lists), n_slots)
    surely = np.ones(len(lists), np.float32)
    return Examples(Features(NAMES, values), lists, slots, lists * 1_000, surely, is_click, is_purchase, surely), first


@pytest.fixture(scope="module")
def parts():
    items = [
        Item(f"i{n}", (ItemText("en", "A thing"),), price_minor=price, cost_minor=cost, currency=currency)
        for n, (price, cost, currency) in enumerate(
            [(1_000, 600, "JPY"), (1_000, None, "JPY"), (None, None, None), (1_000, 1, "USD"), (1_000, 600, None)]
        )
    ]
    return Parts(Catalogue(ItemTable.from_rows(items)), lambda: 0, currency="JPY")


@pytest.fixture(scope="module")
def fitted(parts):
    examples, _ = biased()
    return {kind: kind.fit("ranker", examples, config, parts) for kind, config in RANKERS}


def predicted(ranker, values):
    n = len(values)
    candidates = Candidates(np.arange(n) % 5, np.empty((n, 0), np.float32), (), np.zeros(n, np.float32))
    (outcomes,) = ranker.predict([Request("home", 0)], [candidates], [Features(NAMES, values)])
    return outcomes


@by_ranker
def test_the_place_is_told_apart_from_the_worth(fitted, implementation, config):
    examples, first = biased(1_000, seed=9, is_random=True)

    click = predicted(fitted[implementation], examples.features.values).values[:, 0]

    assert click.mean() == pytest.approx(first.mean(), rel=0.15)
    # what lay far down is judged like what lay on top: the place is gone from the prediction
    top, down = examples.slots == 0, examples.slots == 7
    assert click[down].mean() == pytest.approx(click[top].mean(), rel=0.1)
    assert np.corrcoef(click, first)[0, 1] > 0.95


@by_ranker
def test_probabilities_in_the_first_slot_are_honest(fitted, implementation, config):
    examples, first = biased(4_000, seed=10, is_random=True)
    happened = np.random.default_rng(1).random(len(first)) < first

    click = predicted(fitted[implementation], examples.features.values).values[:, 0]

    assert calibration_error(happened, click) < 0.02


@by_ranker
def test_money_is_in_whole_units_of_the_shop_s_currency(fitted, implementation, config):
    outcomes = predicted(fitted[implementation], np.zeros((5, 4), np.float32))
    _, purchase, revenue, margin = outcomes.values.T

    assert outcomes.is_calibrated
    np.testing.assert_allclose(revenue, purchase * [1_000, 1_000, 0, 0, 10], rtol=1e-5)
    np.testing.assert_allclose(margin, purchase * [400, 0, 0, 0, 4], rtol=1e-5)


@by_ranker
def test_what_keeps_from_buying_is_learned_from_clicks_only(fitted, implementation, config):
    values = np.zeros((2, 4), np.float32)
    values[1, 1] = 1.5

    cheap, dear = predicted(fitted[implementation], values).values[:, :2]

    assert dear[1] / dear[0] < 0.6 * cheap[1] / cheap[0]


@by_ranker
def test_what_is_not_bought_yet_is_not_taken_for_never(parts, implementation, config):
    """21 days of lists; purchases take 2 days on average, so that half of those in the latest lists are to come."""
    examples, _ = biased(6_000, seed=5)
    rng = np.random.default_rng(11)
    ages = ((6_000 - examples.lists) * 21 * DAY_MS // 6_000).astype(np.int64)
    delays = rng.exponential(2 * DAY_MS, size=len(ages)).astype(np.int64)
    bought = examples.is_purchase & (delays <= 7 * DAY_MS)
    until_now = bought & (delays <= ages)
    log = replace(
        examples,
        is_purchase=until_now,
        purchase_known=chance_known(delays[until_now], ages[until_now], ages).astype(np.float32),
    )
    clicked = examples.is_click
    latest = clicked & (ages < 4 * DAY_MS)
    assert until_now[latest].mean() < 0.75 * bought[latest].mean()

    outcomes = predicted(implementation.fit("ranker", log, config, parts), examples.features.values[clicked]).values

    assert (outcomes[:, 1] / outcomes[:, 0]).mean() == pytest.approx(bought[clicked].mean(), rel=0.07)


@by_ranker
def test_what_moved_a_prediction_is_told(fitted, implementation, config):
    values = np.zeros((3, 4), np.float32)
    values[1, 0], values[2, 0] = 1.0, -1.0

    moved = fitted[implementation].attribute(Features(NAMES, values))

    assert moved["click"][1, 0] > 0.5 > -0.5 > moved["click"][2, 0]
    assert moved["purchase"].shape == (3, 4)


@by_ranker
def test_too_few_examples_are_refused_with_what_is_needed(parts, implementation, config):
    with pytest.raises(NotReadyError, match=r"it has 20 lists with .* needs 500 with 200"):
        implementation.fit("ranker", biased(20)[0], config, parts)


@by_ranker
def test_a_damaged_file_is_noticed(fitted, parts, tmp_path, implementation, config):
    fitted[implementation].save(tmp_path)
    largest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)

    with pytest.raises(CorruptError):
        implementation.load("ranker", tmp_path, config, parts)


@by_ranker
def test_a_ranker_that_learned_something_passes_its_gate(parts, implementation, config):
    examples, _ = biased()
    earlier, later = earlier_and_later(examples, 0.2)

    verdict = judge(implementation.fit("ranker", earlier, config, parts), earlier, later, np.random.default_rng(0))

    assert verdict.shortcomings == ()
    assert verdict.metrics["passed"] == 1.0
    assert verdict.metrics["order_gain"] > verdict.metrics["fused_order_gain"]
    assert verdict.metrics["n_held_out_lists"] == 600
    bought = verdict.metrics["n_held_out_purchases"]
    assert verdict.metrics["n_expected_purchases"] == pytest.approx(bought, rel=0.3)
    assert verdict.metrics["purchase_calibration_error"] < 0.1


def test_the_gate_tells_the_calibration_error_of_each_placement(parts):
    examples, _ = biased()
    values = examples.features.values.copy()
    values[examples.lists % 2 == 0, 3] = np.float32(code_of("search"))
    mixed = replace(examples, features=Features(NAMES, values))
    earlier, later = earlier_and_later(mixed, 0.2)
    ranker = LogisticRanker.fit("r", earlier, LogisticConfig(), parts)

    metrics = judge(ranker, earlier, later, np.random.default_rng(0), ["search", "nowhere"]).metrics

    assert 0.0 < metrics["calibration_error.search"] < 0.03
    assert metrics["calibration_error.search"] != metrics["calibration_error"]
    assert "calibration_error.nowhere" not in metrics


def two_placements(n_lists=3_000):
    """Four of five lists as ``biased``; in the others, similar-items, ``worth`` keeps from clicking."""
    examples, _ = biased(n_lists)
    values, here = examples.features.values.copy(), examples.lists % 5 == 0
    values[:, 3] = np.where(here, code_of("similar-items"), code_of("home"))
    attracted = chance(1.2 * values[:, 2] - 1.2 * values[:, 0] - 1.0) * (1.0 + examples.slots) ** -0.9
    is_click = np.where(here, np.random.default_rng(3).random(len(here)) < attracted, examples.is_click)
    return replace(
        examples,
        features=Features(NAMES, values),
        is_click=is_click,
        is_purchase=examples.is_purchase & is_click,
    )


def test_the_gate_tells_where_the_fused_order_is_better(parts):
    earlier, later = earlier_and_later(two_placements(), 0.2)
    ranker = LogisticRanker.fit("r", earlier, LogisticConfig(), parts)

    verdict = judge(ranker, earlier, later, np.random.default_rng(0), ["home", "similar-items", "nowhere"])

    assert verdict.metrics["order_gain_over_fused_low"] > 0.0
    assert verdict.metrics["order_gain_over_fused_high.similar-items"] < 0.0
    assert [name for name in ("home", "similar-items", "nowhere") if is_worse_in(name, verdict.metrics)] == [
        "similar-items"
    ]


def judged_beside(service, parts, seen_until_ms=float("-inf")):
    """The gate of a ranker that has learned little, beside the one in service."""
    examples, _ = biased()
    home = np.full((len(examples), 1), code_of("home"), np.float32)
    values = np.concatenate([examples.features.values[:, :3], home], axis=1)
    earlier, later = earlier_and_later(replace(examples, features=Features(NAMES, values)), 0.2)
    little = LogisticRanker.fit("r", earlier, LogisticConfig(ridge=300.0), parts)
    beside = InService(service(earlier, later, little), frozenset({"home"}), seen_until_ms)
    return judge(little, earlier, later, np.random.default_rng(0), ["home"], beside)


class Remembering:
    """Knows what was clicked in lists it has seen, and speaks as another of those it has not."""

    def __init__(self, seen, other):
        self._clicked = dict(zip((row.tobytes() for row in seen.features.values), seen.is_click, strict=True))
        self._other = other

    def predict(self, requests, candidates, features):
        (outcomes,) = self._other.predict(requests, candidates, features)
        values = outcomes.values.copy()
        for row, known in enumerate(features[0].values):
            if known.tobytes() in self._clicked:
                values[row, 0] = 0.8 if self._clicked[known.tobytes()] else 0.05
        return [replace(outcomes, values=values)]


def test_one_that_is_clearly_worse_than_the_one_in_service_does_not_pass(parts):
    verdict = judged_beside(lambda earlier, later, little: Remembering(later, little), parts)

    assert verdict.metrics["order_gain_over_fused_low"] > 0.0
    assert verdict.metrics["order_gain_over_service_high"] < 0.0
    assert not verdict.is_passed
    assert all("the version in service is clearly better" in what for what in verdict.shortcomings)


def test_one_as_good_as_the_one_in_service_passes(parts):
    verdict = judged_beside(lambda earlier, later, little: little, parts)

    assert verdict.is_passed
    assert verdict.metrics["order_gain_over_service"] == 0.0


def test_the_one_in_service_gains_nothing_by_lists_it_has_learned_from(parts):
    seen_until_ms = 2_750_000  # of the later lists, 2,400 to 2,999 and one a second, 249 are newer

    def service(earlier, later, little):
        return Remembering(later.where(later.times_ms <= seen_until_ms), little)

    assert judged_beside(service, parts, seen_until_ms).is_passed
    assert not judged_beside(service, parts).is_passed


def test_nothing_is_compared_on_lists_that_the_one_in_service_remembers_all(parts):
    verdict = judged_beside(lambda earlier, later, little: Remembering(later, little), parts, float("inf"))

    assert verdict.is_passed
    assert "order_gain_over_service" not in verdict.metrics


def test_a_ranker_of_noise_does_not_pass(parts):
    examples, _ = biased()
    shuffled = np.random.default_rng(2).permutation(len(examples))
    noise = replace(examples, features=examples.features.at(shuffled))
    earlier, later = earlier_and_later(noise, 0.2)

    verdict = judge(LogisticRanker.fit("r", earlier, LogisticConfig(), parts), earlier, later, np.random.default_rng(0))

    assert not verdict.is_passed
    assert verdict.metrics["passed"] == 0.0
    assert "base rates" in verdict.shortcomings[0]
    assert "fused" in verdict.shortcomings[1]


def test_a_ranker_that_exaggerates_does_not_pass(parts):
    examples, _ = biased()
    earlier, later = earlier_and_later(examples, 0.2)
    honest = LogisticRanker.fit("r", earlier, LogisticConfig(), parts)

    class Exaggerating:
        def predict(self, requests, candidates, features):
            outcomes = honest.predict(requests, candidates, features)
            return [replace(one, values=np.minimum(one.values * 2.0, 1.0)) for one in outcomes]

    # the places are judged by the earlier lists, on which it exaggerates as much: only the first slot tells
    verdict = judge(Exaggerating(), earlier, later, np.random.default_rng(0))

    assert verdict.metrics["first_slot_predicted"] > 1.5 * verdict.metrics["first_slot_observed"]
    assert not verdict.is_passed
    assert "calibration error" in verdict.shortcomings[-1]


def test_lists_are_parted_by_time_and_never_cut():
    examples, _ = biased(10)

    earlier, later = earlier_and_later(examples, 0.2)

    assert sorted(set(later.lists)) == [8, 9]
    assert len(earlier) == 64


def test_calibration_straightens_log_odds_and_keeps_their_order():
    rng = np.random.default_rng(0)
    true = rng.normal(size=20_000)
    happened = rng.random(20_000) < chance(true)

    line = Calibration.fit(2.0 * true - 1.0, np.zeros(20_000), happened)

    assert line.slope == pytest.approx(0.5, abs=0.03)
    assert line.shift == pytest.approx(0.5, abs=0.06)
    assert Calibration.fit(true, np.zeros(20_000), np.zeros(20_000, np.bool_)) == Calibration()


def test_a_few_clicks_hardly_move_the_line_and_many_do():
    rng = np.random.default_rng(4)

    def line(n: int) -> Calibration:
        return Calibration.fit(np.zeros(n), np.zeros(n), rng.random(n) < chance(np.array(-0.3)), CLICKS_PULL)

    # n x p(1 - p) x (shift + 0.3) = -2 x 1,000 x shift: a fiftieth of the way for 200, nine tenths for 80,000
    assert -0.03 < line(200).shift < 0.03
    assert line(80_000).shift == pytest.approx(-0.27, abs=0.02)


def test_calibration_allows_for_who_does_not_look():
    rng = np.random.default_rng(6)
    true, looked = rng.normal(size=40_000), np.log(rng.choice([1.0, 0.3], size=40_000))
    happened = rng.random(40_000) < np.exp(looked) * chance(true)

    line = Calibration.fit(true, looked, happened)

    assert line.slope == pytest.approx(1.0, abs=0.05)
    assert line.shift == pytest.approx(0.0, abs=0.05)
