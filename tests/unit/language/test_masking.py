"""Masked words: whole words, the wanted share, what becomes of them; and the next token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from aisle.language.adapt_config import MaskingConfig
from aisle.language.int_rows import IntRows
from aisle.language.masking import MaskedWords, NextTokens, ReadTexts, Vocabulary
from aisle.training.config import TrainingConfig
from aisle.training.loop import train

VOCABULARY = Vocabulary(size=40, mask=4, padding=0, special=frozenset({0, 1, 2, 3, 4}))


def texts(n: int = 30, seed: int = 0) -> ReadTexts:
    """Texts of words of one to three tokens between marks 2 and 3."""
    rng = np.random.default_rng(seed)
    ids, words = [], []
    for _ in range(n):
        sizes = rng.integers(1, 4, size=rng.integers(2, 9))
        of_word = np.repeat(np.arange(len(sizes)), sizes).tolist()
        ids.append([2, *rng.integers(5, 40, size=len(of_word)).tolist(), 3])
        words.append([-1, *of_word, -1])
    return ReadTexts(IntRows.of(ids), IntRows.of(words))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.05, 0.6))
def test_whole_words_are_asked_and_never_marks(seed: int, share: float) -> None:
    read = texts(6, seed)
    objective = MaskedWords("m", read, VOCABULARY, MaskingConfig(masked_share=share))

    batch = objective.collate(np.arange(6), np.random.default_rng(seed))

    for row in range(6):
        ids, words = np.array(read.token_ids[row]), np.array(read.words[row])
        asked = batch["labels"][row, : len(ids)].numpy() != -100
        assert asked.any()
        assert not asked[words < 0].any()
        for word in set(words[asked]):
            assert asked[words == word].all()
        assert (batch["labels"][row, : len(ids)].numpy()[asked] == ids[asked]).all()
        assert (batch["input_ids"][row, : len(ids)].numpy()[~asked] == ids[~asked]).all()
        assert (batch["labels"][row, len(ids) :] == -100).all()
        assert batch["attention_mask"][row].sum() == len(ids)


def test_the_share_and_the_fates_of_masked_tokens_are_as_set() -> None:
    read = texts(3_000)
    config = MaskingConfig(masked_share=0.2, runs=(1.0,), kept_share=0.1, random_share=0.2)

    batch = MaskedWords("m", read, VOCABULARY, config).collate(np.arange(3_000), np.random.default_rng(1))

    asked = batch["labels"] != -100
    ids, labels = batch["input_ids"][asked].numpy(), batch["labels"][asked].numpy()
    n_tokens = int(batch["attention_mask"].sum()) - 2 * 3_000
    # the last word may pass the wanted share by up to two tokens of some 10
    assert 0.2 < len(ids) / n_tokens < 0.35
    assert np.mean(ids == VOCABULARY.mask) == pytest.approx(0.7, abs=0.02)
    assert np.mean(ids == labels) == pytest.approx(0.1 + 0.2 / 35, abs=0.02)
    assert not np.isin(ids[ids != VOCABULARY.mask], list(VOCABULARY.special)).any()


def test_runs_mask_neighbouring_words_together() -> None:
    read = texts(500)
    three = MaskingConfig(masked_share=0.01, runs=(0.0, 0.0, 1.0))

    batch = MaskedWords("m", read, VOCABULARY, three).collate(np.arange(500), np.random.default_rng(1))

    for row in range(500):
        words = np.array(read.words[row])
        asked = np.unique(words[batch["labels"][row, : len(words)].numpy() != -100])
        assert (np.diff(asked) == 1).all()
        assert len(asked) == min(3, words.max() + 1 - asked[0])


def test_an_empty_text_asks_for_nothing() -> None:
    read = ReadTexts(IntRows.of([[2, 3], [2, 7, 3]]), IntRows.of([[-1, -1], [-1, 0, -1]]))

    batch = MaskedWords("m", read, VOCABULARY, MaskingConfig()).collate(np.arange(2), np.random.default_rng(0))

    assert (batch["labels"][0] == -100).all()
    assert batch["labels"][1].tolist() == [-100, 7, -100]


def test_a_small_bert_learns_what_follows_from_the_rest(tmp_path: Path) -> None:
    # the second half of each text repeats the first, so that a masked word stands elsewhere
    rng = np.random.default_rng(0)
    halves = [rng.integers(5, 40, size=4).tolist() for _ in range(200)]
    read = ReadTexts(IntRows.of([[2, *half, *half, 3] for half in halves]), IntRows.of([[-1, *range(8), -1]] * 200))
    torch.manual_seed(0)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip
    config = TrainingConfig(epochs=60, batch_size=50, learning_rate=5e-3, trackers=(), checkpoint_every=0)
    masking = MaskingConfig(runs=(1.0,), random_share=0.0, kept_share=0.0)

    trained = train(model, MaskedWords("m", read, VOCABULARY, masking), config, tmp_path)

    assert trained.metrics["loss"] < 0.6 * np.log(35)  # guessing costs log 35


def test_a_bert_answers_only_what_it_is_asked_with_the_same_loss() -> None:
    read = ReadTexts(IntRows.of([[2, 5, 6, 7, 3], [2, 9, 3]]), IntRows.of([[-1, 0, 1, 2, -1], [-1, 0, -1]]))
    torch.manual_seed(0)
    model = BertForMaskedLM(
        BertConfig(vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    ).eval()
    objective = MaskedWords("m", read, VOCABULARY, MaskingConfig(masked_share=0.5))
    batch = objective.collate(np.arange(2), np.random.default_rng(0))
    torch.testing.assert_close(objective.loss(model, batch), model(**batch).loss)


def test_a_small_gpt_learns_the_next_token(tmp_path: Path) -> None:
    rounds = [[5 + (start + step) % 7 for step in range(12)] for start in range(7)]
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=40, n_embd=32, n_layer=1, n_head=2, n_positions=16, bos_token_id=2, eos_token_id=3)
    )
    objective = NextTokens("n", IntRows.of([*rounds, [5]]), padding=0)
    config = TrainingConfig(epochs=120, batch_size=7, learning_rate=1e-2, trackers=(), checkpoint_every=0, log_every=1)

    trained = train(model, objective, config, tmp_path)

    assert objective.lengths.tolist() == [12] * 7
    assert trained.metrics["loss"] < 0.5
