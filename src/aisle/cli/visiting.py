"""Simulated visitors who shop through the shop itself: they are shown its lists and answer to them.

Enters: a shop filled with a simulated world, and that world. Leaves: slates and the events that answer to them, in the
shop's own records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisle.contracts import Progress, silent
from aisle.domain import Context, Response
from aisle.flows.asks import Ask
from aisle.shop import Shop
from aisle.simulation import Queries, SimulatedShop
from aisle.simulation.behaviour import think_of_queries
from aisle.simulation.config import DAY_MS
from aisle.simulation.shelves import Shelves
from aisle.simulation.users import PLATFORMS
from aisle.simulation.visitors import Visitors

RECOMMENDED = "recommended-for-you"
LISTS_AT_ONCE = 100
"""Lists that are made and answered together; what follows from them is known to the next ones."""


@dataclass
class SimulatedClock:
    """A clock that stands where it is put."""

    now_ms: int

    def __call__(self) -> int:
        """Now, in UTC milliseconds."""
        return self.now_ms


class VisitedShop:
    """A shop and the simulated people in it. ``visitors.truth.needs`` is changed by what they buy."""

    def __init__(self, shop: Shop, world: SimulatedShop, clock: SimulatedClock, *, size: int = 10) -> None:
        self.shop = shop
        self.world = world
        self.clock = clock
        self.size = size
        self.visitors: Visitors = world.visitors()
        self._user_ids = world.user_ids().to_list()
        self._row_of = {item_id: row for row, item_id in enumerate(world.item_ids())}
        self._shelves = Shelves(world.truth_at_start)
        self._shelves.arrange(world.config.n_days)
        self._shelves.open(world.config.n_days)

    def days(
        self,
        n_days: int,
        lists_a_day: int,
        rng: np.random.Generator,
        *,
        search_share: float = 0.3,
        progress: Progress = silent,
    ) -> int:
        """Let visitors come for ``n_days`` from where the clock stands; returns how many lists they were shown."""
        begin_ms = self.clock.now_ms
        n_lists = n_days * lists_a_day
        for start in range(0, n_lists, LISTS_AT_ONCE):
            n = min(LISTS_AT_ONCE, n_lists - start)
            self.clock.now_ms = begin_ms + start * n_days * DAY_MS // n_lists
            users = rng.choice(self.world.config.n_users, size=n, replace=n > self.world.config.n_users)
            n_searching = round(search_share * n)
            self.search(users[:n_searching], rng)
            self.browse(users[n_searching:], rng)
            progress("visitors", start + n, n_lists)
        self.clock.now_ms = begin_ms + n_days * DAY_MS
        return n_lists

    def browse(self, users: NDArray[np.int64], rng: np.random.Generator) -> None:
        """Show users (n,) their recommendations, and record what they do."""
        if len(users):
            responses = self.recommended(users)
            self._record(users, responses, rng, None, RECOMMENDED)

    def search(self, users: NDArray[np.int64], rng: np.random.Generator) -> None:
        """Let users (n,) search for what they have in mind, and record what they do."""
        if len(users):
            queries = self.queries(users, rng)
            self._record(users, self.found(users, queries), rng, queries, "search")

    def queries(self, users: NDArray[np.int64], rng: np.random.Generator) -> Queries:
        """What users have in mind now, one query each."""
        day = int(self.visitors.truth.day(self.clock.now_ms))
        return think_of_queries(self.visitors.truth, self._shelves, users, day, rng)

    def recommended(self, users: NDArray[np.int64]) -> list[Response]:
        """The shop's recommendations for users (n,)."""
        return self.shop.ask_recommend(RECOMMENDED, [self._ask(user) for user in users.tolist()])

    def found(self, users: NDArray[np.int64], queries: Queries) -> list[Response]:
        """The shop's results for what users (n,) typed."""
        texts = queries.texts().to_list()
        asks = [self._ask(user, text) for user, text in zip(users.tolist(), texts, strict=True)]
        return self.shop.ask_search(asks)

    def rows(self, responses: list[Response]) -> NDArray[np.int64]:
        """(n, size) the world's rows of the items shown, -1 where a slot stays empty."""
        rows = np.full((len(responses), self.size), -1, dtype=np.int64)
        for at, response in enumerate(responses):
            rows[at, : len(response.item_ids)] = [self._row_of[item_id] for item_id in response.item_ids]
        return rows

    def _ask(self, user: int, text: str | None = None) -> Ask:
        platform = PLATFORMS[int(self.world.population.platform[user])]
        return Ask(user_id=self._user_ids[user], text=text, size=self.size, context=Context(platform=platform))

    def _record(
        self,
        users: NDArray[np.int64],
        responses: list[Response],
        rng: np.random.Generator,
        queries: Queries | None,
        placement: str,
    ) -> None:
        slate_ids = [response.slate.slate_id for response in responses]
        rows, now_ms = self.rows(responses), self.clock.now_ms
        self.shop.add_events(
            self.visitors.respond(users, rows, now_ms, rng, queries=queries, slate_ids=slate_ids, placement=placement)
        )
