from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisle.language.analysis import stems, word_starts, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5/8in", ["5/8", "in"]),
        ('5/8" x 4 ft. x 8 ft. Green-Board', ["5/8", "in", "4", "ft", "8", "ft", "green", "board"]),
        ("2x4x8", ["2", "4", "8"]),
        ("X-Large by Design", ["x", "large", "by", "design"]),
        ("1-1/2 inch and 1 1/2 inches", ["1-1/2", "in", "and", "1-1/2", "in"]),
        ("5½ qt", ["5-1/2", "qt"]),
        ("1,000 gallons 12.0 .5", ["1000", "gal", "12", "0.5"]),
        ("men's 6' ladder", ["men", "6", "ft", "ladder"]),
        ("in the yard", ["in", "the", "yard"]),
        ("Café ＡＢＣ１２", ["cafe", "abc", "12"]),
        ("山麓龙井绿茶250克 Longjing", ["山麓", "龙井", "绿茶", "250", "克", "longjing"]),
        ("연필 карандаш", ["연필", "карандаш"]),
        ('"( AND ) OR -:*^~\\', ["and", "or"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_the_same_thing_written_differently_gives_the_same_words() -> None:
    ways = ["3/4 in. x 10 ft. pipe", "3/4\"x10' pipe", "3/4 inch by 10 feet pipe", "3/4IN X 10FT PIPE"]
    assert len({tuple(words(way)) for way in ways}) == 1


def test_stems_leave_numbers_and_chinese_alone() -> None:
    assert stems(["boots", "running", "5/8", "龙井", "m8"]) == ["boot", "run", "5/8", "龙井", "m8"]


@given(st.text())
def test_any_text_gives_words_without_blanks(text: str) -> None:
    found = words(text)
    assert all(word and not any(character.isspace() for character in word) for word in found)
    assert len(stems(found)) == len(found)


@given(st.text())
def test_word_starts_ascend_inside_the_text(text: str) -> None:
    starts = word_starts(text)
    assert starts == sorted(set(starts))
    assert all(0 <= start < len(text) and not text[start].isspace() for start in starts)


def test_words_start_after_blanks_and_inside_chinese() -> None:
    assert word_starts("green tea") == [0, 6]
    assert word_starts("山麓龙井绿茶") == [0, 2, 4]


def test_segmenting_prints_nothing_and_leaves_no_shared_file(tmp_path) -> None:
    program = "from aisle.language.analysis import words; assert words('山麓龙井') == ['山麓', '龙井']"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"TMPDIR": str(tmp_path)}
    )
    assert (ran.stdout, ran.stderr, list(tmp_path.iterdir())) == ("", "", [])
