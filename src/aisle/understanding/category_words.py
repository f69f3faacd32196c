"""Which category words speak of, learned from the words of items and, where there are any, from what searches led to.

Enters: words with the category of the item they stand for. Leaves: a probability for each likely category. Knows
nothing of names: ``named_things`` finds those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SMOOTHING = 0.5
"""Share of a word's use everywhere that stands in for its use in one category (Jelinek and Mercer 1980)."""
_TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
MOST_CATEGORIES = 200
"""Categories weighed for one query: those that hold its rarest words most."""


@dataclass
class CategoryWords:
    """Counts of words by category, and naive Bayes over them, tempered so that its probabilities hold.

    Words count once an item. Cost: about 0.1 ms a query; memory 100 bytes for each pair of word and category.
    """

    uses_of: dict[str, Counter[int]] = field(default_factory=dict)
    n_in: Counter[int] = field(default_factory=Counter)
    n_words_in: Counter[int] = field(default_factory=Counter)
    temperature: float = 1.0

    def count(self, words: Sequence[str], category: int, times: int = 1) -> None:
        """Words of one item of ``category``; ``times`` -1 takes an item back."""
        different = set(words)
        self.n_in[category] += times
        self.n_words_in[category] += times * len(different)
        for word in different:
            self.uses_of.setdefault(word, Counter())[category] += times

    def probabilities(self, words: Sequence[str]) -> dict[int, float]:
        """Categories, likeliest first; empty where no word is known. Sums to one over those that are weighed."""
        categories, scores = self._scored(words)
        if not len(categories):
            return {}
        shares = _softmax(scores / self.temperature)
        order = np.lexsort((categories, -shares))
        return {int(categories[place]): float(shares[place]) for place in order}

    def temper(self, examples: Sequence[tuple[Sequence[str], int]]) -> None:
        """Choose the temperature by which ``examples`` (words, category), not counted here, are likeliest."""
        losses = np.zeros(len(_TEMPERATURES))
        for words, category in examples:
            categories, scores = self._scored(words)
            right = categories == category
            if right.any():  # what is not weighed at all has no probability by any temperature
                losses -= [np.log(max(float(_softmax(scores / t)[right][0]), 1e-6)) for t in _TEMPERATURES]
        self.temperature = _TEMPERATURES[int(np.argmin(losses))] if losses.any() else self.temperature

    def _scored(self, words: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
        """Categories that are weighed and their scores, (n_categories,) each; none where no word is known."""
        known = [word for word in dict.fromkeys(words) if self.uses_of.get(word)]
        if not known:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        categories = self._weighed(known)
        return categories, self._scores(known, categories)

    def _weighed(self, known: Sequence[str]) -> NDArray[np.int64]:
        uses_of = {word: self._uses(word) for word in known}
        wanted: dict[int, None] = {}
        for word in sorted(known, key=lambda word: (sum(uses_of[word].values()), word)):
            for category, n in uses_of[word].most_common(MOST_CATEGORIES):
                if n > 0:
                    wanted.setdefault(category)
            if len(wanted) >= MOST_CATEGORIES:
                break
        return np.array(sorted(wanted), dtype=np.int64)

    def _uses(self, word: str) -> Counter[int]:
        """A copy, made in one step: another thread may be counting new items."""
        return Counter(dict(self.uses_of[word]))

    def _scores(self, known: Sequence[str], categories: NDArray[np.int64]) -> Floats:
        """(n_categories,) log of the prior times the words' likelihood."""
        n_items = max(sum(list(self.n_in.values())), 1)
        n_words = max(sum(list(self.n_words_in.values())), 1)
        inside = np.array([self.n_in[int(one)] for one in categories], dtype=np.float64)
        words_inside = np.array([self.n_words_in[int(one)] for one in categories], dtype=np.float64)
        scores = np.log(np.maximum(inside, 0.5) / n_items)
        for word in known:
            uses = self._uses(word)
            everywhere = sum(uses.values()) / n_words
            here = np.array([uses.get(int(one), 0) for one in categories]) / np.maximum(words_inside, 1.0)
            scores += np.log((1 - _SMOOTHING) * here + _SMOOTHING * everywhere)
        return scores


def _softmax(scores: Floats) -> Floats:
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()
