"""Labelled texts and the ways to learn them that benchmarks compare: fine-tuned models and linear baselines."""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoModelForSequenceClassification

from aisle.language.batches import length_batches
from aisle.language.finetune_config import FinetuneConfig, Kind, TaskConfig
from aisle.language.finetuning import finetune
from aisle.language.labelled_texts import LabelledTexts
from aisle.language.model_folder import ModelFolder
from aisle.language.text_inputs import TokenInputs
from aisle.language.text_model import TextModel
from aisle.language.tower import open_tower, place
from aisle.training.config import TrainingConfig
from aisle.training.loop import train as run_training

Probabilities = NDArray[np.float64]
"""(n, n_labels)."""
N_BINS = 10


@dataclass(frozen=True)
class Labelled:
    """Texts, what each is looked at together with (or nothing), and which label each has, a row of ``names``."""

    texts: Sequence[str]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    second: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, rows: NDArray[Any]) -> Labelled:
        """Some of them."""
        chosen: list[int] = rows.tolist()
        second = None if self.second is None else [self.second[row] for row in chosen]
        return Labelled([self.texts[row] for row in chosen], self.labels[rows], self.names, second)

    def joined(self) -> list[str]:
        """Both texts as one, for baselines that know one."""
        if self.second is None:
            return list(self.texts)
        return [f"{text} {other}" for text, other in zip(self.texts, self.second, strict=True)]

    def parted(self, share: float, salt: str) -> tuple[Labelled, Labelled]:
        """The rest, and ``share`` of them by a hash of the text."""
        numbers = np.array([zlib.crc32(f"{salt}{text}".encode("utf-8", "replace")) % 1_000 for text in self.texts])
        is_out = numbers < round(1_000 * share)
        return self.at(np.flatnonzero(~is_out)), self.at(np.flatnonzero(is_out))

    def of_each(self, n: int, seed: int) -> Labelled:
        """At most ``n`` of each label, drawn with ``seed``; 0 for all."""
        if not n:
            return self
        order = np.random.default_rng(seed).permutation(len(self))
        kept = [order[self.labels[order] == label][:n] for label in range(len(self.names))]
        return self.at(np.sort(np.concatenate(kept)))

    def some(self, n: int, seed: int) -> Labelled:
        """``n`` of them, drawn with ``seed``; 0 for all."""
        if not n or n >= len(self):
            return self
        return self.at(np.sort(np.random.default_rng(seed).permutation(len(self))[:n]))


@dataclass(frozen=True)
class Told:
    """What a way to learn said of the test texts, and what it took."""

    probabilities: Probabilities
    minutes: float
    trained_parameters: int

    def measured(self, test: Labelled) -> dict[str, float]:
        """``accuracy``; of two labels also ``auc``, ``ece`` and ``mean_error``; what it took."""
        found = {"accuracy": float((self.probabilities.argmax(axis=1) == test.labels).mean())}
        if len(test.names) == 2:
            found |= two_labels(self.probabilities[:, 1], test.labels)
        return {**found, "minutes": self.minutes, "trained_parameters": float(self.trained_parameters)}


def two_labels(yes: NDArray[np.float64], truth: NDArray[np.int64]) -> dict[str, float]:
    """``auc``; ``ece``: distance of shares from probabilities over ten groups of like size; ``mean_error``: of the mean
    probability from the share, relative to the share.
    """
    order = np.argsort(yes, kind="stable")
    groups = np.array_split(order, N_BINS)
    ece = sum(len(one) * abs(yes[one].mean() - truth[one].mean()) for one in groups) / len(yes)
    share = float(truth.mean())
    return {
        "auc": float(roc_auc_score(truth, yes)),
        "ece": float(ece),
        "mean_error": abs(float(yes.mean()) - share) / share,
    }


def by_ngrams(train: Labelled, test: Labelled, analyzer: str, longest: int) -> Told:
    """TF-IDF of n-grams up to ``longest`` of words or characters, logistic regression."""
    started = time.monotonic()
    model = make_pipeline(
        TfidfVectorizer(analyzer=analyzer, ngram_range=(1, longest), sublinear_tf=True, min_df=1),
        LogisticRegression(C=10.0, max_iter=1_000),
    )
    model.fit(train.joined(), train.labels)
    return _told(model, model.predict_proba(test.joined()), test, started)


def by_vectors(train: Labelled, test: Labelled, folder: ModelFolder, max_tokens: int = 128) -> Told:
    """The model's vectors as they are, logistic regression."""
    started = time.monotonic()
    tower, tokenizer = open_tower(folder)
    tower.eval()
    placed = [place(tower, tokenizer, part.joined(), min(max_tokens, folder.max_tokens)) for part in (train, test)]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2_000))
    model.fit(placed[0], train.labels)
    return _told(model, model.predict_proba(placed[1]), test, started)


def by_finetuning(
    train: Labelled, test: Labelled, folder: ModelFolder, settings: Mapping[str, Any], *, start_from: Path | None = None
) -> Told:
    """The product: ``language.finetuning.finetune`` with ``settings`` of ``FinetuneConfig``."""
    started = time.monotonic()
    kind: Kind = "binary" if len(train.names) == 2 else "classes"
    task = TaskConfig(name="label", kind=kind, labels=train.names)
    table = LabelledTexts("train", train.texts, {"label": [train.names[one] for one in train.labels]}, train.second)
    with tempfile.TemporaryDirectory() as name:
        found = finetune(
            folder,
            [table],
            [task],
            FinetuneConfig.parse(settings, "finetune"),
            work=Path(name) / "work",
            target=Path(name) / "model",
            start_from=start_from,
        )
        said = TextModel.load(Path(name) / "model").predict(test.texts, test.second)["label"]
    minutes = (time.monotonic() - started) / 60
    return Told(said.astype(np.float64), minutes, found.n_trained_parameters)


class _AsItIs:
    """Implements ``training.loop.Objective`` for a classifier of transformers."""

    name = "plain classifier"

    def __init__(self, inputs: TokenInputs, labels: NDArray[np.int64]) -> None:
        self._inputs, self._labels = inputs, labels

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens."""
        return self._inputs.lengths

    def collate(self, rows: NDArray[np.int64], rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """The network's arguments and labels."""
        del rng  # nothing is random
        return {**self._inputs.batch(rows), "labels": torch.from_numpy(self._labels[rows])}

    def loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Cross-entropy."""
        return model(**batch).loss


def by_plain_bert(train: Labelled, test: Labelled, folder: ModelFolder, seed: int, max_tokens: int = 128) -> Told:
    """The usual recipe: transformers' own classifier on the first token, 2e-5, three epochs of batches of 32."""
    started = time.monotonic()
    torch.manual_seed(seed)
    _, tokenizer = open_tower(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder.path, num_labels=len(train.names))
    read = [
        TokenInputs(tokenizer, model, part.texts, part.second or [None] * len(part), max_tokens)
        for part in (train, test)
    ]
    config = TrainingConfig(epochs=3, batch_size=32, learning_rate=2e-5, trackers=(), checkpoint_every=0, seed=seed)
    with tempfile.TemporaryDirectory() as name:
        run_training(model, _AsItIs(read[0], train.labels), config, Path(name))
    model.eval()
    said = np.empty((len(test), len(test.names)))
    with torch.inference_mode():
        for rows in length_batches(read[1].lengths.tolist(), 64):
            said[rows] = model(**read[1].batch(np.asarray(rows))).logits.softmax(dim=1).numpy()
    n_parameters = sum(one.numel() for one in model.parameters())
    return Told(said, (time.monotonic() - started) / 60, n_parameters)


def averaged(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over seeds, and ``accuracy_sd`` where there are several."""
    means = {name: round(float(np.mean([run[name] for run in runs])), 4) for name in runs[0]}
    if len(runs) > 1:
        means["accuracy_sd"] = round(float(np.std([run["accuracy"] for run in runs], ddof=1)), 4)
    return means


def _told(model: Any, probabilities: NDArray[Any], test: Labelled, started: float) -> Told:
    last = model[-1]
    every = np.zeros((len(test), len(test.names)))
    every[:, last.classes_] = probabilities  # a label may have no example
    return Told(every, (time.monotonic() - started) / 60, int(last.coef_.size + last.intercept_.size))
