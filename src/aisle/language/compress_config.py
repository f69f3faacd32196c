"""How a language model is made smaller for serving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from aisle.settings import Config
from aisle.training.config import LoopSettings, TrainingConfig

Size = Literal["tiny", "small", "large"]
_BY_SIZE: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"max_steps": 20, "epochs": 1},
    "small": {"max_steps": 1_500, "epochs": 4},
    "large": {"epochs": 10},
}


class CompressConfig(Config):
    """Settings of ``aisle compress``."""

    size: Size = "small"
    """How long the small model learns from the large one: ``tiny`` 20 steps, which proves that it runs; ``small``
    1,500; ``large`` is for a GPU."""
    layers: int = Field(default=3, ge=1)
    """Layers that stay, taken at even distances; as many as the model has cut none. Lowering it is faster and loses
    more."""
    neurons: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of the neurons in the middle of each layer that stay, those that matter most. Lowering it is faster and
    loses more."""
    heads: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of each layer's attention heads that stay, those that matter most. Lowering it is a little faster and loses
    more."""
    precision: Literal["fp32", "int8"] = "int8"
    """Of the weights in service; ``int8`` is nearly twice as fast."""
    scale: float = Field(default=20.0, gt=0)
    """What cosines are multiplied by when the large model's ranking is learned. Raising it looks at the nearest
    only."""
    ranked: int = Field(default=4_096, ge=1)
    """Texts whose ranking is learned in each step, drawn by chance. Raising it costs memory."""
    pieces: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the shop's texts of which a few words in a row are learned too, for these are as short as what
    customers type. Raising it helps shops with few queries and costs time."""
    most_texts: int = Field(default=50_000, ge=100)
    """Texts of the shop that are learned from, at most. Raising it costs time."""
    most_lost: float = Field(default=0.02, ge=0.0, le=1.0)
    """Share of the large model's NDCG@10 that may be lost; a small model that loses more does not answer."""
    training: LoopSettings = Field(default_factory=dict)
    """Settings of the training loop that differ from what ``size`` sets, see ``[adapt.training]``."""

    def training_config(self, share: float = 1.0) -> TrainingConfig:
        """The loop's settings for ``share`` of the steps."""
        chosen = {"batch_size": 128, "learning_rate": 3e-4, "weight_decay": 0.0, **_BY_SIZE[self.size], **self.training}
        full = TrainingConfig.parse(chosen, "compress.training")
        n_steps = max(1, round(share * full.max_steps)) if full.max_steps else 0
        return full.model_copy(update={"max_steps": n_steps, "epochs": share * full.epochs})
