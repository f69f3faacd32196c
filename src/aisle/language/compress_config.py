"""How a language model is made smaller for serving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from aisle.settings import Config
from aisle.training.config import TrainingConfig

Size = Literal["tiny", "small", "large"]
_BY_SIZE: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"max_steps": 20, "epochs": 1},
    "small": {"max_steps": 1_500, "epochs": 4},
    "large": {"epochs": 10},
}


class CompressConfig(Config):
    """Settings of ``aisle compress``."""

    size: Size = "small"
    """How long the small model learns from the large one: ``tiny`` seconds, ``small`` some 20 minutes on two cores,
    ``large`` is for a GPU."""
    layers: int = Field(default=3, ge=1)
    """Layers of the small model, taken from the large one at even distances. Lowering it is faster and loses more."""
    middle_share: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of the neurons of each layer's middle that stay, those that matter most. Lowering it is faster and loses
    more."""
    precision: Literal["fp32", "int8"] = "int8"
    """Of the weights in service."""
    scale: float = Field(default=20.0, gt=0)
    """What cosines are multiplied by when the order of texts is learned. Raising it looks at the nearest only."""
    most_texts: int = Field(default=50_000, ge=100)
    """Texts of the shop that are learned from, at most. Raising it costs time."""
    largest_loss: float = Field(default=0.02, ge=0.0, le=1.0)
    """Share of the large model's NDCG@10 that may be lost; a small model that loses more does not answer."""
    training: Mapping[str, Any] = Field(default_factory=dict)
    """Settings of the training loop that differ from what ``size`` sets, see ``[adapt.training]``."""

    def training_config(self) -> TrainingConfig:
        """The loop's settings."""
        chosen = {"batch_size": 64, "learning_rate": 3e-4, "weight_decay": 0.0, **_BY_SIZE[self.size]}
        return TrainingConfig.parse({**chosen, **self.training}, "compress.training")
