"""Token ids of many texts lie in two arrays, page by page, and are what a tokenizer gives for each text alone."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.language import int_rows
from aisle.language.batches import token_ids_by, tokenized, unread_shares
from aisle.language.int_rows import IntRows
from aisle.language.vocabulary import learn_vocabulary
from aisle.language.words import words_of
from tests.unit.language.made_up import chinese, english

TEXTS = [*chinese(100), *english(100)]
TOKENIZER = learn_vocabulary(TEXTS, "wordpiece", 300)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-1, 9), max_size=4), max_size=6), st.integers(0, 6))
def test_rows_are_what_went_in(rows: list[list[int]], cut: int) -> None:
    made = IntRows.joined([IntRows.of(rows[:cut]), IntRows.of(rows[cut:])])

    assert [row.tolist() for row in made] == rows
    assert [made[at].tolist() for at in range(len(rows))] == rows
    assert made.lengths.tolist() == [len(row) for row in rows]
    assert made.counts(3).tolist() == [row.count(3) for row in rows]
    with pytest.raises(IndexError):
        made[len(rows)]


def test_pages_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*TEXTS, "", "broken \ud800"]
    whole = (
        token_ids_by(TOKENIZER, texts, 16),
        tokenized(TOKENIZER.backend_tokenizer, texts),
        words_of(TOKENIZER, texts),
    )
    monkeypatch.setattr(int_rows, "AT_ONCE", 7)
    paged = (
        token_ids_by(TOKENIZER, texts, 16),
        tokenized(TOKENIZER.backend_tokenizer, texts),
        words_of(TOKENIZER, texts),
    )

    for one, other in [*zip(whole[:2], paged[:2], strict=True), (whole[2].words, paged[2].words)]:
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.starts, other.starts)
    assert unread_shares(IntRows.of([[1, 5], [5, 5], []]), 5).tolist() == [0.5, 1.0, 0.0]


class _Counted:
    """A tokenizer that tells how many texts it was given at once."""

    def __init__(self) -> None:
        self.most = 0

    def __call__(self, texts: list[str], **how: Any) -> Any:
        self.most = max(self.most, len(texts))
        return TOKENIZER(texts, **how)


@pytest.mark.parametrize("read", [token_ids_by, words_of])
def test_what_is_kept_is_a_few_bytes_a_token(read: Any) -> None:
    counted, texts = _Counted(), TEXTS * 50
    tracemalloc.start()
    kept = read(counted, texts, 64)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    n_tokens = len((kept if isinstance(kept, IntRows) else kept.token_ids).values)
    assert counted.most <= int_rows.AT_ONCE < len(texts)
    assert size < 12 * n_tokens + 24 * len(texts) + 1_000_000
