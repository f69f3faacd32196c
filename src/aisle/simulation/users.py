"""Who shops in the simulated shop: profiles that the shop sees, and tastes and budgets that it does not.

Enters: vocabulary, assortment, dials, a seed. Leaves: ``Population`` and its ``UserTable``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aisle.domain import UserTable
from aisle.simulation.assortment import Assortment, unit
from aisle.simulation.config import DAY_MS, SimulationConfig
from aisle.simulation.vocabulary import LANGUAGES, Vocabulary

GENDERS = ("female", "male")
AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
REGIONS = ("north", "east", "south", "west", "central")
PLATFORMS = ("web", "app", "mini-program")
N_FAVOURITES = 4
ERRAND_DAYS = 10.0
"""How long a user shops for the same thing."""
ERRAND_SHARE = 0.75
"""Share of the time that a user has an errand at all."""
DAYS_AHEAD = 90
"""Days after the history for which errands are laid out; then they start over."""


@dataclass(frozen=True)
class Population:
    """Users by row. Codes are positions in this module's tuples.

    ``taste_now`` and ``taste_later`` (n, d) float32 are orthogonal unit vectors: a user's taste starts at the first and
    turns slowly towards the second. ``interest`` (n, n_leaves) float32 are log-odds that taste does not explain.
    ``errand`` (n, periods) int16 is the leaf shopped for in each period of ``ERRAND_DAYS``, -1 for none; a user's
    periods begin ``errand_offset`` days early. ``budget`` is the log of the relative price a user is at ease with,
    ``visit_rate`` visits a day, ``household`` how fast things are used up (1 is average), ``favourites`` (n, 4) brand
    codes.
    """

    gender: NDArray[np.int8]
    age: NDArray[np.int8]
    region: NDArray[np.int8]
    language: NDArray[np.int8]
    platform: NDArray[np.int8]
    second_platform: NDArray[np.int8]
    taste_now: NDArray[np.float32]
    taste_later: NDArray[np.float32]
    interest: NDArray[np.float32]
    errand: NDArray[np.int16]
    errand_offset: NDArray[np.float32]
    favourites: NDArray[np.int32]
    budget: NDArray[np.float32]
    household: NDArray[np.float32]
    visit_rate: NDArray[np.float32]
    created_day: NDArray[np.float32]

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.gender)

    def errand_on(self, user_rows: NDArray[np.integer], day: NDArray[np.floating] | float) -> NDArray[np.int16]:
        """The leaf each user shops for on ``day``, -1 for none; broadcasts."""
        period = np.floor((day + self.errand_offset[user_rows]) / ERRAND_DAYS).astype(np.int64)
        return self.errand[user_rows, period % self.errand.shape[1]]

    def ids(self) -> pl.Series:
        """The users' ids, by row."""
        return pl.select(
            pl.format("u-{}", pl.int_range(self.n_users).cast(pl.String).str.zfill(6)).alias("user_id")
        ).to_series()

    def table(self, config: SimulationConfig) -> UserTable:
        """What the shop knows of its users."""
        both = np.stack([self.platform, self.second_platform], axis=1)
        platforms = [[PLATFORMS[a]] if a == b else [PLATFORMS[a], PLATFORMS[b]] for a, b in both.tolist()]
        created_ms = config.start_ms + (self.created_day.astype(np.float64) * DAY_MS).astype(np.int64)
        return UserTable.from_frame(
            pl.DataFrame(
                {
                    "user_id": self.ids(),
                    "gender": pl.Series(GENDERS).gather(self.gender),
                    "age_band": pl.Series(AGE_BANDS).gather(self.age),
                    "region": pl.Series(REGIONS).gather(self.region),
                    "language": pl.Series(LANGUAGES).gather(self.language),
                    "platforms": pl.Series(platforms, dtype=pl.List(pl.String)),
                    "created_ms": created_ms,
                }
            )
        )


def draw_population(vocabulary: Vocabulary, assortment: Assortment, config: SimulationConfig, seed: int) -> Population:
    """Draw all users. Equal arguments give equal arrays."""
    rng = np.random.default_rng([seed, 2])
    n, d = config.n_users, config.taste_dimension
    gender = rng.integers(2, size=n).astype(np.int8)
    age = rng.choice(len(AGE_BANDS), size=n, p=[0.16, 0.27, 0.22, 0.16, 0.11, 0.08]).astype(np.int8)
    now = unit(rng.normal(size=(n, d)).astype(np.float32))
    other = rng.normal(size=(n, d)).astype(np.float32)
    later = unit(other - (other * now).sum(axis=1, keepdims=True) * now)
    women = np.array([leaf.women for leaf in vocabulary.leaves], dtype=np.float32)
    young = np.array([leaf.young for leaf in vocabulary.leaves], dtype=np.float32)
    interest = rng.normal(0.0, config.own_interest, (n, vocabulary.n_leaves)).astype(np.float32)
    interest += np.where(gender == 0, 1.0, -1.0)[:, None].astype(np.float32) * women
    interest += ((2.5 - age) / 2.5)[:, None].astype(np.float32) * young
    platform = rng.choice(len(PLATFORMS), size=n, p=[0.35, 0.45, 0.2]).astype(np.int8)
    second = rng.choice(len(PLATFORMS), size=n, p=[0.4, 0.4, 0.2]).astype(np.int8)
    # visits vary a great deal between users; the mean stays as asked
    eagerness = np.exp(rng.normal(0.0, 0.7, n) - 0.245)
    return Population(
        gender=gender,
        age=age,
        region=rng.choice(len(REGIONS), size=n, p=[0.25, 0.3, 0.2, 0.1, 0.15]).astype(np.int8),
        language=rng.integers(len(LANGUAGES), size=n).astype(np.int8),
        platform=platform,
        second_platform=np.where(rng.random(n) < 0.4, second, platform).astype(np.int8),
        taste_now=now,
        taste_later=later,
        interest=interest,
        errand=_errands(config, config.taste_in_category * (now @ assortment.centre.T) + interest, rng),
        errand_offset=rng.uniform(0.0, ERRAND_DAYS, n).astype(np.float32),
        favourites=_favourites(now, assortment, rng),
        budget=(rng.normal(0.0, 0.45, n) + 0.06 * np.minimum(age, 4)).astype(np.float32),
        household=np.exp(rng.normal(0.0, 0.15, n)).astype(np.float32),
        visit_rate=(np.minimum(eagerness * config.visits_per_user / config.n_days, 0.9)).astype(np.float32),
        created_day=(-rng.exponential(200.0, n) - 1.0).astype(np.float32),
    )


def _favourites(taste: NDArray[np.float32], assortment: Assortment, rng: np.random.Generator) -> NDArray[np.int32]:
    """Brands each user holds to: of a few from different departments, those whose style suits the user best."""
    brands = assortment.brands_of_department.ravel()
    style = np.zeros((int(brands.max()) + 1, taste.shape[1]), dtype=np.float32)
    np.add.at(style, assortment.brand, assortment.style)
    offered = rng.choice(brands, size=(len(taste), 4 * N_FAVOURITES))
    suits = np.einsum("ud,ukd->uk", taste, unit(style)[offered]) + rng.normal(0.0, 0.3, offered.shape)
    best = np.argsort(-suits, axis=1)[:, :N_FAVOURITES]
    return np.take_along_axis(offered, best, axis=1).astype(np.int32)


def _errands(config: SimulationConfig, interest: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int16]:
    """Errands of each user and period, drawn by interest (n, n_leaves) a little flattened. (n, periods)."""
    n_periods = int(np.ceil((config.n_days + DAYS_AHEAD) / ERRAND_DAYS))
    chance = np.cumsum(np.exp(0.8 * (interest - interest.max(axis=1, keepdims=True))), axis=1)
    errand = np.empty((len(interest), n_periods), dtype=np.int16)
    for period in range(n_periods):
        at = rng.random((len(interest), 1)) * chance[:, -1:]
        errand[:, period] = (chance <= at).sum(axis=1).clip(max=interest.shape[1] - 1)
    errand[rng.random(errand.shape) >= ERRAND_SHARE] = -1
    return errand
