"""What a typed query asks for, as groups of words of which an item should hold one each.

Enters: a query and what words the items use. Leaves: groups with weights. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from aisle.language.analysis import stems, words
from aisle.language.spelling import Spelling
from aisle.retrieval.inverted import Alternative
from aisle.retrieval.token_table import TokenTable

MAX_WORDS = 40
"""Words read of a query; what comes after does not change the answer."""


@dataclass(frozen=True, slots=True)
class Compound:
    """A word written from two neighbours (``dish washer``: ``dishwasher``); it stands for the groups in ``covers``."""

    word: Alternative
    covers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MeantPhrase:
    """Words that together mean what the groups in ``covers`` do; an item needs all of them."""

    words: tuple[Alternative, ...]
    covers: tuple[int, ...]


@dataclass(frozen=True)
class QueryWords:
    """``groups`` in the order typed, the compounds of neighbours that items use, and phrases that mean the same."""

    groups: tuple[tuple[Alternative, ...], ...]
    joined: tuple[Compound, ...] = ()
    meant: tuple[MeantPhrase, ...] = ()

    @property
    def all_groups(self) -> tuple[tuple[Alternative, ...], ...]:
        """Typed words first, then compounds, then words of phrases."""
        compounds = tuple((compound.word,) for compound in self.joined)
        return self.groups + compounds + tuple((word,) for phrase in self.meant for word in phrase.words)


def read_query(
    text: str, table: TokenTable, spelling: Spelling, n_corrections: int, as_typed: frozenset[str] = frozenset()
) -> QueryWords:
    """Words of ``text`` that items use; unknown ones as their corrections or the two words they are written from.

    Stems in ``as_typed`` are kept, whether items use them or not.
    """
    typed = words(text)[:MAX_WORDS]
    groups: list[tuple[Alternative, ...]] = []
    first_group = [0]  # of each typed word, then the number of groups after it
    for word, stem in zip(typed, stems(typed), strict=True):
        is_kept = stem in as_typed or _is_used(stem, table)
        groups += [(Alternative(stem, 1.0),)] if is_kept else _meant(word, spelling, n_corrections)
        first_group.append(len(groups))
    joined: dict[str, Compound] = {}
    for place, (first, second) in enumerate(pairwise(typed)):
        [stem] = stems([first + second])
        if _is_plain(first) and _is_plain(second) and _is_used(stem, table):
            covers = tuple(range(first_group[place], first_group[place + 2]))
            joined.setdefault(stem, Compound(Alternative(stem, 1.0), covers))
    return QueryWords(tuple(groups), tuple(joined.values()))


def _meant(word: str, spelling: Spelling, n_corrections: int) -> list[tuple[Alternative, ...]]:
    """Groups for a word that no item uses: its corrections, or the two words it is written from; none if neither."""
    if not n_corrections:
        return []
    corrections = spelling.corrections(word, n_corrections)
    parts = spelling.split(word)
    if parts is not None and (not corrections or min(len(part) for part in parts) >= _WHOLE_WORD):
        return [(Alternative(part, 1.0),) for part in stems(parts)]
    return [_alternatives([(c.word, c.weight) for c in corrections])] if corrections else []


_WHOLE_WORD = 4
"""Letters from which both parts of a split are likelier words than a correction is."""


def _is_used(stem: str, table: TokenTable) -> bool:
    token = table.find(stem)
    return token is not None and bool(table.n_rows_of(token))


def _alternatives(weighted: Sequence[tuple[str, float]]) -> tuple[Alternative, ...]:
    """Distinct stems, each with its best weight."""
    weight_of: dict[str, float] = {}
    for stem, (_, weight) in zip(stems([word for word, _ in weighted]), weighted, strict=True):
        weight_of[stem] = max(weight, weight_of.get(stem, 0.0))
    return tuple(Alternative(stem, weight) for stem, weight in weight_of.items())


def _is_plain(word: str) -> bool:
    return word.isascii() and word.isalpha()
