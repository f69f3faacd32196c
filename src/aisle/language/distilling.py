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
from aisle.language.batches import token_ids_by

Int64Array = NDArray[np.int64]
Batch = dict[str, torch.Tensor]


class Distillation:
    """Implements ``training.loop.Objective`` for a ``TextTower`` of the same width as its teacher.

    The loss is ``1 - cosine`` to the teacher's vector (Reimers & Gurevych 2020, "Making monolingual sentence embeddings
    multilingual", learn vectors so) plus the divergence from the teacher's distribution over other texts by ``scale x
    cosine``, which is its ranking of them (Hinton et al. 2015, "Distilling the knowledge in a neural network"). These
    texts are drawn anew for each step, and lie where the teacher has them: both models share one space, so thousands
    are ranked at hardly any cost.
    """

    def __init__(
        self,
        name: str,
        texts: Sequence[str],
        taught: Float32Array,
        tokenizer: Any,
        max_tokens: int,
        *,
        scale: float = 20.0,
        n_ranked: int = 4_096,
    ) -> None:
        """Learn ``taught`` (n, d) unit rows of ``texts``; ``name`` is told as progress."""
        self.name = name
        self._taught, self._scale, self._n_ranked = taught, scale, min(n_ranked, len(taught))
        self._tokenizer = tokenizer
        self._ids = token_ids_by(tokenizer, texts, max_tokens)

    @property
    def lengths(self) -> Int64Array:
        """(n_texts,) tokens."""
        return self._ids.lengths

    def collate(self, rows: Int64Array, rng: np.random.Generator) -> Batch:
        """``input_ids, attention_mask`` (b, longest), ``taught`` (b, d), ``ranked`` (m, d), ``is_itself`` (b, m)."""
        ids = [self._ids[row].tolist() for row in rows.tolist()]
        tokens = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        ranked = rng.choice(len(self._taught), self._n_ranked, replace=False)
        return {
            "input_ids": tokens["input_ids"],
            "attention_mask": tokens["attention_mask"],
            "taught": torch.from_numpy(self._taught[rows]),
            "ranked": torch.from_numpy(self._taught[ranked]),
            "is_itself": torch.from_numpy(rows[:, None] == ranked[None, :]),
        }

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean over the batch of both parts."""
        learned, taught = model(batch["input_ids"], batch["attention_mask"]).float(), batch["taught"]  # (b, d) each
        apart = 1.0 - (learned * taught).sum(dim=1).mean()
        rankings = [
            log_softmax((self._scale * one @ batch["ranked"].T).masked_fill(batch["is_itself"], -1e4), dim=1)
            for one in (learned, taught)
        ]  # (b, m) each
        return apart + kl_div(rankings[0], rankings[1], log_target=True, reduction="batchmean")


def with_pieces(texts: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """``texts`` and, of ``share`` of those of six words or more, two to five words in a row."""
    pieces: list[str] = []
    for text in texts:
        words = text.split()
        if len(words) >= 6 and rng.random() < share:
            n = int(rng.integers(2, 6))
            start = int(rng.integers(0, len(words) - n + 1))
            pieces.append(" ".join(words[start : start + n]))
    return list(dict.fromkeys([*texts, *pieces]))
