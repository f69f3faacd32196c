"""Vocabularies learned from texts: what is read as one token, what survives, and the same each time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.errors import ConfigError, NotReadyError
from aisle.language.vocabulary import VocabularyKind, learn_vocabulary
from tests.unit.language.made_up import chinese, english

TEXTS = [*chinese(200), *english(200)]
BPE = learn_vocabulary(TEXTS, "bpe", 600)


def test_wordpiece_reads_chinese_by_character_and_words_in_lower_case() -> None:
    tokenizer = learn_vocabulary(TEXTS, "wordpiece", 500)

    assert tokenizer.tokenize("红色的雨伞") == ["红", "色", "的", "雨", "伞"]
    assert tokenizer.tokenize("Waterproof KITCHEN") == ["waterproof", "kitchen"]
    assert tokenizer.tokenize("龘") == ["[UNK]"]
    ids = tokenizer("雨伞")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "雨", "伞", "[SEP]"]
    assert tokenizer.mask_token_id is not None
    assert tokenizer.decode(tokenizer("waterproof towel")["input_ids"], skip_special_tokens=True) == "waterproof towel"


def test_pieces_take_chinese_characters_together_that_follow_each_other_often() -> None:
    tokenizer = learn_vocabulary(TEXTS, "pieces", 500)

    assert "登山鞋" in tokenizer.tokenize("红色登山鞋")
    assert tokenizer.tokenize("鞋山") == ["鞋", "山"]
    assert tokenizer.tokenize("Waterproof KITCHEN, 龘") == ["waterproof", "kitchen", ",", "[UNK]"]
    ids = tokenizer("雨伞")["input_ids"]
    assert tokenizer.convert_ids_to_tokens([ids[0], ids[-1]]) == ["[CLS]", "[SEP]"]
    assert tokenizer.mask_token_id is not None
    again = learn_vocabulary(TEXTS[::-1], "pieces", 500)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.tokenize("防水登山鞋") == tokenizer.tokenize("防水登山鞋")


def test_pieces_stand_for_words_that_were_not_seen() -> None:
    tokenizer = learn_vocabulary([f"{a}{b}" for a in "abcdefghijklmnopqrst" for b in english(4)], "wordpiece", 300)

    pieces = tokenizer.tokenize("kitchenproof")

    assert "[UNK]" not in pieces
    assert "".join(piece.removeprefix("##") for piece in pieces) == "kitchenproof"
    assert len(pieces) > 1


@settings(deadline=None, max_examples=100)
@given(st.text())
def test_bpe_loses_nothing(text: str) -> None:
    ids = BPE(text)["input_ids"]

    assert [ids[0], ids[-1]] == [BPE.bos_token_id, BPE.eos_token_id]
    if not any(mark in text for mark in BPE.all_special_tokens):
        assert BPE.decode(ids[1:-1], clean_up_tokenization_spaces=False) == text


def test_bpe_learns_frequent_words() -> None:
    assert len(BPE.tokenize(" kitchen")) == 1
    assert len(BPE.tokenize("登山鞋")) < 9  # bytes


@pytest.mark.parametrize(
    ("kind", "size"), [("pieces", 120), ("pieces", 2_000), ("wordpiece", 120), ("wordpiece", 2_000), ("bpe", 300)]
)
def test_the_size_is_a_limit(kind: VocabularyKind, size: int) -> None:
    tokenizer = learn_vocabulary(TEXTS, kind, size)

    assert len(tokenizer) <= size
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


def test_rare_characters_give_way_to_words() -> None:
    rare = ["".join(chr(0x4E00 + 40 * row + place) for place in range(40)) for row in range(20)]

    tokenizer = learn_vocabulary([*english(200), *rare], "wordpiece", 400)

    assert tokenizer.tokenize("waterproof") == ["waterproof"]
    assert sum("\u4e00" <= token < "\u5000" for token in tokenizer.get_vocab()) < 300


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_another_process_learns_the_same(kind: VocabularyKind) -> None:
    program = (
        "import json, sys; from aisle.language.vocabulary import learn_vocabulary; "
        "texts, kind = json.load(sys.stdin); print(json.dumps(learn_vocabulary(texts, kind, 310).get_vocab()))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([TEXTS[::-1], kind]),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(ran.stdout) == learn_vocabulary(TEXTS, kind, 310).get_vocab()


def test_too_little_text_says_what_to_do() -> None:
    with pytest.raises(NotReadyError, match="characters") as refused:
        learn_vocabulary(english(1) * 500, "bpe", 500)
    assert refused.value.command == "aisle import"
    with pytest.raises(NotReadyError):
        learn_vocabulary([], "wordpiece", 500)


def test_a_size_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="too small") as refused:
        learn_vocabulary(TEXTS, "bpe", 200)
    assert refused.value.setting == "vocabulary"
