"""How the language model is taught a shop: what is learned, from what, for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from aisle.language.adapter_config import AdapterConfig
from aisle.language.rewriting import RewritingConfig
from aisle.language.views import PieceConfig, ViewConfig
from aisle.settings import Config
from aisle.training.config import LoopSettings, TrainingConfig

Size = Literal["tiny", "small", "large"]
Learned = Literal["masked", "pieces", "contrast"]
_BY_SIZE: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"epochs": 1, "max_steps": 30, "batch_size": 32},
    "small": {"epochs": 1, "max_steps": 600, "batch_size": 64},
    "large": {"epochs": 3, "batch_size": 256},
}
_OF_WORDS: Mapping[Learned, Mapping[Size, Mapping[str, Any]]] = {
    "masked": {"tiny": {"max_steps": 30}, "small": {"max_steps": 1_000}, "large": {}},
    "pieces": {"tiny": {"max_steps": 30}, "small": {"max_steps": 300, "batch_size": 128}, "large": {"epochs": 2}},
}
"""What learns from the items' texts alone, of which there are many."""


class ContrastConfig(Config):
    """Settings of ``Contrast``."""

    scale: float = Field(default=20.0, gt=0)
    """What cosines are multiplied by. Raising it looks more closely at the hardest negatives."""
    hard_negatives: int = Field(default=32, ge=0)
    """Known wrong texts that join a batch, at most. Raising it costs time and teaches finer differences."""
    mined_negatives: int = Field(default=2, ge=0)
    """Right texts that the model itself takes for near though they do not belong, for each left text: the nearest a
    little below those that do. They join the known wrong ones. Raising it looks at more of its mistakes; 0 mines
    none."""
    most_mined: int = Field(default=20_000, ge=1)
    """Left texts that are mined for, and right texts that are looked among, at most (besides those that belong to the
    former); drawn by chance where there are more. Raising it takes longer before training begins: some five minutes
    for 20,000 on two cores."""
    both_ways: bool = False
    """Whether a right text must also find its left one among the others'; for pairs whose sides are alike."""
    max_tokens: int = Field(default=64, ge=8)
    """Tokens read of a text in training. Raising it costs time for long texts."""


class MaskingConfig(Config):
    """Settings of ``MaskedWords``."""

    masked_share: float = Field(default=0.15, gt=0.0, lt=1.0)
    """Share of the tokens that are asked for. Raising it learns more from a text and leaves less to learn it by."""
    runs: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    """Chances of masking runs of 1, 2, ... words together; (1.0,) masks single words. None is below 0, and some is
    above."""
    kept_share: float = Field(default=0.1, ge=0.0, le=0.5)
    """Share of the masked tokens that stay as they are, so that the model looks at every token."""
    random_share: float = Field(default=0.1, ge=0.0, le=0.5)
    """Share of the masked tokens that become another token."""

    @field_validator("runs")
    @classmethod
    def _are_chances(cls, runs: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0.0 <= one < math.inf for one in runs) or not sum(runs) > 0.0:
            raise ValueError("give the chances of runs of 1, 2, ... words, none below 0 and one above, such as [1.0]")
        return runs


class AdaptConfig(Config):
    """Settings of ``aisle adapt``."""

    size: Size = "small"
    """``tiny`` takes seconds and proves that it runs; ``small`` some 40 minutes on two cores; ``large`` is for a
    GPU."""
    objectives: tuple[Learned, ...] = Field(default=("pieces", "contrast"), min_length=1)
    """What is learned, in order: ``masked`` fills in words of the shop's texts (a decoder learns what comes next);
    ``pieces`` finds an item by a few of its words; ``contrast`` brings together what belongs together: queries and
    what was clicked, titles and descriptions, items looked at or bought together."""
    validation_share: float = Field(default=0.1, gt=0.0, lt=0.5)
    """Share of the queries and items whose pairs are kept out of learning, to compare the model before and after. With
    ``early_stopping`` half of them says when to stop and the other half compares, where either has 50; else all do
    both."""
    least_pairs: int = Field(default=200, ge=10)
    """Pairs needed. Raising it starts later and surer."""
    most_pairs: int = Field(default=200_000, ge=100)
    """Pairs at most, of all kinds together. Raising it costs time and memory."""
    contrast: ContrastConfig = ContrastConfig()
    """How pairs are learned."""
    masking: MaskingConfig = MaskingConfig()
    """How words are masked."""
    pieces: PieceConfig = PieceConfig()
    """What pieces of an item's text it is found by."""
    views: ViewConfig = ViewConfig()
    """How texts of pairs are changed each time they are read (augmentation)."""
    rewriting: RewritingConfig = RewritingConfig()
    """What the chat model is asked for where ``views.rewritten_chance`` is above 0."""
    adapter: AdapterConfig = AdapterConfig()
    """Whether all weights learn, or a small adapter that is merged into them at the end."""
    training: LoopSettings = Field(default_factory=dict)
    """Settings of the training loop that differ from what ``size`` sets, see ``training.config.TrainingConfig``."""

    def training_of(self, objective: Learned) -> TrainingConfig:
        """The loop's settings for one objective."""
        settings = dict(_BY_SIZE[self.size])
        if objective in _OF_WORDS:
            settings |= {"learning_rate": 1e-4, **_OF_WORDS[objective][self.size]}
        return TrainingConfig.parse({**settings, **self.training}, "adapt.training")
