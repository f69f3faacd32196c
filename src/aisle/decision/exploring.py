"""Slots left to chance, and the propensity with which each item came to its slot.

Enters: an order of choice and ``ExploreConfig``. Leaves: positions and exact propensities. Chance depends on the id of
the slate only, so that a slate can be made again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aisle.settings import ExploreConfig


class Choice(Protocol):
    """Says which remaining item is the greedy choice, given what was taken."""

    def next(self) -> int:
        """Position of the greedy choice among what is left."""
        ...

    def take(self, position: int) -> None:
        """Note that ``position`` is in the list now."""
        ...


@dataclass(frozen=True)
class Chosen:
    """``positions`` (k,) int64 into the candidates sorted by utility, ``propensities`` (k,) float64 in (0, 1]."""

    positions: NDArray[np.int64]
    propensities: NDArray[np.float64]


def fill_slots(choice: Choice, n: int, size: int, explore: ExploreConfig, slate_id: str) -> Chosen:
    """Fill ``min(size, n)`` slots from ``n`` candidates sorted by utility.

    With chance ``explore.share`` a slot is drawn uniformly from the best ``explore.pool`` that remain, otherwise it is
    the greedy choice g. Given the slots above, item i has the propensity
    (1 - share) [i = g] + share / |pool| [i in pool].
    """
    size = min(size, n)
    positions = np.empty(size, dtype=np.int64)
    propensities = np.ones(size, dtype=np.float64)
    share = explore.share
    draws = chance(slate_id).random((size, 2)).tolist() if share else []
    remaining = list(range(n))
    for slot in range(size):
        greedy = chosen = choice.next()
        if share:
            pool = min(explore.pool, len(remaining))
            is_random, where = draws[slot]
            if is_random < share:
                chosen = remaining[int(where * pool)]
            in_pool = chosen <= remaining[pool - 1]  # remaining is ascending, and its best come first
            propensities[slot] = (1.0 - share) * (chosen == greedy) + (share / pool if in_pool else 0.0)
            remaining.remove(chosen)
        positions[slot] = chosen
        choice.take(chosen)
    return Chosen(positions, propensities)


def chance(slate_id: str) -> np.random.Generator:
    """The generator of one slate's chance, the same wherever and whenever it is made."""
    digest = hashlib.blake2b(slate_id.encode("utf-8", "replace"), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
