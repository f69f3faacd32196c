"""Teaches an encoder what belongs together in a shop, and tells whether it got better.

Enters: a model's folder and pairs of texts. Leaves: a model folder with new weights, and the figures of both models on
pairs that neither learned from. Knows nothing of where the pairs come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from aisle.contracts import Float32Array, Progress, silent
from aisle.errors import ConfigError, NotReadyError
from aisle.language.adapt_config import AdaptConfig, Learned
from aisle.language.adapters import UNMERGEABLE, adapted, merged, n_trainable, unmergeable
from aisle.language.contrast import Contrast
from aisle.language.contrast_pairs import Int64Array, TextPairs, to_mine, with_hard_negatives
from aisle.language.model_folder import ModelFolder, Pooling
from aisle.language.progress import named_progress
from aisle.language.rank_budget import RankBudget
from aisle.language.retrieval_check import NEAR_ENOUGH, Found, find, interval
from aisle.language.tower import TextTower, open_tower, place, save_tower, with_word_head
from aisle.language.typed_words import Holding, TypedWords
from aisle.language.views import ViewConfig, in_turn, piece_of, view_of
from aisle.language.word_learning import words_objective
from aisle.training.loop import Evaluate, Objective, train
from aisle.training.plan import steps_of
from aisle.training.watching import is_watched

_MOST_CHECKED = 10_000
"""Right texts that are searched when models are compared; more cost minutes and tell little more."""
_LEAST_CHECKED = 20
"""Left texts needed to compare."""
_LEAST_APART = 50
"""Left texts in either part where some say when to stop and others compare."""


@dataclass(frozen=True)
class Compared:
    """The model before and after, on held-out pairs."""

    before: Found
    after: Found
    n_learning: int
    """Parameters that were trained."""
    n_stopped_by: int = 0
    """Left texts that said when to stop; 0 where nothing did but the number of steps."""
    is_checked_apart: bool = True
    """Whether none of those is among the pairs compared by; false where there were too few for two parts, so that the
    gain is told somewhat too high."""

    @property
    def is_better(self) -> bool:
        """Whether the interval of the gain in NDCG lies wholly above 0."""
        return interval(self.after.ndcg - self.before.ndcg)[0] > 0.0

    def metrics(self) -> dict[str, float]:
        """Means of both, the gain and its 90% interval."""
        gains = self.after.ndcg - self.before.ndcg
        low, high = interval(gains)
        told = {f"{name}_before": value for name, value in self.before.means().items()}
        told |= {f"{name}_after": value for name, value in self.after.means().items()}
        told[NEAR_ENOUGH] = self.after.near_enough
        counted = {"n_checked": float(len(gains)), "n_trained_parameters": float(self.n_learning)}
        counted |= {"n_stopped_by": float(self.n_stopped_by), "is_checked_apart": float(self.is_checked_apart)}
        return {**told, "gain": float(gains.mean()), "gain_low": low, "gain_high": high, **counted}


def adapt(
    folder: ModelFolder,
    learned: TextPairs,
    held_out: TextPairs,
    texts: Sequence[str],
    config: AdaptConfig,
    *,
    work: Path,
    target: Path,
    rewritten: Mapping[str, Sequence[str]] | None = None,
    progress: Progress = silent,
) -> Compared:
    """Train a copy of the model in ``folder`` and write it to ``target``.

    With ``early_stopping`` one half of the held-out pairs says when to stop and the other half compares, where either
    has 50 left texts; otherwise all do both.

    Args:
        folder: the model to begin from.
        learned: pairs to learn.
        held_out: pairs to compare by; their left texts are not in ``learned``.
        texts: the shop's texts, for masked words (a decoder learns what comes next instead) and to search among.
        config: what and how long.
        work: for checkpoints; a killed run goes on from there.
        target: an empty folder.
        rewritten: other ways to write some texts, read as often as ``config.views`` says.
        progress: hears of each part.

    Raises:
        ConfigError: the adapter cannot be merged, so that nothing could serve it; or no token masks a word.
        NotReadyError: too few pairs to learn from or to compare by.
    """
    require_possible(learned, held_out, config)
    tower, tokenizer = open_tower(folder)
    max_tokens = min(folder.max_tokens, config.contrast.max_tokens)
    is_stopped = bool(config.training_of(config.objectives[-1]).early_stopping)
    stopping, compared = held_out.in_two(_LEAST_APART) if is_stopped else (held_out, held_out)

    during, check = (
        _Check(tokenizer, pairs, _to_search(pairs, texts), max_tokens, folder.pooling) for pairs in (stopping, compared)
    )
    before = check.found(tower, progress, "check the model before")
    is_asked = is_watched() or bool({"evaluate_every", "early_stopping"} & set(config.training))
    n_learning = learn(
        tower,
        tokenizer,
        folder,
        learned,
        texts,
        config,
        max_tokens,
        work,
        progress,
        during if is_asked else None,
        rewritten,
    )
    tower.model = merged(tower.model)
    after = check.found(tower, progress, "check the model after")
    save_tower(tower, folder, target)
    n_stopped_by = len(stopping.lefts) if is_stopped else 0
    return Compared(before, after, n_learning, n_stopped_by, not is_stopped or stopping is not compared)


def require_possible(learned: TextPairs, held_out: TextPairs, config: AdaptConfig) -> None:
    """Refuse what ``adapt`` cannot do, before anything costs time or money; raises as ``adapt`` does."""
    if config.adapter.method in UNMERGEABLE:
        raise ConfigError(unmergeable(config.adapter.method), setting="adapt.adapter.method")
    n_checked = len(np.unique(held_out.left))
    if len(learned) < config.least_pairs or n_checked < _LEAST_CHECKED:
        raise NotReadyError(
            f"there are {len(learned):,} pairs of texts to learn from and {n_checked:,} to compare by; needed are "
            f"{config.least_pairs:,} and {_LEAST_CHECKED}: import searches with the clicks or purchases that followed "
            "them, or items with descriptions",
            command="aisle import",
        )


@dataclass(frozen=True)
class _Check:
    """What a network finds of what is held out."""

    tokenizer: Any
    held_out: TextPairs
    searched: Sequence[str]
    max_tokens: int
    pooling: Pooling

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """``model`` is a tower, or a head that predicts words over what a tower holds."""
        return self.found(model if isinstance(model, TextTower) else TextTower(model.base_model, self.pooling)).means()

    def found(self, tower: TextTower, progress: Progress = silent, told: str = "") -> Found:
        """Ranks of the right texts."""
        tower.eval()
        lefts, rights = (
            place(tower, self.tokenizer, texts, self.max_tokens, named_progress(progress, f"{told}: {side}"))
            for side, texts in (("queries", self.held_out.lefts), ("items", self.searched))
        )
        return find(lefts, rights, self.held_out.left, self.held_out.right)


def learn(
    tower: TextTower,
    tokenizer: Any,
    folder: ModelFolder,
    pairs: TextPairs,
    texts: Sequence[str],
    config: AdaptConfig,
    max_tokens: int,
    work: Path,
    progress: Progress = silent,
    evaluate: Evaluate | None = None,
    rewritten: Mapping[str, Sequence[str]] | None = None,
) -> int:
    """Train ``tower`` in place by each of ``config.objectives``; see ``adapt``.

    An adapter is part of ``tower`` afterwards; ``merged`` makes a plain model of it. ``evaluate`` is asked while the
    last objective is learned, four times unless the settings say how often.

    Returns:
        How many parameters learned.
    """
    material = _Material(tokenizer, folder, pairs, list(dict.fromkeys(texts)), config, max_tokens, rewritten or {})
    last = config.objectives[-1]
    last_training = config.training_of(last)
    _, n_steps = steps_of(last_training, len(pairs) if last == "contrast" else len(material.texts))
    tower.model = adapted(tower.model, config.adapter, n_steps, seed=last_training.seed)
    n_learning = n_trainable(tower)
    for name in config.objectives:
        network, objective = material.objective(name, tower, progress)
        if config.adapter.method == "adalora" and name == last:
            objective = RankBudget(objective, tower)
        training = config.training_of(name)
        if evaluate is None or name != last:
            training = training.model_copy(update={"early_stopping": ""})
            train(network, objective, training, work / name, progress=progress)
            continue
        training = training.model_copy(update={"evaluate_every": training.evaluate_every or -(-n_steps // 4)})
        train(network, objective, training, work / name, evaluate=evaluate, progress=progress)
    return n_learning


@dataclass(frozen=True)
class _Material:
    """What there is to learn from; ``texts`` are different from each other."""

    tokenizer: Any
    folder: ModelFolder
    pairs: TextPairs
    texts: Sequence[str]
    config: AdaptConfig
    max_tokens: int
    rewritten: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def objective(self, name: Learned, tower: TextTower, progress: Progress) -> tuple[Any, Objective]:
        """The network to train, of which ``tower`` is a part, and what it learns."""
        if name == "masked":
            return self._words(tower)
        return tower, self._pieces() if name == "pieces" else self._contrast(tower, progress)

    def _words(self, tower: TextTower) -> tuple[Any, Objective]:
        objective = words_objective(self.tokenizer, self.folder, self.texts, self.config.masking, self.max_tokens)
        return with_word_head(tower, self.folder, self.config.training_of("masked").seed), objective

    def _pieces(self) -> Objective:
        every = np.arange(len(self.texts), dtype=np.int64)
        of_texts = TextPairs(self.texts, self.texts, every, every)
        contrast, typed = self.config.contrast, None
        if self.config.pieces.like_queries:
            typed = TypedWords.of(self.pairs)
        piece = piece_of(self.config.pieces) if typed is None else typed.piece
        if self.rewritten:
            only_rewriting = ViewConfig(rewritten_chance=self.config.views.rewritten_chance)
            piece = in_turn(view_of(only_rewriting, self.rewritten), piece)
        told, belongs = "find items by their words", Holding(self.rewritten)
        return Contrast(told, of_texts, self.tokenizer, contrast, left_view=piece, belongs=belongs)

    def _contrast(self, tower: TextTower, progress: Progress) -> Objective:
        pairs, config = self.pairs, self.config.contrast
        if config.mined_negatives:
            tower.eval()
            mined = to_mine(pairs, config.most_mined)
            lefts = self._placed(tower, pairs.lefts, mined[0], named_progress(progress, "mine negatives: left"))
            rights = self._placed(tower, pairs.rights, mined[1], named_progress(progress, "mine negatives: right"))
            pairs = with_hard_negatives(pairs, mined, lefts, rights, config.mined_negatives)
        view = view_of(self.config.views, self.rewritten) if self.config.views.changes else None
        told = "learn what belongs together"
        return Contrast(told, pairs, self.tokenizer, config, left_view=view, right_view=view)

    def _placed(self, tower: TextTower, texts: Sequence[str], rows: Int64Array, progress: Progress) -> Float32Array:
        """(len(rows), d) vectors of some of the texts."""
        return place(tower, self.tokenizer, [texts[int(row)] for row in rows], self.max_tokens, progress)


def _to_search(held_out: TextPairs, texts: Sequence[str]) -> list[str]:
    """The right texts of the pairs, and others drawn from the shop's until there are ``_MOST_CHECKED``."""
    known = set(held_out.rights)
    others = [text for text in dict.fromkeys(texts) if text not in known]
    n_others = max(0, _MOST_CHECKED - len(held_out.rights))
    chosen = np.random.default_rng(0).permutation(len(others))[:n_others]
    return [*held_out.rights, *(others[row] for row in sorted(chosen.tolist()))]
