"""Pieces of texts take after what people typed: as long, of the same words, in the text's order."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.language.contrast_pairs import TextPairs
from aisle.language.typed_words import LEAST_QUERIES, TypedWords, bare, holding, same_word

KINDS = ("door", "drill", "sink", "fan")


def pairs(n: int = LEAST_QUERIES, *, is_query: bool = True) -> TextPairs:
    """Queries of one or two words for titles of seven: the kind always, the make every other time."""
    rights = [f"Acme {number}-Pack of White {kind.title()}s, Model {number}" for number in range(5) for kind in KINDS]
    lefts, left, right = [], [], []
    for number in range(n):
        row = number % len(rights)
        kind = KINDS[row % len(KINDS)]
        lefts.append(f"{kind} " * (1 + number // 10_000) + ("acme" if number % 2 else "") + " " * number)
        left.append(number)
        right.append(row)
    asked = np.full(len(lefts), is_query)
    return TextPairs(lefts, rights, np.array(left), np.array(right), is_query=asked)


def test_words_are_as_likely_as_they_were_typed() -> None:
    typed = TypedWords.of(pairs())
    assert typed is not None
    assert typed.chances["doors"] > 0.9  # typed as "door"
    assert typed.chances["acme"] == pytest.approx(0.5, abs=0.02)
    assert typed.chances["of"] < 0.01
    assert sorted(set(typed.lengths.tolist())) == [1, 2]


def test_pieces_are_of_likely_words_in_order_and_as_long_as_queries() -> None:
    typed = TypedWords.of(pairs())
    assert typed is not None
    rng = np.random.default_rng(3)
    drawn = [typed.piece("Acme 9-Pack of Red Fans", rng).split() for _ in range(400)]
    assert {len(piece) for piece in drawn} == {1, 2}
    assert all(word in {"acme", "9-pack", "of", "red", "fans"} for piece in drawn for word in piece)
    order = ["acme", "9-pack", "of", "red", "fans"]
    assert all(sorted(piece, key=order.index) == piece for piece in drawn)
    often = {word: sum(word in piece for piece in drawn) for word in order}
    assert often["fans"] > often["acme"] > often["of"]


@pytest.mark.parametrize("few", [pairs(LEAST_QUERIES - 1), pairs(is_query=False)])
def test_few_queries_tell_nothing(few: TextPairs) -> None:
    assert TypedWords.of(few) is None


@pytest.mark.parametrize("text", ["", " ", "one", "冬季睡衣 M码", "a\nb"])
def test_a_piece_of_any_text_is_some_of_it(text: str) -> None:
    typed = TypedWords.of(pairs())
    assert typed is not None
    piece = typed.piece(text, np.random.default_rng(0))
    assert bool(piece.strip()) == bool(text.strip())
    letters = iter(text.lower())
    assert all(letter in letters for letter in piece)


def test_forms_of_a_word_are_told_from_other_words() -> None:
    assert same_word("door", "doors")
    assert same_word("paint", "painting")
    assert not same_word("fan", "fantastic")
    assert not same_word("12", "123")
    assert not same_word("in", "inch")
    assert bare("(Doors,") == "doors"


def test_texts_that_hold_all_words_of_a_piece_answer_it() -> None:
    found = holding(["white door", "door", "睡衣"], ["White Door, 30 in.", "Doors", "Door. White", "冬季睡衣"])
    assert found.tolist() == [
        [True, False, True, False],
        [True, False, True, False],
        [False, False, False, True],
    ]
    assert holding([], ["a"]).shape == (0, 1)
