"""What a query was meant to be, where it is not written as the shop writes it.

Enters: a query's text. Leaves: the same with other words, and how sure that is. A noisy channel: how much a word is
used, and beside what, against how easily it is mistyped (``spelling_costs``) or mistaken by its sound
(``spelling_chinese``). What the shop sells is never corrected, nor is anything with a digit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from aisle.language.analysis import without_accents
from aisle.language.chinese import CHINESE, is_chinese
from aisle.language.spelling import Spelling
from aisle.understanding.spelling_chinese import homophones, of_pinyin
from aisle.understanding.spelling_costs import other_keyboards, typing_cost
from aisle.understanding.spelling_words import ShopWords

_TOKEN = re.compile(rf"[{CHINESE}]+|[^\W_{CHINESE}]+")
_SHORTEST, _LONGEST = 4, 24
_MOST_WORDS = 40
_MOST_UNKNOWN = 8
"""Unknown words of one query that are looked at; more is no query that a shop could mend."""
_MOST_OPTIONS = 5
_MOST_NEAR = 24
_KEPT = -2.5
"""Score of a word that nobody uses being right as it is; raising it corrects less."""
_KEPT_SHORT = 0.7
"""More for each letter below eight: nearly any short word is near another."""
_EDITS_OF_LENGTH = 8.0
_BESIDE = 2.0
_SPLIT_COST, _JOIN_COST, _KEYBOARD_COST = 2.5, 1.0, 2.5


@dataclass(frozen=True, slots=True)
class Change:
    """Characters ``begin`` to ``end`` of a text stand for ``meant``, with ``probability`` in 0 to 1."""

    begin: int
    end: int
    meant: str
    probability: float


@dataclass(frozen=True, slots=True)
class _Option:
    meant: str
    score: float
    n_tokens: int = 1


@dataclass(frozen=True, slots=True)
class _Token:
    begin: int
    end: int
    word: str
    is_known: bool


class QuerySpelling:
    """Changes that make a query one the shop can answer.

    Cost: some 20 microseconds where all words are known, 1 to 2 ms for an unknown one among 50,000, nothing for one
    seen before.
    """

    def __init__(self, words: ShopWords) -> None:
        self.words = words
        self._near = lru_cache(maxsize=20_000)(_near_of)

    def changes(self, text: str) -> list[Change]:
        """What to change in ``text`` (NFKC), in its order, none touching another."""
        tokens = self._tokens(text)
        if all(token.is_known for token in tokens) or sum(not token.is_known for token in tokens) > _MOST_UNKNOWN:
            return []
        found: list[Change] = []
        place = 0
        before = ""
        while place < len(tokens):
            token = tokens[place]
            if is_chinese(token.word[0]):
                if not token.is_known:
                    found += [
                        Change(token.begin + begin, token.begin + end, meant, probability)
                        for begin, end, meant, probability in homophones(token.word, self.words)
                    ]
                before, place = "", place + 1
                continue
            chosen = self._chosen(text, tokens, place, before)
            if chosen is None:
                before, place = token.word, place + 1
                continue
            option, probability = chosen
            found.append(Change(token.begin, tokens[place + option.n_tokens - 1].end, option.meant, probability))
            before, place = option.meant.rsplit(" ", 1)[-1], place + option.n_tokens
        return found

    def is_known(self, text: str) -> bool:
        """Whether nothing in ``text`` could be changed."""
        return all(token.is_known for token in self._tokens(text))

    def _tokens(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        for match in _TOKEN.finditer(text):
            word = without_accents(match.group().casefold())
            begin, end = match.span()
            is_fixed = any(one.isdigit() for one in word) or _is_by_digit(text, begin, end) or len(word) != end - begin
            tokens.append(_Token(begin, end, word, is_fixed or self._is_known(word)))
            if len(tokens) == _MOST_WORDS:
                break
        return tokens

    def _is_known(self, word: str) -> bool:
        if is_chinese(word[0]):
            return all(self.words.is_pair(a, b) for a, b in pairwise(word))
        return len(word) > _LONGEST or self.words.is_sold(word)

    def _chosen(self, text: str, tokens: Sequence[_Token], place: int, before: str) -> tuple[_Option, float] | None:
        token = tokens[place]
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        options = [] if token.is_known else list(self._options(token.word))
        options += self._joined(text, tokens, place)
        if not options:
            return None
        scored = [(self._in_place(option, before, after), option) for option in options]
        scored.sort(key=lambda pair: (-pair[0], pair[1].meant))
        best, option = scored[0]
        n_letters = sum(len(one.word) for one in tokens[place : place + option.n_tokens])
        kept = _KEPT + _KEPT_SHORT * max(_EDITS_OF_LENGTH - n_letters, 0.0)
        total = sum(math.exp(score - best) for score, _ in scored[:_MOST_OPTIONS]) + math.exp(min(kept - best, 50.0))
        return option, 1.0 / total

    def _options(self, word: str) -> Iterator[_Option]:
        """What one unknown word may stand for, out of place."""
        uses = self.words.uses
        if word.isascii() and word.isalpha() and len(word) >= _SHORTEST:
            for meant, score in self._near(word, self.words.spelling):
                yield _Option(meant, score)
        for cut in range(2, len(word) - 1):
            first, second = word[:cut], word[cut:]
            n = self.words.pairs.get(f"{first} {second}", 0)
            if n or (min(cut, len(word) - cut) >= _SHORTEST and first in uses and second in uses):
                used = math.log1p(n) + _BESIDE if n else math.log1p(min(uses[first], uses[second])) - _BESIDE
                yield _Option(f"{first} {second}", used - _SPLIT_COST)
        for meant in other_keyboards(word):
            if len(word) >= _SHORTEST and uses.get(meant, 0) > 0:
                yield _Option(meant, math.log1p(uses[meant]) + 0.4 * len(word) - _KEYBOARD_COST)
        for meant, score in of_pinyin(word, self.words):
            yield _Option(meant, score)

    def _joined(self, text: str, tokens: Sequence[_Token], place: int) -> Iterator[_Option]:
        """One word that was typed as several: ``run ning``, or the syllables ``lian yi qun``."""
        letters, n_unknown = tokens[place].word, int(not tokens[place].is_known)
        for n, token in enumerate(tokens[place + 1 : place + 4], 2):
            between = text[tokens[place + n - 2].end : token.begin]
            if between != " " or is_chinese(token.word[0]) or not (letters + token.word).isalpha():
                return
            letters, n_unknown = letters + token.word, n_unknown + (not token.is_known)
            if not n_unknown:
                continue
            if n == 2 and self.words.uses.get(letters, 0) > 0:
                yield _Option(letters, math.log1p(self.words.uses[letters]) + 0.3 * len(letters) - _JOIN_COST, n)
            if n_unknown > n / 2:
                for meant, score in of_pinyin(letters, self.words):
                    yield _Option(meant, score, n)

    def _in_place(self, option: _Option, before: str, after: _Token | None) -> float:
        score = option.score
        pairs, parts = self.words.pairs, option.meant.split(" ")
        if before and f"{before} {parts[0]}" in pairs:
            score += _BESIDE
        if after is not None and option.n_tokens == 1 and f"{parts[-1]} {after.word}" in pairs:
            score += _BESIDE
        return score


def _near_of(word: str, spelling: Spelling) -> tuple[tuple[str, float], ...]:
    """Words of a few letters' difference with their scores, best first."""
    near = sorted(spelling.near(word), key=lambda one: (one[1], -spelling.n_items_of(one[0]), one[0]))[:_MOST_NEAR]
    scale = min(_EDITS_OF_LENGTH / len(word), 1.0) ** 0.5
    scored = [(meant, math.log1p(spelling.n_items_of(meant)) - scale * typing_cost(word, meant)) for meant, _ in near]
    return tuple(sorted(scored, key=lambda one: (-one[1], one[0]))[:_MOST_OPTIONS])


def applied(text: str, changes: Sequence[Change]) -> str:
    """``text`` with ``changes`` made; blanks stay where they were, and come between Chinese and letters as typed."""
    made, end = "", 0
    for change in changes:
        made += text[end : change.begin] + change.meant
        end = change.end
    return made + text[end:]


def _is_by_digit(text: str, begin: int, end: int) -> bool:
    """Whether a word belongs to a number or a code: ``r-19``, ``3/4in``."""
    before, after = text[max(begin - 2, 0) : begin], text[end : end + 2]
    return (len(before) == 2 and before[1] in "-./_" and before[0].isdigit()) or (
        len(after) == 2 and after[0] in "-./_" and after[1].isdigit()
    )
