"""Places of a query's words in texts, in characters of the texts themselves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.domain import Marked
from aisle.language.analysis import stems, words
from aisle.retrieval.marking import SNIPPET_CHARACTERS, marks, snippet


def marked(text: str, query: str) -> list[str]:
    return [text[begin:end] for begin, end in marks(text, frozenset(stems(words(query))))]


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("Waterproof hiking Boots, brown", "boot waterproof", ["Waterproof", "Boots"]),
        ("Running shoes for runners", "run", ["Running"]),
        ("声诺无线降噪耳机", "降噪耳机", ["降噪耳机"]),
        ("龙井绿茶 250克", "绿茶", ["绿茶"]),
        ('Screws 5/8" x 3 inches, inches of fun', "3 in", ["3", "inches"]),
        ("Crème brûlée torch", "creme brulee", ["Crème", "brûlée"]),
        ("ＬＥＤ lamp", "led", ["ＬＥＤ"]),
        ("½ in. pipe", "1/2 pipe", ["½", "pipe"]),
        ("nothing of it", "kettle", []),
        ("", "kettle", []),
    ],
)
def test_words_are_found_as_the_index_finds_them(text: str, query: str, found: list[str]) -> None:
    assert marked(text, query) == found


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=20))
def test_ranges_lie_in_the_text_in_order_and_apart(text: str, query: str) -> None:
    ranges = marks(text, frozenset(stems(words(query + " " + text[:10]))))

    ends = [0]
    for begin, end in ranges:
        assert ends[-1] <= begin < end <= len(text)
        ends.append(end)


def test_a_snippet_holds_most_of_the_words_and_is_cut_between_words() -> None:
    text = "kettle " + "filler words of no use " * 20 + "a copper kettle for green tea and more tea " + "the end " * 30
    ranges = marks(text, frozenset({"kettl", "tea", "copper"}))

    begin, end = snippet(text, ranges)

    assert "copper kettle for green tea and more tea" in text[begin:end]
    assert end - begin <= SNIPPET_CHARACTERS
    assert text[begin - 1] == " "
    assert text[end] == " "
    assert snippet("short", [(0, 5)]) == (0, 5)


def test_what_goes_into_a_page_is_escaped() -> None:
    text = '<b>tea</b> & "tea"'
    found = Marked(text, "en", ((3, 6), (14, 17)), begins=5, is_cut=True)

    assert found.html == "…&lt;b&gt;<mark>tea</mark>&lt;/b&gt; &amp; &quot;<mark>tea</mark>&quot;…"
