"""How a network is trained: every hyper-parameter of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from aisle.errors import ConfigError
from aisle.settings import Config

Optimiser = Literal["adamw", "adam", "sgd"]
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
TRACKERS = ("tensorboard", "wandb", "mlflow")


class TrainingConfig(Config):
    """Settings of ``loop.train``. The defaults suit a small model on a CPU."""

    epochs: float = Field(default=3.0, gt=0)
    """Times that every example is seen. Raising it learns longer, and sooner or later by heart."""
    max_steps: int = Field(default=0, ge=0)
    """Optimiser steps at most; 0 for no limit but ``epochs``."""
    batch_size: int = Field(default=32, ge=1)
    """Examples a batch, of all processes together. Raising it costs memory and steadies each step."""
    accumulation: int = Field(default=1, ge=1)
    """Batches whose gradients make one step. Raising it acts like a larger batch at the memory of a small one; for
    contrastive losses it does not add negatives."""
    learning_rate: float = Field(default=5e-5, gt=0.0, le=10.0)
    """At its highest. Raising it learns faster until it forgets or diverges; fine-tuning takes a tenth to a
    hundredth of what pre-training takes."""
    optimiser: Optimiser = "adamw"
    """``adamw``, ``adam`` or ``sgd``."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Of ``sgd`` only."""
    schedule: Schedule = "linear"
    """What follows the warm-up: ``linear`` and ``cosine`` fall to 0 at the last step, ``constant`` stays."""
    warmup_share: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps in which the learning rate climbs from 0. Raising it starts more gently."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Pull of weights towards 0; biases and norms are left alone."""
    clip_norm: float = Field(default=1.0, ge=0.0)
    """Longest gradient; 0 does not clip."""
    precision: Precision = "auto"
    """``auto`` takes bf16 on a GPU that has it and fp32 on a CPU, which bf16 slows down."""
    adversarial_epsilon: float = Field(default=0.0, ge=0.0)
    """Length of the step by which word vectors are moved against the model (FGM), whether they learn or not; 0 leaves
    it out. It doubles the cost of a step; 0.5 to 1 is usual."""
    length_buckets: int = Field(default=50, ge=0)
    """Batches that are sorted by length together, so that little goes into padding; 0 mixes all lengths."""
    seed: int = Field(default=0, ge=0)
    """Of the order of examples, of masks and of dropout. The same seed gives the same weights on a CPU."""
    evaluate_every: int = Field(default=0, ge=0)
    """Steps between two evaluations; 0 evaluates after each epoch."""
    early_stopping: str = ""
    """Name of the metric whose best weights are kept, with a minus before it when less is better; empty keeps the
    last."""
    patience: int = Field(default=3, ge=1)
    """Evaluations without a better ``early_stopping`` metric after which training stops."""
    checkpoint_every: int = Field(default=200, ge=0)
    """Steps between two checkpoints, from which a killed run goes on; 0 writes none."""
    processes: int = Field(default=1, ge=1)
    """Processes that share every batch. Raising it to the number of GPUs is as many times faster; on a CPU it gains
    little, as one process uses all cores."""
    through: Literal["torch", "ray"] = "torch"
    """What starts them: ``torch`` on this machine, ``ray`` on a Ray cluster (``pip install "aisle[ray]"``; the one that
    RAY_ADDRESS names, else one of its own)."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Where losses and metrics are logged: ``tensorboard`` writes files beside the checkpoints; ``wandb`` and
    ``mlflow`` must be installed."""
    log_every: int = Field(default=10, ge=1)
    """Steps between two logged losses."""

    @field_validator("trackers")
    @classmethod
    def _are_known(cls, trackers: tuple[str, ...]) -> tuple[str, ...]:
        for name in trackers:
            if name not in TRACKERS:
                raise ValueError(f"no tracker is called {name!r}; there are {', '.join(TRACKERS)}")
        return trackers


def _suits_the_loop(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        TrainingConfig.parse(settings, "")
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("[]: ")) from error
    return settings


LoopSettings = Annotated[Mapping[str, Any], AfterValidator(_suits_the_loop)]
"""Settings of ``TrainingConfig`` that differ from what a size sets, checked when they are read."""
