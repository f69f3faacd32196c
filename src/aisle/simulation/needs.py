"""What users need because of what they bought: used-up packs fall due, one purchase calls for another, and some sate.

Enters: purchases. Leaves: the change of log-odds for a (user, item) pair on a day. State is the last purchase of each
user in each leaf category: 8 bytes a user and category.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.simulation.assortment import Assortment
from aisle.simulation.config import SimulationConfig
from aisle.simulation.users import Population
from aisle.simulation.vocabulary import Vocabulary

COMPLEMENT_DAYS = 6.0
"""A purchase's pull on what goes with it falls to 1/e in this time."""
SATED_DAYS = 45.0
"""The same for the push away from a category just bought from, of things that are not used up."""
DUE_WIDTH = 0.2
"""Spread of the time a pack falls due, as a share of its cycle."""
SAME_ITEM = 1.5
"""How much more, in log-odds, the very item bought last pulls when its category is due."""


@dataclass(frozen=True)
class Needs:
    """Last purchases, changed in place by ``record``. ``copy`` before asking what might happen.

    ``last_day`` (n_users, n_leaves) float32, -inf where nothing was bought; ``last_item`` the same shape, int32 rows.
    """

    last_day: NDArray[np.float32]
    last_item: NDArray[np.int32]
    cycle_days: NDArray[np.float32]
    sources: NDArray[np.int64]
    """(n_leaves, s) leaves whose purchase calls for this one, -1 padded."""
    kinship: NDArray[np.float32]
    """(n_leaves, n_leaves): 1 for the same leaf, a half where the column goes with the row, else 0."""

    @classmethod
    def of_nobody(cls, vocabulary: Vocabulary, n_users: int) -> Needs:
        """Nobody has bought anything yet."""
        n_leaves = vocabulary.n_leaves
        calls = [[] for _ in range(n_leaves)]
        for row, leaf in enumerate(vocabulary.leaves):
            for target in leaf.together:
                calls[target].append(row)
        width = max(len(sources) for sources in calls)
        return cls(
            last_day=np.full((n_users, n_leaves), -np.inf, dtype=np.float32),
            last_item=np.full((n_users, n_leaves), -1, dtype=np.int32),
            cycle_days=np.array([leaf.cycle_days for leaf in vocabulary.leaves], dtype=np.float32),
            kinship=(0.5 * vocabulary.together_matrix() + np.eye(n_leaves)).astype(np.float32),
            sources=np.array([[*sources, *[-1] * (width - len(sources))] for sources in calls], dtype=np.int64),
        )

    def copy(self) -> Needs:
        """The same state, to be changed apart."""
        return Needs(self.last_day.copy(), self.last_item.copy(), self.cycle_days, self.sources, self.kinship)

    def record(
        self,
        user_rows: NDArray[np.integer],
        item_rows: NDArray[np.integer],
        day: NDArray[np.floating],
        assortment: Assortment,
    ) -> None:
        """Purchases happened at ``day`` (n,), in order of time; the last of several in one category counts."""
        leaf = assortment.leaf[item_rows]
        self.last_day[user_rows, leaf] = day
        self.last_item[user_rows, leaf] = item_rows

    def phase(
        self,
        user_rows: NDArray[np.integer],
        leaf: NDArray[np.integer],
        day: NDArray[np.floating],
        population: Population,
    ) -> NDArray[np.float32]:
        """How far the last pack is used up: 0 just bought, 1 due now; inf where nothing was bought or is used up."""
        cycle = self.cycle_days[leaf]
        days = np.maximum(day - self.last_day[user_rows, leaf], 0.0)
        used = days * population.household[user_rows] / np.where(cycle > 0, cycle, 1.0)
        return np.where(cycle > 0, used, np.inf).astype(np.float32)

    def due(self, day: float, population: Population) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Users and leaves whose packs are due on ``day``, within a fifth of the cycle."""
        leaves = np.flatnonzero(self.cycle_days > 0)
        used = (day - self.last_day[:, leaves]) * population.household[:, None] / self.cycle_days[leaves]
        users, positions = np.nonzero(np.abs(used - 1.0) < DUE_WIDTH)
        return users, leaves[positions]

    def pull(
        self,
        user_rows: NDArray[np.integer],
        item_rows: NDArray[np.integer],
        day: NDArray[np.floating],
        assortment: Assortment,
        population: Population,
        config: SimulationConfig,
    ) -> NDArray[np.float32]:
        """Change of log-odds for each (user, item) pair, (n,) float32: due, sated and called for, added up."""
        leaf = assortment.leaf[item_rows].astype(np.int64)
        since = np.maximum(day - self.last_day[user_rows, leaf], 0.0).astype(np.float32)
        phase = self.phase(user_rows, leaf, day, population)
        due = np.exp(-0.5 * ((phase - 1.0) / DUE_WIDTH) ** 2)
        is_same = self.last_item[user_rows, leaf] == item_rows
        sated = np.where(self.cycle_days[leaf] > 0, np.exp(-((phase / 0.35) ** 2)), np.exp(-since / SATED_DAYS))
        pull = (config.repeat + SAME_ITEM * is_same) * due - config.satiation * sated
        return (pull + config.complement * self._called(user_rows, item_rows, leaf, day, assortment)).astype(np.float32)

    def _called(
        self,
        user_rows: NDArray[np.integer],
        item_rows: NDArray[np.integer],
        leaf: NDArray[np.int64],
        day: NDArray[np.floating],
        assortment: Assortment,
    ) -> NDArray[np.float32]:
        """The strongest call of a recent purchase, 0 to 1: fresh ones, and more so where the two styles agree."""
        sources = self.sources[leaf]  # (n, s)
        users = np.asarray(user_rows)[:, None]
        since = np.where(sources >= 0, np.asarray(day)[:, None] - self.last_day[users, sources], np.inf)
        strength = np.exp(-np.maximum(since, 0.0) / COMPLEMENT_DAYS)
        strongest = np.argmax(strength, axis=1)
        best = np.take_along_axis(strength, strongest[:, None], axis=1)[:, 0]
        called = best > 0.02  # nearly everything else is not called for: look at styles only here
        result = np.zeros(len(leaf), dtype=np.float32)
        if called.any():
            from_leaf = np.take_along_axis(sources[called], strongest[called][:, None], axis=1)[:, 0]
            bought = self.last_item[np.asarray(user_rows)[called], from_leaf]
            agreement = np.einsum("nd,nd->n", assortment.style[bought], assortment.style[item_rows[called]])
            result[called] = best[called] * np.clip(0.75 + 0.75 * agreement, 0.25, 1.25)
        return result
