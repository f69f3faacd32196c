"""Words that were probably meant, for words that no item uses.

Enters: the words of the items and how many items use each. Leaves: corrections and splits of an unknown word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SHORTEST = 4
"""Shorter words are left as typed: nearly any of them is one letter from another."""
_TWO_EDITS_FROM = 6
_EDIT_COST = 3.0
"""One edit more must be bought with e**3, 20 times, the use of a word."""
_FIRST_LETTER_COST = 1.5
"""People seldom miss the first letter."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A word the items use, and how much less sure it is than the best correction, in (0, 1]."""

    word: str
    weight: float


class Spelling:
    """Corrections among known words by edits and use.

    An edit is a letter added, left out, changed, or two neighbours swapped (Damerau 1964, optimal string alignment):
    one for words of 4 and 5 letters, up to two for longer ones. Words are compared all at once, those first whose
    letters could fit; about 2 ms for a new word among 50,000, nothing for one asked before. About 60 bytes a word.
    """

    def __init__(self, n_items_of: Mapping[str, int]) -> None:
        """Take the known words with the number of items that use each; only plain a-z words are corrected to."""
        known = sorted(word for word in n_items_of if _is_plain(word) and len(word) >= 2)
        self._n_items_of = {word: n_items_of[word] for word in known}
        self._by_length: dict[int, tuple[list[str], NDArray[np.uint8], NDArray[np.int8]]] = {}
        of_length: dict[int, list[str]] = {}
        for word in known:
            of_length.setdefault(len(word), []).append(word)
        for length, group in of_length.items():
            letters = np.frombuffer("".join(group).encode(), dtype=np.uint8).reshape(len(group), length)
            self._by_length[length] = (group, letters, _letter_counts(letters))
        self.corrections = lru_cache(maxsize=20_000)(self._corrections)
        self.split = lru_cache(maxsize=20_000)(self._split)

    def _corrections(self, word: str, n: int = 3) -> tuple[Correction, ...]:
        """At most ``n`` corrections of ``word``, likeliest first; none for a short word or one that is not a-z."""
        scored: list[tuple[float, str]] = []
        for candidate, edits in self.near(word):
            cost = _EDIT_COST * edits + _FIRST_LETTER_COST * (candidate[0] != word[0])
            scored.append((float(np.log1p(self._n_items_of[candidate])) - cost, candidate))
        scored.sort(key=lambda entry: (-entry[0], entry[1]))
        return tuple(
            Correction(candidate, float(np.exp((score - scored[0][0]) / _EDIT_COST))) for score, candidate in scored[:n]
        )

    def n_items_of(self, word: str) -> int:
        """How many items use a known word; 0 for others."""
        return self._n_items_of.get(word, 0)

    def near(self, word: str) -> list[tuple[str, int]]:
        """Known words within the edits allowed for one of this length, with how many edits away; none for a word
        shorter than four letters or not a-z.
        """
        if not _is_plain(word) or len(word) < _SHORTEST:
            return []
        n_edits = 2 if len(word) >= _TWO_EDITS_FROM else 1
        letters = np.frombuffer(word.encode(), dtype=np.uint8)
        counts = _letter_counts(letters[None, :])[0]
        found: list[tuple[str, int]] = []
        for length in range(len(word) - n_edits, len(word) + n_edits + 1):
            if length not in self._by_length or length < _SHORTEST - 1:
                continue
            group, of_group, counts_of_group = self._by_length[length]
            near = np.flatnonzero(np.abs(counts_of_group - counts).sum(axis=1, dtype=np.int16) <= 2 * n_edits)
            edits = edit_distances(letters, of_group[near])
            found += [(group[near[place]], int(edits[place])) for place in np.flatnonzero(edits <= n_edits)]
        return found

    def _split(self, word: str) -> tuple[str, str] | None:
        """Two known words that ``word`` is written from (``greenboard``), the pair whose rarer part is most used."""
        if not _is_plain(word):
            return None
        pairs = [(word[:cut], word[cut:]) for cut in range(3, len(word) - 2)]
        known = [pair for pair in pairs if pair[0] in self._n_items_of and pair[1] in self._n_items_of]
        if not known:
            return None
        return max(known, key=lambda pair: min(self._n_items_of[pair[0]], self._n_items_of[pair[1]]))


def edit_distances(word: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Optimal-string-alignment distance of ``word`` (m,) to each row of ``others`` (n, l). (n,) int16."""
    n, length = others.shape
    before_last = last = np.broadcast_to(np.arange(length + 1, dtype=np.int16), (n, length + 1))
    for i in range(1, len(word) + 1):
        row = np.empty((n, length + 1), dtype=np.int16)
        row[:, 0] = i
        differs = (others != word[i - 1]).astype(np.int16)
        without_insertion = np.minimum(last[:, 1:] + 1, last[:, :-1] + differs)
        if i > 1 and length > 1:
            is_swap = (others[:, 1:] == word[i - 2]) & (others[:, :-1] == word[i - 1])
            swapped = np.where(is_swap, before_last[:, :-2] + 1, np.int16(np.iinfo(np.int16).max))
            without_insertion[:, 1:] = np.minimum(without_insertion[:, 1:], swapped)
        for j in range(1, length + 1):
            row[:, j] = np.minimum(without_insertion[:, j - 1], row[:, j - 1] + 1)
        before_last, last = last, row
    return last[:, -1].astype(np.int16)


def _letter_counts(letters: NDArray[np.uint8]) -> NDArray[np.int8]:
    """How often each of a-z occurs in each row; (n, 26) int8."""
    counts = np.zeros((len(letters), 26), dtype=np.int8)
    rows = np.arange(len(letters))
    for column in letters.T:
        np.add.at(counts, (rows, column - ord("a")), 1)
    return counts


def _is_plain(word: str) -> bool:
    return word.isascii() and word.isalpha() and word.islower() and len(word) <= 40
