"""Which words are left out of a query for which nothing was found."""

from __future__ import annotations

import pytest

from aisle.domain import Query, Request
from aisle.domain.requests import Synonym
from aisle.flows.relax import fewer_words


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        ("kettle", []),
        ("copper tea kettle", ["tea kettle", "copper kettle", "copper tea"]),
        ("红色烧水壶", ["烧水壶", "红色水壶", "红色烧"]),
        ("one two three four five six", ["one two three", "four five six"]),
        ("", []),
    ],
)
def test_each_word_of_a_short_query_and_either_half_of_a_long_one(text: str, shorter: list[str]) -> None:
    steps = list(fewer_words(Request("search", 0, query=Query(text))))

    assert [request.query.effective for _, request in steps if request.query] == shorter
    for relaxed, _ in steps:
        assert relaxed.step == "words"
        assert relaxed.query is not None
        assert sorted((*relaxed.dropped_words, *relaxed.query.split())) == sorted(text.split()) or " " not in text


def test_a_shorter_query_keeps_its_language_and_what_its_words_mean_besides() -> None:
    typed = Query("blue couch", language="en", synonyms=(Synonym("couch", ("sofa",)),))

    for _, request in fewer_words(Request("search", 0, query=typed)):
        assert request.query is not None
        assert (request.query.text, request.query.language, request.query.synonyms) == (
            "blue couch",
            "en",
            typed.synonyms,
        )
