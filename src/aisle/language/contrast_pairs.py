"""Pairs of texts that belong together, as they are learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class TextPairs:
    """Which texts belong together.

    Args:
        lefts: texts that ask, such as queries.
        rights: texts that answer, such as titles.
        left: (n,) which left text each pair has.
        right: (n,) which right text.
        wrong: right texts known not to belong to a left text, by left text.
    """

    lefts: Sequence[str]
    rights: Sequence[str]
    left: Int64Array
    right: Int64Array
    wrong: Mapping[int, Int64Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.left)
