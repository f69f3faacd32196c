"""Learning a language by filling in what is left out: masked words for encoders, the next token for decoders.

Enters: token ids of texts, and which word each token is of. Leaves: batches and a loss for the training loop. Whole
words are masked (Cui et al. 2021, "Pre-training with whole word masking for Chinese BERT"), and runs of up to three
words together, as in its n-gram masking. Knows nothing of tokenizers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from aisle.language.adapt_config import MaskingConfig
from aisle.language.int_rows import Int32Array, IntRows

Int64Array = NDArray[np.int64]
Batch = dict[str, torch.Tensor]

_NOT_ASKED = -100
"""The label that losses pass over."""


@dataclass(frozen=True)
class Vocabulary:
    """The numbers that masking needs of a tokenizer."""

    size: int
    mask: int
    padding: int
    special: frozenset[int]


@dataclass(frozen=True)
class ReadTexts:
    """Texts as token ids, and for each token the number of its word in the text, -1 for marks such as ``[CLS]``."""

    token_ids: IntRows
    words: IntRows

    @property
    def lengths(self) -> Int64Array:
        """(n,) tokens."""
        return self.token_ids.lengths


class MaskedWords:
    """Implements ``training.loop.Objective`` for a transformers model with a masked-language head."""

    def __init__(self, name: str, texts: ReadTexts, vocabulary: Vocabulary, config: MaskingConfig) -> None:
        self.name = name
        self._texts, self._vocabulary, self._config = texts, vocabulary, config
        self._ordinary = np.setdiff1d(np.arange(vocabulary.size), np.array(sorted(vocabulary.special), dtype=np.int64))

    @property
    def lengths(self) -> Int64Array:
        """(n_texts,) tokens."""
        return self._texts.lengths

    def collate(self, rows: Int64Array, rng: np.random.Generator) -> Batch:
        """``input_ids`` with masks, ``attention_mask``, ``labels``; (b, longest) each."""
        ids = [self._texts.token_ids[row] for row in rows.tolist()]
        asked = [self._asked(self._texts.words[row], rng) for row in rows.tolist()]
        tokens, mask = _padded(ids, self._vocabulary.padding)
        labels = np.full_like(tokens, _NOT_ASKED)
        for row, (one, where) in enumerate(zip(ids, asked, strict=True)):
            labels[row, : len(one)][where] = one[where]
        is_asked, fate = labels != _NOT_ASKED, rng.random(tokens.shape)
        config = self._config
        becomes_other = is_asked & (fate < config.random_share)
        becomes_mask = is_asked & (fate >= config.random_share + config.kept_share)
        tokens[becomes_other] = rng.choice(self._ordinary, size=int(becomes_other.sum()))
        tokens[becomes_mask] = self._vocabulary.mask
        return {
            "input_ids": torch.from_numpy(tokens),
            "attention_mask": torch.from_numpy(mask),
            "labels": torch.from_numpy(labels),
        }

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean over masked tokens of minus the log-probability of what was there."""
        head = getattr(model, "cls", None)
        if head is None:
            return model(**batch).loss
        # The head of a BERT costs more than the rest of a small one: only what is asked for goes through it.
        asked = batch["labels"] != _NOT_ASKED
        base = cast(nn.Module, model.base_model)
        hidden = base(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        return cross_entropy(head(hidden[asked]).float(), batch["labels"][asked])  # (n_asked, n_tokens)

    def _asked(self, words: Int32Array, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which tokens to ask for: whole words in runs, about the wanted share, at least one word. (length,)"""
        n_words = int(words.max(initial=-1)) + 1
        asked = np.zeros(len(words), dtype=np.bool_)
        if not n_words:
            return asked
        wanted = max(1.0, self._config.masked_share * float((words >= 0).sum()))
        chances = np.array(self._config.runs) / np.sum(self._config.runs)
        for start in rng.permutation(n_words):
            run = 1 + int(rng.choice(len(chances), p=chances))
            asked |= (words >= start) & (words < start + run)
            if asked.sum() >= wanted:
                break
        return asked


class NextTokens:
    """Implements ``training.loop.Objective`` for a transformers model with a causal-language head."""

    def __init__(self, name: str, token_ids: IntRows, padding: int) -> None:
        """Texts of one token teach nothing and are left out."""
        self.name = name
        self._ids, self._rows = token_ids, np.flatnonzero(token_ids.lengths > 1)
        self._padding = padding

    @property
    def lengths(self) -> Int64Array:
        """(n_texts,) tokens."""
        return self._ids.lengths[self._rows]

    def collate(self, rows: Int64Array, rng: np.random.Generator) -> Batch:
        """``input_ids``, ``attention_mask``, ``labels``; (b, longest) each."""
        del rng  # nothing is random
        tokens, mask = _padded([self._ids[row] for row in self._rows[rows].tolist()], self._padding)
        labels = np.where(mask == 1, tokens, _NOT_ASKED)
        return {
            "input_ids": torch.from_numpy(tokens),
            "attention_mask": torch.from_numpy(mask),
            "labels": torch.from_numpy(labels),
        }

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean over tokens of minus the log-probability of each by those before it."""
        return model(**batch).loss


def _padded(ids: Sequence[Int32Array], padding: int) -> tuple[Int64Array, Int64Array]:
    longest = max(len(one) for one in ids)
    tokens = np.full((len(ids), longest), padding, dtype=np.int64)
    mask = np.zeros_like(tokens)
    for row, one in enumerate(ids):
        tokens[row, : len(one)] = one
        mask[row, : len(one)] = 1
    return tokens, mask
