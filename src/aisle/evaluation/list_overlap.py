"""How alike two lists are. Enters: ids in order. Leaves: a number from 0, nothing in common, to 1, the same list."""

from __future__ import annotations

from collections.abc import Sequence

PERSISTENCE = 0.9
"""Chance that a reader goes on to the next place: the first ten places then weigh some 86%."""


def overlap(first: Sequence[str], second: Sequence[str], cutoff: int = 10) -> float:
    """Share of the items of the first ``cutoff`` places that both lists have, of the longer; 1 for two empty ones."""
    one, other = set(first[:cutoff]), set(second[:cutoff])
    longest = max(len(one), len(other))
    return len(one & other) / longest if longest else 1.0


def rank_biased_overlap(
    first: Sequence[str], second: Sequence[str], *, cutoff: int = 10, persistence: float = PERSISTENCE
) -> float:
    """Rank-biased overlap, extrapolated from the depth that was seen (Webber, Moffat & Zobel, 2010, equation 23).

    Agreement at a depth is 2 x common / (both sizes), which also serves lists of different lengths (their section 4.4).
    Ids must not repeat in a list.
    """
    depth = min(max(len(first), len(second)), cutoff)
    if not depth:
        return 1.0
    one: set[str] = set()
    other: set[str] = set()
    weighted, agreement = 0.0, 0.0
    for place in range(depth):
        one.update(first[place : place + 1])
        other.update(second[place : place + 1])
        agreement = 2.0 * len(one & other) / (len(one) + len(other))
        weighted += agreement * persistence**place
    return (1.0 - persistence) * weighted + agreement * persistence**depth
