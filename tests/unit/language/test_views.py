"""Texts are changed as the settings say, never to nothing, and the same for the same chance."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from aisle.language.typed_words import Holding
from aisle.language.views import PieceConfig, ViewConfig, in_turn, piece_of, view_of, words_with_gaps

TEXTS = (
    "Blue Trail Running Shoes. Acme. Shoes. Light shoes for wet ground",
    "加厚珊瑚绒睡衣女冬季 M码",
    "  padded   words ",
    "one",
    "",
    " ",
    "iPhone15手机壳 透明\n防摔",
)


@pytest.mark.parametrize("text", TEXTS)
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words_with_gaps(text)) == text.rstrip()


def test_chinese_words_are_jieba_s() -> None:
    assert words_with_gaps("冬季睡衣 M码") == ["冬季", "睡衣", " M", "码"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_piece_is_some_words_of_the_text_in_order(text: str) -> None:
    piece = piece_of(PieceConfig(fewest_words=2, most_words=3))
    rng = np.random.default_rng(0)
    own = [word.strip().lower() for word in words_with_gaps(text)]
    for _ in range(30):
        words = [word.strip() for word in words_with_gaps(piece(text, rng))]
        assert len(words) <= 4  # two Chinese words side by side may read as others
        places = iter("".join(own))
        assert all(letter in places for letter in "".join(words))
        assert bool(words) == bool(own)


def test_views_change_as_often_as_they_are_told_to() -> None:
    rng = np.random.default_rng(1)
    text = TEXTS[0]
    dropping = view_of(ViewConfig(dropped_words=0.3))
    left = [len(dropping(text, rng).split()) for _ in range(400)]
    assert np.mean(left) == pytest.approx(0.7 * len(text.split()), rel=0.05)

    cropping = view_of(ViewConfig(crop_chance=1.0, shortest_crop=0.5))
    crops = [cropping(text, rng) for _ in range(100)]
    assert all(crop in text for crop in crops)
    assert {len(crop.split()) for crop in crops} == set(range(6, 12))  # of 11 words

    shuffling = view_of(ViewConfig(shuffle_chance=1.0))
    parts = [shuffling(text, rng).split(". ") for _ in range(50)]
    assert all(sorted(one) == sorted(text.split(". ")) for one in parts)
    assert len({tuple(one) for one in parts}) > 10

    rewriting = view_of(ViewConfig(rewritten_chance=0.5), {text: ["other words", "still others"]})
    read = [rewriting(text, rng) for _ in range(200)]
    assert read.count(text) == pytest.approx(100, abs=25)
    assert set(read) == {text, "other words", "still others"}


def test_a_text_is_never_changed_to_nothing() -> None:
    view = view_of(ViewConfig(dropped_words=0.99, crop_chance=1.0, shortest_crop=0.01))
    rng = np.random.default_rng(0)
    assert all(view(text, rng).strip() for text in TEXTS[:4] for _ in range(50))
    assert view("", rng) == ""
    assert not ViewConfig().changes
    assert ViewConfig(crop_chance=0.1).changes


def test_the_same_chance_gives_the_same_view() -> None:
    view = view_of(ViewConfig(dropped_words=0.3, crop_chance=0.5, shuffle_chance=0.5))
    first, second = ([view(text, np.random.default_rng(7)) for text in TEXTS] for _ in range(2))
    assert first == second


def test_one_view_after_another_and_both_can_be_sent_to_other_processes() -> None:
    rewriting = view_of(ViewConfig(rewritten_chance=1.0), {"red kettle": ["crimson pot"]})
    both = in_turn(rewriting, piece_of(PieceConfig(fewest_words=2, most_words=2)))
    assert pickle.loads(pickle.dumps(both))("red kettle", np.random.default_rng(0)) == "crimson pot"


def test_a_text_that_is_written_in_other_ways_holds_what_any_of_them_holds() -> None:
    holding = Holding({"Red kettle": ["Crimson pot", "红色水壶"]})
    held = holding(["crimson", "red pot", "kettle", "mug", "红色"], ["Red kettle", "Mug"])
    assert held.tolist() == [[True, False], [False, False], [True, False], [False, True], [True, False]]
