"""Which words of an item's text people type when they look for it, counted from queries and what answered them.

Enters: pairs of queries and texts. Leaves: pieces of other texts, as many words long and of such words as people type.
People type what a thing is, seldom how many are in the pack; a model that learns from such pieces learns from titles
that nobody has asked for yet almost as from queries (compare generated queries: Nogueira and Lin 2019, "From doc2query
to docTTTTTquery", which takes a large model).
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aisle.language.contrast_pairs import TextPairs
from aisle.language.views import words_with_gaps

Int64Array = NDArray[np.int64]

LEAST_QUERIES = 200
"""Different queries with answers from which habits are counted; fewer tell little of words, nor of lengths."""
_PRIOR = 2.0
"""Imagined sights of every word, typed as often as words are on average."""
_LONGEST_ENDING = 3
"""Letters by which two forms of one word differ at most (door, doors; paint, painting)."""
_SHORTEST_STEM = 3


@dataclass(frozen=True)
class TypedWords:
    """What people type of a text.

    Args:
        chances: by word, how often it is typed where it stands in a text that answers; see ``bare``.
        usual: the same of words that were never seen.
        lengths: (n_queries,) words of each query seen.
    """

    chances: Mapping[str, float]
    usual: float
    lengths: Int64Array

    @classmethod
    def of(cls, pairs: TextPairs) -> Self | None:
        """Counted from the pairs whose left text is a query; None where there are fewer than ``LEAST_QUERIES``.

        Cost: O(words of all pairs), a second for 40,000 pairs.
        """
        queries = np.flatnonzero(pairs.is_query).tolist() if pairs.is_query is not None else []
        words = {row: own for row in queries if (own := bare_words(pairs.lefts[row]))}
        if len(words) < LEAST_QUERIES:
            return None
        there, typed = Counter[str](), Counter[str]()
        of_text: dict[int, set[str]] = {}
        both: list[tuple[int, int]] = list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
        for left, right in both:
            if left not in words:
                continue
            if right not in of_text:
                of_text[right] = set(bare_words(pairs.rights[right]))
            there.update(of_text[right])
            typed.update(word for word in of_text[right] if any(same_word(word, other) for other in words[left]))
        usual = max(sum(typed.values()), 1) / max(sum(there.values()), 1)
        chances = {word: (typed[word] + _PRIOR * usual) / (n + _PRIOR) for word, n in there.items()}
        return cls(chances, usual, np.array([len(own) for own in words.values()], dtype=np.int64))

    def piece(self, text: str, rng: np.random.Generator) -> str:
        """Some words of ``text`` in its order, small letters all; a word's odds of being among them follow its chance.

        Drawn without replacement by Gumbel's trick (Efraimidis and Spirakis 2006 in logarithms).
        """
        words = words_with_gaps(text)
        if not words:
            return text
        n = min(len(words), int(self.lengths[rng.integers(len(self.lengths))]))
        likely = np.log([self.chances.get(bare(word), self.usual) for word in words])
        chosen = np.argsort(-(likely + rng.gumbel(size=len(words))), kind="stable")[:n]
        return "".join(words[at] for at in np.sort(chosen).tolist()).strip().lower()


def holding(pieces: Sequence[str], texts: Sequence[str]) -> NDArray[np.bool_]:
    """(n_pieces, n_texts) which texts hold every word of which piece, so that each of them is an answer to it."""
    words, held = ([set(bare_words(one)) for one in side] for side in (pieces, texts))
    return np.array([[own <= other for other in held] for own in words], dtype=np.bool_).reshape(len(words), len(held))


@dataclass(frozen=True)
class Holding:
    """``holding`` for texts of which some are written in other ways too: what any of them holds is an answer."""

    ways: Mapping[str, Sequence[str]]

    def __call__(self, pieces: Sequence[str], texts: Sequence[str]) -> NDArray[np.bool_]:
        """(n_pieces, n_texts)"""
        held = holding(pieces, texts)
        others = [(column, way) for column, text in enumerate(texts) for way in self.ways.get(text, ())]
        by_way = holding(pieces, [way for _, way in others])
        for at, (column, _) in enumerate(others):
            held[:, column] |= by_way[:, at]
        return held


def bare(word: str) -> str:
    """``word`` in small letters without what stands around it."""
    return word.lower().strip(string.punctuation + string.whitespace + "，。、；：！？（）【】《》“”‘’")


def bare_words(text: str) -> list[str]:
    """The words of ``text`` as ``bare`` gives them, without those of which nothing is left."""
    return [word for word in map(bare, words_with_gaps(text)) if word]


def same_word(one: str, other: str) -> bool:
    """Whether two bare words are forms of one, by their beginnings."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return (
        len(short) >= _SHORTEST_STEM
        and len(long) - len(short) <= _LONGEST_ENDING
        and short.isalpha()
        and long.isalpha()
        and short.isascii()
        and long.startswith(short)
    )
