"""Chooses the list: the placement's objective, traded for diversity, with a share left to chance.

Enters: candidates and what is expected of them. Leaves: a ``Slate`` whose slots carry scores, outcomes, utilities and
exact propensities. Knows nothing of how candidates were found or outcomes predicted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aisle.decision.diversity import FindVectors, Likeness, MarginalRelevance
from aisle.decision.exploring import Chosen, fill_slots
from aisle.decision.objective import utilities
from aisle.domain import Candidates, Catalogue, Features, Outcomes, Request, Slate, Slot
from aisle.settings import PlacementConfig


@dataclass
class _InOrder:
    """The greedy choice without diversity: the best that remains."""

    taken: set[int] = field(default_factory=set)
    first: int = 0

    def next(self) -> int:
        while self.first in self.taken:
            self.first += 1
        return self.first

    def take(self, position: int) -> None:
        self.taken.add(position)


@dataclass
class _Diverse:
    """The greedy choice with diversity: the highest marginal relevance, ties by utility."""

    relevance: MarginalRelevance

    def next(self) -> int:
        return int(self.relevance.value.argmax())

    def take(self, position: int) -> None:
        self.relevance.take(position)


@dataclass(frozen=True)
class ObjectivePolicy:
    """Weighs outcomes, keeps the list varied, explores a little. Implements ``contracts.Policy``.

    Cost: 200 candidates and 20 slots with vectors, diversity and chance take well under a millisecond.
    """

    catalogue: Catalogue
    vectors: FindVectors = lambda: None

    def select(
        self,
        request: Request,
        candidates: Candidates,
        outcomes: Outcomes,
        placement: PlacementConfig,
        slate_id: str,
        features: Features | None = None,
    ) -> Slate:
        """At most ``request.size`` slots: the most useful first, ties as they come, but for diversity and chance.

        Items that the query names stand before all others, and what rules pin in its slot, both for certain.
        """
        rows = candidates.item_rows
        utility = request.steering.weighed(utilities(outcomes, placement), rows)
        pinned = pinned_places(request, rows)
        order = np.argsort(-utility, kind="stable")
        order = order[~np.isin(order, [place for _, place, _ in pinned])]
        is_named = np.isin(rows[order], request.named_rows)
        n_free = request.size - len(pinned)
        named, others = order[is_named][:n_free], order[~is_named]
        chosen = self._choose(candidates, utility[others], others, placement, n_free - len(named), slate_id)
        positions = np.concatenate([named, others[chosen.positions]])
        propensities = np.concatenate([np.ones(len(named)), chosen.propensities])
        placed_by: list[str | None] = [None] * len(positions)
        for slot, place, rule_id in pinned:  # ascending; behind the end of a short list it is the last one
            at = min(slot, len(positions))
            positions, propensities = np.insert(positions, at, place), np.insert(propensities, at, 1.0)
            placed_by.insert(at, rule_id)
        return Slate(
            slate_id=slate_id,
            placement=request.placement,
            time_ms=request.now_ms,
            slots=slots(self.catalogue, candidates, positions, utility, propensities, outcomes, placed_by),
            user_id=request.user_id,
            query=request.query.text if request.query else None,
            anchor_item_ids=tuple(self.catalogue.ids(request.anchor_rows)),
            versions={"policy": version_of(placement), "ranker": outcomes.model_version},
            features=None if features is None else features.at(positions),
        )

    def _choose(
        self,
        candidates: Candidates,
        utility: NDArray[np.float32],
        order: NDArray[np.int64],
        placement: PlacementConfig,
        size: int,
        slate_id: str,
    ) -> Chosen:
        n = len(order)
        if not placement.diversity and not placement.explore.share:
            n_slots = min(size, n)
            return Chosen(np.arange(n_slots), np.ones(n_slots))
        if not placement.diversity or not n:
            return fill_slots(_InOrder(), n, size, placement.explore, slate_id)
        likeness = Likeness(candidates.item_rows[order], self.catalogue, self.vectors())
        relevance = MarginalRelevance(utility, placement.diversity, likeness)
        return fill_slots(_Diverse(relevance), n, size, placement.explore, slate_id)


def pinned_places(request: Request, item_rows: NDArray[np.int64]) -> list[tuple[int, int, str]]:
    """Slot, place among the candidates and rule of each pinned item that is there, ascending; no slot or item twice."""
    place_of = {row: place for place, row in enumerate(item_rows.tolist())} if request.steering.pins else {}
    found: dict[int, tuple[int, int, str]] = {}
    for pin in request.steering.pins:
        place = place_of.pop(pin.item_row, None) if pin.slot < request.size and pin.slot not in found else None
        if place is not None:
            found[pin.slot] = pin.slot, place, pin.rule_id
    return sorted(found.values())


def plain_slate(
    request: Request, candidates: Candidates, catalogue: Catalogue, slate_id: str, policy: str = "plain"
) -> Slate:
    """The first candidates by their fused score: the list that still comes when a policy does not.

    Also one whose order was asked for, which ``policy`` then names. No ranker learns from it: it has no features.
    """
    positions = np.argsort(-candidates.fused, kind="stable")[: request.size]
    return Slate(
        slate_id=slate_id,
        placement=request.placement,
        time_ms=request.now_ms,
        slots=slots(catalogue, candidates, positions, candidates.fused, np.ones(len(positions))),
        user_id=request.user_id,
        query=request.query.text if request.query else None,
        anchor_item_ids=tuple(catalogue.ids(request.anchor_rows)),
        versions={"policy": policy},
    )


def slots(
    catalogue: Catalogue,
    candidates: Candidates,
    positions: NDArray[np.int64],
    utility: NDArray[np.float32],
    propensities: NDArray[np.float64],
    outcomes: Outcomes | None = None,
    placed_by: Sequence[str | None] | None = None,
) -> tuple[Slot, ...]:
    """The candidates at ``positions`` (k,) as slots; ``utility`` (n,) by candidate, the rest (k,) by slot."""
    ids = catalogue.ids(candidates.item_rows[positions].tolist())
    scores = _by_name(candidates.sources, candidates.scores[positions])
    expected = [{}] * len(ids) if outcomes is None else _by_name(outcomes.names, outcomes.values[positions])
    rules = [None] * len(ids) if placed_by is None else placed_by
    columns = zip(ids, utility[positions].tolist(), propensities.tolist(), scores, expected, rules, strict=True)
    return tuple(Slot(*column) for column in columns)


def version_of(placement: PlacementConfig) -> str:
    """Names this policy and the settings that it chose by: ``objective-`` and a digest of them."""
    explore = placement.explore
    weights = tuple(sorted(placement.objective.items()))
    return _version(weights, placement.diversity, explore.share, explore.pool if explore.share else 0)


@lru_cache(maxsize=256)
def _version(weights: tuple[tuple[str, float], ...], diversity: float, share: float, pool: int) -> str:
    text = json.dumps([weights, diversity, share, pool])
    return "objective-" + hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _by_name(names: Sequence[str], rows: NDArray[np.float32]) -> list[dict[str, float]]:
    """A mapping a row, without what is unknown (nan)."""
    return [
        {name: value for name, value in zip(names, row, strict=True) if value == value}  # not nan
        for row in rows.tolist()
    ]
