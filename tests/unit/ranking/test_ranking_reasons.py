"""Why an item stands in a list: shares of sources and reasons by hand."""

import pytest

from aisle.domain import Slot
from aisle.ranking.reason_words import WORDS, words_for
from aisle.ranking.reasons import GROUNDS, code_of_source, reason_codes, shares


def slot(propensity=1.0, **scores):
    return Slot("a", 1.0, propensity, scores)


def test_shares_follow_the_scaled_scores_and_sum_to_one():
    known = {"source.linear": 0.75, "source.popular": 0.25}

    assert shares(slot(popular=8.0, linear=0.1), known, {}) == {"linear": 0.75, "popular": 0.25}


def test_without_features_a_score_is_measured_against_the_list_s_best():
    assert shares(slot(popular=4.0, linear=1.0), {}, {"popular": 8.0, "linear": 1.0}) == pytest.approx(
        {"linear": 2 / 3, "popular": 1 / 3}
    )
    assert shares(slot(popular=0.0), {}, {}) == {"popular": 1.0}
    assert shares(slot(), {}, {}) == {}


def test_a_feature_is_a_reason_when_it_moved_the_prediction_and_its_value_bears_it_out():
    known = {"cross.lasting_leaf": 0.4, "item.age_days": 5.0, "item.rating": 3.0, "item.log_ratings": 2.0}
    moved = {"cross.lasting_leaf": 0.6, "item.age_days": -0.2, "item.rating": 0.4}

    codes = reason_codes(slot(), {}, known, moved, about_items=False)

    assert codes == [("category", 0.6, "")]


def test_chance_comes_first_and_small_shares_are_not_told():
    codes = reason_codes(slot(0.01), {"popular": 0.9, "trending": 0.1}, {}, {}, about_items=False)

    assert codes == [("chance", 1.0, ""), ("popular", 0.9, "popular")]


def test_a_source_means_something_else_in_a_list_about_an_item():
    assert code_of_source("item_neighbours", about_items=True) == "viewed_together"
    assert code_of_source("item_neighbours", about_items=False) == "like_yours"
    assert code_of_source("of_a_plug_in", about_items=True) == "source"


def test_every_reason_can_be_said_in_every_language():
    assert set(WORDS["en"]) == set(WORDS["zh"])
    assert {ground.code for ground in GROUNDS} <= set(WORDS["en"])
    assert words_for("zh-TW")[0] == "zh"
    assert words_for("fr")[0] == words_for(None)[0] == "en"
