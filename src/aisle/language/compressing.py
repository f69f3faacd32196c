"""Makes a model smaller for serving, and tells what each step cost and gained.

Enters: a model's folder, the shop's texts, pairs to check by. Leaves: a smaller model's folder and a table: size, texts
a second, milliseconds of a query, retrieval quality, of the large model and after each step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aisle.contracts import Progress, silent
from aisle.errors import NotReadyError
from aisle.language.batches import length_batches
from aisle.language.compress_config import CompressConfig
from aisle.language.contrast_pairs import TextPairs
from aisle.language.distilling import Distillation
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.language.onnx import OnnxEncoder
from aisle.language.retrieval_check import find
from aisle.language.shrinking import with_fewer_layers, with_narrower_middles
from aisle.language.tower import TextTower, open_tower, place, save_tower
from aisle.settings import EncoderConfig
from aisle.training.loop import train

log = logging.getLogger(__name__)

_TIMED_TEXTS, _TIMED_QUERIES = 1_000, 100
_CALIBRATING_TEXTS = 512


@dataclass(frozen=True)
class Step:
    """A model as it would serve, after one step."""

    name: str
    megabytes: float
    texts_per_second: float
    query_ms: float
    ndcg: float

    def metrics(self) -> dict[str, float]:
        """The figures, under the step's name."""
        told = {
            "megabytes": self.megabytes,
            "texts_per_second": self.texts_per_second,
            "query_ms": self.query_ms,
            "ndcg@10": self.ndcg,
        }
        return {f"{name}.{self.name}": value for name, value in told.items()}


@dataclass(frozen=True)
class Compressed:
    """What each step came to; the first is the large model, the last is to serve."""

    steps: tuple[Step, ...]
    largest_loss: float

    @property
    def loss(self) -> float:
        """Share of the large model's NDCG@10 that was lost; below 0 where the small one finds more."""
        return 1.0 - self.steps[-1].ndcg / max(self.steps[0].ndcg, 1e-12)

    @property
    def is_good_enough(self) -> bool:
        """Whether it may serve."""
        return self.loss <= self.largest_loss

    def metrics(self) -> dict[str, float]:
        """All figures."""
        faster = self.steps[-1].texts_per_second / self.steps[0].texts_per_second
        told = {name: value for step in self.steps for name, value in step.metrics().items()}
        return {**told, "loss": self.loss, "times_faster": faster}


def compress(
    folder: ModelFolder,
    texts: Sequence[str],
    queries: Sequence[str],
    check: TextPairs,
    config: CompressConfig,
    *,
    work: Path,
    target: Path,
    progress: Progress = silent,
) -> Compressed:
    """Make a smaller copy of the model in ``folder`` and write it to ``target``.

    Args:
        folder: the large model.
        texts: the shop's texts to learn from.
        queries: what is typed, to learn from as well.
        check: pairs whose right texts are ranked among all of its right texts.
        config: how small, how long, how much may be lost.
        work: for checkpoints and the models between; a killed run goes on from there.
        target: an empty folder.
        progress: hears of each part.

    Raises:
        NotReadyError: there are no texts to learn from or no pairs to check by.
        ConfigError: the model cannot be made smaller in this way.
    """
    if not len(texts) or not len(check):
        raise NotReadyError(
            f"{len(texts):,} texts to learn from and {len(check):,} pairs to check by are too few; import a "
            "catalogue and searches first",
            command="aisle import",
        )
    tower, tokenizer = open_tower(folder)
    learned = _drawn([*queries, *texts], config.most_texts)
    max_tokens = min(folder.max_tokens, 64)

    def served(name: str, where: ModelFolder, precision: str) -> Step:
        return measured(name, where, precision, check, texts, progress)

    steps = [served("as it is", folder, "fp32")]
    tower.eval()
    taught = place(tower, tokenizer, learned, max_tokens, progress)
    smaller = with_fewer_layers(tower.model, config.layers)
    if config.middle_share < 1.0:
        smaller = with_narrower_middles(smaller, config.middle_share, _some(learned, tokenizer, max_tokens))
    student = TextTower(smaller, tower.pooling)
    train(
        student,
        Distillation(learned, taught, tokenizer, max_tokens, config.scale),
        config.training_config(),
        work / "distilled",
        progress=progress,
    )
    save_tower(student, folder, target)
    small = open_model_folder(str(target))
    steps.append(served(f"{config.layers} layers", small, "fp32"))
    if config.precision == "int8":
        steps.append(served("int8", small, "int8"))
    return Compressed(tuple(steps), config.largest_loss)


def measured(
    name: str, folder: ModelFolder, precision: str, check: TextPairs, texts: Sequence[str], progress: Progress
) -> Step:
    """Figures of a model as it serves, by ONNX Runtime on all cores."""
    progress(f"measure: {name}", 0, 1)
    config = EncoderConfig.parse({"model": str(folder.path), "precision": precision}, "encoder")
    encoder = OnnxEncoder.from_config(config, progress=progress)
    timed = [texts[number % len(texts)] for number in range(_TIMED_TEXTS)]
    encoder.encode(timed[:64])
    begun = time.perf_counter()
    encoder.encode(timed)
    texts_per_second = len(timed) / (time.perf_counter() - begun)
    took: list[float] = []
    for query in [check.lefts[number % len(check.lefts)] for number in range(_TIMED_QUERIES)]:
        begun = time.perf_counter()
        encoder.encode([query])
        took.append(1000.0 * (time.perf_counter() - begun))
    found = find(encoder.encode(check.lefts), encoder.encode(check.rights), check.left, check.right)
    progress(f"measure: {name}", 1, 1)
    return Step(name, encoder.megabytes, texts_per_second, float(np.median(took)), float(found.ndcg.mean()))


def _drawn(texts: Sequence[str], n: int) -> list[str]:
    distinct = [text for text in dict.fromkeys(texts) if text.strip()]
    if len(distinct) <= n:
        return distinct
    chosen = np.random.default_rng(0).permutation(len(distinct))[:n]
    return [distinct[row] for row in sorted(chosen.tolist())]


def _some(texts: Sequence[str], tokenizer: Any, max_tokens: int) -> list[dict[str, Any]]:
    some = _drawn(texts, _CALIBRATING_TEXTS)
    ids = tokenizer(some, truncation=True, max_length=max_tokens)["input_ids"]
    return [
        dict(tokenizer.pad({"input_ids": [ids[row] for row in batch]}, return_tensors="pt"))
        for batch in length_batches([len(one) for one in ids], 64)
    ]
