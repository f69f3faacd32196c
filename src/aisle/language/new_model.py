"""Makes a model that knows nothing yet: a vocabulary learned from texts, and a network with random weights.

Enters: texts and settings. Leaves: a complete model folder, which the encoders read and training begins from. Nothing
is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from aisle.errors import ConfigError
from aisle.language.batches import token_ids_by
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.language.vocabulary import learn_vocabulary
from aisle.language.word_vectors import word_vectors
from aisle.settings import Config

if TYPE_CHECKING:
    from transformers import PretrainedConfig

ModelSize = Literal["tiny", "small", "base"]
Family = Literal["encoder", "decoder"]


@dataclass(frozen=True)
class ModelShape:
    """How large a new model is."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    max_tokens: int


_VECTOR_LENGTH = 1.0
"""Of tokens' vectors that begin near their neighbours: some three times a random one's, so that positions, which are
added to them, do not drown them."""
_BY_SIZE: Mapping[ModelSize, ModelShape] = {
    "tiny": ModelShape(layers=2, width=64, heads=4, vocabulary=2_000, max_tokens=64),
    "small": ModelShape(layers=4, width=256, heads=4, vocabulary=8_000, max_tokens=128),
    "base": ModelShape(layers=12, width=768, heads=12, vocabulary=30_000, max_tokens=512),
}


class NewModelConfig(Config):
    """Settings of ``new_model``; what is left out is as ``size`` sets it."""

    family: Family = "encoder"
    """``encoder`` is a BERT: it reads a text from both sides, and its vector is the mean over tokens. ``decoder`` is a
    GPT-2: it reads from left to right, and its vector is that of the last token."""
    size: ModelSize = "small"
    """``tiny`` (2 layers of width 64) learns in seconds and proves that it runs; ``small`` (4 of 256) suits a CPU and a
    shop's own texts; ``base`` (12 of 768) is for a GPU and many millions of words."""
    layers: int | None = Field(default=None, ge=1)
    """Layers: 2, 4 or 12. Raising it learns more from more text, and costs time."""
    width: int | None = Field(default=None, ge=8)
    """Length of a token's vector and of a text's: 64, 256 or 768. Raising it costs time and memory by the square."""
    heads: int | None = Field(default=None, ge=1)
    """Attention heads: 4, 4 or 12; must divide the width."""
    vocabulary: int | None = Field(default=None, ge=100)
    """Tokens at most: 2,000, 8,000 or 30,000. Raising it makes texts shorter in tokens, and needs more text."""
    max_tokens: int | None = Field(default=None, ge=8)
    """Tokens read of a text: 64, 128 or 512; what is beyond is cut."""
    chinese: Literal["pieces", "characters"] = "pieces"
    """How an encoder reads Chinese: ``pieces`` takes characters that often follow each other for one token, so that
    words have vectors of their own and texts are about half as long; ``characters`` takes each alone, as BERT does, and
    needs fewer texts. A decoder always takes pieces."""
    beginning: Literal["neighbours", "random"] = "neighbours"
    """Where an encoder's tokens begin: ``neighbours`` near the tokens they are read with, counted in seconds;
    ``random`` anywhere. A decoder's begin at random: it was seen to learn more slowly from the others."""
    seed: int = Field(default=0, ge=0)
    """Of the random weights."""

    @property
    def shape(self) -> ModelShape:
        """What ``size`` sets, with what is given in its place."""
        names = ("layers", "width", "heads", "vocabulary", "max_tokens")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(_BY_SIZE[self.size], **given)

    @model_validator(mode="after")
    def _divides_among_its_heads(self) -> Self:
        shape = self.shape
        if shape.width % shape.heads:
            raise ValueError(
                f"a width of {shape.width} cannot be divided among {shape.heads} heads; give width and heads such that "
                "it can"
            )
        return self


def new_model(texts: Sequence[str], config: NewModelConfig, folder: Path) -> ModelFolder:
    """Write a new model for texts like ``texts`` to ``folder``.

    Args:
        texts: what the vocabulary is learned from.
        config: what and how large.
        folder: made where it is not there, else it must be empty.

    Returns:
        The folder; the same texts and settings give the same files.

    Raises:
        ConfigError: ``folder`` holds files.
        NotReadyError: there is too little text.
    """
    import torch
    from transformers import AutoModel
    from transformers.utils import logging as transformers_logging

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty; name a folder that is empty or not there yet")
    shape, is_encoder = config.shape, config.family == "encoder"
    pieces = "pieces" if config.chinese == "pieces" else "wordpiece"
    tokenizer = learn_vocabulary(texts, pieces if is_encoder else "bpe", shape.vocabulary)
    tokenizer.model_max_length = shape.max_tokens
    network = (_bert if is_encoder else _gpt2)(shape, tokenizer.get_vocab())
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = AutoModel.from_config(network)
    if is_encoder and config.beginning == "neighbours":
        _begin_near_neighbours(model, tokenizer, texts, shape, config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    transformers_logging.disable_progress_bar()
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    pooling = {
        "word_embedding_dimension": shape.width,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": is_encoder,
        "pooling_mode_max_tokens": False,
        "pooling_mode_lasttoken": not is_encoder,
    }
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": shape.max_tokens, "do_lower_case": False})
    return open_model_folder(str(folder))


def _begin_near_neighbours(model: Any, tokenizer: Any, texts: Sequence[str], shape: ModelShape, seed: int) -> None:
    """Give the tokens of ``texts`` vectors by what they stand beside; others keep their random ones."""
    import torch

    token_ids = token_ids_by(tokenizer, sorted(set(texts)), shape.max_tokens)
    vectors = torch.from_numpy(word_vectors(token_ids, len(tokenizer.get_vocab()), shape.width, seed))
    table = model.get_input_embeddings().weight
    is_known = vectors.norm(dim=1) > 0.0
    with torch.no_grad():
        table[is_known] = vectors[is_known] * _VECTOR_LENGTH


def _bert(shape: ModelShape, number: Mapping[str, int]) -> PretrainedConfig:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(number),
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        max_position_embeddings=shape.max_tokens,
        pad_token_id=number["[PAD]"],
    )


def _gpt2(shape: ModelShape, number: Mapping[str, int]) -> PretrainedConfig:
    from transformers import GPT2Config

    return GPT2Config(
        vocab_size=len(number),
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.heads,
        n_positions=shape.max_tokens,
        pad_token_id=number["<|pad|>"],
        bos_token_id=number["<|start|>"],
        eos_token_id=number["<|end|>"],
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
