"""What of a language model is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aisle.settings import Config

Method = Literal["full", "lora", "adalora", "prefix", "bottleneck"]


class AdapterConfig(Config):
    """What of a language model is trained."""

    method: Method = "full"
    """``full`` trains every weight; ``lora`` adds products of narrow matrices to the attention's; ``adalora`` also
    moves their rank to where it helps; ``prefix`` adds vectors before the text; ``bottleneck`` adds small networks
    behind sub-layers. Only the first three can become a plain model again, and so be served."""
    rank: int = Field(default=8, ge=1)
    """Rank of ``lora``; of ``adalora`` the mean rank at the end. Raising it learns more and takes more memory."""
    alpha: int = Field(default=16, ge=1)
    """``lora`` and ``adalora`` weigh ``alpha / rank``. Raising it acts like a higher learning rate."""
    dropout: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of the numbers that ``lora`` and ``adalora`` leave out of each step. Raising it learns less by heart."""
    prefix_length: int = Field(default=16, ge=1)
    """Vectors before a text. Raising it learns more and makes every text longer by as much."""
    bottleneck_width: int = Field(default=32, ge=1)
    """Width of the small networks. Raising it learns more and takes more memory."""
