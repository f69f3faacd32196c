"""The plain ranker: a candidate is worth what its sources together said of it.

Enters: candidates with their fused score. Leaves: ``Outcomes`` with the one column ``score``, not a probability. Knows
nothing of clicks or purchases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aisle.domain import Candidates, Features, Outcomes, Request


@dataclass(frozen=True)
class FusedScore:
    """Keeps the order of fusion. Predicts as ``contracts.Ranker`` does; needs no training."""

    version: str = "fused-score"

    def predict(
        self, requests: Sequence[Request], candidates: Sequence[Candidates], features: Sequence[Features]
    ) -> list[Outcomes]:
        """One outcome, ``score`` (n, 1) float32, for each request's candidates."""
        del requests, features  # the fused score already reflects who asks
        return [Outcomes(("score",), found.fused[:, None], self.version) for found in candidates]
