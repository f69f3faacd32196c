"""How long purchases take, so that what was not bought yet is not taken for what never will be.

Enters: how long after their lists purchases came, and how old the lists are. Leaves: the chance that a purchase would
be known by now. Chapelle (2014), "Modeling delayed feedback in display advertising", with the delays counted instead of
modelled.

Assumes that purchases take about as long whatever was shown and whenever, and that all events up to the newest are
there. What takes longer than the oldest list is old, nobody can know: where no list is as old as the attribution
window, a purchase means one within the age of the oldest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_AT_ONCE = 5.0
"""Purchases without delay that stand beside those counted: one late purchase must not outweigh all others."""


def chance_known(delays: Integers, ages: Integers, asked: Integers) -> Floats:
    """The chance that a purchase comes within ``asked`` (n,), above 0; 1 where none was ever known to take longer.

    A list tells only of delays shorter than its age, so that long ones are rarer among what is known than they are. The
    product-limit estimate for such data (Lagakos, Barraj & De Gruttola 1988, "Nonparametric analysis of truncated
    survival data") compares each delay only with purchases on lists that are old enough to have shown it.

    Args:
        delays: (m,) of the purchases that are known.
        ages: (m,) of their lists, none below its delay.
        asked: (n,) in the same unit.
    """
    times, counts = np.unique(delays, return_counts=True)
    n_within = np.searchsorted(np.sort(delays), times, side="right")
    n_too_young = np.searchsorted(np.sort(ages), times, side="left")
    sooner = 1.0 - counts / (n_within - n_too_young + _AT_ONCE)
    within = np.concatenate([np.cumprod(sooner[::-1])[::-1], [1.0]])
    return within[np.searchsorted(times, asked, side="right")]
