"""Which phrases stand in a query: a trie over normalised words, so that ten thousand rules cost what one does.

Enters: texts. Leaves: tokens with their places in the text, and whatever was put under the phrases found. Words are
compared without capitals, accents and English endings; Chinese by character, whatever words it is cut into.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from aisle.language.analysis import stems, words
from aisle.language.chinese import CHINESE, is_chinese

MOST_TOKENS = 100
"""Tokens of a query that are looked at, from its beginning."""
LONGEST_PHRASE = 30
"""Tokens of a phrase."""

_CHUNK = re.compile(rf"[{CHINESE}]|[^\s{CHINESE}]+")

Value = TypeVar("Value")


class Token(NamedTuple):
    """A normalised word and the stretch of the text that it was read from."""

    word: str
    start: int
    stop: int


def tokens(text: str) -> tuple[str, list[Token]]:
    """The text in NFKC, and its first ``MOST_TOKENS`` tokens."""
    normal = unicodedata.normalize("NFKC", text)
    found: list[Token] = []
    for chunk in _CHUNK.finditer(normal):
        found += [Token(word, chunk.start(), chunk.end()) for word in _words_of(chunk.group())]
        if len(found) >= MOST_TOKENS:
            break
    return normal, found[:MOST_TOKENS]


def phrase_of(text: str) -> tuple[str, ...]:
    """The tokens of a phrase; empty where nothing in it is a word."""
    return tuple(token.word for token in tokens(text)[1])


@lru_cache(maxsize=20_000)
def _words_of(chunk: str) -> tuple[str, ...]:
    return (chunk,) if is_chinese(chunk[0]) else tuple(stems(words(chunk)))


@dataclass(slots=True)
class _Node(Generic[Value]):
    below: dict[str, _Node[Value]] = field(default_factory=dict)
    here: list[Value] = field(default_factory=list)


class Found(NamedTuple, Generic[Value]):
    """What was put under a phrase, and where the phrase stands among the tokens."""

    value: Value
    first: int
    stop: int


class Phrases(Generic[Value]):
    """Values under phrases. Finding costs O(tokens x longest phrase) and O(1) for each value found."""

    def __init__(self) -> None:
        self._root: _Node[Value] = _Node()

    def put(self, phrase: Sequence[str], value: Value) -> None:
        """Put ``value`` under ``phrase``, which has at least one token."""
        node = self._root
        for word in phrase:
            node = node.below.setdefault(word, _Node())
        node.here.append(value)

    def find(self, of_tokens: Sequence[Token]) -> Iterator[Found[Value]]:
        """Every value whose phrase stands in ``of_tokens``, by place, the longest phrase at a place first."""
        for first in range(len(of_tokens)):
            node, stop = self._root, first
            passed: list[tuple[_Node[Value], int]] = []
            while stop < len(of_tokens) and (below := node.below.get(of_tokens[stop].word)) is not None:
                node, stop = below, stop + 1
                if node.here:
                    passed.append((node, stop))
            for at, end in reversed(passed):
                for value in at.here:
                    yield Found(value, first, end)
