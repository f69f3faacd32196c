"""What is missing from a basket? Full ranking over the whole catalogue, through the product.

    python -m benchmarks.basket --data online_retail.parquet

Data: invoice lines (``Description``, ``Quantity``, ``InvoiceDate``, ``UnitPrice``, ``CustomerID``, ``Country``); a
basket is what one customer bought at one moment, returns and lines without a customer are none. One item of each later
basket, drawn with a seed, is hidden; all items are ranked given the rest, which is removed from the list. Later is the
last 30 days of the data, with ``--validation`` the 30 days before them (the last 30 are then unseen), with
``--test FILE`` (the same columns) the baskets of the file, and all of ``--data`` is learned from.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from aisle.domain import Filters
from aisle.flows.asks import Ask
from aisle.shop import Shop
from benchmarks.result import Run
from benchmarks.single_target import CUTOFFS, metrics_at, ranks_in_lists, ranks_in_scores
from benchmarks.temporary_shop import fill, temporary_shop

PLACEMENT = "frequently-bought-together"
DAYS_HELD_OUT = 30
LIFT_SUPPORT = 5
"""Baskets a pair must share in the lift peer; without a minimum it ranks accidents first and is far worse."""
PEER_RIDGE = 100.0
PROTOCOL = (
    "one item of each later basket of two items or more hidden, drawn with seed {seed}; later: {split}; full ranking "
    "over all items sold before; the basket's other items removed, what the customer bought earlier stays; items never "
    "sold before are left out ({n_unknown}); fitted on everything before; system: placement "
    f"{PLACEMENT} as the shop is installed, knowing who the customer is; peers: popularity, item cosine, association "
    f"lift (pairs in at least {LIFT_SUPPORT} baskets) and EASE (lambda {PEER_RIDGE:g}), fitted on baskets; one run"
)


@dataclass(frozen=True)
class Baskets:
    """Baskets to complete: the customer, the moment, what is known of the content, and what is hidden."""

    users: list[str]
    times_ms: NDArray[np.int64]
    contents: list[list[str]]
    hidden: list[str]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", type=Path, help="complete this file's baskets; learn from all of --data")
    parser.add_argument("--validation", action="store_true", help="the 30 days before the last 30")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", default="", help="TOML for the shop's settings, to try a setting")
    given = parser.parse_args()
    before, after, split = split_lines(read_lines(given.data), given.test, given.validation)
    sold = set(bought(before)["Description"].unique())
    baskets, n_unknown = hide(after, sold, np.random.default_rng(given.seed))
    run = Run("basket", PROTOCOL.format(seed=given.seed, split=split, n_unknown=n_unknown))
    run.say(f"{before.height} lines learned from, {len(sold)} items, {len(baskets.hidden)} baskets to complete")
    lists = ask_shop(before, baskets, given.settings, run)
    system = metrics_at(ranks_in_lists(lists, baskets.hidden))
    run.say(f"system: {system}")
    run.finish(system, measure_peers(before, baskets))


def read_lines(path: Path) -> pl.DataFrame:
    """Invoice lines of named customers and items, as the mappings of ``examples/mappings`` take them."""
    return (
        pl.read_parquet(path)
        .with_columns(pl.col("Description").str.strip_chars(), pl.col("CustomerID").cast(pl.Int64).cast(pl.String))
        .filter(pl.col("CustomerID").is_not_null() & (pl.col("Description") != "") & (pl.col("UnitPrice") > 0))
    )


def split_lines(lines: pl.DataFrame, test: Path | None, is_validation: bool) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Lines to learn from, lines to complete, and the split in words."""
    if test is not None:
        return lines, read_lines(test), "all baskets of a separate test file"
    moment = pl.col("InvoiceDate")
    end = lines.select(moment.dt.date().max()).item()
    last = end - timedelta(days=DAYS_HELD_OUT)
    if not is_validation:
        day = moment.dt.date()
        return lines.filter(day <= last), lines.filter(day > last), f"the last {DAYS_HELD_OUT} days, after {last}"
    first = last - timedelta(days=DAYS_HELD_OUT)
    later = lines.filter((moment.dt.date() > first) & (moment.dt.date() <= last))
    return lines.filter(moment.dt.date() <= first), later, f"validation, the {DAYS_HELD_OUT} days up to {last}"


def bought(lines: pl.DataFrame) -> pl.DataFrame:
    """Baskets' content, each item once: ``CustomerID``, ``InvoiceDate``, ``Description``, in the file's order."""
    return (
        lines.filter(pl.col("Quantity") > 0)
        .select("CustomerID", "InvoiceDate", "Description")
        .unique(maintain_order=True)
    )


def hide(later: pl.DataFrame, sold: set[str], rng: np.random.Generator) -> tuple[Baskets, int]:
    """Hide one item of each basket of at least two, among the items sold before; and how many items were unknown."""
    content = bought(later)
    known = content.filter(pl.col("Description").is_in(list(sold)))
    grouped = (
        known.group_by("CustomerID", "InvoiceDate", maintain_order=True)
        .agg("Description")
        .filter(pl.col("Description").list.len() >= 2)
        .sort("InvoiceDate", "CustomerID")
    )
    drawn = [int(rng.integers(n)) for n in grouped["Description"].list.len()]
    baskets = grouped["Description"].to_list()
    return (
        Baskets(
            users=grouped["CustomerID"].to_list(),
            times_ms=grouped["InvoiceDate"].dt.epoch("ms").to_numpy(),
            contents=[[*basket[:k], *basket[k + 1 :]] for basket, k in zip(baskets, drawn, strict=True)],
            hidden=[basket[k] for basket, k in zip(baskets, drawn, strict=True)],
        ),
        content.height - known.height,
    )


def ask_shop(before: pl.DataFrame, baskets: Baskets, settings: str, run: Run) -> list[tuple[str, ...]]:
    """The product's list for each basket, asked at its own moment."""
    now = {"ms": int(before.select(pl.col("InvoiceDate").dt.epoch("ms").max()).item())}
    with tempfile.TemporaryDirectory() as folder, temporary_shop(settings, clock=lambda: now["ms"]) as shop:
        path = Path(folder) / "lines.parquet"
        before.write_parquet(path)
        fill(shop, {"online-retail.items": path, "online-retail.events": path}, run)
        placement = shop.settings.placement[PLACEMENT]
        shop.train([*placement.sources, *placement.backfill])
        run.say("trained")
        return list(_asked(shop, baskets, now))


def _asked(shop: Shop, baskets: Baskets, now: dict[str, int]) -> Sequence[tuple[str, ...]]:
    lists: list[tuple[str, ...]] = []
    days = baskets.times_ms // 86_400_000
    for day in np.unique(days):
        positions = np.flatnonzero(days == day)
        now["ms"] = int(baskets.times_ms[positions[0]])
        asks = [
            Ask(baskets.users[k], item_ids=tuple(baskets.contents[k]), size=max(CUTOFFS), filters=Filters())
            for k in positions
        ]
        responses = shop.ask_recommend(PLACEMENT, asks)
        if responses[0].degraded:
            raise SystemExit(f"the shop answered without {', '.join(responses[0].degraded)}")
        lists += [response.item_ids for response in responses]
    return lists


def measure_peers(before: pl.DataFrame, baskets: Baskets) -> dict[str, dict[str, float]]:
    """Popularity, item cosine, association lift and EASE over baskets, in plain numpy."""
    content = bought(before)
    item_ids = content["Description"].unique().sort().to_list()
    column = {item: position for position, item in enumerate(item_ids)}
    basket = content.select(pl.struct("CustomerID", "InvoiceDate").rank("dense") - 1).to_series().to_numpy()
    columns = np.array([column[item] for item in content["Description"]], dtype=np.int64)
    shape = (int(basket.max()) + 1, len(item_ids))
    held = sp.csr_matrix((np.ones(len(columns)), (basket.astype(np.int64), columns)), shape=shape)
    gram = (held.T @ held).toarray()
    counts = np.diag(gram).copy()
    together = gram.copy()
    np.fill_diagonal(together, 0.0)
    cosine = together / np.sqrt(counts[:, None] * counts[None, :])
    lift = np.where(together >= LIFT_SUPPORT, together * shape[0] / (counts[:, None] * counts[None, :]), 0.0)
    inverse = np.linalg.inv(gram + PEER_RIDGE * np.eye(len(gram)))
    ease = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(ease, 0.0)
    rows = np.repeat(np.arange(len(baskets.contents)), [len(rest) for rest in baskets.contents])
    columns = np.array([column[item] for rest in baskets.contents for item in rest], dtype=np.int64)
    given = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(baskets.contents), len(item_ids)))
    targets = np.array([column[item] for item in baskets.hidden], dtype=np.int64)
    is_given = given.toarray() > 0
    scores = {
        "popularity": np.broadcast_to(counts, is_given.shape),
        "item cosine": given @ cosine,
        "association lift": given @ lift,
        "EASE": given @ ease,
    }
    return {name: metrics_at(ranks_in_scores(found, targets, is_given)) for name, found in scores.items()}


if __name__ == "__main__":
    main()
