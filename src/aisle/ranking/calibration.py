"""Makes log-odds honest: a straight line over them, learned from later lists than those they were fitted on.

Platt (1999), "Probabilistic outputs for support vector machines", with a pull towards leaving things as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.special import expit

from aisle.ranking.examined_clicks import losses, slopes

Floats = NDArray[np.float64]

CLICKS_PULL = (1_000.0, 1_000.0)
"""As strong as that many outcomes against a slope other than 1 and a shift other than 0. What is learned afterwards
from all lists knows the later ones too, so only what many clicks say is believed: with 10,000 lists a free line adds
more noise than it takes bias."""
PURCHASES_PULL = (2.0, 0.0)
"""Purchases are far fewer and their model is surer of itself than it should be: the line is nearly free."""


@dataclass(frozen=True)
class Calibration:
    """``probability = expit(slope * log_odds + shift)``; the slope is never negative, so the order stays."""

    slope: float = 1.0
    shift: float = 0.0

    @classmethod
    def fit(
        cls,
        log_odds: Floats,
        log_examined: Floats,
        labels: NDArray[np.bool_],
        pull: tuple[float, float] = PURCHASES_PULL,
    ) -> Calibration:
        """Learn from (n,) log-odds, log-probabilities of looking, and what happened; needs both outcomes."""
        if not labels.any() or labels.all():
            return cls()
        happened, unchanged, strength = labels.astype(np.float64), np.array([1.0, 0.0]), np.array(pull)

        def loss(line: Floats) -> tuple[float, Floats]:
            odds, moved = line[0] * log_odds + line[1], line - unchanged
            error, _ = slopes(odds, log_examined, happened)
            value = float(losses(odds, log_examined, happened).sum() + strength @ moved**2)
            return value, np.array([error @ log_odds, error.sum()]) + 2.0 * strength * moved

        bounds = [(0.05, 5.0), (-10.0, 10.0)]
        found = scipy.optimize.minimize(loss, unchanged, jac=True, method="L-BFGS-B", bounds=bounds)
        return cls(float(found.x[0]), float(found.x[1]))

    def probability(self, log_odds: Floats) -> Floats:
        """(n,) in (0, 1)."""
        return expit(self.slope * log_odds + self.shift)
