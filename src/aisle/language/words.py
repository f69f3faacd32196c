"""Which tokens of a text are one word, so that whole words are masked, not pieces of them.

Enters: a tokenizer of transformers and texts. Leaves: ``ReadTexts``. Among Chinese characters a word is what jieba
finds, elsewhere what the tokenizer takes for one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aisle.language.batches import clean
from aisle.language.chinese import CHINESE, chinese_starts
from aisle.language.int_rows import IntRows, pages_of

if TYPE_CHECKING:
    from aisle.language.masking import ReadTexts

_RUN = re.compile(f"[{CHINESE}]+")


def words_of(tokenizer: Any, texts: Sequence[str], max_tokens: int | None = None) -> ReadTexts:
    """Token ids of ``texts`` with the word of each token; words are numbered from 0 in the order of the text.

    Args:
        tokenizer: a fast tokenizer of transformers.
        texts: any.
        max_tokens: what is beyond is cut; None cuts nothing.
    """
    from aisle.language.masking import ReadTexts  # which needs torch

    token_ids: list[IntRows] = []
    words: list[IntRows] = []
    for page in map(clean, pages_of(texts)):
        read = tokenizer(page, truncation=max_tokens is not None, max_length=max_tokens, return_offsets_mapping=True)
        spans = read["offset_mapping"]
        token_ids.append(IntRows.of(read["input_ids"]))
        words.append(IntRows.of(_numbers(text, read.word_ids(row), spans[row]) for row, text in enumerate(page)))
    return ReadTexts(IntRows.joined(token_ids), IntRows.joined(words))


def _numbers(text: str, by_tokenizer: Sequence[int | None], spans: Sequence[tuple[int, int]]) -> list[int]:
    chinese = _chinese_words(text)
    number, last = -1, None
    found: list[int] = []
    for word, (start, end) in zip(by_tokenizer, spans, strict=True):
        if word is None:
            found.append(-1)
            continue
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())  # some tokens begin with the blank before them
        is_chinese = start in chinese
        key = ("chinese", chinese[start]) if is_chinese else ("other", word)
        if key != last:
            number, last = number + 1, key
        found.append(number)
    return found


def _chinese_words(text: str) -> dict[int, int]:
    """For each place of a Chinese character, the place at which its word begins."""
    begins: dict[int, int] = {}
    for run in _RUN.finditer(text):
        starts = chinese_starts(run.group())
        for first, after in zip(starts, [*starts[1:], len(run.group())], strict=True):
            begins |= dict.fromkeys(range(run.start() + first, run.start() + after), run.start() + first)
    return begins
