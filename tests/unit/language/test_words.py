"""Which tokens are one word: WordPiece words in English, jieba's words in Chinese; and learning to fill them in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.language.adapt_config import MaskingConfig
from aisle.language.masking import MaskedWords, Vocabulary
from aisle.language.new_model import NewModelConfig, new_model
from aisle.language.tower import open_tower, with_word_head
from aisle.language.vocabulary import VocabularyKind, learn_vocabulary
from aisle.language.words import words_of
from aisle.training.config import TrainingConfig
from aisle.training.loop import train
from tests.unit.language.made_up import chinese, english

TEXTS = [*chinese(200), *english(200)]
TOKENIZERS = {kind: learn_vocabulary(TEXTS, kind, 500) for kind in ("pieces", "wordpiece", "bpe")}


def _grouped(text: str, kind: VocabularyKind = "wordpiece", max_tokens: int | None = None) -> list[list[str]]:
    """Tokens by word; marks left out."""
    tokenizer = TOKENIZERS[kind]
    read = words_of(tokenizer, [text], max_tokens)
    found: dict[int, list[str]] = {}
    for token, word in zip(tokenizer.convert_ids_to_tokens(read.token_ids[0]), read.words[0], strict=True):
        found.setdefault(word, []).append(token)
    assert found.pop(-1)[0] in ("[CLS]", "<|start|>")
    assert list(found) == list(range(len(found)))
    return list(found.values())


def test_chinese_words_are_those_of_jieba_and_latin_ones_those_of_the_tokenizer() -> None:
    assert _grouped("防水的登山鞋 Waterproof towel") == [
        ["防", "水"], ["的"], ["登", "山", "鞋"], ["waterproof"], ["towel"],
    ]  # fmt: skip
    assert [len(word) > 1 for word in _grouped("kitchenproof 红色")] == [True, True]
    assert _grouped("不锈钢，雨伞") == [["不", "锈", "钢"], ["，"], ["雨", "伞"]]


def test_what_is_cut_away_has_no_words() -> None:
    assert _grouped("防水的登山鞋", max_tokens=6) == [["防", "水"], ["的"], ["登"]]
    assert words_of(TOKENIZERS["wordpiece"], []).lengths.tolist() == []


def test_bytes_of_one_chinese_word_are_one_word() -> None:
    words = _grouped("红色 雨伞", "bpe")

    assert TOKENIZERS["bpe"].convert_tokens_to_string([token for word in words for token in word]) == "红色 雨伞"
    assert len(words) <= 3  # the blank may stand alone


@settings(deadline=None, max_examples=100)
@given(st.text() | st.text("a1红色雨伞 ,"), st.sampled_from(["pieces", "wordpiece", "bpe"]))
def test_words_are_numbered_in_the_order_of_the_text(text: str, kind: VocabularyKind) -> None:
    read = words_of(TOKENIZERS[kind], [text])

    assert len(read.words[0]) == len(read.token_ids[0])
    words = [word for word in read.words[0] if word >= 0]
    if not any(mark in text for mark in TOKENIZERS[kind].all_special_tokens):
        assert words == sorted(words)
    assert set(words) == set(range(len(set(words))))


def test_a_tiny_chinese_bert_learns_to_fill_in_masked_words(tmp_path: Path) -> None:
    texts = chinese(300)
    config = NewModelConfig(size="tiny", layers=1, vocabulary=200)
    folder = new_model(texts, config, tmp_path / "model")
    tower, tokenizer = open_tower(folder)
    read = words_of(tokenizer, texts)
    vocabulary = Vocabulary(len(tokenizer), tokenizer.mask_token_id, 0, frozenset(tokenizer.all_special_ids))
    objective = MaskedWords("m", read, vocabulary, MaskingConfig(runs=(1.0,)))
    training = TrainingConfig(epochs=60, batch_size=50, learning_rate=5e-3, trackers=(), checkpoint_every=0)

    trained = train(with_word_head(tower, folder, 0), objective, training, tmp_path / "work")

    often = Counter(
        token for ids, of in zip(read.token_ids, read.words, strict=True)
        for token, word in zip(ids, of, strict=True) if word >= 0
    )  # fmt: skip
    shares = np.array(list(often.values())) / sum(often.values())
    entropy = -float((shares * np.log(shares)).sum())  # what guessing by frequency costs
    assert entropy > 3.0
    assert trained.metrics["loss"] < 0.35 * entropy


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_broken_characters_are_read(kind: VocabularyKind) -> None:
    assert words_of(TOKENIZERS[kind], ["红色 \ud800 雨伞"]).words[0][0] == -1
