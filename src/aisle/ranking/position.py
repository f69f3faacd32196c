"""How much the place in the list does to a click, apart from the item: the nuisance of every click model.

Enters: slots and placements. Leaves: columns that are all 0 at slot 0, so that leaving them out predicts the first
slot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

N_PLACEMENTS = 8
"""Placements with a slope of their own; the rarer ones share the common curve."""

Integers = NDArray[np.int64]


def frequent_placements(codes: NDArray[np.floating]) -> NDArray[np.float32]:
    """The codes of the most frequent placements, at most ``N_PLACEMENTS``."""
    known = codes[np.isfinite(codes)]
    values, counts = np.unique(known, return_counts=True)
    return values[np.argsort(-counts, kind="stable")[:N_PLACEMENTS]].astype(np.float32)


def position_columns(
    slots: Integers, codes: NDArray[np.floating], placements: NDArray[np.floating]
) -> NDArray[np.float32]:
    """(n, 3 + len(placements)) float32: a curve over 0-based ``slots``, and each placement's departure from it.

    Examination often falls as a power of the place (Craswell et al. 2008 compare such models), which is a line in
    ``log(1 + slot)``; a step after the first slot and a slow linear part bend it where a page does otherwise.
    """
    power = np.log1p(slots).astype(np.float32)
    common = [power, (slots > 0).astype(np.float32), np.minimum(slots, 50).astype(np.float32) / 50.0]
    own = [power * (codes == placement) for placement in placements]
    return np.stack([*common, *own], axis=1).astype(np.float32)
