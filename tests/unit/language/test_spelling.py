from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aisle.language.spelling import Spelling, edit_distances

USES = {
    "conditioner": 40,
    "conditioners": 3,
    "chandelier": 25,
    "kettle": 9,
    "kettles": 1,
    "green": 50,
    "board": 60,
    "tea": 5,
}


def _corrected(word: str) -> str | None:
    corrections = Spelling(USES).corrections(word)
    return corrections[0].word if corrections else None


def test_a_slip_is_corrected_to_the_word_items_use() -> None:
    assert _corrected("condiioner") == "conditioner"
    assert _corrected("chandilier") == "chandelier"
    assert _corrected("ketlte") == "kettle"


def test_what_cannot_be_judged_is_left_alone() -> None:
    for word in ("te", "tae", "zzzzzzzz", "kettle2", "壶", "", "kettle!"):
        assert _corrected(word) is None


def test_use_decides_between_equally_near_words() -> None:
    spelling = Spelling({"motor": 500, "manor": 2})
    best, second = spelling.corrections("monor")
    assert (best.word, second.word) == ("motor", "manor")
    assert best.weight == 1.0 > second.weight > 0.0


def test_words_written_together_are_split() -> None:
    spelling = Spelling(USES)
    assert spelling.split("greenboard") == ("green", "board")
    assert spelling.split("greenish") is None


def _osa(a: str, b: str) -> int:
    """Optimal string alignment, written as its definition."""
    table = {(-1, -1): 0}
    for i in range(len(a)):
        table[i, -1] = i + 1
    for j in range(len(b)):
        table[-1, j] = j + 1
    for i in range(len(a)):
        for j in range(len(b)):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a[i] != b[j]))
            if i and j and a[i] == b[j - 1] and a[i - 1] == b[j]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(a) - 1, len(b) - 1]


_SHORT = st.text(alphabet="abc", min_size=1, max_size=6)


@given(
    _SHORT, st.integers(1, 6).flatmap(lambda n: st.lists(st.text(alphabet="abc", min_size=n, max_size=n), min_size=1))
)
def test_distances_are_those_of_the_definition(word: str, others: list[str]) -> None:
    rows = np.array([list(other.encode()) for other in others], dtype=np.uint8)
    letters = np.frombuffer(word.encode(), dtype=np.uint8)

    assert edit_distances(letters, rows).tolist() == [_osa(word, other) for other in others]
