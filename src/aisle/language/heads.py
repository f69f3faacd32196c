"""What a language model's vector tells of a text: one linear head a task over one shared backbone.

Enters: texts, or pairs of them, labelled for some of the tasks. Leaves: logits, and a loss for the training loop.
Knows nothing of files and of how long to learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import log_softmax, logsigmoid

from aisle.contracts import Float32Array, Progress, silent
from aisle.language.batches import length_batches
from aisle.language.finetune_config import TaskConfig
from aisle.language.labelled_texts import Truth
from aisle.language.model_folder import Pooling
from aisle.language.pooling import gathered
from aisle.language.text_inputs import Batch, Inputs

Int64Array = NDArray[np.int64]
Logits = dict[str, torch.Tensor]

_BATCH = 64
_INITIAL_SPREAD = 0.02
"""Standard deviation of a head's first weights."""


class Heads(nn.Module):
    """Vectors in, logits of every task out."""

    def __init__(self, width: int, tasks: Sequence[TaskConfig], seed: int = 0) -> None:
        """``width`` numbers a vector; first weights are drawn with ``seed``."""
        super().__init__()
        self.tasks = tuple(tasks)
        self.dropouts = nn.ModuleList(nn.Dropout(task.dropout) for task in self.tasks)
        n_outputs = [1 if task.kind == "binary" else len(task.labels) for task in self.tasks]
        self.linears = nn.ModuleList(nn.Linear(width, n) for n in n_outputs)
        generator = torch.Generator().manual_seed(seed)
        for linear in self.linears:
            assert isinstance(linear, nn.Linear)
            nn.init.normal_(linear.weight, std=_INITIAL_SPREAD, generator=generator)
            nn.init.zeros_(linear.bias)

    def forward(self, vectors: torch.Tensor) -> Logits:
        """(n, n_labels) each; of a ``binary`` task the first label's are 0, so that it reads as one of two classes."""
        logits = {}
        for task, dropout, linear in zip(self.tasks, self.dropouts, self.linears, strict=True):
            found = linear(dropout(vectors))  # (n, n_outputs)
            logits[task.name] = torch.cat([torch.zeros_like(found), found], dim=1) if task.kind == "binary" else found
        return logits


class TextClassifier(nn.Module):
    """A transformers model, its pooling and heads: tokens in, logits of every task out."""

    def __init__(self, backbone: Any, pooling: Pooling, tasks: Sequence[TaskConfig], seed: int = 0) -> None:
        """``backbone`` is what ``AutoModel`` opens; ``seed`` draws the heads' first weights."""
        super().__init__()
        self.backbone = backbone
        self.pooling: Pooling = pooling
        self.heads = Heads(int(backbone.config.hidden_size), tasks, seed)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: torch.Tensor) -> Logits:
        """(n, n_labels) each."""
        return self.heads(self.vectors(input_ids, attention_mask, **others))

    def vectors(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: torch.Tensor) -> torch.Tensor:
        """What the heads look at, (n, d), as long as they come."""
        read = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **others)
        return gathered(read.last_hidden_state, attention_mask, self.pooling)


class Classification:
    """Implements ``training.loop.Objective`` for ``TextClassifier``, and for ``Heads`` over vectors.

    Tasks learn together; an example that is not labelled for a task does not count for it.
    """

    def __init__(self, name: str, inputs: Inputs, truth: Mapping[str, Truth], tasks: Sequence[TaskConfig]) -> None:
        """``truth`` by task, of the examples of ``inputs`` in their order."""
        self.name = name
        self._inputs, self._truth, self._tasks = inputs, truth, tasks
        self._lengths = inputs.lengths
        self._label_weights = {task.name: torch.from_numpy(label_weights(truth[task.name], task)) for task in tasks}

    @property
    def lengths(self) -> Int64Array:
        """(n,) tokens."""
        return self._lengths

    def collate(self, rows: Int64Array, rng: np.random.Generator) -> Batch:
        """The network's arguments; ``truth:TASK`` (b, n_labels) and ``known:TASK`` (b,), 0 where not labelled."""
        del rng  # nothing is random
        batch = dict(self._inputs.batch(rows))
        for task in self._tasks:
            truth = self._truth[task.name].at(rows)
            batch[f"truth:{task.name}"] = torch.from_numpy(truth.values)
            batch[f"known:{task.name}"] = torch.from_numpy(truth.is_known.astype(np.float32))
        return batch

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean by weight, over the tasks that the batch has labels of, of each task's mean over labelled examples."""
        logits: Logits = model(**{name: tensor for name, tensor in batch.items() if ":" not in name})
        total = weights = torch.zeros((), device=next(iter(batch.values())).device)
        for task in self._tasks:
            known = batch[f"known:{task.name}"]
            each = losses(
                logits[task.name].float(),
                batch[f"truth:{task.name}"],
                self._label_weights[task.name].to(known.device),
                is_one_of=task.is_one_of,
            )  # (b,)
            total = total + task.weight * (each * known).sum() / known.sum().clamp(min=1.0)
            weights = weights + task.weight * (known.sum() > 0)
        return total / weights.clamp(min=1e-9)


def losses(logits: torch.Tensor, truth: torch.Tensor, weights: torch.Tensor, *, is_one_of: bool) -> torch.Tensor:
    """Minus the log-probability of what is true of each text, (n,); for tags the mean over labels.

    Args:
        logits: (n, n_labels).
        truth: (n, n_labels) 0 to 1.
        weights: (2, n_labels) of labels that are absent and present; one-of-many looks at the latter only.
        is_one_of: exactly one label is right.
    """
    if is_one_of:
        return -(weights[1] * truth * log_softmax(logits, dim=1)).sum(dim=1)
    present, absent = weights[1] * truth * logsigmoid(logits), weights[0] * (1.0 - truth) * logsigmoid(-logits)
    return -(present + absent).mean(dim=1)


def label_weights(truth: Truth, task: TaskConfig) -> Float32Array:
    """(2, n_labels) what an absent and a present label count: 1, or with ``is_balanced`` as much in all as any other.

    A label without an example counts 1.
    """
    weights = np.ones((2, len(task.labels)), dtype=np.float32)
    if not task.is_balanced:
        return weights
    n = float(truth.is_known.sum())
    present = truth.values[truth.is_known].sum(axis=0)  # (n_labels,)
    n_sides = len(task.labels) if task.is_one_of else 2
    for side, counts in enumerate((n - present, present)):
        weights[side] = np.where(counts > 0, n / (n_sides * np.maximum(counts, 1.0)), 1.0)
    return weights


def logits_of(
    model: nn.Module, inputs: Inputs, tasks: Sequence[TaskConfig], progress: Progress = silent
) -> dict[str, Float32Array]:
    """(n, n_labels) float32 by task, computed in batches of like length; ``model`` is in evaluation mode."""
    found = {task.name: np.empty((len(inputs.lengths), len(task.labels)), dtype=np.float32) for task in tasks}
    device = next(model.parameters()).device
    done = 0
    with torch.inference_mode():
        for rows in length_batches(inputs.lengths.tolist(), _BATCH):
            logits = model(**{name: tensor.to(device) for name, tensor in inputs.batch(rows).items()})
            for name, values in found.items():
                values[rows] = logits[name].float().cpu().numpy()
            done += len(rows)
            progress("classify", done, len(inputs.lengths))
    return found


def vectors_of(model: TextClassifier, inputs: Inputs, progress: Progress = silent) -> Float32Array:
    """(n, d) float32, what the heads look at; ``model`` is in evaluation mode."""
    found = np.empty((len(inputs.lengths), int(model.backbone.config.hidden_size)), dtype=np.float32)
    device = next(model.parameters()).device
    done = 0
    with torch.inference_mode():
        for rows in length_batches(inputs.lengths.tolist(), _BATCH):
            batch = {name: tensor.to(device) for name, tensor in inputs.batch(rows).items()}
            found[rows] = model.vectors(**batch).float().cpu().numpy()
            done += len(rows)
            progress("encode", done, len(inputs.lengths))
    return found
