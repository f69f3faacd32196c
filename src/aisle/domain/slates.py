"""What is expected of each candidate, and the list that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aisle.errors import DataError


@dataclass(frozen=True)
class Outcomes:
    """What is expected of each candidate: ``values`` (n, n_outcomes) float32, one column per name in ``names``.

    Probabilities are calibrated when ``is_calibrated``; a plain ranker gives the one column ``score``.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    model_version: str
    is_calibrated: bool = False

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise DataError(f"outcomes {self.names} do not fit values of shape {self.values.shape}")
        if not np.isfinite(self.values).all():
            raise DataError(f"outcomes {self.names} must be finite")

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a slate. ``scores`` holds the score of every source that knew the item."""

    item_id: str
    utility: float
    propensity: float
    scores: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 < self.propensity <= 1.0:
            raise DataError(f"propensity of {self.item_id!r} is {self.propensity}; it must lie in (0, 1]")


@dataclass(frozen=True, slots=True)
class Slate:
    """A list as it was shown, written down before it is shown. ``versions`` names policy and model versions."""

    slate_id: str
    placement: str
    time_ms: int
    slots: tuple[Slot, ...]
    user_id: str | None = None
    query: str | None = None
    anchor_item_ids: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The items shown, in order."""
        return tuple(slot.item_id for slot in self.slots)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: the slate and the names of parts that failed or were skipped."""

    slate: Slate
    degraded: tuple[str, ...] = ()

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The items shown, in order."""
        return self.slate.item_ids
