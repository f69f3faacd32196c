"""How a language model learns to read: from which texts' words, for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from aisle.language.adapt_config import MaskingConfig
from aisle.language.new_model import NewModelConfig
from aisle.settings import Config
from aisle.training.config import LoopSettings, TrainingConfig

Size = Literal["tiny", "small", "large"]
_BY_SIZE: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"epochs": 1, "max_steps": 50, "batch_size": 32},
    "small": {"epochs": 10, "max_steps": 4_000, "batch_size": 64},
    "large": {"epochs": 10, "batch_size": 256, "precision": "auto"},
}
_NEW, _BEGUN = {"learning_rate": 5e-4}, {"learning_rate": 1e-4}


class PretrainConfig(Config):
    """Settings of ``aisle pretrain``."""

    size: Size = "small"
    """``tiny`` takes seconds and proves that it runs; ``small`` half an hour to an hour on two cores; ``large`` is for
    a GPU."""
    model: NewModelConfig = NewModelConfig()
    """The model that is made, unless training begins from another."""
    masking: MaskingConfig = MaskingConfig()
    """How words are masked; a decoder learns each next word instead."""
    held_out_share: float = Field(default=0.02, gt=0.0, lt=0.5)
    """Share of the texts that are not learned from, to tell the loss before and after."""
    most_held_out: int = Field(default=2_000, ge=10)
    """Texts kept out at most. Raising it costs time."""
    max_tokens: int = Field(default=128, ge=8)
    """Tokens read of a text. Raising it costs time for long texts."""
    training: LoopSettings = Field(default_factory=dict)
    """Settings of the training loop that differ from what ``size`` sets, see ``training.config.TrainingConfig``."""

    def loop(self, *, is_new: bool) -> TrainingConfig:
        """The loop's settings; a model that knows nothing bears larger steps."""
        settings = {**_BY_SIZE[self.size], **(_NEW if is_new else _BEGUN), **self.training}
        return TrainingConfig.parse(settings, "pretrain.training")
