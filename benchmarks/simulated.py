"""Recommendation and search in a simulated shop whose truth is known: python -m benchmarks.simulated [--size small].

Each seed is another world. The shop takes the world's history in, trains, and answers; every list is then judged by the
true probabilities, not by what happened to be clicked.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

import aisle
from aisle.domain import INTEREST_TYPES
from aisle.shop import Shop
from aisle.simulation import Queries, SimulatedShop, Truth, simulate
from aisle.simulation.config import SIZES
from benchmarks.result import Run

N_SLOTS = 10
Lists = NDArray[np.int64]
"""(lists, N_SLOTS) item rows, -1 where a slot stays empty."""
Values = dict[str, float]

PROTOCOL = (
    "true expected clicks, purchases and revenue (minor units) per list of 10 at the end of the simulated history, "
    "position bias included, mean over users and seeds; products that can be bought now, none the user has bought; "
    "*_share: of what the ideal list for that very measure reaches; search_ndcg@10: gain = true relevance 0..3 over "
    "all products that can be bought"
)
LEXICAL_ONLY = '\n[placement.search]\nsources = ["lexical"]\n'


@dataclass(frozen=True)
class Ground:
    """What lists are judged on: users and what each may be shown, (users, n_products) bool."""

    truth: Truth
    now_ms: int
    user_rows: NDArray[np.int64]
    may_show: NDArray[np.bool_]
    interest: sp.csr_matrix
    """(n_users, n_products) how often each user showed interest in each product."""


def main() -> None:
    """Read the arguments, measure each seed, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="small", choices=sorted(SIZES), help="of the simulated shop")
    parser.add_argument("--seeds", type=int, default=3, help="number of worlds")
    parser.add_argument("--first-seed", type=int, default=0, help="the first world's seed")
    parser.add_argument("--users", type=int, default=500, help="users judged in each world, at most")
    arguments = parser.parse_args()
    run = Run("simulated", f"{PROTOCOL}; size {arguments.size}, {arguments.seeds} seeds")
    measured: list[dict[str, Values]] = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        measured.append(one_world(arguments.size, seed, arguments.users, run))
        run.say(f"seed {seed}: " + summary(measured[-1]))
    table = {name: over_seeds([world[name] for world in measured]) for name in measured[0]}
    run.finish(table.pop("system"), table)


def one_world(size: str, seed: int, n_users: int, run: Run) -> dict[str, Values]:
    """Metrics of the system and its peers in the world of ``seed``."""
    world = simulate(size, seed)
    rng = np.random.default_rng([seed, 100])
    user_rows = np.sort(rng.permutation(world.config.n_users)[:n_users])
    queries = world.queries(user_rows, rng)
    with tempfile.TemporaryDirectory() as folder:
        aisle.init(Path(folder) / "shop")
        with Shop.open(Path(folder) / "shop", clock=lambda: world.now_ms) as shop:
            interest, bought = fill(shop, world)
            run.say(f"seed {seed}: {shop.records.counts()['events']:,} events recorded")
            shop.train()
            run.say(f"seed {seed}: trained")
            lists = {"system": recommended(shop, world, user_rows)}
            found = {"system": searched(shop, world, queries)}
        settings = Path(folder) / "shop" / "aisle.toml"
        settings.write_text(settings.read_text(encoding="utf-8") + LEXICAL_ONLY, encoding="utf-8")
        with Shop.open(Path(folder) / "shop", clock=lambda: world.now_ms) as shop:
            found["lexical_only"] = searched(shop, world, queries)
    ground = prepared(world, user_rows, interest, bought)
    lists |= peers(ground, rng)
    metrics = {name: judged(ground, rows) for name, rows in lists.items()}
    best = ideal(ground)
    metrics["ideal"] = best
    for name, values in metrics.items():
        if name != "ideal":
            values.update({f"{measure}_share": values[measure] / best[measure] for measure in best})
            values.update(
                {f"{measure}_over_popularity": values[measure] / metrics["popularity"][measure] for measure in best}
            )
    for name, rows in found.items():
        metrics.setdefault(name, {}).update(search_quality(ground, queries, rows))
    return metrics


def fill(shop: Shop, world: SimulatedShop) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Bring the world in; returns interest shown and purchases made, (n_users, n_products) counts."""
    shop.add_users(world.users())
    shop.add_documents(world.documents())
    for items in world.items():
        shop.add_items(items)
    rows = {
        "user_id": pl.DataFrame({"user_id": world.user_ids()}).with_row_index("user"),
        "item_id": pl.DataFrame({"item_id": world.item_ids()}).with_row_index("item"),
    }
    shape = (world.config.n_users, world.assortment.n_products)
    interest, bought = sp.csr_matrix(shape), sp.csr_matrix(shape)
    for events in world.events():
        shop.add_events(events)
        frame = events.frame.filter(pl.col("type").is_in([event_type.value for event_type in INTEREST_TYPES]))
        frame = frame.join(rows["user_id"], on="user_id").join(rows["item_id"], on="item_id")
        frame = frame.filter(pl.col("item") < shape[1])
        interest += counts(frame, shape)
        bought += counts(frame.filter(pl.col("type") == "purchase"), shape)
    return interest, bought


def counts(frame: pl.DataFrame, shape: tuple[int, int]) -> sp.csr_matrix:
    """How often each (user, item) pair occurs."""
    pairs = (frame["user"].to_numpy(), frame["item"].to_numpy())
    return sp.csr_matrix((np.ones(frame.height), pairs), shape=shape)


def recommended(shop: Shop, world: SimulatedShop, user_rows: NDArray[np.int64]) -> Lists:
    """The product's lists for users."""
    ids = world.user_ids()
    responses = shop.recommend_many([ids[int(row)] for row in user_rows], size=N_SLOTS)
    return as_rows(world, [response.item_ids for response in responses])


def searched(shop: Shop, world: SimulatedShop, queries: Queries) -> Lists:
    """The product's results for queries."""
    responses = shop.search_many(queries.texts().to_list(), size=N_SLOTS)
    return as_rows(world, [response.item_ids for response in responses])


def as_rows(world: SimulatedShop, lists: Sequence[Sequence[str]]) -> Lists:
    """Item ids to the world's item rows."""
    row_of = {item_id: row for row, item_id in enumerate(world.item_ids())}
    rows = np.full((len(lists), N_SLOTS), -1, dtype=np.int64)
    for at, item_ids in enumerate(lists):
        rows[at, : len(item_ids)] = [row_of[item_id] for item_id in item_ids]
    return rows


def prepared(
    world: SimulatedShop, user_rows: NDArray[np.int64], interest: sp.csr_matrix, bought: sp.csr_matrix
) -> Ground:
    """What may be shown: live products in stock that the user has not bought."""
    truth, n_products = world.truth, world.assortment.n_products
    products = np.arange(n_products)
    day = float(truth.day(world.now_ms))
    sellable = world.assortment.is_live(products, day) & (world.assortment.stock[:n_products] > 0)
    may_show = sellable[None, :] & (bought[user_rows].toarray() == 0)
    return Ground(truth, world.now_ms, user_rows, may_show, interest)


def peers(ground: Ground, rng: np.random.Generator) -> dict[str, Lists]:
    """Lists of simple systems that see the same history."""
    shown = ground.interest.copy().tocsc()
    shown.data = np.ones_like(shown.data)
    popularity = np.asarray(shown.sum(axis=0)).ravel()
    inverse = sp.diags(1.0 / np.sqrt(np.maximum(popularity, 1.0)))
    cosine = inverse @ (shown.T @ shown) @ inverse
    cosine = cosine - sp.diags(cosine.diagonal())
    n_users, n_products = ground.may_show.shape
    scores = {
        "popularity": np.broadcast_to(popularity, (n_users, n_products)),
        "item_cosine": (shown.tocsr()[ground.user_rows] @ cosine).toarray(),
        "random": rng.random((n_users, n_products)),
    }
    return {name: best_rows(np.where(ground.may_show, score, -np.inf)) for name, score in scores.items()}


def best_rows(scores: NDArray[np.floating]) -> Lists:
    """The best columns of each row."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :N_SLOTS]


def judged(ground: Ground, lists: Lists) -> Values:
    """True expected clicks, purchases and revenue of a list, mean over users."""
    users, rows, position = ground.user_rows[:, None], np.maximum(lists, 0), np.arange(N_SLOTS)
    click = ground.truth.click(users, rows, ground.now_ms, position=position) * (lists >= 0)
    purchase = click * ground.truth.purchase(users, rows, ground.now_ms)
    value = purchase * ground.truth.assortment.price_minor[rows]
    return {
        "clicks": float(click.sum(axis=1).mean()),
        "purchases": float(purchase.sum(axis=1).mean()),
        "value": float(value.sum(axis=1).mean()),
    }


def ideal(ground: Ground) -> Values:
    """The most each measure can reach: the list sorted by that very measure's truth."""
    reached: dict[str, list[float]] = {"clicks": [], "purchases": [], "value": []}
    examined = ground.truth.examination(np.arange(N_SLOTS))
    products = np.arange(ground.may_show.shape[1])
    for user, may_show in zip(ground.user_rows, ground.may_show, strict=True):
        click = ground.truth.click(user, products, ground.now_ms) * may_show
        purchase = click * ground.truth.purchase(user, products, ground.now_ms)
        value = purchase * ground.truth.assortment.price_minor[products]
        for name, worth in (("clicks", click), ("purchases", purchase), ("value", value)):
            reached[name].append(float(np.sort(worth)[::-1][:N_SLOTS] @ examined))
    return {name: float(np.mean(values)) for name, values in reached.items()}


def search_quality(ground: Ground, queries: Queries, lists: Lists) -> Values:
    """Mean ndcg@10 with the true relevance as gain, and the true expected clicks of the result lists."""
    assortment = ground.truth.assortment
    products = np.arange(ground.may_show.shape[1])
    can_be_bought = assortment.is_live(products, float(ground.truth.day(ground.now_ms))) & (
        assortment.stock[products] > 0
    )
    discount = 1.0 / np.log2(np.arange(N_SLOTS) + 2.0)
    query_rows = np.arange(len(queries))
    relevance = ground.truth.relevance(queries, query_rows[:, None], np.maximum(lists, 0)) * (lists >= 0)
    possible = np.array(
        [np.sort(ground.truth.relevance(queries, row, products) * can_be_bought)[::-1][:N_SLOTS] for row in query_rows]
    )
    users, position = ground.user_rows[:, None], np.arange(N_SLOTS)
    click = ground.truth.click(users, np.maximum(lists, 0), ground.now_ms, position=position, relevance=relevance) * (
        lists >= 0
    )
    return {
        "search_ndcg@10": float(np.mean((relevance @ discount) / (possible @ discount))),
        "search_clicks": float(click.sum(axis=1).mean()),
    }


def over_seeds(worlds: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """Mean of each metric over the worlds, and the spread (standard deviation) where there are several."""
    table: dict[str, float | None] = {}
    for name in worlds[0]:
        values = np.array([world[name] for world in worlds])
        table[name] = round(float(values.mean()), 4)
        if len(values) > 1:
            table[f"{name}_sd"] = round(float(values.std(ddof=1)), 4)
    return table


def summary(metrics: Mapping[str, Values]) -> str:
    """One line for a person."""
    clicks = ", ".join(f"{name} {values['clicks']:.3f}" for name, values in metrics.items() if "clicks" in values)
    ndcg = ", ".join(
        f"{name} {values['search_ndcg@10']:.3f}" for name, values in metrics.items() if "search_ndcg@10" in values
    )
    return f"clicks a list: {clicks}; search ndcg@10: {ndcg}"


if __name__ == "__main__":
    main()
