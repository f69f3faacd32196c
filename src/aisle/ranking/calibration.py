"""Makes log-odds honest: a straight line over them, learned from later lists than those they were fitted on.

Platt (1999), "Probabilistic outputs for support vector machines", with a weak pull towards leaving things as they are,
so that a handful of outcomes cannot turn the line around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

_PULL = 2.0
"""As strong as that many outcomes against a slope other than 1."""


@dataclass(frozen=True)
class Calibration:
    """``probability = expit(slope * log_odds + shift)``; the slope is never negative, so the order stays."""

    slope: float = 1.0
    shift: float = 0.0

    @classmethod
    def fit(cls, log_odds: Floats, labels: NDArray[np.bool_]) -> Calibration:
        """Learn from (n,) log-odds, the place in the list included, and what happened; needs both outcomes."""
        if not labels.any() or labels.all():
            return cls()
        y = labels.astype(np.float64)

        def loss(line: Floats) -> tuple[float, Floats]:
            odds = line[0] * log_odds + line[1]
            error = expit(odds) - y
            value = float((np.logaddexp(0.0, odds) - y * odds).sum()) + _PULL * (line[0] - 1.0) ** 2
            return value, np.array([error @ log_odds + 2.0 * _PULL * (line[0] - 1.0), error.sum()])

        found = scipy.optimize.minimize(
            loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.05, 5.0), (-10.0, 10.0)]
        )
        return cls(float(found.x[0]), float(found.x[1]))

    def probability(self, log_odds: Floats) -> Floats:
        """(n,) in (0, 1)."""
        return expit(self.slope * log_odds + self.shift)
