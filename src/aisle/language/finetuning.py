"""Teaches a language model to tell labels of texts, from texts that people labelled.

Enters: a model's folder, tables of labelled texts, tasks. Leaves: a folder that ``text_model.TextModel`` opens, and the
figures of texts that were not learned from. Knows nothing of shops.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import ConfigError, DataError
from aisle.language.adapters import n_trainable
from aisle.language.beginning import Beginning, beginning
from aisle.language.finetune_config import FinetuneConfig, TaskConfig
from aisle.language.heads import Classification, TextClassifier, label_weights, logits_of, vectors_of
from aisle.language.label_metrics import measure, of_all_tasks
from aisle.language.labelled_texts import Examples, LabelledTexts, Truth, read_examples, split, with_others
from aisle.language.model_folder import ModelFolder
from aisle.language.ngram_model import fit_ngrams, joined
from aisle.language.rank_budget import RankBudget
from aisle.language.temperature import fit_temperature, probabilities
from aisle.language.text_inputs import Inputs, TokenInputs, VectorInputs
from aisle.language.text_model import About, write_text_model
from aisle.training.loop import Objective, Trained, train
from aisle.training.plan import steps_of
from aisle.training.watching import unwatched


@dataclass(frozen=True)
class Finetuned:
    """What a fine-tuning came to."""

    trained: Trained
    metrics: Mapping[str, float]
    """Of the texts that were not learned from, with calibrated probabilities: ``TASK/METRIC``, and ``METRIC``, the mean
    over tasks by their weights. The best weights, what n-grams count and temperatures were chosen by the same texts, so
    that new texts do slightly worse."""
    temperatures: Mapping[str, float]
    """By task, what logits are divided by, those of n-grams added; without those above 1 where the model was too
    sure."""
    n_learned: int
    n_checked: int
    n_trained_parameters: int


def finetune(
    model_folder: ModelFolder,
    tables: Sequence[LabelledTexts],
    tasks: Sequence[TaskConfig],
    config: FinetuneConfig,
    *,
    work: Path,
    target: Path,
    start_from: Path | None = None,
    also_learned: Sequence[LabelledTexts] = (),
    progress: Progress = silent,
) -> Finetuned:
    """Train a copy of a model on labelled texts and write it to ``target``.

    Args:
        model_folder: the model to begin from.
        tables: labelled texts; each may be labelled for other tasks.
        tasks: what to tell, all learned together.
        config: how.
        work: for checkpoints; a killed run with the same data and settings goes on from there.
        target: a folder that is empty or not there.
        start_from: an earlier target, of another shop or other tasks, whose language model is begun from in place of
            ``model_folder``; so are its heads, of tasks that are named alike and have the same labels. Or the folder
            of an adapter that was trained on ``model_folder``.
        also_learned: tables that are learned from and never checked by, such as what a model labelled.
        progress: hears of each part.

    Raises:
        ConfigError: tasks named alike or none, settings that cannot be met, or ``target`` holds something.
        DataError: names the table and row, and what is allowed.
    """
    _check_names([task.name for task in tasks])
    if target.exists() and any(target.iterdir()):
        raise ConfigError(f"{target} is not an empty folder; name one that is empty or not there yet")
    examples = read_examples(tables, tasks, config.least_rows)
    learned_rows, checked_rows = split(examples, config.validation_share)
    learned, checked = examples.at(learned_rows), examples.at(checked_rows)
    if also_learned:
        learned = with_others(learned, checked, also_learned, tasks)
    _check_is_checked(checked, tasks)
    begun = beginning(model_folder, start_from)
    is_trained = config.trained == "all"
    adapter = begun.kept(config.adapter, is_trained=is_trained)
    tower, tokenizer = begun.plain()
    loop = config.loop(len(learned))
    n_steps = steps_of(loop, len(learned))[1]
    classifier = TextClassifier(tower.model, tower.pooling, tasks, loop.seed)
    classifier.backbone = begun.network(tower.model, adapter, n_steps, loop.seed, is_trained=is_trained)
    has_all_heads = begun.begin_heads(classifier) == {task.name for task in tasks}
    max_tokens = min(config.max_tokens, begun.model_folder.max_tokens)

    inputs = [
        TokenInputs(tokenizer, classifier.backbone, part.texts, part.second, max_tokens) for part in (learned, checked)
    ]
    run = work / _digest(begun, learned, checked, tasks, config)
    if is_trained and config.heads_first and not has_all_heads:
        learning = [one for one in classifier.parameters() if one.requires_grad]
        heads, (to_learn, to_check) = _frozen(classifier, inputs, progress)
        objective: Objective = Classification("learn labels: heads", to_learn, learned.truth, tasks)
        measured = _Evaluation(to_check, checked.truth, tasks)
        with unwatched():
            train(heads, objective, config.heads_loop(), run / "heads", evaluate=measured, progress=progress)
        for one in learning:
            one.requires_grad_(True)
    network, (to_learn, to_check) = _what_learns(classifier, inputs, config, progress)

    objective = Classification("learn labels", to_learn, learned.truth, tasks)
    if config.adapter_method == "adalora":
        objective = RankBudget(objective, network)
    n_trained = n_trainable(network)
    measured = _Evaluation(to_check, checked.truth, tasks)
    trained = train(network, objective, loop, run, evaluate=measured, progress=progress)

    logits, ngrams = logits_of(network, to_check, tasks), None
    weights = {task.name: label_weights(learned.truth[task.name], task) for task in tasks}
    if config.ngrams == "beside":
        logits, ngrams = joined(logits, fit_ngrams(learned, tasks, weights, progress), checked, tasks, weights)
    temperatures = {
        task.name: fit_temperature(
            logits[task.name], checked.truth[task.name], weights[task.name], is_one_of=task.is_one_of
        )
        for task in tasks
    }
    about = About(tasks=tuple(tasks), temperatures=temperatures, max_tokens=max_tokens)
    begun_from = (begun.model_folder, about, target, adapter, lambda: begun.plain()[0])
    write_text_model(classifier, *begun_from, ngrams=ngrams, is_apart=config.keeps_adapter)
    metrics = _measured(logits, checked.truth, tasks, temperatures)
    return Finetuned(trained, metrics, temperatures, len(learned), len(checked), n_trained)


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise ConfigError("no task is named; give one at least", setting="finetune.tasks")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"{names.count(twice)} tasks are named {twice!r}; give each a name of its own", setting="finetune.tasks"
        )


def _what_learns(
    classifier: TextClassifier,
    inputs: Sequence[Inputs],
    config: FinetuneConfig,
    progress: Progress,
) -> tuple[nn.Module, Sequence[Inputs]]:
    """The network that the loop trains and what it reads."""
    if config.trained == "all":
        return classifier, inputs
    return _frozen(classifier, inputs, progress)


def _frozen(
    classifier: TextClassifier, inputs: Sequence[Inputs], progress: Progress
) -> tuple[nn.Module, Sequence[Inputs]]:
    """The heads alone, over vectors that are computed once."""
    classifier.requires_grad_(False)
    classifier.heads.requires_grad_(True)
    classifier.eval()
    if torch.cuda.is_available():
        classifier.to("cuda")
    return classifier.heads, [VectorInputs(vectors_of(classifier, one, progress)) for one in inputs]


@dataclass(frozen=True)
class _Evaluation:
    """Metrics of a network on the texts that are not learned from, before calibration."""

    to_check: Inputs
    truth: Mapping[str, Truth]
    tasks: Sequence[TaskConfig]

    def __call__(self, model: nn.Module) -> dict[str, float]:
        logits = logits_of(model, self.to_check, self.tasks)
        return _measured(logits, self.truth, self.tasks, dict.fromkeys(self.truth, 1.0))


def _check_is_checked(checked: Examples, tasks: Sequence[TaskConfig]) -> None:
    for task in tasks:
        if not checked.truth[task.name].is_known.any():
            raise DataError(
                f"task {task.name!r}: too few different texts to keep some out of learning; label more of them, at "
                "least two different texts a label",
                field=task.name,
            )


def _measured(
    logits: Mapping[str, Float32Array],
    truth: Mapping[str, Truth],
    tasks: Sequence[TaskConfig],
    temperatures: Mapping[str, float],
) -> dict[str, float]:
    by_task = {}
    for task in tasks:
        known = truth[task.name].is_known
        found = probabilities(logits[task.name][known], temperatures[task.name], is_one_of=task.is_one_of)
        by_task[task.name] = measure(truth[task.name].values[known], found, is_one_of=task.is_one_of)
    return of_all_tasks(by_task, [task.weight for task in tasks])


def _digest(
    begun: Beginning, learned: Examples, checked: Examples, tasks: Sequence[TaskConfig], config: FinetuneConfig
) -> str:
    """Whose checkpoints are ours."""
    told = [
        begun.digest(),
        learned.digest(),
        checked.digest(),
        config.model_dump_json(),
        *(task.model_dump_json() for task in tasks),
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
