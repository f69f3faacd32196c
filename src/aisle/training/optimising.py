"""Optimisers, learning rates, and steps against the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from aisle.training.config import Schedule, TrainingConfig


def optimiser_of(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser over what is trainable; biases and norms (one-dimensional parameters) do not decay."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in trainable if one.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [one for one in trainable if one.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate)


def rate_at(step: int, n_steps: int, schedule: Schedule, warmup_share: float) -> float:
    """The share of the highest learning rate that step ``step`` (0-based) of ``n_steps`` takes."""
    n_warmup = int(warmup_share * n_steps)
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    if schedule == "constant":
        return 1.0
    done = (step - n_warmup) / max(1, n_steps - n_warmup)
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))


def has_words(model: nn.Module) -> bool:
    """Whether a table of word vectors is part of ``model``, learning or not."""
    return any(isinstance(module, nn.Embedding) for module in model.modules())


@contextmanager
def words_with_gradients(model: nn.Module) -> Iterator[None]:
    """Meanwhile word vectors that do not learn have gradients too, so that ``moved_against`` can move them."""
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    frozen = [weight for weight in tables if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)
            weight.grad = None


@contextmanager
def moved_against(model: nn.Module, epsilon: float) -> Iterator[None]:
    """Meanwhile word vectors are moved by ``epsilon`` along their gradient, the worst direction.

    Miyato et al. (2017), "Adversarial training methods for semi-supervised text classification", equation 5, on the
    table of word vectors as a whole (known as FGM). Tables without a gradient stay, see ``words_with_gradients``.
    """
    moved: list[tuple[torch.Tensor, torch.Tensor]] = []
    for module in model.modules():
        weight = module.weight if isinstance(module, nn.Embedding) else None
        if weight is None or weight.grad is None:
            continue
        length = weight.grad.norm()
        if bool(torch.isfinite(length)) and float(length) > 0.0:
            moved.append((weight, weight.detach().clone()))
            weight.data.add_(weight.grad, alpha=epsilon / float(length))
    try:
        yield
    finally:
        for weight, before in moved:
            weight.data.copy_(before)
