"""Bottleneck adapters: small networks behind the sub-layers of a model that itself stays as it is.

Houlsby et al. (2019), "Parameter-efficient transfer learning for NLP", section 2.1: behind the projection that ends
each attention and each feed-forward sub-layer, before the skip connection. Layer norms, which the paper trains too,
stay frozen here, so that several adapters can share one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import gelu

_NEAR_ZERO = 1e-2
"""Spread of the first weights, the paper's: the model begins as nearly what it was."""


class Bottleneck(nn.Module):
    """A layer, then down to ``width`` numbers and up again, added to what the layer gave."""

    def __init__(self, layer: nn.Module, hidden_size: int, width: int) -> None:
        super().__init__()
        weight = next(layer.parameters())
        self.layer = layer
        self.down = nn.Linear(hidden_size, width, device=weight.device, dtype=weight.dtype)
        self.up = nn.Linear(width, hidden_size, device=weight.device, dtype=weight.dtype)
        for linear in (self.down, self.up):
            nn.init.normal_(linear.weight, std=_NEAR_ZERO)
            nn.init.zeros_(linear.bias)

    def forward(self, entering: torch.Tensor) -> torch.Tensor:
        """(..., hidden_size)."""
        leaving = self.layer(entering)
        return leaving + self.up(gelu(self.down(leaving)))


class BottleneckModel(nn.Module):
    """A transformers base model with a ``Bottleneck`` behind each sub-layer; only those are trainable."""

    def __init__(self, model: Any, endings: Sequence[str], width: int) -> None:
        """``endings`` of the names of the layers that end a sub-layer, such as ``output.dense``. Changes ``model``."""
        super().__init__()
        self.model = model
        self.config = model.config
        model.requires_grad_(False)
        for name in [name for name, _ in model.named_modules() if name.endswith(tuple(endings))]:
            parent, _, own = name.rpartition(".")
            holder = model.get_submodule(parent)
            setattr(holder, own, Bottleneck(getattr(holder, own), model.config.hidden_size, width))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the model's."""
        return self.model(*args, **kwargs)
