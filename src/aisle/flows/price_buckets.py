"""Prices spread over about ten buckets whose bounds are round, for a histogram that people can read.

Enters: prices in minor units. Leaves: ``PriceFacet``, whose bounds can be sent back as limits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aisle.domain import PriceFacet

MOST_BUCKETS = 10
_MOST_PRICES = 0.95
"""Share of the prices that the buckets are made for; the few above it share the last bucket."""
_STEPS = (1, 2, 5)


def price_buckets(prices: NDArray[np.int64]) -> tuple[PriceFacet, ...]:
    """At most ``MOST_BUCKETS`` + 1 buckets from the lowest price up, of equal width but for the last one.

    Each ends just below a multiple of 1, 2 or 5 times a power of ten. Empty ones between others are told with 0. One
    far price does not squeeze all others into one bucket: beyond the 95th of a hundred the last one takes all.
    """
    if not len(prices):
        return ()
    lowest, highest = int(prices.min()), int(prices.max())
    usual = int(np.quantile(prices, _MOST_PRICES, method="higher"))
    step = _round_step(usual - lowest)
    first = lowest // step
    last = usual // step
    buckets = np.minimum(prices // step, last) - first
    counts = np.bincount(buckets, minlength=last - first + 1).tolist()
    bounds = [(first + place) * step for place in range(len(counts) + 1)]
    bounds[-1] = max(bounds[-1], (highest // step + 1) * step)
    return tuple(PriceFacet(low, high - 1, n) for low, high, n in zip(bounds, bounds[1:], counts, strict=False))


def _round_step(spread: int) -> int:
    """The least round width of which ``MOST_BUCKETS`` hold ``spread``."""
    unit = 1
    while True:
        for step in _STEPS:
            if step * unit * MOST_BUCKETS > spread:
                return step * unit
        unit *= 10
