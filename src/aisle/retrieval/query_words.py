"""What a typed query asks for, as groups of words of which an item should hold one each.

Enters: a query and what words the items use. Leaves: groups with weights. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from aisle.retrieval.analysis import stems, words
from aisle.retrieval.inverted import Alternative
from aisle.retrieval.spelling import Spelling
from aisle.retrieval.token_table import TokenTable

MAX_WORDS = 40
"""Words read of a query; what comes after does not change the answer."""


@dataclass(frozen=True)
class QueryWords:
    """``groups`` in the order typed; ``joined`` are compounds of neighbours (``dish washer``: ``dishwasher``)."""

    groups: tuple[tuple[Alternative, ...], ...]
    joined: tuple[tuple[Alternative, ...], ...]

    @property
    def all_groups(self) -> tuple[tuple[Alternative, ...], ...]:
        """Typed words first, then compounds."""
        return self.groups + self.joined


def read_query(text: str, table: TokenTable, spelling: Spelling, n_corrections: int) -> QueryWords:
    """Words of ``text`` that items use; unknown ones as their corrections or the two words they are written from."""
    typed = words(text)[:MAX_WORDS]
    groups: list[tuple[Alternative, ...]] = []
    for word, stem in zip(typed, stems(typed), strict=True):
        if _is_used(stem, table):
            groups.append((Alternative(stem, 1.0),))
            continue
        corrections = spelling.corrections(word, n_corrections) if n_corrections else ()
        parts = spelling.split(word) if n_corrections else None
        if parts is not None and (not corrections or min(len(part) for part in parts) >= _WHOLE_WORD):
            groups.extend((Alternative(part, 1.0),) for part in stems(parts))
        elif corrections:
            groups.append(_alternatives([(c.word, c.weight) for c in corrections]))
    compounds = stems([f"{first}{second}" for first, second in _neighbours(typed)])
    joined = [(Alternative(word, 1.0),) for word in dict.fromkeys(compounds) if _is_used(word, table)]
    return QueryWords(tuple(groups), tuple(joined))


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


def _neighbours(typed: Sequence[str]) -> list[tuple[str, str]]:
    return [(a, b) for a, b in pairwise(typed) if a.isascii() and b.isascii() and a.isalpha() and b.isalpha()]
