"""How often a model labels for itself, and what it believes."""

from __future__ import annotations

from pydantic import Field

from aisle.settings import Config


class SelfTrainingConfig(Config):
    """Settings of ``self_training.self_train``."""

    rounds: int = Field(default=1, ge=1, le=10)
    """Times that texts are labelled and learned from. Raising it costs as many trainings and may repeat mistakes; it
    ends with the first round that is no better."""
    least_sure: float = Field(default=0.9, gt=0.5, lt=1.0)
    """Calibrated probability of a label that a text must have. Raising it takes fewer texts, with fewer mistakes."""
    most_share: float = Field(default=0.5, gt=0.0, le=1.0)
    """Share of the texts that are taken at most, the surest first."""
