"""Makes log-odds honest: a straight line over them, learned from later lists than those they were fitted on.

Platt (1999), "Probabilistic outputs for support vector machines", with a weak pull towards leaving things as they are,
so that a handful of outcomes cannot turn the line around. Each placement has a line of its own, pulled towards that of
all lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.special import expit

from aisle.ranking.examined_clicks import losses, slopes
from aisle.ranking.position import frequent_placements

Floats = NDArray[np.float64]

_PULL = 2.0
"""As strong as that many outcomes against a slope other than 1."""
_PULL_TOGETHER = 50.0
"""Against a placement's line that differs: as if such differences were spread by 1 / sqrt(2 x 50) = 0.1 log-odds."""


@dataclass(frozen=True)
class Calibration:
    """``probability = expit(slope * log_odds + shift)``; the slope is never negative, so the order stays."""

    slope: float = 1.0
    shift: float = 0.0

    @classmethod
    def fit(cls, log_odds: Floats, log_examined: Floats, labels: NDArray[np.bool_]) -> Calibration:
        """Learn from (n,) log-odds, log-probabilities of looking, and what happened; needs both outcomes."""
        if not labels.any() or labels.all():
            return cls()
        return cls._pulled(log_odds, log_examined, labels, cls(), np.array([_PULL, 0.0]))

    def of_placement(self, log_odds: Floats, log_examined: Floats, labels: NDArray[np.bool_]) -> Calibration:
        """The line of a placement's own rows, pulled towards this one."""
        return self._pulled(log_odds, log_examined, labels, self, np.full(2, _PULL_TOGETHER))

    @classmethod
    def _pulled(
        cls, log_odds: Floats, log_examined: Floats, labels: NDArray[np.bool_], to: Calibration, pull: Floats
    ) -> Calibration:
        happened, middle = labels.astype(np.float64), np.array([to.slope, to.shift])

        def loss(line: Floats) -> tuple[float, Floats]:
            odds, moved = line[0] * log_odds + line[1], line - middle
            error, _ = slopes(odds, log_examined, happened)
            value = float(losses(odds, log_examined, happened).sum() + pull @ moved**2)
            return value, np.array([error @ log_odds, error.sum()]) + 2.0 * pull * moved

        found = scipy.optimize.minimize(loss, middle, jac=True, method="L-BFGS-B", bounds=[(0.05, 5.0), (-10.0, 10.0)])
        return cls(float(found.x[0]), float(found.x[1]))

    def probability(self, log_odds: Floats) -> Floats:
        """(n,) in (0, 1)."""
        return expit(self.slope * log_odds + self.shift)


@dataclass(frozen=True)
class PlacementCalibration:
    """``lines`` (1 + len(placements)): the one of all lists, which serves unknown placements, then each placement's."""

    placements: NDArray[np.float32]
    lines: tuple[Calibration, ...]

    @classmethod
    def fit(
        cls, log_odds: Floats, log_examined: Floats, labels: NDArray[np.bool_], codes: NDArray[np.float32]
    ) -> PlacementCalibration:
        """Learn from rows (n,) of lists in the placements ``codes``."""
        shared = Calibration.fit(log_odds, log_examined, labels)
        placements = frequent_placements(codes)
        own = [
            shared.of_placement(log_odds[here], log_examined[here], labels[here])
            for here in (codes == placement for placement in placements)
        ]
        return cls(placements, (shared, *own))

    def probability(self, log_odds: Floats, codes: NDArray[np.float32]) -> Floats:
        """(n,) in (0, 1) of rows in the placements ``codes``."""
        which = (codes[:, None] == self.placements) @ np.arange(1, len(self.lines))
        slope, shift = (np.array([getattr(line, name) for line in self.lines])[which] for name in ("slope", "shift"))
        return expit(slope * log_odds + shift)
