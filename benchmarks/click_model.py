"""Will it be clicked, will it be recommended? Told from texts, with probabilities that hold.

    python -m benchmarks.click_model --reviews reviews.parquet

Two data sets: clothing reviews (``Review Text``, ``Recommended IND``), measured on a fifth chosen by a hash or on
``--test FILE``; and clicks in lists of a simulated shop (item text beside the query or what the user looked at before),
measured on a later part of the lists.
"""

from __future__ import annotations

import argparse
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import aisle
from aisle.cli.visiting import SimulatedClock, VisitedShop
from aisle.flows.click_texts import click_texts
from aisle.language.model_folder import open_model_folder
from aisle.retrieval.semantic import SemanticConfig, item_texts
from aisle.shop import Shop
from aisle.simulation import simulate
from benchmarks.ranking import N_SLOTS, by_chance
from benchmarks.result import Metrics, Run
from benchmarks.simulated import fill
from benchmarks.text_tasks import Labelled, Told, averaged, by_finetuning, by_ngrams, by_plain_bert, by_vectors

NAMES = ("no", "yes")
PROTOCOL = (
    "reviews: {n_reviews} to learn from, {n_measured} to measure on; clicks: a simulated shop, {lists} lists "
    "shown, slots of clicked lists, {n_clicks} earlier rows to learn from, {n_later} later ones to measure on (0:"
    " left out); auc, accuracy, ece over ten groups of like size, mean_error of the mean probability; system: the"
    " packaged MiniLM, all weights fine-tuned, calibrated, settings {settings}; peers: plain (transformers' own "
    "classifier on the first token, 2e-5, three epochs, not calibrated), frozen vectors and TF-IDF of words and "
    "word pairs with logistic regression; {n_seeds} seeds"
)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=Path, required=True)
    parser.add_argument("--test", type=Path, help="reviews to measure on instead of a fifth of --reviews")
    parser.add_argument("--tuning", action="store_true", help="measure on a fifth of the training reviews")
    parser.add_argument("--methods", nargs="*", default=["tf-idf", "frozen", "plain", "full"])
    parser.add_argument("--most-learned", type=int, default=0, help="rows to learn from at most; 0 for all")
    parser.add_argument("--most-measured", type=int, default=0, help="rows to measure on at most; 0 for all")
    parser.add_argument("--lists", type=int, default=4_000, help="lists of the simulated shop; 0 leaves it out")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--settings", default="", help="TOML of [finetune], to try a setting")
    given = parser.parse_args()
    settings = tomllib.loads(given.settings)
    run = Run("click_model", "")
    learned = read(given.reviews)
    if given.test is not None:
        measured = read(given.test)
    else:
        learned, measured = learned.parted(0.2, "click")
    if given.tuning:
        learned, measured = learned.parted(0.2, "tuning")
    parts = {"reviews": (learned, measured)}
    if given.lists:
        parts["clicks"] = simulated(given.lists, run)
    parts = {name: (train, test.some(given.most_measured, 0)) for name, (train, test) in parts.items()}
    learned, measured = parts["reviews"]
    n_clicks, n_later = (len(one) for one in parts["clicks"]) if given.lists else (0, 0)
    run.protocol = PROTOCOL.format(
        n_reviews=min(len(learned), given.most_learned or len(learned)),
        n_measured=len(measured),
        lists=given.lists,
        n_clicks=min(n_clicks, given.most_learned or n_clicks),
        n_later=n_later,
        settings=settings or "by default",
        n_seeds=given.seeds,
    )
    found: dict[str, Metrics] = {}
    for name, (train, test) in parts.items():
        for method in given.methods:
            runs: list[dict[str, float]] = []
            for seed in range(given.seeds):
                told = learn(method, train.some(given.most_learned, seed), test, settings, seed)
                runs.append(told.measured(test))
                run.say(f"{name}, {method}, seed {seed}: {runs[-1]}")
            found[f"{name}, {method}"] = averaged(runs)
    system = "reviews, full" if "reviews, full" in found else list(found)[-1]
    run.finish(found.pop(system), found)


def read(file: Path) -> Labelled:
    """Reviews that say something, their titles before them."""
    frame = pl.read_parquet(file).drop_nulls(["Review Text", "Recommended IND"])
    text = pl.concat_str(["Title", "Review Text"], separator=". ", ignore_nulls=True)
    return Labelled(
        frame.select(text).to_series().to_list(), frame["Recommended IND"].to_numpy().astype(np.int64), NAMES
    )


def simulated(n_lists: int, run: Run) -> tuple[Labelled, Labelled]:
    """Slots of clicked lists: the earlier three quarters and the later one."""
    world = simulate("small", 0)
    clock, rng = SimulatedClock(world.now_ms), np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        aisle.init(Path(folder) / "shop")
        with Shop.open(Path(folder) / "shop", clock=clock) as shop:
            fill(shop, world)
            shop.train()
            visited = VisitedShop(shop, world, clock, size=N_SLOTS)
            with by_chance(shop, 0.1):
                visited.days(5, n_lists // 5, rng)
            snapshot = shop.records.snapshot()
            table = click_texts(snapshot, shop.records, item_texts(snapshot.items, SemanticConfig()), 10**9)
    run.say(f"{n_lists} lists shown, {len(table.texts)} slots of clicked ones")
    labels = np.array([NAMES.index(str(one)) for one in table.labels["click"]], dtype=np.int64)
    whole = Labelled(table.texts, labels, NAMES, [one or "" for one in table.second or ()])
    rows = np.arange(len(whole))
    cut = 3 * len(whole) // 4
    return whole.at(rows[:cut]), whole.at(rows[cut:])


def learn(method: str, train: Labelled, test: Labelled, settings: Mapping[str, Any], seed: int) -> Told:
    """One way to learn ``train``, asked of ``test``."""
    folder = open_model_folder(None)
    if method == "tf-idf":
        return by_ngrams(train, test, "word", 2)
    if method == "frozen":
        return by_vectors(train, test, folder)
    if method == "plain":
        return by_plain_bert(train, test, folder, seed)
    training = {"trackers": [], "seed": seed, "checkpoint_every": 0, **settings.get("training", {})}
    return by_finetuning(train, test, folder, {"metric": "log_loss", **settings, "training": training})


if __name__ == "__main__":
    main()
