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
from aisle.language.label_metrics import is_better_by, measure, of_all_tasks
from aisle.language.labelled_texts import Examples, LabelledTexts, Truth, in_two, read_examples, split, with_others
from aisle.language.model_folder import ModelFolder
from aisle.language.ngram_model import fit_ngrams, joined
from aisle.language.rank_budget import RankBudget
from aisle.language.temperature import fit_temperature, probabilities
from aisle.language.text_inputs import Inputs, TokenInputs, VectorInputs
from aisle.language.text_model import About, write_text_model
from aisle.training.checkpoints import load_trainable, trainable_state
from aisle.training.loop import Objective, Trained, train
from aisle.training.plan import steps_of
from aisle.training.watching import unwatched

_LEAST_APART = 50
"""Labelled texts of each task in either part where some choose and others measure."""


@dataclass(frozen=True)
class Finetuned:
    """What a fine-tuning came to."""

    trained: Trained
    metrics: Mapping[str, float]
    """Of ``n_checked`` texts that were not learned from, with calibrated probabilities: ``TASK/METRIC``, and
    ``METRIC``, the mean over tasks by their weights."""
    temperatures: Mapping[str, float]
    """By task, what logits are divided by, those of n-grams added; without those above 1 where the model was too
    sure."""
    n_learned: int
    n_chosen_by: int
    """Texts, not learned from either, by which the best weights, what n-grams count and temperatures were chosen."""
    n_checked: int
    is_checked_apart: bool
    """Whether no text that was chosen by is among those checked; where there were too few texts for two parts, new
    texts do slightly worse than the metrics say."""
    n_trained_parameters: int
    is_only_heads: bool
    """Whether the language model stayed as it was: as asked for, or since its own learning was no better."""

    def metrics_with_counts(self) -> dict[str, float]:
        """``metrics``, and what they are of."""
        return {
            **self.metrics,
            "n_learned": float(self.n_learned),
            "n_chosen_by": float(self.n_chosen_by),
            "n_checked": float(self.n_checked),
            "is_checked_apart": float(self.is_checked_apart),
            "is_only_heads": float(self.is_only_heads),
            "n_trained_parameters": float(self.n_trained_parameters),
            "seconds": self.trained.seconds,
        }


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

    Of the texts that are not learned from, one half says when to stop, which weights are best, whether all weights are
    better than the heads that learned first, what n-grams count and how sure to be; the other half measures what came
    of it. Where a half would have fewer than 50 labelled texts of some task, all do both.

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
    choosing, checked = in_two(checked, _LEAST_APART)
    parts = (learned, choosing) if checked is choosing else (learned, choosing, checked)
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

    inputs = [TokenInputs(tokenizer, classifier.backbone, part.texts, part.second, max_tokens) for part in parts]
    run = work / _digest(begun, learned, choosing, tasks, config)
    alone = None
    if is_trained and config.heads_first and not has_all_heads:
        alone = _heads_first(classifier, inputs[:2], parts[:2], tasks, config, run / "heads", progress)
    network, inputs = (classifier, inputs) if is_trained else _frozen(classifier, inputs, progress)

    objective: Objective = Classification("learn labels", inputs[0], learned.truth, tasks)
    if config.adapter_method == "adalora":
        objective = RankBudget(objective, network)
    n_trained = n_trainable(network)
    measured = _Evaluation(inputs[1], choosing.truth, tasks)
    trained = train(network, objective, loop, run, evaluate=measured, progress=progress)
    is_only_heads = not is_trained
    if alone is not None and not is_better_by(config.metric, measured(network), alone.metrics):
        load_trainable(classifier, alone.state)
        is_only_heads, n_trained = True, n_trainable(classifier.heads)

    logits, ngrams = logits_of(network, inputs[1], tasks), None
    weights = {task.name: label_weights(learned.truth[task.name], task) for task in tasks}
    if config.ngrams == "beside":
        logits, ngrams = joined(logits, fit_ngrams(learned, tasks, weights, progress), choosing, tasks, weights)
    temperatures = _temperatures(logits, choosing, tasks, weights)
    about = About(tasks=tuple(tasks), temperatures=temperatures, max_tokens=max_tokens)
    begun_from = (begun.model_folder, about, target, adapter, lambda: begun.plain()[0])
    write_text_model(classifier, *begun_from, ngrams=ngrams, is_apart=config.keeps_adapter)
    is_apart = checked is not choosing
    if is_apart:
        logits = logits_of(network, inputs[2], tasks)
        beside = {} if ngrams is None else ngrams.logits(checked.texts, checked.second)
        logits = {name: found + beside[name] if beside else found for name, found in logits.items()}
    metrics = _measured(logits, checked.truth, tasks, temperatures)
    sizes = (len(learned), len(choosing), len(checked))
    return Finetuned(trained, metrics, temperatures, *sizes, is_apart, n_trained, is_only_heads)


def _temperatures(
    logits: Mapping[str, Float32Array],
    choosing: Examples,
    tasks: Sequence[TaskConfig],
    weights: Mapping[str, Float32Array],
) -> dict[str, float]:
    """By task, what its logits are divided by, so that probabilities hold on ``choosing``."""
    given = {task.name: (logits[task.name], choosing.truth[task.name], weights[task.name]) for task in tasks}
    return {task.name: fit_temperature(*given[task.name], is_one_of=task.is_one_of) for task in tasks}


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise ConfigError("no task is named; give one at least", setting="finetune.tasks")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"{names.count(twice)} tasks are named {twice!r}; give each a name of its own", setting="finetune.tasks"
        )


@dataclass(frozen=True)
class _HeadsAlone:
    """Heads that learned over the model as it was begun from."""

    metrics: Mapping[str, float]
    """Of the texts to choose by."""
    state: dict[str, torch.Tensor]
    """Of everything that learns afterwards."""


def _heads_first(
    classifier: TextClassifier,
    inputs: Sequence[Inputs],
    parts: Sequence[Examples],
    tasks: Sequence[TaskConfig],
    config: FinetuneConfig,
    work: Path,
    progress: Progress,
) -> _HeadsAlone:
    """Let the heads learn from the first part; the second says when to stop."""
    learning = [one for one in classifier.parameters() if one.requires_grad]
    heads, (to_learn, to_choose) = _frozen(classifier, inputs, progress)
    objective = Classification("learn labels: heads", to_learn, parts[0].truth, tasks)
    measured = _Evaluation(to_choose, parts[1].truth, tasks)
    with unwatched():
        train(heads, objective, config.heads_loop(), work, evaluate=measured, progress=progress)
    for one in learning:
        one.requires_grad_(True)
    return _HeadsAlone(measured(heads), trainable_state(classifier))


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
    """Metrics of a network on the texts to choose by, before calibration."""

    to_choose: Inputs
    truth: Mapping[str, Truth]
    tasks: Sequence[TaskConfig]

    def __call__(self, model: nn.Module) -> dict[str, float]:
        logits = logits_of(model, self.to_choose, self.tasks)
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
    begun: Beginning, learned: Examples, choosing: Examples, tasks: Sequence[TaskConfig], config: FinetuneConfig
) -> str:
    """Whose checkpoints are ours."""
    told = [
        begun.digest(),
        learned.digest(),
        choosing.digest(),
        config.model_dump_json(),
        *(task.model_dump_json() for task in tasks),
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
