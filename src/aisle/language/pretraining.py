"""Teaches a language model to read: a new one that knows nothing yet, or one that is there, from texts alone.

Enters: texts, and perhaps a model's folder. Leaves: a model folder with new weights, and its loss on texts that were
kept out. Knows nothing of where texts come from.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from aisle.contracts import Progress, silent
from aisle.errors import ConfigError, NotReadyError
from aisle.language.model_folder import ModelFolder
from aisle.language.new_model import new_model
from aisle.language.pretrain_config import PretrainConfig
from aisle.language.tower import open_tower, save_tower, with_word_head
from aisle.language.word_learning import loss_over, words_objective
from aisle.storage.durable import flush, flush_tree
from aisle.training.loop import Objective, Trained, train
from aisle.training.plan import steps_of
from aisle.training.watching import is_watched
from aisle.training.workplace import alone

_LEAST_TEXTS = 100
_CHECKS_WATCHED = 4
"""Times that the loss is measured while somebody watches, who may end what is hopeless."""


@dataclass(frozen=True)
class Pretrained:
    """What a pre-training came to, on texts that were kept out."""

    trained: Trained
    loss_before: float
    loss_after: float
    n_learned: int
    n_held_out: int
    n_parameters: int

    def metrics(self) -> dict[str, float]:
        """``loss`` in nats a token that was asked for, ``perplexity`` its exponential."""
        return {
            "loss_before": self.loss_before,
            "loss": self.loss_after,
            "perplexity_before": math.exp(min(self.loss_before, 50.0)),
            "perplexity": math.exp(min(self.loss_after, 50.0)),
            "n_learned": float(self.n_learned),
            "n_held_out": float(self.n_held_out),
            "n_parameters": float(self.n_parameters),
            "n_steps": float(self.trained.n_steps),
            "seconds": self.trained.seconds,
        }


def pretrain(
    texts: Sequence[str],
    config: PretrainConfig,
    *,
    work: Path,
    target: Path,
    start_from: ModelFolder | None = None,
    progress: Progress = silent,
) -> Pretrained:
    """Learn the words of ``texts`` and write the model to ``target``.

    Args:
        texts: any; repetitions count once.
        config: what and how long.
        work: for checkpoints; a killed run with the same texts and settings goes on from there.
        target: a folder that is empty or not there.
        start_from: the model to begin from; None makes a new one with a vocabulary of its own.
        progress: hears of each part.

    Raises:
        ConfigError: ``target`` holds something, or settings cannot be met.
        NotReadyError: there are too few texts.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is not an empty folder; name one that is empty or not there yet")
    different = sorted({text.strip() for text in texts} - {""})
    if len(different) < _LEAST_TEXTS:
        raise NotReadyError(
            f"there are {len(different):,} different texts and {_LEAST_TEXTS:,} are needed: import more items, or give "
            "more texts",
            command="aisle import",
        )
    with alone(work, f"another process works in {work}; wait for it, stop it, or name another target"):
        return _pretrained(
            different, config, work / _digest(different, config, start_from), target, start_from, progress
        )


def _pretrained(
    texts: Sequence[str],
    config: PretrainConfig,
    run: Path,
    target: Path,
    start_from: ModelFolder | None,
    progress: Progress,
) -> Pretrained:
    learned, held_out = _parted(texts, config)
    folder = start_from or _made(learned, config, run / "new", progress)
    tower, tokenizer = open_tower(folder)
    max_tokens = min(config.max_tokens, folder.max_tokens)
    training = config.loop(is_new=start_from is None)
    if is_watched() and not training.evaluate_every:
        n_steps = steps_of(training, len(learned))[1]
        training = training.model_copy(update={"evaluate_every": -(-n_steps // _CHECKS_WATCHED)})
    progress("read texts", 0, 2)
    to_learn = words_objective(tokenizer, folder, learned, config.masking, max_tokens)
    to_check = words_objective(tokenizer, folder, held_out, config.masking, max_tokens)
    progress("read texts", 2, 2)
    network = with_word_head(tower, folder, training.seed).eval()

    before = loss_over(network, to_check)
    trained = train(network, to_learn, training, run / "checkpoints", evaluate=_Loss(to_check), progress=progress)
    after = loss_over(network.eval(), to_check)
    target.mkdir(parents=True, exist_ok=True)
    save_tower(tower, folder, target)
    for logs in (run / "checkpoints").glob("logs"):
        shutil.copytree(logs, target / "logs")
    flush_tree(target)  # before what a stopped run would go on from is removed
    flush(target.parent)
    shutil.rmtree(run, ignore_errors=True)
    n_parameters = sum(one.numel() for one in tower.parameters())
    return Pretrained(trained, before, after, len(learned), len(held_out), n_parameters)


@dataclass(frozen=True)
class _Loss:
    """Of a network, on the texts that are not learned from."""

    to_check: Objective

    def __call__(self, model: nn.Module) -> dict[str, float]:
        return {"loss": loss_over(model, self.to_check)}


def _parted(texts: Sequence[str], config: PretrainConfig) -> tuple[list[str], list[str]]:
    """Texts to learn from and texts to check by, by a hash of each."""
    by_hash = sorted(texts, key=lambda text: (zlib.crc32(text.encode("utf-8", "replace")), text))
    n = min(config.most_held_out, max(10, round(config.held_out_share * len(texts))))
    return by_hash[n:], by_hash[:n]


def _made(texts: Sequence[str], config: PretrainConfig, folder: Path, progress: Progress) -> ModelFolder:
    """A new model; what a killed run left is made again, the same."""
    shutil.rmtree(folder, ignore_errors=True)
    progress("learn a vocabulary", 0, 1)
    made = new_model(texts, config.model, folder)
    progress("learn a vocabulary", 1, 1)
    return made


def _digest(texts: Sequence[str], config: PretrainConfig, start_from: ModelFolder | None) -> str:
    """Whose checkpoints are ours."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    digest.update((start_from.digest if start_from else "").encode())
    for text in texts:
        digest.update(text.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()[:16]
