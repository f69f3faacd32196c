"""Adapters: a few trained parameters in a language model that itself stays as it is.

Enters: a transformers base model and an ``AdapterConfig``. Leaves: a network with the model's interface that the
training loop trains, and a plain transformers model again where an adapter can be merged. LoRA and AdaLoRA are peft's.
Knows nothing of texts and objectives.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from aisle.errors import ConfigError
from aisle.language.adapter_config import AdapterConfig, Method
from aisle.language.bottleneck import BottleneckModel
from aisle.language.prefix import PrefixModel
from aisle.language.rank_budget import RankMemory


@dataclass(frozen=True)
class _Family:
    """Names of layers in models of one style."""

    attention: tuple[str, ...]
    """What LoRA adds to; the last parts of names."""
    sublayer_ends: tuple[str, ...]
    """Where bottlenecks go; the last parts of names."""


_FAMILIES = (
    _Family(("query", "key", "value", "dense"), ("output.dense",)),  # BERT, RoBERTa
    _Family(("c_attn", "c_proj"), (".c_proj",)),  # GPT-2
    _Family(("q_proj", "k_proj", "v_proj", "o_proj"), (".o_proj", ".down_proj")),  # Llama, Mistral, Qwen
)
_UNUSED = r"(.*\.)?pooler\..*"
"""Layers that no token vector depends on."""
_FIRST_RANK = 1.5
"""AdaLoRA begins with this many times the rank it ends with, as its paper does."""


def adapted(model: Any, config: AdapterConfig, n_steps: int, *, seed: int = 0) -> nn.Module:
    """Make ``model`` trainable the way ``config`` says; ``model`` is changed and is part of the result.

    Args:
        model: a transformers base model (without a head).
        config: the method and its sizes.
        n_steps: of the training to come, over which AdaLoRA spreads its cuts. Its objective must be wrapped by
            ``rank_budget.RankBudget``.
        seed: of the first weights.

    Returns:
        A network that is called like ``model``; what requires gradients is what the method trains.

    Raises:
        ConfigError: the method does not know models of this kind.
    """
    if getattr(model, "peft_config", None) or isinstance(model, PrefixModel | BottleneckModel):
        raise ConfigError("the model has an adapter already; begin from a plain one, or from `merged(model)`")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if config.method == "full":
            return model.requires_grad_(True)
        family = _family_of(model)
        if config.method == "prefix":
            return PrefixModel(model, config.prefix_length)
        if config.method == "bottleneck":
            return BottleneckModel(model, family.sublayer_ends, config.bottleneck_width)
        return _with_matrices(model, config, family, n_steps)


def without_adapter(model: Any) -> Any:
    """The transformers model that ``adapted`` or ``read_adapter`` put an adapter on, for its signature and config.

    It is the same object: its layers may be the adapter's.
    """
    if isinstance(model, PrefixModel | BottleneckModel):
        return model.model
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def n_trainable(model: nn.Module) -> int:
    """Parameters that training changes, each once however many names it has."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


UNMERGEABLE: tuple[Method, ...] = ("prefix", "bottleneck")
"""What a plain model has no place for."""


def unmergeable(method: Method) -> str:
    """What to say of a method in ``UNMERGEABLE`` where a plain model is asked for."""
    return (
        f'adapter.method = "{method}" cannot be merged: the plain model has no place for what it adds. Merged can be '
        '"lora" and "adalora", and "full" needs no merging; or serve the adapter beside its model (AdapterSet)'
    )


def merged(model: nn.Module) -> Any:
    """A plain transformers model that gives the vectors of ``model``, for export; ``model`` stays as it is.

    Returns:
        A second model with weights of its own; ``model`` itself where it has no adapter.

    Raises:
        ConfigError: the adapter cannot become part of the model's weights.
    """
    from peft import PeftModel

    if isinstance(model, PrefixModel | BottleneckModel):
        raise ConfigError(
            unmergeable("prefix" if isinstance(model, PrefixModel) else "bottleneck"), setting="adapter.method"
        )
    if not isinstance(model, PeftModel):
        return model
    return copy.deepcopy(model).merge_and_unload().eval()  # type: ignore[operator]


def _with_matrices(model: Any, config: AdapterConfig, family: _Family, n_steps: int) -> nn.Module:
    from peft import AdaLoraConfig, LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    shared: dict[str, Any] = {
        "target_modules": list(family.attention),
        "exclude_modules": _UNUSED if any("pooler." in name for name, _ in model.named_modules()) else None,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "fan_in_fan_out": any(isinstance(module, Conv1D) for module in model.modules()),
    }
    if config.method == "lora":
        return get_peft_model(model, LoraConfig(r=config.rank, **shared))
    if n_steps < 1:
        raise ConfigError(f"n_steps = {n_steps}: AdaLoRA needs to know how long it will be trained, at least 1 step")
    settings = AdaLoraConfig(
        init_r=max(config.rank + 1, round(_FIRST_RANK * config.rank)),
        target_r=config.rank,
        tinit=n_steps // 10,
        tfinal=n_steps // 4,
        deltaT=max(1, n_steps // 100),
        total_step=n_steps,
        **shared,
    )
    with_ranks = get_peft_model(model, settings)
    with_ranks.rank_memory = RankMemory(with_ranks)
    return with_ranks


def _family_of(model: nn.Module) -> _Family:
    own = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    for family in _FAMILIES:
        if own.issuperset(family.attention):
            return family
    known = "; ".join(", ".join(family.attention) for family in _FAMILIES)
    raise ConfigError(
        f"no adapter is known for a {type(model).__name__}: it has none of the layers {known}; take a model in the "
        'style of BERT, GPT-2 or Llama, or adapter.method = "full"',
        setting="adapter.method",
    )
