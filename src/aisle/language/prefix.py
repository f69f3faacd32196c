"""Prefix tuning: trained keys and values before every layer's own, in a model that itself stays as it is.

Li and Liang (2021), "Prefix-tuning: optimizing continuous prompts for generation", section 4, without the network that
they compute prefixes with while they train. peft's prefixes move a text's positions back by the prefix's length, so
that encoders with learned positions see other positions than they were trained on, and fail on their longest texts;
here such models keep a text's positions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import DynamicCache

_COUNTS_FROM_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert")
"""Models whose first position is the one behind the number of the padding token."""


class PrefixModel(nn.Module):
    """A transformers base model with trained keys and values before a text's; only those are trainable."""

    def __init__(self, model: Any, length: int) -> None:
        """``length`` vectors a layer, at first those of words drawn at random, which trains steadier than noise."""
        super().__init__()
        self.model = model
        self.config = model.config
        model.requires_grad_(False)
        self.prefix = nn.Parameter(_of_random_words(model, length))  # (n_layers, 2, n_heads, length, d_head)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **kwargs: Any) -> Any:
        """As the model's, with as many vectors as the text has tokens. (n, text's length) both."""
        n, length = input_ids.shape
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self.prefix):
            cache.update(keys.expand(n, -1, -1, -1), values.expand(n, -1, -1, -1), layer)
        seen = attention_mask.new_ones(n, self.prefix.shape[-2])
        if not _is_rotary(self.config):
            kwargs["position_ids"] = _positions(self.config, length).to(input_ids.device)
        mask = torch.cat([seen, attention_mask], dim=1)  # (n, prefix + text)
        return self.model(input_ids=input_ids, attention_mask=mask, past_key_values=cache, **kwargs)


def _of_random_words(model: Any, length: int) -> torch.Tensor:
    device = next(model.parameters()).device
    tokens = torch.randint(model.config.vocab_size, (1, length)).to(device)
    was_training = model.training
    cache: Any = DynamicCache()
    model.eval()
    with torch.no_grad():
        model(input_ids=tokens, past_key_values=cache, position_ids=_positions(model.config, length).to(device))
    model.train(was_training)
    return torch.stack([torch.stack([layer.keys[0], layer.values[0]]) for layer in cache.layers])


def _positions(config: Any, length: int) -> torch.Tensor:
    """(1, length) the positions of a text without a prefix, padding behind it."""
    first = config.pad_token_id + 1 if config.model_type in _COUNTS_FROM_PADDING else 0
    return torch.arange(first, first + length).unsqueeze(0)


def _is_rotary(config: Any) -> bool:
    """Whether positions are turns of keys and queries, for which a text simply follows its prefix."""
    return getattr(config, "rope_parameters", None) is not None or getattr(config, "rope_theta", None) is not None
