"""A transformers model with its pooling, as a network that learns to place texts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import ConfigError
from aisle.language.batches import length_batches, padded, token_ids_by
from aisle.language.model_folder import ModelFolder, Pooling
from aisle.language.pooling import pooled

_BATCH = 128


class TextTower(nn.Module):
    """A transformers model with its pooling: token ids in, unit vectors out."""

    def __init__(self, model: Any, pooling: Pooling) -> None:
        super().__init__()
        self.model = model
        self.pooling: Pooling = pooling

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(n, d) unit rows."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # (n, length, d)
        return pooled(hidden, attention_mask, self.pooling)


def place(
    tower: TextTower, tokenizer: Any, texts: Sequence[str], max_tokens: int, progress: Progress = silent
) -> Float32Array:
    """Vectors of texts while the network is in memory, (n, d) float32 unit rows."""
    device = next(tower.parameters()).device
    width = int(tower.model.config.hidden_size)
    found = np.empty((len(texts), width), dtype=np.float32)
    if not len(texts):
        return found
    token_ids = token_ids_by(tokenizer, texts, max_tokens)
    done = 0
    with torch.inference_mode():
        for batch in length_batches(token_ids.lengths, _BATCH):
            arrays = padded([token_ids[row] for row in batch])
            tokens, mask = (torch.from_numpy(array).to(device) for array in arrays)  # (b, length) each
            found[batch] = tower(tokens, mask).float().cpu().numpy()
            done += len(batch)
            progress("encode", done, len(texts))
    return found


def open_tower(folder: ModelFolder) -> tuple[TextTower, Any]:
    """The network of a model's folder and its tokenizer.

    Raises:
        ConfigError: transformers cannot load it.
    """
    from transformers import AutoModel
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    tokenizer = open_tokenizer(folder)
    try:
        model = AutoModel.from_pretrained(folder.path, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    except Exception as error:  # transformers raises whatever the model's code raises
        raise ConfigError(f"{folder.path} does not load: {error}", setting="encoder.model") from error
    return TextTower(model, folder.pooling), tokenizer


def open_tokenizer(folder: ModelFolder) -> Any:
    """The tokenizer of a model's folder.

    Raises:
        ConfigError: transformers cannot load it.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    except Exception as error:  # transformers raises whatever the tokenizer's code raises
        raise ConfigError(f"{folder.path} does not load: {error}", setting="encoder.model") from error


def with_word_head(tower: TextTower, folder: ModelFolder, seed: int) -> Any:
    """The network of ``tower`` under a head that predicts tokens: masked ones, or each next one of a decoder.

    The head is the one in ``folder`` where it has one, else new from ``seed``. Training it trains ``tower``.
    """
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
    from transformers.utils import logging as transformers_logging

    kind = AutoModelForCausalLM if folder.is_decoder else AutoModelForMaskedLM
    told = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # a folder without a head is as it should be, and is told as damage
    try:
        torch.manual_seed(seed)
        head = kind.from_pretrained(folder.path, local_files_only=True, use_safetensors=True, dtype=torch.float32)
    finally:
        transformers_logging.set_verbosity(told)
    setattr(head, head.base_model_prefix, tower.model)
    head.tie_weights()
    return head


def save_tower(tower: TextTower, folder: ModelFolder, target: Path) -> None:
    """Fill ``target`` with a model folder like ``folder``, with the weights of ``tower``."""
    for file in sorted(folder.path.rglob("*")):
        name = file.relative_to(folder.path)
        if file.is_file() and (file.suffix in (".json", ".txt", ".model") and not name.name.startswith(".")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / name)
    tower.model.save_pretrained(target)
