"""What a fine-tuned model tells of a text, and how long it learns to."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from aisle.language.adapter_config import AdapterConfig, Method
from aisle.settings import Config
from aisle.training.config import LoopSettings, TrainingConfig
from aisle.training.plan import steps_of

Kind = Literal["binary", "classes", "tags"]
Metric = Literal["accuracy", "macro_f1", "auc", "log_loss"]
Size = Literal["tiny", "small", "large"]
TASK_NAME = re.compile(r"[a-z][a-z0-9_-]*")
"""What a task may be called."""

_BY_SIZE: Mapping[Size, Mapping[str, Any]] = {
    "tiny": {"epochs": 3, "max_steps": 60, "batch_size": 16},
    "small": {"epochs": 4, "batch_size": 32},
    "large": {"epochs": 8, "batch_size": 128, "learning_rate": 5e-5},
}
_HEADS_ONLY: Mapping[str, Any] = {"learning_rate": 1e-2, "epochs": 60, "patience": 10, "max_steps": 0}
"""Steps over frozen vectors cost next to nothing, so there are many and large ones."""

_ADAPTER: Mapping[str, Any] = {"learning_rate": 1e-3}
"""Few weights bear larger steps."""


class TaskConfig(Config):
    """One thing to tell of a text."""

    name: str = Field(pattern=f"^{TASK_NAME.pattern}$")
    """Names the task in data, answers and metrics."""
    kind: Kind
    """``binary``: no or yes; ``classes``: exactly one of the labels; ``tags``: any number of them, also none."""
    labels: tuple[str, ...] = Field(min_length=1)
    """All there are, in the order of the probabilities; for ``binary`` first what means no, then what means yes."""
    weight: float = Field(default=1.0, gt=0.0)
    """Of the task's loss and metrics among those of the other tasks. Raising it favours this task."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the text's vector that is hidden from the head in training. Raising it guards small data sets."""
    is_balanced: bool = False
    """Whether rare labels count as much as frequent ones. Probabilities are then those of a world where all labels are
    equally frequent."""

    @model_validator(mode="after")
    def _labels_fit_the_kind(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"task {self.name!r}: a label is named twice")
        if self.kind == "binary" and len(self.labels) != 2:
            raise ValueError(f"task {self.name!r} is binary and takes 2 labels, not {len(self.labels)}")
        if self.kind == "classes" and len(self.labels) < 2:
            raise ValueError(f"task {self.name!r} needs 2 labels to choose from, or more")
        return self

    @property
    def is_one_of(self) -> bool:
        """Whether exactly one label is right, so that the probabilities of a text sum to 1."""
        return self.kind != "tags"


class FinetuneConfig(Config):
    """Settings of ``finetuning.finetune``."""

    size: Size = "small"
    """``tiny`` takes seconds and proves that it runs; ``small`` is for a CPU; ``large`` for a GPU."""
    trained: Literal["all", "heads"] = "all"
    """``all``: every weight learns. ``heads``: the language model stays, its vectors are computed once and only the
    heads learn, in seconds; less exact, and all there is time for on a small machine."""
    adapter: AdapterConfig = AdapterConfig()
    """Whether ``all`` means every weight or a small adapter; see ``adapter_config.AdapterConfig``."""
    keeps_adapter: bool = False
    """Whether a LoRA adapter stays beside the language model in place of becoming part of it, so that models which
    began from the same one share it in memory where they are served. Each text then takes somewhat longer."""
    heads_first: bool = True
    """Whether heads learn over the frozen model before everything does, so that their random beginnings do not shake
    it (Kumar et al. 2022, "Fine-tuning can distort pretrained features"). Costs one pass over the texts. Where
    everything is then no better by ``metric``, these heads over the model as it was are kept. Left out where every head
    is begun from an earlier model's."""
    ngrams: Literal["off", "beside"] = "beside"
    """``beside``: a linear model over the text's characters and words is learned beside the network, and both answer
    together, each weighted by how well it did; best where the language model is small or words say it all. Costs
    seconds, and up to 16 MB. ``off``: the network answers alone."""
    metric: Metric = "log_loss"
    """What the best weights are best at, over the texts to choose by: the mean of the tasks by their weights."""
    validation_share: float = Field(default=0.1, gt=0.0, lt=0.5)
    """Share of each task's texts that are not learned from. Raising it measures and calibrates more surely. Half of
    them chooses weights and calibrates, the other half measures, where either has 50 texts of each task; else all do
    both."""
    least_rows: int = Field(default=20, ge=10)
    """Labelled rows that each task needs. Raising it starts later and surer."""
    least_steps: int = Field(default=200, ge=0)
    """Steps at least: few rows are read more often than ``size`` says. Raising it learns few rows better, and by
    heart; does not count where ``training`` sets ``epochs`` or ``max_steps``."""
    max_tokens: int = Field(default=128, ge=8)
    """Tokens read of a text, or of a pair of them. Raising it costs time for long texts."""
    training: LoopSettings = Field(default_factory=dict)
    """Settings of the training loop that differ from what ``size`` and ``trained`` set, see
    ``training.config.TrainingConfig``."""

    def loop(self, n_rows: int) -> TrainingConfig:
        """The loop's settings for ``n_rows`` to learn from."""
        settings: dict[str, Any] = {"learning_rate": 2e-4, **_BY_SIZE[self.size]}
        if self.trained == "heads":
            settings |= _HEADS_ONLY
        elif self.adapter.method != "full":
            settings |= _ADAPTER
        given = {**settings, **self._stopping, **self.training}
        loop = TrainingConfig.parse(given, "finetune.training")
        if "epochs" in self.training or "max_steps" in _BY_SIZE[self.size]:
            return loop
        an_epoch = steps_of(loop, n_rows)[0]
        epochs = max(loop.epochs, math.ceil(self.least_steps / an_epoch))
        return TrainingConfig.parse({**given, "epochs": epochs}, "finetune.training")

    def heads_loop(self) -> TrainingConfig:
        """The loop's settings for heads over a frozen model, before everything learns."""
        kept = {
            name: value for name, value in self.training.items() if name in ("seed", "trackers", "checkpoint_every")
        }
        settings = {**_BY_SIZE[self.size], **_HEADS_ONLY, **self._stopping, **kept}
        return TrainingConfig.parse(settings, "finetune.training")

    @property
    def _stopping(self) -> Mapping[str, str]:
        return {"early_stopping": f"-{self.metric}" if self.metric == "log_loss" else self.metric}

    @property
    def adapter_method(self) -> Method:
        """How the backbone learns; ``full`` where it does not."""
        return self.adapter.method if self.trained == "all" else "full"
