"""The truth of the simulated shop: what anybody would click and buy, anywhere, any time.

Enters: rows of users and items, a time, positions, relevance to a query. Leaves: probabilities. The log-odds of a
click, once the item is examined, are a sum: the user's interest in the category, taste meeting style, favourite brands,
what everybody thinks of the item, the errand of the day, season, trend, novelty, price against budget, and what earlier
purchases call for. The log-odds of a purchase after a click weigh the same reasons differently: price counts more,
looks count less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aisle.simulation.assortment import PRODUCT, Assortment
from aisle.simulation.config import DAY_MS, SimulationConfig
from aisle.simulation.needs import Needs
from aisle.simulation.queries import Queries
from aisle.simulation.users import Population
from aisle.simulation.vocabulary import Vocabulary

Floats = NDArray[np.float32]
PAIRS_AT_ONCE = 400_000
TREND_DAYS = 12.0
NOVELTY_DAYS = 20.0
RELEVANCE_GAIN = (-3.0, 0.8, 1.5, 2.2)
"""Log-odds of a click in a search result by relevance 0, 1, 2, 3; in between is interpolated."""


@dataclass(frozen=True)
class Reasons:
    """The parts of the log-odds of (user, item) pairs, each (n,) float32."""

    interest: Floats
    style: Floats
    brand: Floats
    appeal: Floats
    errand: Floats
    moment: Floats
    over_budget: Floats
    need: Floats


@dataclass(frozen=True)
class Truth:
    """Answers what is true. All questions broadcast over users, items and times, and come back in that shape.

    ``needs`` is the state of everybody's past purchases that the answers assume; ``with_needs`` assumes another.
    Cost: about 0.5 microseconds a pair.
    """

    vocabulary: Vocabulary
    config: SimulationConfig
    assortment: Assortment
    population: Population
    needs: Needs

    def with_needs(self, needs: Needs) -> Truth:
        """The same world after other purchases."""
        return replace(self, needs=needs)

    def day(self, now_ms: ArrayLike) -> NDArray[np.float64]:
        """Days since the start of the history."""
        return (np.asarray(now_ms, dtype=np.float64) - self.config.start_ms) / DAY_MS

    def examination(self, position: ArrayLike) -> NDArray[np.float64]:
        """Probability that the item at a 0-based position is looked at."""
        return (1.0 + np.asarray(position, dtype=np.float64)) ** -self.config.examination_decay

    def click(
        self,
        user_rows: ArrayLike,
        item_rows: ArrayLike,
        now_ms: ArrayLike,
        *,
        position: ArrayLike | None = None,
        relevance: ArrayLike | None = None,
    ) -> Floats:
        """Probability of a click.

        Args:
            user_rows: rows of users.
            item_rows: rows of items.
            now_ms: time, UTC milliseconds.
            position: 0-based places in the shown list; without them the item is taken to be examined.
            relevance: relevance (0 to 3) to what the user searched for; nan or None where nothing was searched.
        """
        attraction = self._ask(user_rows, item_rows, now_ms, relevance, which="click")
        return attraction if position is None else (attraction * self.examination(position)).astype(np.float32)

    def purchase(self, user_rows: ArrayLike, item_rows: ArrayLike, now_ms: ArrayLike) -> Floats:
        """Probability that the item is bought, given that it was clicked; 0 if sold out or not a product."""
        return self._ask(user_rows, item_rows, now_ms, None, which="purchase")

    def expected_value(
        self,
        user_rows: ArrayLike,
        item_rows: ArrayLike,
        now_ms: ArrayLike,
        *,
        position: ArrayLike | None = None,
        relevance: ArrayLike | None = None,
    ) -> Floats:
        """Expected revenue in minor units of showing an item: click x purchase x price."""
        click = self.click(user_rows, item_rows, now_ms, position=position, relevance=relevance)
        return click * self.purchase(user_rows, item_rows, now_ms) * self.assortment.price_minor[np.asarray(item_rows)]

    def relevance(self, queries: Queries, query_rows: ArrayLike, item_rows: ArrayLike) -> Floats:
        """How well items answer queries, 0 (another category) to 3 (all that was asked for); broadcasts."""
        return queries.relevance(np.asarray(query_rows), np.asarray(item_rows), self.assortment)

    def taste(self, user_rows: NDArray[np.integer], day: NDArray[np.floating] | float) -> Floats:
        """Users' tastes on ``day``, (n, d) unit rows: they turn at a constant rate."""
        angle = np.asarray(np.deg2rad(self.config.drift_degrees) * np.asarray(day) / 180.0, dtype=np.float32)[..., None]
        return (
            np.cos(angle) * self.population.taste_now[user_rows]
            + np.sin(angle) * self.population.taste_later[user_rows]
        )

    def category_interest(self, user_rows: NDArray[np.integer], day: float) -> Floats:
        """Log-odds of users' interest in every leaf category on ``day``, season and errand included, (n, n_leaves)."""
        interest = self.config.taste_in_category * (self.taste(user_rows, day) @ self.assortment.centre.T)
        leaves = np.arange(self.vocabulary.n_leaves)
        errand = self.errand_pull(np.asarray(user_rows)[:, None], leaves[None, :], day)
        return interest + self.population.interest[user_rows] + self.season(np.asarray([day])) + errand

    def errand_pull(
        self, user_rows: NDArray[np.integer], leaf: NDArray[np.integer], day: NDArray[np.floating] | float
    ) -> Floats:
        """Log-odds of what users shop for on ``day``: its category in full, what goes with it by half; broadcasts."""
        wanted = self.population.errand_on(user_rows, day)
        share = self.needs.kinship[wanted, leaf] * (wanted >= 0)
        return (self.config.errand * share).astype(np.float32)

    def season(self, day: NDArray[np.floating]) -> Floats:
        """Log-odds of the season for every leaf category on each day, (n, n_leaves)."""
        peaks = np.array([leaf.season[0] for leaf in self.vocabulary.leaves])
        strength = np.array([leaf.season[1] for leaf in self.vocabulary.leaves]) * self.config.season
        day_of_year = (self.config.start_ms / DAY_MS + day) % 365.25
        months = day_of_year / 365.25 * 12.0 + 0.5  # 1.0 is the middle of January
        return (strength * np.cos((months[:, None] - peaks) * np.pi / 6.0)).astype(np.float32)

    def trend(self, item_rows: NDArray[np.integer], day: NDArray[np.floating] | float) -> Floats:
        """Log-odds of the trend each item rides on ``day``: it breaks out at once and fades."""
        since = day - self.assortment.trend_day[item_rows]
        return np.where(since >= 0, self.config.trend * np.exp(-np.maximum(since, 0.0) / TREND_DAYS), 0.0).astype(
            np.float32
        )

    def reasons(
        self, user_rows: NDArray[np.integer], item_rows: NDArray[np.integer], day: NDArray[np.floating]
    ) -> Reasons:
        """Why each user would care for each item, pair by pair (n,)."""
        config, items, users = self.config, self.assortment, self.population
        taste = self.taste(user_rows, day)
        leaf = items.leaf[item_rows]
        days, at = np.unique(np.floor(day), return_inverse=True)
        season = self.season(days)[at, leaf]
        novelty = 0.4 * np.exp(-np.maximum(day - items.created_day[item_rows], 0.0) / NOVELTY_DAYS)
        is_favourite = (users.favourites[user_rows] == items.brand[item_rows][:, None]).any(axis=1)
        return Reasons(
            interest=config.taste_in_category * np.einsum("nd,nd->n", taste, items.centre[leaf])
            + users.interest[user_rows, leaf],
            style=config.taste_in_style * np.einsum("nd,nd->n", taste, items.style[item_rows]),
            brand=(config.brand_loyalty * is_favourite).astype(np.float32),
            appeal=items.appeal[item_rows],
            errand=self.errand_pull(user_rows, leaf, day),
            moment=(season + novelty + self.trend(item_rows, day)).astype(np.float32),
            over_budget=np.maximum(items.relative_price[item_rows] - users.budget[user_rows], 0.0),
            need=self.needs.pull(user_rows, item_rows, day, items, users, config),
        )

    def _ask(
        self, user_rows: ArrayLike, item_rows: ArrayLike, now_ms: ArrayLike, relevance: ArrayLike | None, *, which: str
    ) -> Floats:
        grade = np.nan if relevance is None else relevance
        users, items, days, grades = np.broadcast_arrays(user_rows, item_rows, self.day(now_ms), grade)
        flat = (users.ravel(), items.ravel(), days.ravel(), grades.ravel())
        result = np.empty(users.size, dtype=np.float32)
        for start in range(0, users.size, PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            user, item, day, searched = (values[part] for values in flat)
            reasons = self.reasons(user, item, day)
            if which == "click":
                result[part] = self.attraction(reasons, item, day, searched)
            else:
                result[part] = self.conversion(reasons, item, day)
        return result.reshape(users.shape)

    def attraction(
        self,
        reasons: Reasons,
        item_rows: NDArray[np.integer],
        day: NDArray[np.floating],
        relevance: NDArray[np.floating],
    ) -> Floats:
        """Click probability of examined items; 0 for what is not live yet or any more."""
        searched = np.where(np.isnan(relevance), 0.0, np.interp(relevance, range(4), RELEVANCE_GAIN))
        logit = self.config.click_level + reasons.interest + reasons.style + reasons.brand + reasons.appeal
        logit = (
            logit
            + reasons.errand
            + reasons.moment
            + reasons.need
            + searched
            - 0.4 * self.config.price_aversion * reasons.over_budget
        )
        logit = logit - self.assortment.is_sold_out(item_rows, day)
        return np.where(self.assortment.is_live(item_rows, day), sigmoid(logit), 0.0).astype(np.float32)

    def conversion(self, reasons: Reasons, item_rows: NDArray[np.integer], day: NDArray[np.floating]) -> Floats:
        """Purchase probability after a click; 0 for what cannot be bought."""
        logit = self.config.purchase_level + 0.3 * reasons.interest + 0.4 * reasons.style + 0.5 * reasons.brand
        logit = logit + 0.5 * reasons.appeal + 0.3 * (reasons.errand + reasons.moment) + 0.8 * reasons.need
        logit = logit - self.config.price_aversion * reasons.over_budget
        items = self.assortment
        can_buy = (
            items.is_live(item_rows, day) & ~items.is_sold_out(item_rows, day) & (items.kind[item_rows] == PRODUCT)
        )
        return np.where(can_buy, sigmoid(logit), 0.0).astype(np.float32)


def sigmoid(logit: NDArray[np.floating]) -> NDArray[np.floating]:
    """Log-odds to probability."""
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0)))
