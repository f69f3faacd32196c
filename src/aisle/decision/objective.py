"""What an item is worth to the shop: the placement's weights applied to the outcomes expected of it.

Enters: outcomes and a placement, whose ``objective`` weighs them. Leaves: utilities. Knows nothing of who predicted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aisle.domain import Outcomes
from aisle.settings import PlacementConfig

PLAIN = "score"
"""The one outcome of a ranker that was not trained; it is the utility itself."""


def utilities(outcomes: Outcomes, placement: PlacementConfig) -> NDArray[np.float32]:
    """(n,) float32: the weighted sum of the outcomes, or the column ``score`` where it is the only one.

    An outcome that is weighed but not predicted counts 0; ``unpredicted`` names it.
    """
    if outcomes.names == (PLAIN,):
        return outcomes.values[:, 0]
    weight_of = {str(name): weight for name, weight in placement.objective.items()}
    weights = np.array([weight_of.get(name, 0.0) for name in outcomes.names], dtype=np.float32)
    return outcomes.values @ weights


def unpredicted(outcomes: Outcomes, placement: PlacementConfig) -> tuple[str, ...]:
    """Outcomes with a weight that nobody predicted, in the objective's order; none where the utility is ``score``."""
    if outcomes.names == (PLAIN,):
        return ()
    return tuple(name for name, weight in placement.objective.items() if weight and name not in outcomes.names)
