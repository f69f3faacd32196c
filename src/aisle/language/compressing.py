"""Makes a model smaller for serving, and tells what each step cost and gained.

Enters: a model's folder, the shop's texts, pairs to check by. Leaves: a smaller model's folder and a table: size, texts
a second, milliseconds of a query, retrieval quality, agreement with the large model, of the large model and after each
step.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import NotReadyError
from aisle.language.batches import length_batches
from aisle.language.compress_config import CompressConfig
from aisle.language.contrast_pairs import TextPairs
from aisle.language.distilling import Distillation, with_pieces
from aisle.language.model_folder import ModelFolder, open_model_folder
from aisle.language.onnx import OnnxEncoder, fingerprint_of
from aisle.language.onnx_cache import exported
from aisle.language.progress import named_progress
from aisle.language.retrieval_check import NEAR_ENOUGH, Found, agreement, find, interval
from aisle.language.shrinking import with_fewer_heads, with_fewer_layers, with_narrower_middles
from aisle.language.tower import TextTower, open_tower, save_tower
from aisle.storage.durable import move
from aisle.training.loop import train

Precision = Literal["fp32", "int8"]

MAX_TOKENS = 64
"""Tokens read of a text in learning."""
AFTER_PRUNING = 0.5
"""Of the steps of the first learning, how many follow once neurons or heads were taken out."""
_TIMED_TEXTS, _TIMED_QUERIES = 1_000, 200
_CALIBRATING_TEXTS = 512
_LEAST_CHECKED = 20


@dataclass(frozen=True)
class Step:
    """A model as it would serve, after one step."""

    name: str
    megabytes: float
    texts_per_second: float
    query_ms: float
    found: Found
    """What it finds for the pairs to check by."""
    agreement: float
    """Share of the large model's first 10 that are among its own first 10."""

    @property
    def ndcg(self) -> float:
        """Mean NDCG@10."""
        return float(self.found.ndcg.mean())

    def metrics(self) -> dict[str, float]:
        """The figures, under the step's name."""
        told = {
            "megabytes": self.megabytes,
            "texts_per_second": self.texts_per_second,
            "query_ms": self.query_ms,
            "ndcg@10": self.ndcg,
            "agreement": self.agreement,
        }
        return {f"{name}.{self.name}": value for name, value in told.items()}


@dataclass(frozen=True)
class Compressed:
    """What each step came to; the first is the large model, the last is to serve."""

    steps: tuple[Step, ...]
    most_lost: float

    @property
    def lost(self) -> float:
        """Share of the large model's NDCG@10 that was lost; below 0 where the small one finds more."""
        return 1.0 - self.steps[-1].ndcg / max(self.steps[0].ndcg, 1e-12)

    @property
    def is_good_enough(self) -> bool:
        """Whether it may serve."""
        return self.lost <= self.most_lost

    def metrics(self) -> dict[str, float]:
        """All figures; ``lost_low`` and ``lost_high`` are the 90% interval of the loss over queries."""
        first, last = self.steps[0], self.steps[-1]
        told = {name: value for step in self.steps for name, value in step.metrics().items()}
        low, high = interval(first.found.ndcg - last.found.ndcg)
        return {
            **told,
            "lost": self.lost,
            "lost_low": low / max(first.ndcg, 1e-12),
            "lost_high": high / max(first.ndcg, 1e-12),
            "times_faster": last.texts_per_second / first.texts_per_second,
            NEAR_ENOUGH: last.found.near_enough,
            "n_checked": float(len(last.found.ndcg)),
        }


@dataclass(frozen=True)
class Lessons:
    """Texts and where the large model places them."""

    texts: Sequence[str]
    taught: Float32Array
    """(n_texts, d) unit rows."""
    tokenizer: Any
    max_tokens: int

    @classmethod
    def of(
        cls,
        folder: ModelFolder,
        texts: Sequence[str],
        queries: Sequence[str],
        config: CompressConfig,
        work: Path,
        progress: Progress = silent,
    ) -> Lessons:
        """Place at most ``config.most_texts`` of the texts, pieces of them and all queries; kept in ``work``."""
        tokenizer = open_tower(folder)[1]
        drawn = with_pieces(_drawn(texts, config.most_texts), config.pieces, np.random.default_rng(0))
        learned = list(dict.fromkeys([*(query for query in queries if query.strip()), *drawn]))
        max_tokens = min(folder.max_tokens, MAX_TOKENS)
        kept = work / f"taught-{_digest(folder.digest, learned)}.npy"
        if kept.is_file():
            return cls(learned, np.load(kept), tokenizer, max_tokens)
        told = named_progress(progress, "ask the large model")
        taught = _served(folder, "fp32", None, progress).encode(learned, progress=told)
        work.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(".part.npy")
        np.save(aside, taught)
        move(aside, kept)
        return cls(learned, taught, tokenizer, max_tokens)

    def learn(
        self, student: TextTower, name: str, config: CompressConfig, share: float, work: Path, progress: Progress
    ) -> None:
        """Train ``student`` in place, for ``share`` of the steps that ``config`` asks for."""
        objective = Distillation(
            name,
            self.texts,
            self.taught,
            self.tokenizer,
            self.max_tokens,
            scale=config.scale,
            n_ranked=config.ranked,
        )
        for module in student.modules():  # what is left to chance would only blur where the large model places a text
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        train(student, objective, config.training_config(share), work, progress=progress)

    def some(self) -> list[dict[str, Any]]:
        """A few batches of tokens, to see which parts of a network do something."""
        some = _drawn(self.texts, _CALIBRATING_TEXTS)
        ids = self.tokenizer(some, truncation=True, max_length=self.max_tokens)["input_ids"]
        return [
            dict(self.tokenizer.pad({"input_ids": [ids[row] for row in batch]}, return_tensors="pt"))
            for batch in length_batches([len(one) for one in ids], 64)
        ]


def shrink(
    folder: ModelFolder, lessons: Lessons, config: CompressConfig, work: Path, progress: Progress = silent
) -> Iterator[tuple[str, ModelFolder]]:
    """The model after each step that changes its weights: name and folder under ``work``.

    What is finished there is not done again; ``work`` belongs to one large model, its lessons and ``config``.

    Raises:
        ConfigError: the model cannot be made smaller in this way.
    """
    now = folder
    tower, _ = open_tower(folder)
    if config.layers != tower.model.config.num_hidden_layers:
        name = f"{config.layers} layers"
        smaller = with_fewer_layers(tower.model, config.layers)
        now = _learned_back("layers", name, smaller, tower, now, lessons, config, 1.0, work, progress)
        yield name, now
    pruned = [
        f"{share:.0%} of {what}" for what, share in (("neurons", config.neurons), ("heads", config.heads)) if share < 1
    ]
    if pruned:
        tower, _ = open_tower(now)
        smaller = tower.model
        if config.neurons < 1.0:
            smaller = with_narrower_middles(smaller, config.neurons, lessons.some())
        if config.heads < 1.0:
            smaller = with_fewer_heads(smaller, config.heads, lessons.some())
        name = ", ".join(pruned)
        share = AFTER_PRUNING if now is not folder else 1.0
        yield name, _learned_back("pruned", name, smaller, tower, now, lessons, config, share, work, progress)


def _learned_back(
    where: str,
    name: str,
    smaller: Any,
    tower: TextTower,
    folder: ModelFolder,
    lessons: Lessons,
    config: CompressConfig,
    share: float,
    work: Path,
    progress: Progress,
) -> ModelFolder:
    """The folder ``work/where`` of the smaller model once it has learned; made only if it is not there."""
    target, aside = work / where, work / f".{where}"
    if not target.is_dir():
        student = TextTower(smaller, tower.pooling)
        lessons.learn(student, f"learn: {name}", config, share, work / f"learn-{where}", progress)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save_tower(student, folder, aside)
        move(aside, target)
    return open_model_folder(str(target))


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
        NotReadyError: there are no texts to learn from or too few pairs to check by.
        ConfigError: the model cannot be made smaller in this way.
    """
    n_checked = len(np.unique(check.left))
    if not len(texts) or n_checked < _LEAST_CHECKED:
        raise NotReadyError(
            f"{len(texts):,} texts to learn from and {n_checked:,} pairs to check by are too few; needed are 1 and "
            f"{_LEAST_CHECKED}: import searches with the clicks or purchases that followed them, or items with "
            "descriptions",
            command="aisle import",
        )
    between = work / "onnx" if config.precision == "int8" else None  # the cache has or will want the first and last
    steps = [measured("as it is", folder, "fp32", check, texts, None, None, progress)]
    lessons = Lessons.of(folder, texts, queries, config, work, progress)
    small = folder
    for name, small in shrink(folder, lessons, config, work, progress):
        steps.append(measured(name, small, "fp32", check, texts, between, steps[0].found, progress))
    if config.precision == "int8":
        steps.append(measured("int8", small, "int8", check, texts, None, steps[0].found, progress))
    shutil.copytree(small.path, target, dirs_exist_ok=True)
    return Compressed(tuple(steps), config.most_lost)


def measured(
    name: str,
    folder: ModelFolder,
    precision: Precision,
    check: TextPairs,
    texts: Sequence[str],
    exports: Path | None,
    by_large: Found | None,
    progress: Progress = silent,
) -> Step:
    """Figures of a model as it serves, by ONNX Runtime on all cores.

    ``exports`` keeps the exported model, None for the user's cache; ``by_large`` is what the large model found, None
    for itself.
    """
    task = f"measure: {name}"
    progress(task, 0, 1)
    encoder = _served(folder, precision, exports, progress)
    texts_per_second, query_ms = timed(encoder, texts, check.lefts)
    told = named_progress(progress, f"{task}, encode")
    lefts, rights = encoder.encode(check.lefts, progress=told), encoder.encode(check.rights, progress=told)
    found = find(lefts, rights, check.left, check.right)
    progress(task, 1, 1)
    return Step(
        name, encoder.megabytes, texts_per_second, query_ms, found, agreement(by_large, found) if by_large else 1.0
    )


def _served(folder: ModelFolder, precision: Precision, exports: Path | None, progress: Progress) -> OnnxEncoder:
    fingerprint = fingerprint_of(folder, precision)
    where = exported(folder, precision, fingerprint, progress, under=exports, has_torch=True)
    return OnnxEncoder(where, fingerprint, precision=precision, batch_size=64, n_threads=0)


def timed(encoder: OnnxEncoder, texts: Sequence[str], queries: Sequence[str], rounds: int = 3) -> tuple[float, float]:
    """Texts a second, the best of ``rounds``, and the median milliseconds of one query alone."""
    some = [texts[number % len(texts)] for number in range(min(_TIMED_TEXTS, 4 * len(texts)))]
    encoder.encode(some[:64])
    fastest = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        encoder.encode(some)
        fastest = min(fastest, time.perf_counter() - begun)
    took: list[float] = []
    for query in [queries[number % len(queries)] for number in range(_TIMED_QUERIES)]:
        begun = time.perf_counter()
        encoder.encode([query])
        took.append(1000.0 * (time.perf_counter() - begun))
    return len(some) / fastest, float(np.median(took))


def work_of(folder: ModelFolder, config: CompressConfig) -> str:
    """A name for the run's own folder: the same model and settings go on where they were."""
    deciding = config.model_dump(mode="json", exclude={"most_lost", "precision"})
    return _digest(folder.digest, [json.dumps(deciding, sort_keys=True)])


def _digest(first: str, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(first.encode())
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode("utf-8", "replace"))
    return digest.hexdigest()[:16]


def _drawn(texts: Sequence[str], n: int) -> list[str]:
    distinct = [text for text in dict.fromkeys(texts) if text.strip()]
    if len(distinct) <= n:
        return distinct
    chosen = np.random.default_rng(0).permutation(len(distinct))[:n]
    return [distinct[row] for row in sorted(chosen.tolist())]
