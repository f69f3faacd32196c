"""The plain policy: the most useful items first.

Enters: candidates and outcomes. Leaves: a ``Slate``. It explores nothing, so every propensity is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aisle.domain import Candidates, Catalogue, Features, Outcomes, Request, Slate, Slot
from aisle.settings import PlacementConfig


@dataclass(frozen=True)
class Greedy:
    """Orders by the weighted sum of outcomes; ties keep the candidates' order. Implements ``contracts.Policy``."""

    catalogue: Catalogue
    weights: Mapping[str, float] = field(default_factory=lambda: {"score": 1.0})
    version: str = "greedy"

    def select(
        self,
        request: Request,
        candidates: Candidates,
        outcomes: Outcomes,
        placement: PlacementConfig,
        slate_id: str,
        features: Features | None = None,
    ) -> Slate:
        """The ``request.size`` candidates of highest utility, best first."""
        weights = np.array([self.weights.get(name, 0.0) for name in outcomes.names], dtype=np.float32)
        utility = outcomes.values @ weights  # (n,)
        chosen = np.argsort(-utility, kind="stable")[: request.size]
        slots = tuple(
            Slot(
                item_id=item_id,
                utility=float(utility[position]),
                propensity=1.0,
                scores=_known_scores(candidates, position),
            )
            for position, item_id in zip(chosen, self.catalogue.ids(candidates.item_rows[chosen]), strict=True)
        )
        return Slate(
            slate_id=slate_id,
            placement=request.placement,
            time_ms=request.now_ms,
            slots=slots,
            user_id=request.user_id,
            query=request.query.text if request.query else None,
            anchor_item_ids=tuple(self.catalogue.ids(request.anchor_rows)),
            versions={"policy": self.version, "ranker": outcomes.model_version},
            features=None if features is None else features.at(chosen),
        )


def _known_scores(candidates: Candidates, position: int) -> dict[str, float]:
    scores = candidates.scores[position].tolist()
    return {name: score for name, score in zip(candidates.sources, scores, strict=True) if score == score}  # not nan
