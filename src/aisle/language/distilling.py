"""A small model learns from a large one where texts lie and how they are ordered. No labels are needed.

Enters: texts and the large model's vectors of them. Leaves: batches and a loss for the training loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import kl_div, log_softmax

from aisle.contracts import Float32Array

Int64Array = NDArray[np.int64]
Batch = dict[str, torch.Tensor]


class Distillation:
    """Implements ``training.loop.Objective`` for a ``TextTower`` of the same width as its teacher.

    The loss is ``1 - cosine`` to the teacher's vector (Reimers & Gurevych 2020, "Making monolingual sentence embeddings
    multilingual", learn vectors so) plus the divergence from the teacher's distribution over the batch's other texts by
    ``scale x cosine``, which is its ranking of them (Hinton et al. 2015, "Distilling the knowledge in a neural
    network").
    """

    name = "learn from the large model"

    def __init__(
        self, texts: Sequence[str], taught: Float32Array, tokenizer: Any, max_tokens: int, scale: float
    ) -> None:
        """Learn ``taught`` (n, d) unit rows of ``texts``."""
        self._texts, self._taught, self._scale = list(texts), taught, scale
        self._tokenizer = tokenizer
        self._ids = tokenizer(self._texts, truncation=True, max_length=max_tokens)["input_ids"] if len(texts) else []

    @property
    def lengths(self) -> Int64Array:
        """(n_texts,) tokens."""
        return np.array([len(ids) for ids in self._ids], dtype=np.int64)

    def collate(self, rows: Int64Array, rng: np.random.Generator) -> Batch:
        """``input_ids`` and ``attention_mask`` (b, longest), ``taught`` (b, d)."""
        del rng  # nothing is random
        tokens = self._tokenizer.pad({"input_ids": [self._ids[int(row)] for row in rows]}, return_tensors="pt")
        taught = torch.from_numpy(self._taught[rows])
        return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"], "taught": taught}

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean over the batch of both parts."""
        learned, taught = model(batch["input_ids"], batch["attention_mask"]).float(), batch["taught"]  # (b, d) each
        apart = 1.0 - (learned * taught).sum(dim=1).mean()
        if len(learned) < 2:
            return apart
        itself = torch.eye(len(learned), dtype=torch.bool, device=learned.device)
        rankings = [
            log_softmax((self._scale * one @ one.T).masked_fill(itself, -1e4), dim=1) for one in (learned, taught)
        ]
        return apart + kl_div(rankings[0], rankings[1], log_target=True, reduction="batchmean")
