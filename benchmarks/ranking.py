"""What learning from its own log brings a shop: python -m benchmarks.ranking [--seeds 2] [--lists 10000].

Each seed is another simulated world. Sources are trained on its history; then visitors are shown the fused lists of
step 1, with a small share of chance, and answer to them; then the ranker is trained from that log. Later lists are
judged by the true probabilities, not by what happened to be clicked.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import aisle
from aisle.cli.visiting import RECOMMENDED, SimulatedClock, VisitedShop
from aisle.domain import Response
from aisle.evaluation.probability_metrics import calibration_error
from aisle.flows.rank_training import gather
from aisle.flows.stages import Predict
from aisle.ranking.logistic import LogisticConfig, LogisticRanker
from aisle.settings import ExploreConfig
from aisle.shop import Shop
from aisle.simulation import Queries, simulate
from aisle.simulation.config import SIZES
from benchmarks.result import Run
from benchmarks.simulated import fill, over_seeds

N_SLOTS = 10
PLACES = (RECOMMENDED, "search")
SHORT = {RECOMMENDED: "recommended", "search": "search"}
PROTOCOL = (
    "simulated shop: history in, sources trained, visitors shown fused lists of 10 ({lists} lists over {days} days, "
    "30% searches, {share:.0%} of slots by chance), ranker trained from that log; then lists of later moments without "
    "chance, judged by true expected clicks, purchases, revenue (minor units) and objective (clicks + 5 purchases) per "
    "list, position bias included, mean over lists and seeds; calibration_error: of click probabilities of the items "
    "shown against the true ones in the first slot, ten bins of equal mass; calibration_error_outcomes: against clicks "
    "drawn there"
)
Values = dict[str, float]


@dataclass(frozen=True)
class Judged:
    """Who is asked for, what they search for, and when."""

    visited: VisitedShop
    users: NDArray[np.int64]
    queries: Queries
    rng: np.random.Generator

    def value(self, rows: NDArray[np.int64], *, is_search: bool) -> Values:
        """True expectations of lists (n, N_SLOTS), mean over lists."""
        truth, now_ms = self.visited.visitors.truth, self.visited.clock.now_ms
        items = np.maximum(rows, 0)
        relevance = self.relevance(items) if is_search else None
        users = self.users[:, None]
        click = truth.click(users, items, now_ms, position=np.arange(N_SLOTS), relevance=relevance) * (rows >= 0)
        purchase = click * truth.purchase(users, items, now_ms)
        revenue = purchase * truth.assortment.price_minor[items]
        means = [float(part.sum(axis=1).mean()) for part in (click, purchase, revenue)]
        return {"clicks": means[0], "purchases": means[1], "revenue": means[2], "objective": means[0] + 5.0 * means[1]}

    def calibration(self, responses: Sequence[Response], *, is_search: bool) -> Values:
        """How far predicted click probabilities lie from the true ones, were each item shown first."""
        rows = self.visited.rows(list(responses))
        shown = rows >= 0
        items = np.maximum(rows, 0)
        relevance = self.relevance(items) if is_search else None
        truth, now_ms = self.visited.visitors.truth, self.visited.clock.now_ms
        true = np.asarray(truth.click(self.users[:, None], items, now_ms, position=0, relevance=relevance))[shown]
        predicted = np.array([slot.outcomes["click"] for one in responses for slot in one.slate.slots])
        bins = np.argsort(np.argsort(predicted, kind="stable"), kind="stable") * 10 // len(predicted)
        n = np.maximum(np.bincount(bins, minlength=10), 1)
        apart = np.abs(np.bincount(bins, predicted, minlength=10) - np.bincount(bins, true, minlength=10)) / n
        drawn = self.rng.random(len(true)) < true
        return {
            "calibration_error": float(apart @ n / n.sum()),
            "calibration_error_outcomes": calibration_error(drawn, predicted),
        }

    def relevance(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """How well items answer the queries. (n, N_SLOTS)"""
        truth = self.visited.visitors.truth
        return truth.relevance(self.queries, np.arange(len(self.queries))[:, None], items)


def main() -> None:
    """Read the arguments, measure each seed, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small", choices=sorted(SIZES), help="of the simulated shop")
    parser.add_argument("--seeds", type=int, default=2, help="number of worlds")
    parser.add_argument("--first-seed", type=int, default=0, help="the first world's seed")
    parser.add_argument("--lists", type=int, default=10_000, help="lists shown before the ranker is trained")
    parser.add_argument("--days", type=int, default=10, help="days over which they are shown")
    parser.add_argument("--share", type=float, default=0.1, help="share of slots filled by chance meanwhile")
    parser.add_argument("--users", type=int, default=500, help="users judged in each world, at most")
    arguments = parser.parse_args()
    run = Run("ranking", PROTOCOL.format(lists=arguments.lists, days=arguments.days, share=arguments.share))
    worlds = [
        one_world(arguments, seed, run) for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    ]
    table = {name: over_seeds([world[name] for world in worlds]) for name in worlds[0]}
    run.finish(table.pop("boosted_trees"), table)


def one_world(arguments: argparse.Namespace, seed: int, run: Run) -> dict[str, Values]:
    """Values of the trained rankers and their peers in the world of ``seed``."""
    world = simulate(arguments.size, seed)
    clock = SimulatedClock(world.now_ms)
    rng = np.random.default_rng([seed, 200])
    with tempfile.TemporaryDirectory() as folder:
        aisle.init(Path(folder) / "shop")
        with Shop.open(Path(folder) / "shop", clock=clock) as shop:
            interest, _ = fill(shop, world)
            shop.train()
            visited = VisitedShop(shop, world, clock, size=N_SLOTS)
            with by_chance(shop, arguments.share):
                visited.days(arguments.days, arguments.lists // arguments.days, rng)
            run.say(f"seed {seed}: {arguments.lists} lists shown, {shop.counts()['events']:,} events")
            (manifest,) = shop.train(["ranker"], told=run.say)
            popularity = np.asarray(interest.sum(axis=0)).ravel()
            found = compare(visited, popularity, arguments.users, rng)
            found["boosted_trees"] |= {f"gate_{name}": value for name, value in manifest.metrics.items()}
    run.say(f"seed {seed}: " + "; ".join(f"{name} {values}" for name, values in shown(found).items()))
    return found


def compare(
    visited: VisitedShop, popularity: NDArray[np.floating], n_users: int, rng: np.random.Generator
) -> dict[str, Values]:
    """The same users and queries, ranked by each: what the lists are truly worth."""
    users = np.sort(rng.permutation(visited.world.config.n_users)[:n_users])
    judged = Judged(visited, users, visited.queries(users, rng), rng)
    parts = visited.shop.live.parts
    in_service = visited.shop.live.stages.lineup.in_service.ranker
    examples, _ = gather(visited.shop.records, visited.clock.now_ms)
    logistic = LogisticRanker.fit("logistic", examples, LogisticConfig(), parts)
    rankers: dict[str, Predict | None] = {"boosted_trees": in_service, "logistic": logistic, "fused": None}
    found: dict[str, Values] = {}
    for name, ranker in rankers.items():
        with ranked_by(visited.shop, ranker):
            lists = {RECOMMENDED: visited.recommended(users), "search": visited.found(users, judged.queries)}
        found[name] = {}
        for place, responses in lists.items():
            values = judged.value(visited.rows(responses), is_search=place == "search")
            if ranker is not None:
                values |= judged.calibration(responses, is_search=place == "search")
            found[name] |= {f"{SHORT[place]}_{measure}": value for measure, value in values.items()}
    for name, values in found.items():
        if name != "fused":
            gains = {f"{measure}_over_fused": values[measure] / value for measure, value in found["fused"].items()}
            values.update(gains)
    found["popularity"] = prefixed(judged.value(best_of_all(visited, popularity, users), is_search=False))
    found["ideal"] = prefixed(ideal(visited, users))
    return found


def prefixed(values: Values) -> Values:
    """Values of recommendations under the names they are compared by."""
    return {f"{SHORT[RECOMMENDED]}_{measure}": value for measure, value in values.items()}


def best_of_all(visited: VisitedShop, popularity: NDArray[np.floating], users: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most popular products that can be bought now, the same for everybody. (n, N_SLOTS)"""
    order = np.argsort(-np.where(for_sale(visited), popularity, -np.inf), kind="stable")[:N_SLOTS]
    return np.broadcast_to(order, (len(users), N_SLOTS)).copy()


def for_sale(visited: VisitedShop) -> NDArray[np.bool_]:
    """Which products are live and in stock. (n_products,)"""
    assortment, n = visited.world.assortment, visited.world.assortment.n_products
    day = float(visited.visitors.truth.day(visited.clock.now_ms))
    return assortment.is_live(np.arange(n), day) & (assortment.stock[:n] > 0)


def ideal(visited: VisitedShop, users: NDArray[np.int64]) -> Values:
    """The most each measure can reach with any products for sale: the list sorted by that very measure's truth."""
    truth, now_ms = visited.visitors.truth, visited.clock.now_ms
    products = np.flatnonzero(for_sale(visited))
    examined = truth.examination(np.arange(N_SLOTS))
    reached: dict[str, list[float]] = {"clicks": [], "purchases": [], "revenue": [], "objective": []}
    for user in users:
        click = truth.click(user, products, now_ms)
        purchase = click * truth.purchase(user, products, now_ms)
        worths = (click, purchase, purchase * truth.assortment.price_minor[products], click + 5.0 * purchase)
        for name, worth in zip(reached, worths, strict=True):
            reached[name].append(float(np.sort(worth)[::-1][:N_SLOTS] @ examined))
    return {name: float(np.mean(values)) for name, values in reached.items()}


@contextmanager
def by_chance(shop: Shop, share: float) -> Iterator[None]:
    """Meanwhile this share of slots is filled by chance."""
    placements: Any = shop.live.stages.placements
    before = {place: placements[place] for place in PLACES}
    for place in PLACES:
        placements[place] = before[place].model_copy(update={"explore": ExploreConfig(share=share)})
    try:
        yield
    finally:
        placements.update(before)


@contextmanager
def ranked_by(shop: Shop, ranker: Predict | None) -> Iterator[None]:
    """Meanwhile this ranker answers, None being the fused order."""
    lineup = shop.live.stages.lineup
    before = lineup.in_service
    lineup.in_service = replace(before, ranker=ranker)
    try:
        yield
    finally:
        lineup.in_service = before


def shown(found: dict[str, Values]) -> dict[str, str]:
    """A few figures for a person."""
    return {
        name: ", ".join(f"{key} {value:.3f}" for key, value in values.items() if "objective" in key)
        for name, values in found.items()
    }


if __name__ == "__main__":
    main()
