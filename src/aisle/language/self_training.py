"""Few labels and many texts: a model labels the texts it is sure of, and learns again from those too.

Lee (2013), "Pseudo-label"; calibrated probabilities decide who is sure, and every label gets as many texts as any
other, so that a frequent one does not crowd out the rest. What a model labelled is learned from and never checked by.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import ConfigError, DataError
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import Finetuned, finetune
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import ModelFolder
from aisle.language.text_model import TextModel
from aisle.settings import Config


class SelfTrainingConfig(Config):
    """Settings of ``self_train``."""

    rounds: int = Field(default=1, ge=1, le=10)
    """Times that texts are labelled and learned from. Raising it costs as many trainings and may repeat mistakes."""
    least_sure: float = Field(default=0.9, gt=0.5, lt=1.0)
    """Calibrated probability of a label that a text must have. Raising it takes fewer texts, with fewer mistakes."""
    most_share: float = Field(default=0.5, gt=0.0, le=1.0)
    """Share of the texts that are taken at most, the surest first."""


@dataclass(frozen=True)
class SelfTrained:
    """What came of it; ``rounds`` begin with the model that learned the people's labels alone."""

    rounds: Sequence[Finetuned]
    n_taken: Sequence[int]
    """Texts that the model labelled, of each round after the first."""


def self_train(
    model_folder: ModelFolder,
    tables: Sequence[LabelledTexts],
    unlabelled: Sequence[str],
    task: TaskConfig,
    config: FinetuneConfig,
    how: SelfTrainingConfig,
    *,
    work: Path,
    target: Path,
    start_from: Path | None = None,
    progress: Progress = silent,
) -> SelfTrained:
    """Fine-tune, label, fine-tune again; write the last model to ``target``.

    Args:
        model_folder: the model that every round begins from.
        tables: what people labelled.
        unlabelled: texts like those.
        task: exactly one label is right.
        config: how each round learns.
        how: rounds and whom to believe.
        work: for checkpoints and the rounds' models.
        target: a folder that is empty or not there.
        start_from: as ``finetune`` takes it.
        progress: hears of each part.

    Raises:
        ConfigError: the task has tags.
        DataError: there are no texts to label.
    """
    if not task.is_one_of:
        raise ConfigError(f"task {task.name!r} has tags; self-training takes tasks where exactly one label is right")
    if not unlabelled:
        raise DataError(f"task {task.name!r}: there are no texts without a label; give some, or fine-tune alone")
    texts = list(dict.fromkeys(unlabelled))
    rounds: list[Finetuned] = []
    taken: list[int] = []
    labelled: list[LabelledTexts] = []
    for number in range(how.rounds + 1):
        folder = target if number == how.rounds else work / f"round-{number}"
        if folder != target:
            shutil.rmtree(folder, ignore_errors=True)
        rounds.append(
            finetune(
                model_folder,
                tables,
                [task],
                config,
                work=work,
                target=folder,
                start_from=start_from,
                also_learned=labelled,
                progress=progress,
            )
        )
        if folder != target:
            said = TextModel.load(folder).predict(texts, progress=progress)[task.name]
            labelled = [_believed(texts, said, task, how)]
            taken.append(len(labelled[0].texts))
    return SelfTrained(rounds, taken)


def _believed(texts: Sequence[str], said: Float32Array, task: TaskConfig, how: SelfTrainingConfig) -> LabelledTexts:
    label, sure = said.argmax(axis=1), said.max(axis=1)
    of_each = [np.flatnonzero((label == one) & (sure >= how.least_sure)) for one in range(said.shape[1])]
    n_each = min(min(map(len, of_each)), int(how.most_share * len(texts)) // said.shape[1])
    rows = np.sort(np.concatenate([one[np.argsort(-sure[one], kind="stable")[:n_each]] for one in of_each]))
    chosen: list[int] = rows.tolist()
    labels = {task.name: [task.labels[label[row]] for row in chosen]}
    return LabelledTexts("labelled by the model", [texts[row] for row in chosen], labels)
