"""Items are found by what the words of a query mean, as the shop's synonyms say."""

import numpy as np
import polars as pl
import pytest

from aisle.contracts import Parts
from aisle.domain import INTERACTION_SCHEMA, Catalogue, Item, ItemTable, ItemText, Query, Request, Snapshot
from aisle.domain.requests import Synonym
from aisle.retrieval.lexical import Lexical, LexicalConfig

TITLES = (
    "red sofa",
    "red couch",
    "red flat screen",
    "flat shoes red",
    "blue settee",
    "television stand",
    "flat screen stand",
    "belly ring",
    "原味薯片",
    "原味洋芋片",
    "dishwasher",
    "green tea",
)


@pytest.fixture(scope="module")
def lexical():
    items = ItemTable.from_rows([Item(title, (ItemText("en", title),)) for title in TITLES])
    snapshot = Snapshot(items, [], pl.DataFrame(schema=INTERACTION_SCHEMA), 0)
    return Lexical.fit("lexical", snapshot, LexicalConfig(), Parts(Catalogue(items), lambda: 0))


def found(lexical, text, *synonyms):
    query = Query(text, synonyms=tuple(Synonym(written, tuple(meant)) for written, *meant in synonyms))
    request = Request("search", 0, query=query)
    [candidates] = lexical.retrieve([request], 20)
    [scores] = lexical.score([request], [candidates.item_rows])
    assert np.allclose(scores, candidates.fused)
    return {TITLES[row]: float(score) for row, score in zip(candidates.item_rows, candidates.fused, strict=True)}


def test_a_synonym_finds_what_the_word_typed_does_not_and_comes_behind_it(lexical):
    without = found(lexical, "red sofa")
    scores = found(lexical, "red sofa", ("sofa", "couch"))

    assert "red couch" in without
    assert scores["red couch"] > 2 * without["red couch"]
    assert list(scores)[:2] == ["red sofa", "red couch"]


def test_a_rare_synonym_does_not_outweigh_the_word_typed(lexical):
    scores = found(lexical, "red", ("red", "settee"))

    assert scores["blue settee"] < scores["red sofa"]


def test_a_phrase_counts_only_as_a_whole(lexical):
    scores = found(lexical, "television", ("television", "flat screen"))

    assert set(scores) == {"television stand", "red flat screen", "flat screen stand"}
    assert max(scores, key=scores.__getitem__) == "television stand"


def test_a_phrase_typed_finds_a_word(lexical):
    assert "television stand" in found(lexical, "flat screen", ("flat screen", "television"))
    assert list(found(lexical, "flat screen stand", ("flat screen", "television")))[:2] == [
        "flat screen stand",
        "television stand",
    ]


def test_a_word_no_item_uses_is_not_taken_for_misspelt_where_it_has_a_synonym(lexical):
    assert "belly ring" in found(lexical, "bellly")
    scores = found(lexical, "bellly", ("bellly", "television", "flat screen"))
    assert set(scores) == {"television stand", "flat screen stand", "red flat screen"}

    both = found(lexical, "bellly stand", ("bellly", "flat screen"))
    assert next(iter(both)) == "flat screen stand"
    assert "red flat screen" in both


def test_chinese_synonyms(lexical):
    assert set(found(lexical, "原味薯片", ("薯片", "洋芋片"))) == {"原味薯片", "原味洋芋片"}


def test_both_synonyms_typed_are_one_thing(lexical):
    scores = found(lexical, "sofa couch", ("sofa", "couch"))

    assert set(scores) == {"red sofa", "red couch"}


def test_synonyms_of_words_that_are_not_there_and_that_no_item_uses_change_nothing(lexical):
    plain = found(lexical, "green tea")

    assert found(lexical, "green tea", ("sofa", "couch"), ("tea", "brew", "hot brew")) == plain


def test_very_many_synonyms_are_bounded(lexical):
    meant = [f"flat screen {'red ' * 20}"] * 100

    assert "television stand" in found(lexical, "television", ("television", *meant))
