"""The words of texts as something to learn: masked ones for an encoder, each next one for a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from aisle.errors import ConfigError
from aisle.language.adapt_config import MaskingConfig
from aisle.language.batches import length_batches, token_ids_by
from aisle.language.masking import MaskedWords, NextTokens, Vocabulary
from aisle.language.model_folder import ModelFolder
from aisle.language.words import words_of
from aisle.training.loop import Objective

NAME = "learn the shop's words"
_BATCH = 64


def words_objective(
    tokenizer: Any, folder: ModelFolder, texts: Sequence[str], masking: MaskingConfig, max_tokens: int
) -> Objective:
    """What a network ``tower.with_word_head`` gives is to learn of ``texts``.

    Raises:
        ConfigError: the model has no token that masks a word.
    """
    if folder.is_decoder:
        return NextTokens(NAME, token_ids_by(tokenizer, texts, max_tokens), padding=0)
    if tokenizer.mask_token_id is None:
        raise ConfigError(
            f'{folder.path} has no token that masks a word; leave "masked" out of adapt.objectives',
            setting="adapt.objectives",
        )
    vocabulary = Vocabulary(
        size=len(tokenizer),
        mask=tokenizer.mask_token_id,
        padding=tokenizer.pad_token_id or 0,
        special=frozenset(tokenizer.all_special_ids),
    )
    return MaskedWords(NAME, words_of(tokenizer, texts, max_tokens), vocabulary, masking)


def loss_over(model: nn.Module, objective: Objective) -> float:
    """The mean loss over all examples, with the same masks each time; ``model`` is in evaluation mode."""
    device = next(model.parameters()).device
    total = 0.0
    with torch.inference_mode():
        for number, rows in enumerate(length_batches(objective.lengths.tolist(), _BATCH)):
            batch = objective.collate(np.asarray(rows), np.random.default_rng([0, number]))
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            total += float(objective.loss(model, batch)) * len(rows)
    return total / len(objective.lengths)
