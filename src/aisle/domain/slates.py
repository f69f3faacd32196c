"""What is expected of each candidate, and the list that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aisle.domain.facets import Facets
from aisle.domain.features import Features
from aisle.domain.highlights import Highlight
from aisle.domain.relaxed import Relaxed
from aisle.domain.requests import Query
from aisle.errors import DataError

OUTCOME_NAMES = ("click", "purchase", "revenue", "margin")


@dataclass(frozen=True)
class Outcomes:
    """What is expected of each candidate: ``values`` (n, n_outcomes) float32, one column per name in ``names``.

    A plain ranker gives the one column ``score``. A trained one gives ``OUTCOME_NAMES``: ``click`` and ``purchase`` are
    probabilities of the item being clicked and bought when shown in the first slot, calibrated when ``is_calibrated``;
    ``revenue`` and ``margin`` are purchase x price and purchase x (price - cost) in units of the shop's currency (not
    minor units), 0 where price or cost is unknown.
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
    """One place of a slate. ``scores`` holds the score of every source that knew the item, ``outcomes`` what the
    ranker expected of it; ``placed_by`` names the query rule that pinned it here.
    """

    item_id: str
    utility: float
    propensity: float
    scores: Mapping[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, float] = field(default_factory=dict)
    placed_by: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.propensity <= 1.0:
            raise DataError(f"propensity of {self.item_id!r} is {self.propensity}; it must lie in (0, 1]")


@dataclass(frozen=True, slots=True)
class Slate:
    """A list as it was shown. ``versions`` names policy and model versions; ``features`` has a row per slot: what the
    ranker knew when it chose, kept so that it is later trained on exactly that.
    """

    slate_id: str
    placement: str
    time_ms: int
    slots: tuple[Slot, ...]
    user_id: str | None = None
    query: str | None = None
    anchor_item_ids: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    features: Features | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.features is not None and len(self.features) != len(self.slots):
            raise DataError(f"slate {self.slate_id!r} has {len(self.slots)} slots but features of {len(self.features)}")

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The items shown, in order."""
        return tuple(slot.item_id for slot in self.slots)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: the slate and the names of parts that failed, were late or were skipped.

    ``n_found`` counts the candidates the list was chosen from, ``timings_ms`` the milliseconds of each stage and source
    (shared by all questions answered together), ``facets`` what was asked for with ``Ask.with_facets``, ``highlights``
    (by item) with ``Ask.with_highlights``. ``cursor`` asks for the next page, None on the last. ``relaxed`` says what
    was given up because nothing was found; None otherwise. ``n_more_variants`` has, by item that is in a group, how
    many further ones of the group were found; None where the placement groups nothing. ``query`` is what was
    understood of a query, ``rules`` the query rules that acted, and ``redirect`` the address that a rule leads to.
    """

    slate: Slate
    degraded: tuple[str, ...] = ()
    n_found: int = 0
    timings_ms: Mapping[str, float] = field(default_factory=dict, compare=False)
    facets: Facets | None = None
    query: Query | None = None
    cursor: str | None = None
    relaxed: Relaxed | None = None
    highlights: Mapping[str, Highlight] | None = None
    n_more_variants: Mapping[str, int] | None = None
    rules: tuple[str, ...] = ()
    redirect: str | None = None

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The items shown, in order."""
        return self.slate.item_ids

    @property
    def searched(self) -> str | None:
        """What was searched for in place of what was typed; None where that is the same."""
        query = self.query
        return None if query is None or query.effective == query.text else query.effective
