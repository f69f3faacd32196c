"""How much each place in a list is looked at, apart from the items in it: the nuisance of every click model.

Enters: slots, placements, clicks, propensities. Leaves: a curve that is 1 in the first slot and never above. Knows
nothing of features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from aisle.domain import Examples
from aisle.ranking.examined_clicks import losses, slopes
from aisle.ranking.features import PLACEMENT

N_PLACEMENTS = 8
"""Placements with a slope of their own; the rarer ones share the common curve."""
_PULL = 20.0
"""As strong as about that many clicks against a steeper or flatter curve than the model's."""
_CHANCE = 0.5
"""What was shown with a smaller propensity came there by chance."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Examination:
    """``log P(looked at) = -position_columns @ fall``; ``fall`` (3 + len(placements),) is never negative."""

    placements: NDArray[np.float32]
    fall: Floats

    def log_examined(self, slots: Integers, codes: NDArray[np.floating]) -> Floats:
        """(n,) at most 0, and 0 in the first slot."""
        return -(position_columns(slots, codes, self.placements).astype(np.float64) @ self.fall)

    def told_by_chance(self, examples: Examples, log_odds: Floats) -> Examination:
        """This curve as steep as chance tells, as far as there was any; unchanged where there was none.

        The better item stands higher, and no model knows all of what makes it better, so that a model takes a part of
        it for the place or of the place for it. But where chance fills a slot, what the policy chose next stands one
        slot lower than usual, and what chance brought stands anywhere. So each turn of the policy's choice gets a level
        of attraction of its own, and the place is what makes the same turn be clicked less further down (Agarwal et al.
        2019, "Estimating position bias without intrusive interventions", compare places in this way). ``log_odds`` (n,)
        of what is known of the items makes the comparison sharper.
        """
        codes = placement_codes(examples)
        _, group = np.unique(np.stack([np.nan_to_num(codes, nan=-1.0), turns(examples)]), axis=1, return_inverse=True)
        log_examined, clicks = self.log_examined(examples.slots, codes), examples.is_click.astype(np.float64)
        n_groups, n = int(group.max(initial=-1)) + 1, len(examples)

        def loss(solution: Floats) -> tuple[float, Floats]:
            steepness, slope, level = solution[0], solution[1], solution[2:]
            odds, looked, moved = slope * log_odds + level[group], steepness * log_examined, steepness - 1.0
            by_odds, by_looked = slopes(odds, looked, clicks)
            value = float(losses(odds, looked, clicks).sum() + 0.5 * _PULL * moved**2)
            by_level = np.bincount(group, by_odds, minlength=n_groups)
            both = [by_looked @ log_examined + _PULL * moved, by_odds @ log_odds]
            return value / n, np.concatenate([both, by_level]).astype(np.float64) / n

        start = np.concatenate([[1.0, 1.0], np.zeros(n_groups)])
        bounds = [(0.0, 5.0)] * 2 + [(-12.0, 12.0)] * n_groups
        options = {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9}  # a curve half found depends on how sums are rounded
        found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return replace(self, fall=found.x[0] * self.fall)


def turns(examples: Examples) -> Integers:
    """Which choice of the policy each example was in its list, 0 the first; -1 for what came by chance. (n,)"""
    is_chance = examples.propensities < _CHANCE
    order = np.lexsort((examples.slots, examples.lists))
    lists = examples.lists[order]
    by_chance = np.cumsum(is_chance[order])
    before_list = np.searchsorted(lists, lists, side="left")
    above = by_chance - np.concatenate([[0], by_chance])[before_list]
    found = np.empty(len(examples), dtype=np.int64)
    found[order] = np.where(is_chance[order], -1, examples.slots[order] - above)
    return found


def placement_codes(examples: Examples) -> NDArray[np.float32]:
    """The placement of each example as a code. (n,) float32"""
    return examples.features.aligned((PLACEMENT,))[:, 0]


def frequent_placements(codes: NDArray[np.floating]) -> NDArray[np.float32]:
    """The codes of the most frequent placements, at most ``N_PLACEMENTS``."""
    known = codes[np.isfinite(codes)]
    values, counts = np.unique(known, return_counts=True)
    return values[np.argsort(-counts, kind="stable")[:N_PLACEMENTS]].astype(np.float32)


def position_columns(
    slots: Integers, codes: NDArray[np.floating], placements: NDArray[np.floating]
) -> NDArray[np.float32]:
    """(n, 3 + len(placements)) float32: a curve over 0-based ``slots``, and each placement's departure from it.

    Examination often falls as a power of the place (Craswell et al. 2008 compare such models), which is a line in
    ``log(1 + slot)``; a step after the first slot and a slow linear part bend it where a page does otherwise.
    """
    power = np.log1p(slots).astype(np.float32)
    common = [power, (slots > 0).astype(np.float32), np.minimum(slots, 50).astype(np.float32) / 50.0]
    own = [power * (codes == placement) for placement in placements]
    return np.stack([*common, *own], axis=1).astype(np.float32)
