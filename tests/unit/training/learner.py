"""A small thing to learn, also as a program that can be killed or run in several processes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from aisle.training.config import TrainingConfig
from aisle.training.loop import Trained, train

N_WORDS, WIDTH = 50, 8
PLAIN = TrainingConfig(
    epochs=4, batch_size=10, learning_rate=0.01, checkpoint_every=3, trackers=(), log_every=1, weight_decay=0.1
)


class Bag(nn.Module):
    """Which of two classes a bag of words belongs to."""

    def __init__(self, seed: int = 0, dropout: float = 0.2) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.words = nn.Embedding(N_WORDS, WIDTH, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(WIDTH, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        n_words = (tokens > 0).sum(dim=1, keepdim=True).clamp(min=1)
        return self.out(self.dropout(self.words(tokens).sum(dim=1) / n_words))


class Words:
    """Bags of 3 to 12 words; those with more low numbers than high ones are of class 1. Some words are masked."""

    name = "words"

    def __init__(self, n: int = 95, mask: float = 0.1) -> None:
        rng = np.random.default_rng(1)
        self.mask = mask
        self.bags = [rng.integers(1, N_WORDS, size=rng.integers(3, 13)) for _ in range(n)]
        self.labels = np.array([(bag < N_WORDS / 2).mean() > 0.5 for bag in self.bags]).astype(np.int64)
        self.seen: list[list[int]] = []

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(bag) for bag in self.bags])

    def collate(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, torch.Tensor]:
        self.seen.append(rows.tolist())
        tokens = np.zeros((len(rows), max(len(self.bags[row]) for row in rows)), np.int64)
        for at, row in enumerate(rows):
            tokens[at, : len(self.bags[row])] = np.where(rng.random(len(self.bags[row])) < self.mask, 0, self.bags[row])
        return {"tokens": torch.from_numpy(tokens), "labels": torch.from_numpy(self.labels[rows])}

    def loss(self, model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch["tokens"]), batch["labels"])


def accuracy(objective: Words):
    def evaluate(model: nn.Module) -> dict[str, float]:
        batch = objective.collate(np.arange(len(objective.bags)), np.random.default_rng(0))
        right = model(batch["tokens"]).argmax(dim=1) == batch["labels"]
        return {"accuracy": float(right.float().mean())}

    return evaluate


def weights(model: nn.Module) -> dict[str, NDArray[np.float32]]:
    return {name: one.detach().numpy().copy() for name, one in model.named_parameters()}


def run(folder: Path, config: TrainingConfig = PLAIN, **options) -> tuple[Bag, Trained]:
    model, objective = Bag(), Words()
    return model, train(model, objective, config, folder, evaluate=accuracy(objective), **options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    where, to, dropout, die_at = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    bag, words = Bag(dropout=dropout), Words(mask=dropout)

    def die(task: str, done: int, total: int | None = None) -> None:
        if done >= die_at > 0:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)

    class Mortal(Words):
        def loss(self, model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            die("", len(self.seen))
            return super().loss(model, batch)

    train(bag, Mortal(mask=dropout), PLAIN, where)
    if int(__import__("os").environ.get("RANK", "0")) == 0:
        save_file(dict(bag.named_parameters()), to)
