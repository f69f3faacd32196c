"""Are queries understood? Questions to the service against searches, categories, and what guesses do for the order.

    python -m benchmarks.understanding --questions utterances.parquet --searches judgments.parquet \\
        --products products.parquet

``instruction`` of ``--questions`` are questions to a shop's service, ``search_term`` of ``--searches`` are searches of
a shop whose ``product_title`` are in ``--products``; ``--chinese FILE`` (``query``) adds Chinese searches. Nothing is
learned from any of them but the titles. Categories and order are measured in simulated shops, where the truth is
known; the weight of guesses was chosen in worlds 10 and 11.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

import aisle
from aisle.contracts import Parts
from aisle.domain import INTERACTION_SCHEMA, Catalogue, Intent, Item, ItemTable, ItemText, Snapshot
from aisle.shop import Shop
from aisle.simulation import simulate
from aisle.simulation.config import SIZES
from aisle.understanding import ItemWordsReader, UnderstandingConfig
from benchmarks.result import Run
from benchmarks.simulated import fill, over_seeds, prepared, search_quality, searched

PROTOCOL = (
    "questions told as questions, and searches taken for questions, by the intent of highest probability: "
    "{n_questions:,} questions, {n_searches:,} searches of the shop of {n_titles:,} titles, {n_chinese:,} Chinese "
    "searches of another shop; read_ms: median time to read a search; simulated shops ({size}, seeds {seeds}): "
    "category: share of queries whose likeliest category is that of a most relevant item; search_ndcg@10 and "
    "search_clicks as in "
    "simulated, with the category and brand guesses raising their items (system) and without (typed)"
)
WITHOUT = "\n[placement.search]\nguesses = 0.0\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--searches", type=Path, required=True)
    parser.add_argument("--products", type=Path, required=True)
    parser.add_argument("--chinese", type=Path, help="Chinese searches")
    parser.add_argument("--size", default="small", choices=sorted(SIZES), help="of the simulated shops")
    parser.add_argument("--seeds", type=int, default=3, help="number of simulated shops")
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args()
    questions = pl.read_parquet(given.questions)["instruction"].drop_nulls().unique().to_list()
    searches = pl.read_parquet(given.searches)["search_term"].drop_nulls().unique(maintain_order=True).to_list()
    titles = pl.read_parquet(given.products)["product_title"].drop_nulls().to_list()
    chinese = pl.read_parquet(given.chinese)["query"].drop_nulls().to_list() if given.chinese else []
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    run = Run(
        "understanding",
        PROTOCOL.format(
            n_questions=len(questions),
            n_searches=len(searches),
            n_titles=len(titles),
            n_chinese=len(chinese),
            size=given.size,
            seeds=[*seeds],
        ),
    )
    reader = reader_of(titles)
    run.say("titles are read")
    found = {
        "questions_told": told_as_service(reader, questions),
        "searches_mistaken": told_as_service(reader, searches),
        **({"chinese_searches_mistaken": told_as_service(reader, chinese)} if chinese else {}),
        "read_ms": median_ms(reader, searches[:1_000]),
    }
    run.say(f"intents: {found}")
    worlds = [one_world(given.size, seed, run) for seed in seeds]
    table = {name: over_seeds([world[name] for world in worlds]) for name in ("system", "typed")}
    rounded = {name: round(value, 4) for name, value in found.items()}
    run.finish({**rounded, **table["system"]}, {"typed": table["typed"]})


def reader_of(titles: Sequence[str]) -> ItemWordsReader:
    """What reads queries in a shop that sells ``titles``."""
    table = ItemTable.from_rows(
        [Item(item_id=str(row), texts=(ItemText("en", title, ""),)) for row, title in enumerate(titles)]
    )
    snapshot = Snapshot(table, (), pl.DataFrame(schema=INTERACTION_SCHEMA), 0)
    return ItemWordsReader.fit(
        "understanding", snapshot, UnderstandingConfig(), Parts(Catalogue(table), clock=lambda: 0)
    )


def told_as_service(reader: ItemWordsReader, texts: Sequence[str]) -> float:
    """Share of ``texts`` whose likeliest intent is help."""
    return float(np.mean([reader.read(text).intents[0][0] == Intent.SERVICE for text in texts]))


def median_ms(reader: ItemWordsReader, texts: Sequence[str]) -> float:
    """Milliseconds to read one."""
    taken: list[float] = []
    for text in texts:
        begun = time.perf_counter()
        reader.read(text)
        taken.append(time.perf_counter() - begun)
    return 1_000.0 * float(np.median(taken))


def one_world(size: str, seed: int, run: Run) -> dict[str, dict[str, float]]:
    """Of searches in the world of ``seed``."""
    world = simulate(size, seed)
    rng = np.random.default_rng([seed, 100])
    user_rows = np.sort(rng.permutation(world.config.n_users)[:500])
    queries = world.queries(user_rows, rng)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "shop"
        aisle.init(place)
        with Shop.open(place, clock=lambda: world.now_ms) as shop:
            ground = prepared(world, user_rows, *fill(shop, world))
            shop.train(["lexical", "semantic", "statistics", "understanding"])
        settings = place / "aisle.toml"
        plain = settings.read_text(encoding="utf-8")
        for name, more in (("system", ""), ("typed", WITHOUT)):
            settings.write_text(plain + more, encoding="utf-8")
            with Shop.open(place, clock=lambda: world.now_ms) as shop:
                found[name] = dict(search_quality(ground, queries, searched(shop, world, queries)))
        with Shop.open(place, clock=lambda: world.now_ms) as shop:
            asked = [one.query for one in shop.search_many(queries.texts().to_list(), size=1)]
        guessed = [query.categories[0].value if query and query.categories else "" for query in asked]
        relevance = world.truth.relevance(
            queries, np.arange(len(queries))[:, None], np.arange(world.assortment.n_products)[None, :]
        )
        paths = [" > ".join(path) for items in world.items() for path in items.frame["category"].to_list()]
        found["system"]["category"] = share_right(guessed, paths, relevance)
    run.say(f"seed {seed}: {found}")
    return found


def share_right(guessed: Sequence[str], paths: Sequence[str], relevance: NDArray[np.float32]) -> float:
    """Share of queries whose guessed category holds one of the most relevant items."""
    right = [
        guess in {paths[row] for row in np.flatnonzero(of_query == of_query.max()).tolist()}
        for guess, of_query in zip(guessed, relevance, strict=True)
    ]
    return float(np.mean(right))


if __name__ == "__main__":
    main()
