"""Other ways to write a text, drawn anew each time it is read: words left out, a run of it, its parts in another order.

Enters: a text and a source of chance. Leaves: the text, changed. Words are jieba's in Chinese, elsewhere what blanks
divide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydantic import Field

from aisle.language.chinese import CHINESE, chinese_starts, is_chinese
from aisle.settings import Config

View = Callable[[str, np.random.Generator], str]

_RUN = re.compile(rf"\s*(?:[{CHINESE}]+|[^\s{CHINESE}]+)")
_PART_END = ". "
"""What stands between title, brand, category and description in an item's text."""


class PieceConfig(Config):
    """Settings of what is left of a text that it is to be found by."""

    like_queries: bool = True
    """Whether pieces take after the queries that the shop knows, where it knows 200 that were answered: as many words,
    and words that people type. Elsewhere, and if false, the settings below make them."""
    fewest_words: int = Field(default=1, ge=1)
    """Words of a piece at least."""
    most_words: int = Field(default=4, ge=1)
    """Words of a piece at most. Raising it makes the item easier to find, and pieces longer than what people type."""
    run_chance: float = Field(default=0.5, ge=0.0, le=1.0)
    """Chance that the words are neighbours; else they come from anywhere in the text, in its order."""


class ViewConfig(Config):
    """Settings of ``view_of``; nothing is changed by default."""

    dropped_words: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the words that are left out of a text. Raising it relies less on single words."""
    crop_chance: float = Field(default=0.0, ge=0.0, le=1.0)
    """Chance that only a run of a text's words is read."""
    shortest_crop: float = Field(default=0.5, gt=0.0, le=1.0)
    """Share of the words that such a run has at least."""
    shuffle_chance: float = Field(default=0.0, ge=0.0, le=1.0)
    """Chance that the parts of a text (title, brand, category, description) come in another order."""
    rewritten_chance: float = Field(default=0.0, ge=0.0, le=1.0)
    """Chance that a text is read in one of the ways in which the chat model of ``[chat]`` wrote it anew. ``pieces`` are
    then cut out of those ways as often."""

    @property
    def changes(self) -> bool:
        """Whether any text is changed."""
        return max(self.dropped_words, self.crop_chance, self.shuffle_chance, self.rewritten_chance) > 0.0


def view_of(config: ViewConfig, rewritten: Mapping[str, Sequence[str]] | None = None) -> View:
    """What changes a text as ``config`` says; ``rewritten`` are other ways to write some texts.

    A text keeps at least one word.
    """
    return _Changed(config, rewritten or {})


@dataclass(frozen=True)
class _Changed:
    config: ViewConfig
    others: Mapping[str, Sequence[str]]

    def __call__(self, text: str, rng: np.random.Generator) -> str:
        config, others = self.config, self.others
        if text in others and rng.random() < config.rewritten_chance:
            text = others[text][int(rng.integers(len(others[text])))]
        if rng.random() < config.shuffle_chance:
            parts = text.split(_PART_END)
            text = _PART_END.join(parts[at] for at in rng.permutation(len(parts)))
        words = words_with_gaps(text)
        if len(words) < 2:
            return text
        if rng.random() < config.crop_chance:
            n = int(rng.integers(max(1, round(config.shortest_crop * len(words))), len(words) + 1))
            words = _run_of(words, n, rng)
        kept = rng.random(len(words)) >= config.dropped_words
        if not kept.any():
            kept[rng.integers(len(words))] = True
        return "".join(word for word, is_kept in zip(words, kept, strict=True) if is_kept).strip()


def piece_of(config: PieceConfig) -> View:
    """What leaves a few words of a text, small letters all, as somebody types who looks for it."""
    return _Piece(config)


@dataclass(frozen=True)
class _Piece:
    config: PieceConfig

    def __call__(self, text: str, rng: np.random.Generator) -> str:
        config = self.config
        words = words_with_gaps(text)
        if not words:
            return text
        n = min(len(words), int(rng.integers(config.fewest_words, max(config.fewest_words, config.most_words) + 1)))
        if rng.random() < config.run_chance:
            chosen = _run_of(words, n, rng)
        else:
            chosen = [words[at] for at in sorted(rng.permutation(len(words))[:n].tolist())]
        return "".join(chosen).strip().lower()


def in_turn(first: View, then: View) -> View:
    """What changes a text by one view and what comes of it by another."""
    return _InTurn(first, then)


@dataclass(frozen=True)
class _InTurn:
    first: View
    then: View

    def __call__(self, text: str, rng: np.random.Generator) -> str:
        return self.then(self.first(text, rng), rng)


def words_with_gaps(text: str) -> list[str]:
    """The words of ``text``, each with the blanks before it, so that joined they are the text."""
    found: list[str] = []
    for run in _RUN.findall(text):
        bare = run.lstrip()
        if not is_chinese(bare[0]):
            found.append(run)
            continue
        words = [bare[first:after] for first, after in pairwise((*chinese_starts(bare), len(bare)))]
        found += [run[: len(run) - len(bare)] + words[0], *words[1:]]
    return found


def _run_of(words: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    first = int(rng.integers(0, len(words) - n + 1))
    return list(words[first : first + n])
