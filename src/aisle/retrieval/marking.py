"""Where words of a query stand in a text: by their stems, as the index finds them, in characters of the text itself.

Enters: a text, and stems that a source read in a query. Leaves: ranges of characters. Knows nothing of items.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol, runtime_checkable

from aisle.domain import Request
from aisle.language.analysis import stems, words
from aisle.language.chinese import CHINESE, is_chinese, simplified

Ranges = list[tuple[int, int]]

_PIECE = re.compile(rf"\d+(?:[.,/\-]\d+)*|[{CHINESE}]+|[^\W\d_{CHINESE}]+")
SNIPPET_CHARACTERS = 160
_NOWHERE = -2
_LEAD = 40
"""Characters of a snippet before the first word found, at most."""


@runtime_checkable
class QueryReader(Protocol):
    """A source that reads a query as words, and can say which words of an item it counts as found."""

    def query_stems(self, request: Request) -> frozenset[str]:
        """Stems of the query's words as items have them, corrected ones included; none without a query."""
        ...


def marks(text: str, wanted: frozenset[str]) -> Ranges:
    """Ranges ``[begin, end)`` of ``text`` whose stems are ``wanted``, ascending, none touching another."""
    if not wanted or not text:
        return []
    folded, origin = _folded(text)
    found = sorted((origin[begin], origin[end - 1] + 1) for begin, end in _found(folded, wanted))
    merged: Ranges = []
    for begin, end in found:
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def snippet(text: str, ranges: Ranges, most: int = SNIPPET_CHARACTERS) -> tuple[int, int]:
    """Begin and end of the piece of at most ``most`` characters that holds most of ``ranges``, cut between words."""
    reach = max(most - _LEAD, 1)
    n_in = [sum(begin <= other and end <= begin + reach for other, end in ranges) for begin, _ in ranges]
    first = ranges[n_in.index(max(n_in))][0] if ranges else 0
    begin = max(first - _LEAD, 0)
    if begin:
        blank = text.find(" ", begin, first)
        begin = blank + 1 if blank >= 0 else begin
    end = min(begin + most, len(text))
    if end < len(text):
        blank = text.rfind(" ", begin + most // 2, end + 1)
        end = blank if blank >= 0 else end
    return begin, end


def _found(folded: str, wanted: frozenset[str]) -> Iterator[tuple[int, int]]:
    number_ended = _NOWHERE
    for piece in _PIECE.finditer(folded):
        word = piece.group()
        if is_chinese(word[0]):
            for one in wanted & _chinese_words(word):
                yield from ((piece.start() + m.start(), piece.start() + m.end()) for m in re.finditer(one, word))
            continue
        is_after_number = 0 <= piece.start() - number_ended <= 1
        if not wanted.isdisjoint(_stems_of(word, is_after_number)):
            yield piece.span()
        number_ended = piece.end() if word[-1].isdigit() else _NOWHERE


@lru_cache(maxsize=100_000)
def _stems_of(word: str, is_after_number: bool) -> tuple[str, ...]:
    """Stems of one piece; a unit has its one name only after a number."""
    if not is_after_number and word.isascii() and word.isalpha():
        return tuple(stems([word]))
    return tuple(stems(words(f"1 {word}")[1:] if is_after_number else words(word)))


@lru_cache(maxsize=20_000)
def _chinese_words(run: str) -> frozenset[str]:
    """Words of a run of Chinese, of which titles of a shop repeat many."""
    return frozenset(words(run))


def _folded(text: str) -> tuple[str, range | list[int]]:
    """The text as the index reads it, and the place in ``text`` of each of its characters."""
    if text.isascii():
        return text.lower(), range(len(text))
    characters: list[str] = []
    origin: list[int] = []
    for place, character in enumerate(text):
        for plain in unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", character).casefold()):
            if not unicodedata.combining(plain):
                characters.append(plain)
                origin.append(place)
    return simplified("".join(characters)).replace("\u2044", "/"), origin
