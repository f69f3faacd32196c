"""Synonyms of a query's words, among the words that items use.

Enters: a query's groups and what its words mean besides. Leaves: groups with more alternatives, and phrases that stand
for groups. A synonym counts a little less than the word typed, and never more because it is rarer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import log1p

from aisle.domain.requests import Synonym
from aisle.language.analysis import stems, words
from aisle.language.chinese import is_chinese
from aisle.retrieval.inverted import Alternative
from aisle.retrieval.query_words import MeantPhrase, QueryWords
from aisle.retrieval.token_table import TokenTable

MEANT_WEIGHT = 0.95
"""What an item that has the synonym keeps of the score that the word typed would have given it."""
MOST_MEANT_WORDS = 200
"""Words that synonyms add to one query."""


def with_meant(query: QueryWords, synonyms: Sequence[Synonym], table: TokenTable) -> QueryWords:
    """The query with synonyms that items use; ``query`` must hold the words that have any (``stems_with_meaning``)."""
    groups = list(query.groups)
    phrases: list[MeantPhrase] = []
    n_left = MOST_MEANT_WORDS
    for synonym in synonyms:
        covers = _place(query, _stems_of(synonym.written), synonym.written)
        if not covers:
            continue
        idf_typed = sum(max(_idf(one.word, table) for one in query.groups[number]) for number in covers)
        for meant in map(_stems_of, synonym.meant):
            idfs = [_idf(word, table) for word in meant]
            n_left -= len(meant)
            if n_left < 0 or not idfs or 0.0 in idfs:
                continue
            weight = MEANT_WEIGHT * (min(1.0, idf_typed / sum(idfs)) if idf_typed else 1.0)
            if len(meant) == len(covers) == 1:
                groups[covers[0]] = (*groups[covers[0]], Alternative(meant[0], weight))
            else:
                alternatives = tuple(Alternative(word, weight) for word in meant)
                phrases.append(MeantPhrase(alternatives, covers))
    return replace(query, groups=tuple(groups), meant=tuple(phrases))


def stems_with_meaning(synonyms: Sequence[Synonym]) -> frozenset[str]:
    """Stems of the words that have synonyms: these are not taken for misspelt, whether items use them or not."""
    return frozenset(stem for synonym in synonyms for stem in _stems_of(synonym.written))


@lru_cache(maxsize=20_000)
def _stems_of(text: str) -> tuple[str, ...]:
    return tuple(stems(words(text)))


def _place(query: QueryWords, written: Sequence[str], text: str) -> tuple[int, ...]:
    """The groups, side by side, that were read from ``written``; of Chinese, which is cut by what stands around it,
    those whose words are part of it.
    """
    firsts = [group[0].word for group in query.groups]
    for first in range(len(firsts) - len(written) + 1):
        if firsts[first : first + len(written)] == list(written):
            return tuple(range(first, first + len(written)))
    return tuple(place for place, word in enumerate(firsts) if is_chinese(word[:1]) and word in text)


def _idf(stem: str, table: TokenTable) -> float:
    """As ``lexical_score`` weighs a word; 0 where no item uses it."""
    token = table.find(stem)
    n_rows = 0 if token is None else int(table.n_rows_of(token))
    return log1p((table.n_rows - n_rows + 0.5) / (n_rows + 0.5)) if n_rows else 0.0
