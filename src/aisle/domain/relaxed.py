"""What was given up of a question for which nothing was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RelaxedStep = Literal["words", "filters", "neighbours", "popular"]


@dataclass(frozen=True, slots=True)
class Relaxed:
    """How a list came about although nothing was found.

    ``words``: ``query`` was searched for, without ``dropped_words``. ``filters``: ``dropped_filters`` were left out.
    ``neighbours``: what is near in meaning, though no source vouches for it. ``popular``: what is popular in
    ``category`` (a path, None for the whole shop), without ``dropped_filters`` where nothing was left within them.
    """

    step: RelaxedStep
    query: str | None = None
    dropped_words: tuple[str, ...] = ()
    dropped_filters: tuple[str, ...] = ()
    category: str | None = None
