"""The command that shows everything once: a simulated shop is made, trained, measured and asked."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape

from aisle import folder as shop_folder
from aisle.cli.learning import gate_table
from aisle.cli.screen import Bars, out, show_response, told_errors
from aisle.cli.serving import serve_shop
from aisle.cli.visiting import SimulatedClock, VisitedShop
from aisle.domain import EventType, Item
from aisle.errors import ConfigError
from aisle.evaluation.report_table import report_tables
from aisle.flows.evaluate import EvaluationPlan
from aisle.flows.stages import RANKER
from aisle.shop import Shop, now_ms
from aisle.simulation import SimulatedShop, SimulationConfig, simulate

DAY_MS = 86_400_000
MOST_PICTURES = 20_000
"""A larger shop shows letters in their stead: so many small files would take longer than all the rest."""
VISITED_DAYS = 3
LISTS_A_DAY = 1_000
SOME_CHANCE = """
[placement.recommended-for-you]
explore = { share = 0.05 }

[placement.search]
explore = { share = 0.05 }
"""
"""The demonstration shop leaves a little to chance, so that it learns about what it would not have shown."""
QUERIES = ("waterproof walking boots", "保温杯", "gift for a coffee lover")


def demo(
    folder: Annotated[str, typer.Argument(help="Where to put the shop.")] = "demo-shop",
    size: Annotated[str, typer.Option("--size", help="tiny, small, medium or large.")] = "small",
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another shop.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Remove a shop that is already there.")] = False,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="End by serving the shop page.")] = False,
) -> None:
    """Make a simulated shop, train it, measure it, let visitors shop, learn from them, and show a few lists."""
    with told_errors(), Bars() as bars:
        config = until_today(size, now_ms() - VISITED_DAYS * DAY_MS)
        if replace:
            remove_shop(Path(folder))
        world = simulate(config, seed=seed)
        clock = SimulatedClock(world.now_ms)
        toml = shop_folder.default_toml("Demo shop", "USD", ("en", "zh")) + SOME_CHANCE
        made = shop_folder.init(folder, toml=toml)
        out.print(f"[bold]1.[/] A simulated shop in {escape(folder)}")
        with Shop(made, clock=clock, progress=bars) as shop:
            fill(shop, world, bars)
            out.print("[bold]2.[/] Training")
            for manifest in shop.train([*shop.specs]):
                out.print(f"   {manifest.name} {manifest.version}", highlight=False)
            out.print("[bold]3.[/] Measured on the last item of each user, which training did not see")
            report = shop.evaluate(EvaluationPlan(max_cases=1_000, seed=seed))
            out.print(report_tables(report))
            out.print(f"[bold]4.[/] Visitors shop for {VISITED_DAYS} days; the shop learns from what they do")
            visited = VisitedShop(shop, world, clock)
            lists_a_day = min(LISTS_A_DAY, 3 * config.n_users)
            visited.days(VISITED_DAYS, lists_a_day, np.random.default_rng([seed, 300]), progress=bars)
            clock.now_ms = now_ms()
            (ranker,) = shop.train([RANKER], told=say)
            out.print(gate_table(ranker))
            out.print("[bold]5.[/] A few lists")
            show_lists(shop)
    out.print(f'Ask on: [bold]aisle search {escape(folder)} "red kettle"[/], [bold]aisle doctor {escape(folder)}[/]')
    if serve:
        serve_shop(folder, {})
    else:
        out.print(f"Look at it: [bold]aisle serve {escape(folder)}[/]")


def say(sentence: str) -> None:
    """One line for a person."""
    out.print("   " + escape(sentence), highlight=False)


def until_today(size: str, today_ms: int) -> SimulationConfig:
    """A simulated history that ends at the last midnight, so that what is new and what trends is so today."""
    config = SimulationConfig.of_size(size)
    return config.model_copy(update={"start_ms": today_ms - today_ms % DAY_MS - config.n_days * DAY_MS})


def remove_shop(root: Path) -> None:
    """Remove a shop's folder; anything that is not a shop is left alone."""
    if root.exists():
        if not (root / "aisle.toml").is_file():
            raise ConfigError(
                f"{root} is not a shop (it has no aisle.toml), so it is not replaced; name another folder"
            )
        shutil.rmtree(root)


def fill(shop: Shop, world: SimulatedShop, bars: Bars) -> None:
    """Bring the simulated records in."""
    shop.add_users(world.users())
    shop.add_documents(world.documents())
    n_items = n_events = 0
    for table in world.items():
        n_items += shop.add_items(table).n_new
        bars("items", n_items)
    for table in world.events():
        n_events += shop.add_events(table).n_new
        bars("events", n_events)
    world.write_names(shop.folder.names)
    if n_items <= MOST_PICTURES:
        world.write_pictures(shop.folder.root)
    out.print(f"   {n_items:,} items, {n_events:,} events", highlight=False)


def show_lists(shop: Shop) -> None:
    """Searches in both languages, and lists for the user who bought most lately."""
    for query in QUERIES:
        show_response(shop, shop.search(query, size=5), f"search: {query}", as_json=False)
    user_id, bought = busy_user(shop)
    out.print(f"{user_id} bought lately: " + escape("; ".join(item.title for item in bought)), highlight=False)
    show_response(shop, shop.recommend(user_id=user_id, size=5), f"recommended for {user_id}", as_json=False)
    first = bought[0]
    show_response(shop, shop.similar(first.item_id, size=5), f"similar to {first.title}", as_json=False)
    show_response(shop, shop.complete_basket([first.item_id], size=5), f"goes with {first.title}", as_json=False)


def busy_user(shop: Shop, n_items: int = 3) -> tuple[str, Sequence[Item]]:
    """The user with most purchases, and what they bought last."""
    snapshot = shop.records.snapshot()
    purchases = snapshot.interactions.filter(snapshot.interactions["type"] == EventType.PURCHASE.value)
    user_row = int(purchases["user_row"].mode().sort()[0])
    rows = purchases.filter(purchases["user_row"] == user_row)["item_row"].unique(maintain_order=True).tail(n_items)
    ids = [snapshot.items.frame["item_id"][row] for row in rows]
    return snapshot.user_ids[user_row], shop.read_items(ids)
