"""BM25F with coverage and proximity against fractions worked out by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from aisle.retrieval.inverted import Alternative
from aisle.retrieval.lexical_score import Weighting, lexical_scores
from aisle.retrieval.query_words import Compound, QueryWords
from aisle.retrieval.token_table import TokenTable


def _table() -> TokenTable:
    """Four rows with a title and a description; titles have 2, 1, 3 and 2 words (mean 2), descriptions 2 (mean 2)."""
    table = TokenTable(2)
    rows = [
        (["green", "tea"], ["tea", "leaves"]),
        (["tea"], []),
        (["tea", "pot", "green"], []),
        (["oak", "door"], []),
    ]
    table.put(np.arange(4), rows)
    return table


def _query(*words: str, joined: str | None = None) -> QueryWords:
    groups = tuple((Alternative(word, 1.0),) for word in words)
    return QueryWords(groups, (Compound(Alternative(joined, 1.0), (0, 1)),) if joined else ())


def _scores(query: QueryWords, **changed: float) -> list[float]:
    constants = {"k1": 1.0, "b": 0.0, "coverage": 0.0, "proximity": 0.0} | changed
    weighting = Weighting(np.array([1.0, 0.5], dtype=np.float32), **constants)
    return lexical_scores(query, np.arange(4), _table(), weighting).tolist()


GREEN = log(1 + (4 - 2 + 0.5) / (2 + 0.5))
TEA = log(1 + (4 - 3 + 0.5) / (3 + 0.5))


def test_fields_are_weighted_before_saturation() -> None:
    # tf of tea: 1 + .5 = 1.5, then 1, then 1; part = idf * tf * 2 / (1 + tf)
    assert _scores(_query("tea")) == pytest.approx([TEA * 3 / 2.5, TEA, TEA, 0])


def test_length_counts_against_its_own_field_only() -> None:
    # b = 1: title tf divided by 2/2, 1/2, 3/2; description by 2/2
    tf = [1 + 0.5, 2.0, 2 / 3]
    assert _scores(_query("tea"), b=1.0) == pytest.approx([*(TEA * t * 2 / (1 + t) for t in tf), 0])


def test_coverage_is_the_share_of_idf_found() -> None:
    plain = _scores(_query("green", "tea"))
    half = TEA / (GREEN + TEA)
    assert _scores(_query("green", "tea"), coverage=2.0) == pytest.approx([plain[0], plain[1] * half**2, plain[2], 0])


def test_side_by_side_counts_in_the_order_asked() -> None:
    plain = _scores(_query("green", "tea"))
    bonus = 1 + 0.5 * min(GREEN, TEA) / (GREEN + TEA)
    assert _scores(_query("green", "tea"), proximity=0.5) == pytest.approx([plain[0] * bonus, *plain[1:]])


def test_the_best_alternative_counts_once() -> None:
    query = QueryWords(((Alternative("tea", 1.0), Alternative("green", 0.5)),))
    assert _scores(query) == pytest.approx([max(TEA * 3 / 2.5, 0.5 * GREEN), TEA, max(TEA, 0.5 * GREEN), 0])


def test_a_compound_adds_its_part_and_covers_the_words_it_is_written_from() -> None:
    pot = log(1 + (4 - 1 + 0.5) / (1 + 0.5))
    parts = _scores(_query("green", "tea"))
    covered = TEA / (GREEN + TEA)

    scores = _scores(_query("green", "tea", joined="pot"), coverage=1.0)

    assert scores == pytest.approx([parts[0], parts[1] * covered, parts[2] + pot, 0])
    assert _scores(_query("leaves", "door", joined="pot"), coverage=1.0)[2] == pytest.approx(pot)


def test_replaced_rows_count_as_they_are_now() -> None:
    table = _table()
    table.put(np.array([1, 4]), [(["oak"], []), (["tea"], ["green"])])

    find = {word: table.find(word) for word in ("tea", "oak", "green")}
    assert {word: int(table.n_rows_of(token)) for word, token in find.items() if token is not None} == {
        "tea": 3,
        "oak": 2,
        "green": 3,
    }
    assert table.mean_lengths().tolist() == pytest.approx([9 / 5, 3 / 2])
