"""The loop: batches, losses, steps; evaluation, checkpoints, trackers; on one process or many.

Enters: a model, an ``Objective``, a ``TrainingConfig``. Leaves: the model trained in place, and ``Trained``. Built on
accelerate, which places tensors, scales losses of half precision, joins processes and speaks to trackers. Knows nothing
of what is learned.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list
from numpy.typing import NDArray
from torch import nn

from aisle.contracts import Progress, silent
from aisle.errors import ConfigError, DataError, NotReadyError, UnavailableError
from aisle.training.checkpoints import (
    Standing,
    load_trainable,
    read_best,
    read_checkpoint,
    trainable_state,
    write_best,
    write_checkpoint,
)
from aisle.training.config import TrainingConfig
from aisle.training.optimising import has_words, moved_against, optimiser_of, rate_at, words_with_gradients
from aisle.training.parallel import is_one_of_many, train_parallel
from aisle.training.plan import batches_of_epoch, share_of, steps_of
from aisle.training.watching import tell

Int64Array = NDArray[np.int64]
Batch = dict[str, torch.Tensor]
Evaluate = Callable[[nn.Module], Mapping[str, float]]

_OFTEN_SECONDS = 0.2
"""Progress is told at most so often."""


class Objective(Protocol):
    """What is learned: batches of examples and a loss of each."""

    name: str

    @property
    def lengths(self) -> Int64Array:
        """(n_examples,) tokens of each example, for batches of like length."""
        ...

    def collate(self, rows: Int64Array, rng: np.random.Generator) -> Batch:
        """The examples ``rows`` as tensors; whatever is random comes from ``rng``, so that a resumed run is exact."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The mean loss of a batch, a scalar."""
        ...


@runtime_checkable
class Stepwise(Protocol):
    """An objective or model part that acts after each optimiser step, as AdaLoRA does."""

    def after_step(self, model: nn.Module, step: int) -> None:
        """``step`` steps are done; parameters still have the gradients of the last one. State that a resumed run needs
        belongs into buffers of ``model``, which checkpoints hold.
        """
        ...


@dataclass(frozen=True)
class Trained:
    """What a run came to."""

    n_steps: int
    n_examples: int
    """Seen, repetitions counted."""
    seconds: float
    """Of this process; a resumed run counts from its resumption."""
    metrics: Mapping[str, float]
    """Of the last evaluation, or of the best one where the best weights were kept; and ``loss``, a mean of the last
    steps."""
    stopped_early: bool


def train(
    model: nn.Module,
    objective: Objective,
    config: TrainingConfig,
    folder: Path,
    *,
    evaluate: Evaluate | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train ``model`` in place; go on from the checkpoint in ``folder`` if there is one.

    On a CPU the same seed gives the same weights, also when the run was killed at any step and started again.

    Args:
        model: only parameters that require gradients change.
        objective: what is learned.
        config: hyper-parameters.
        folder: for checkpoints and logs; another run's are refused.
        evaluate: metrics of the model, which is in evaluation mode meanwhile.
        progress: hears of steps, with the loss.

    Raises:
        NotReadyError: there is nothing to learn from.
        ConfigError: settings that cannot be met, or ``folder`` belongs to another run.
        CorruptError: the checkpoint is damaged.
        DataError: the loss is no longer a number.
        UnavailableError: memory or disk ran out; the message says what to lower.
    """
    if config.processes > 1 and not is_one_of_many():
        return train_parallel(model, objective, config, folder, evaluate, progress)
    return _Run(model, objective, config, folder, evaluate, progress).go()


class _Run:
    """One training; its methods are the parts of the loop."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        config: TrainingConfig,
        folder: Path,
        evaluate: Evaluate | None,
        progress: Progress,
    ) -> None:
        self.objective, self.config, self.folder = objective, config, folder
        self.evaluate, self.progress = evaluate, progress
        self.lengths = np.asarray(objective.lengths, dtype=np.int64)
        if not len(self.lengths):
            raise NotReadyError(f"{objective.name}: there are no examples to learn from")
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ConfigError(f"{objective.name}: no parameter of the model is trainable")
        if config.adversarial_epsilon and not has_words(model):
            raise ConfigError(
                f"adversarial_epsilon = {config.adversarial_epsilon:g} moves word vectors, and {objective.name} reads "
                'vectors of whole texts; set it to 0, or with finetune.trained = "heads" take "all"',
                setting="adversarial_epsilon",
            )
        if config.early_stopping and evaluate is None:
            raise ConfigError(
                f"early_stopping = {config.early_stopping!r} needs something to evaluate on",
                setting="early_stopping",
            )
        self.steps_an_epoch, self.n_steps = steps_of(config, len(self.lengths))
        self.evaluate_every = config.evaluate_every or self.steps_an_epoch
        self.bare = model
        self.accelerator = _accelerator(config, folder)
        if _is_on_gpu(self.accelerator):
            model.to(self.accelerator.device)
        self.optimiser = optimiser_of(model, config)
        self.run = self._fingerprint()
        self.standing = read_checkpoint(folder, model, self.optimiser, self.run) or Standing(self.run)
        self.model, self.optimiser = self.accelerator.prepare(model, self.optimiser)
        self.recent: list[float] = []
        self.told_at = 0.0
        self.n_examples = 0

    def go(self) -> Trained:
        """From where it stands to the end."""
        started = time.monotonic()
        self._open_trackers()
        config, standing = self.config, self.standing
        stopped_early = bool(config.early_stopping) and standing.n_without_gain >= config.patience
        epoch, batches = -1, []
        self.model.train()
        with self._memory_named():
            while self.standing.step < self.n_steps and not stopped_early:
                if self.standing.step // self.steps_an_epoch != epoch:
                    epoch = self.standing.step // self.steps_an_epoch
                    batches = self._batches(epoch)
                place = (self.standing.step % self.steps_an_epoch) * self.config.accumulation
                self._step(batches[place : place + self.config.accumulation])
                stopped_early = self._look_at(is_last=self.standing.step == self.n_steps)
        metrics = self._finish()
        return Trained(self.standing.step, self.n_examples, time.monotonic() - started, metrics, stopped_early)

    def _batches(self, epoch: int) -> list[Int64Array]:
        config = self.config
        return batches_of_epoch(
            self.lengths, config.batch_size, seed=config.seed, epoch=epoch, n_together=config.length_buckets
        )

    def _step(self, batches: list[Int64Array]) -> None:
        config, step = self.config, self.standing.step
        rate = config.learning_rate * rate_at(step, self.n_steps, config.schedule, config.warmup_share)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        n_rows = sum(len(rows) for rows in batches)
        total = torch.zeros((), device=self.accelerator.device)
        for number, rows in enumerate(batches):
            is_last = number == len(batches) - 1
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(self.model):
                total += self._learn_from(rows, n_rows, number)
        if config.clip_norm:
            self.accelerator.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        self.optimiser.step()
        self.standing.step += 1
        self.n_examples += n_rows
        if isinstance(self.objective, Stepwise):
            self.objective.after_step(self.bare, self.standing.step)
        self.optimiser.zero_grad()
        self._note(total, rate)

    def _learn_from(self, rows: Int64Array, n_rows: int, number: int) -> torch.Tensor:
        """Gradients of this process's share of a batch, which weighs as many rows as it has of the step's."""
        n_processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        mine = share_of(rows, rank, n_processes)
        weight = len(mine) * n_processes / n_rows
        if not len(mine):  # every process must take part in every step; this one adds nothing
            mine, weight = rows[:1], 0.0
        seed = [self.config.seed, self.standing.step, number, rank]
        batch = self.objective.collate(mine, np.random.default_rng(seed))
        batch = {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))  # dropout
        epsilon = self.config.adversarial_epsilon
        with words_with_gradients(self.bare) if epsilon else contextlib.nullcontext():
            with self.accelerator.autocast():
                loss = self.objective.loss(self.model, batch) * weight
            self.accelerator.backward(loss)
            if epsilon:
                with moved_against(self.bare, epsilon), self.accelerator.autocast():
                    self.accelerator.backward(self.objective.loss(self.model, batch) * weight)
        return loss.detach().float()

    def _note(self, loss: torch.Tensor, rate: float) -> None:
        step = self.standing.step
        if step % self.config.log_every and step != self.n_steps and step != 1:
            return
        value = cast(torch.Tensor, self.accelerator.reduce(loss, reduction="mean")).item()
        if not math.isfinite(value):
            raise DataError(
                f"{self.objective.name}: the loss is {value} at step {step}; lower learning_rate (it was "
                f'{self.config.learning_rate:g}), raise warmup_share, or set precision = "fp32"'
            )
        self.recent = [*self.recent[-19:], value]
        self.accelerator.log({"loss": value, "learning_rate": rate}, step=step)
        if time.monotonic() - self.told_at > _OFTEN_SECONDS and self.accelerator.is_main_process:
            self.told_at = time.monotonic()
            self.progress(f"{self.objective.name}\tloss {np.mean(self.recent):.4g}", step, self.n_steps)

    def _look_at(self, *, is_last: bool) -> bool:
        """Evaluate and write a checkpoint where it is time; whether to stop."""
        step, config = self.standing.step, self.config
        stop = False
        if self.evaluate is not None and (step % self.evaluate_every == 0 or is_last):
            stop = self._evaluate()
        if config.checkpoint_every and (step % config.checkpoint_every == 0 or is_last or stop):
            if self.accelerator.is_main_process:
                write_checkpoint(self.folder, self.bare, self.optimiser, self.standing)
            self.accelerator.wait_for_everyone()
        return stop

    def _evaluate(self) -> bool:
        assert self.evaluate is not None
        metrics: list[dict[str, float]] = [{}]
        if self.accelerator.is_main_process:
            self.bare.eval()
            with torch.no_grad():
                metrics = [dict(self.evaluate(self.bare))]
            self.model.train()
        if self.accelerator.num_processes > 1:
            broadcast_object_list(metrics)
        found, standing = metrics[0], self.standing
        standing.metrics = found
        self.accelerator.log(found, step=standing.step)
        tell(standing.step, found)
        name = self.config.early_stopping
        if not name:
            return False
        sign = -1.0 if name.startswith("-") else 1.0
        if name.lstrip("-") not in found:
            raise ConfigError(
                f"early_stopping = {name!r}: no such metric; there are {', '.join(sorted(found))}",
                setting="early_stopping",
            )
        value = sign * found[name.lstrip("-")]
        if standing.best_value is None or value > standing.best_value:
            standing.best_value, standing.best_step, standing.n_without_gain = value, standing.step, 0
            standing.best_metrics = found
            if self.accelerator.is_main_process:
                write_best(self.folder, trainable_state(self.bare))
            self.accelerator.wait_for_everyone()
        else:
            standing.n_without_gain += 1
        return standing.n_without_gain >= self.config.patience

    def _finish(self) -> dict[str, float]:
        standing = self.standing
        if self.config.early_stopping and standing.best_step not in (0, standing.step):
            load_trainable(self.bare, read_best(self.folder))
        self.bare.eval()
        if self.accelerator.is_main_process:
            self.progress(self.objective.name, self.n_steps, self.n_steps)
        self.accelerator.end_training()
        kept = standing.best_metrics if self.config.early_stopping else standing.metrics
        return {**kept, **({"loss": float(np.mean(self.recent))} if self.recent else {})}

    def _open_trackers(self) -> None:
        if self.config.trackers:
            self.folder.mkdir(parents=True, exist_ok=True)
            flat = {name: value for name, value in self.config.model_dump().items() if name != "trackers"}
            self.accelerator.init_trackers(self.objective.name.replace(" ", "-"), config=flat)

    def _fingerprint(self) -> str:
        """Whose checkpoints are ours: settings that decide the weights, the data's shape, the model's."""
        not_deciding = {"trackers", "log_every", "checkpoint_every", "processes", "through"}
        told = {
            "config": self.config.model_dump(mode="json", exclude=not_deciding),
            "objective": self.objective.name,
            "data": hashlib.sha256(self.lengths.tobytes()).hexdigest(),
            "model": [[name, list(one.shape)] for name, one in self.bare.named_parameters() if one.requires_grad],
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @contextlib.contextmanager
    def _memory_named(self):
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            said = str(error).lower()
            is_named = isinstance(error, torch.OutOfMemoryError | MemoryError)
            if not is_named and not ("memory" in said and "alloc" in said):
                raise
            size = self.config.batch_size
            raise UnavailableError(
                f"{self.objective.name}: memory ran out at step {self.standing.step} with batches of {size}; set "
                f"batch_size = {max(1, size // 2)} and accumulation = {2 * self.config.accumulation}, shorten texts "
                "(max_tokens), train an adapter instead of all weights, or take a smaller model"
            ) from error


def _accelerator(config: TrainingConfig, folder: Path) -> Accelerator:
    for name in config.trackers:
        _require_tracker(name)
    is_cpu = not torch.cuda.is_available()
    precision = config.precision
    if precision == "auto":
        precision = "fp32" if is_cpu or not torch.cuda.is_bf16_supported() else "bf16"
    if precision == "fp16" and is_cpu:
        raise ConfigError('precision = "fp16" needs a GPU; on a CPU take "fp32"', setting="precision")
    mixed = "no" if precision == "fp32" else precision
    return Accelerator(
        cpu=is_cpu,
        mixed_precision=mixed,
        log_with=list(config.trackers) or None,
        project_dir=folder / "logs",
        # a model may have parts that no loss asks, such as a BERT's pooler
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def _require_tracker(name: str) -> None:
    import importlib.util

    modules = ("tensorboard", "tensorboardX") if name == "tensorboard" else (name,)
    if not any(importlib.util.find_spec(module) for module in modules):
        raise ConfigError(f"tracker {name!r} needs `pip install {modules[0]}`", setting="trackers")


def _is_on_gpu(accelerator: Accelerator) -> bool:
    return accelerator.device.type != "cpu"
