"""Few labels and many texts: a model labels the texts it is sure of, and learns again from those too.

Lee (2013), "Pseudo-label"; calibrated probabilities decide who is sure, and every label gets as many texts as any
other, so that a frequent one does not crowd out the rest. What a model labelled is learned from and never checked by,
and a round that is no better on what people labelled and no round learned from is thrown away.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import ConfigError, DataError
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.finetuning import Finetuned, finetune
from aisle.language.label_metrics import is_better_by
from aisle.language.labelled_texts import LabelledTexts, text_key
from aisle.language.model_folder import ModelFolder
from aisle.language.self_training_config import SelfTrainingConfig
from aisle.language.text_model import TextModel


@dataclass(frozen=True)
class Round:
    """One time that the best model so far labelled texts and another learned from them."""

    n_sure: Mapping[str, int]
    """By label, the texts that it was sure enough of."""
    n_taken: Mapping[str, int]
    """By label, those that were learned from."""
    finetuned: Finetuned | None
    """What came of it; None where no text was taken, as one label had none."""
    is_better: bool
    """Than the best before it, by the metric that the best weights are chosen by."""


@dataclass(frozen=True)
class SelfTrained:
    """What came of it."""

    first: Finetuned
    """The model that learned the people's labels alone."""
    rounds: Sequence[Round]
    """Those after it, in order; the last may be one that was thrown away."""

    @property
    def n_kept(self) -> int:
        """Rounds that the model went through which was written; 0 where the first is best."""
        return sum(one.is_better for one in self.rounds)

    @property
    def kept(self) -> Finetuned:
        """The model that was written."""
        better = [one.finetuned for one in self.rounds if one.is_better and one.finetuned is not None]
        return better[-1] if better else self.first

    def metrics(self) -> dict[str, float]:
        """The figures of the model that was written, and under ``self_training/`` those of all rounds.

        ``self_training/rounds_kept``; of round 0, the people's labels alone, and those after it
        ``self_training/round_N/METRIC``, ``.../sure/LABEL`` and ``.../taken/LABEL``.
        """
        told = {**self.kept.metrics, "self_training/rounds_kept": float(self.n_kept)}
        for number, found in enumerate([self.first, *(one.finetuned for one in self.rounds)]):
            told |= {
                f"self_training/round_{number}/{name}": value
                for name, value in (found.metrics if found is not None else {}).items()
                if "/" not in name
            }
        for number, one in enumerate(self.rounds, 1):
            told |= {f"self_training/round_{number}/sure/{label}": float(n) for label, n in one.n_sure.items()}
            told |= {f"self_training/round_{number}/taken/{label}": float(n) for label, n in one.n_taken.items()}
        return told


def self_train(
    model_folder: ModelFolder,
    tables: Sequence[LabelledTexts],
    unlabelled: Sequence[LabelledTexts],
    task: TaskConfig,
    config: FinetuneConfig,
    how: SelfTrainingConfig,
    *,
    work: Path,
    target: Path,
    start_from: Path | None = None,
    progress: Progress = silent,
) -> SelfTrained:
    """Fine-tune, label, fine-tune again; write the best model to ``target``.

    All rounds are measured on the same held-out part of what people labelled, and the best is chosen by it, so that new
    texts do slightly worse than its figures.

    Args:
        model_folder: the model that every round begins from.
        tables: what people labelled.
        unlabelled: tables of texts like those; labels in them are not looked at. Texts that people labelled are left
            out.
        task: exactly one label is right.
        config: how each round learns; ``config.metric`` says which is best.
        how: rounds and whom to believe.
        work: for checkpoints and the rounds' models.
        target: a folder that is empty or not there.
        start_from: as ``finetune`` takes it.
        progress: hears of each part.

    Raises:
        ConfigError: the task has tags, or as ``finetune``.
        DataError: there are no texts to label, or as ``finetune``.
    """
    if not task.is_one_of:
        raise ConfigError(f"task {task.name!r} has tags; self-training takes tasks where exactly one label is right")
    pairs = _without_labels(tables, unlabelled, task)
    if not pairs:
        raise DataError(f"task {task.name!r}: there are no texts without a label; give some, or fine-tune alone")

    def taught(folder: Path, labelled: Sequence[LabelledTexts]) -> Finetuned:
        shutil.rmtree(folder, ignore_errors=True)
        return finetune(
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

    if target.exists() and any(target.iterdir()):
        raise ConfigError(f"{target} is not an empty folder; name one that is empty or not there yet")
    folders = [work / f"round-{number}" for number in range(how.rounds + 1)]
    first = best = taught(folders[0], [])
    rounds: list[Round] = []
    for before, folder in pairwise(folders):
        texts, second = [text for text, _ in pairs], [other for _, other in pairs]
        said = TextModel.load(before).predict(texts, second, progress=progress)[task.name]
        table, n_sure = _believed(pairs, said, task, how)
        n_taken = {label: table.labels[task.name].count(label) for label in task.labels}
        found = taught(folder, [table]) if table.texts else None
        is_better = found is not None and is_better_by(config.metric, found.metrics, best.metrics)
        rounds.append(Round(n_sure, n_taken, found, is_better))
        if found is None or not is_better:
            break
        best = found
    told = SelfTrained(first, rounds)
    if target.exists():
        target.rmdir()
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folders[told.n_kept], target)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return told


def _without_labels(
    tables: Sequence[LabelledTexts], unlabelled: Sequence[LabelledTexts], task: TaskConfig
) -> list[tuple[str, str | None]]:
    """Texts that nobody labelled, each once, with what they are looked at together with."""
    labelled = {
        text_key(text)
        for table in tables
        for text, label in zip(table.texts, table.labels.get(task.name, ()), strict=False)
        if label is not None
    }
    found = (
        (text, other)
        for table in unlabelled
        for text, other in zip(table.texts, table.second or [None] * len(table.texts), strict=True)
        if text.strip() and text_key(text) not in labelled
    )
    return list(dict.fromkeys(found))


def _believed(
    pairs: Sequence[tuple[str, str | None]], said: Float32Array, task: TaskConfig, how: SelfTrainingConfig
) -> tuple[LabelledTexts, dict[str, int]]:
    """What is taken as true, and by label how many texts the model was sure of."""
    label, sure = said.argmax(axis=1), said.max(axis=1)
    of_each = [np.flatnonzero((label == one) & (sure >= how.least_sure)) for one in range(said.shape[1])]
    n_each = min(min(map(len, of_each)), int(how.most_share * len(pairs)) // said.shape[1])
    rows = np.sort(np.concatenate([one[np.argsort(-sure[one], kind="stable")[:n_each]] for one in of_each]))
    chosen: list[int] = rows.tolist()
    labels = {task.name: [task.labels[label[row]] for row in chosen]}
    texts, second = [pairs[row][0] for row in chosen], [pairs[row][1] for row in chosen]
    n_sure = {name: len(rows) for name, rows in zip(task.labels, of_each, strict=True)}
    return LabelledTexts("labelled by the model", texts, labels, second), n_sure
