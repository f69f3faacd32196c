"""The command line: a thin face over the shop object. Each command says what it did and what to do next."""

from __future__ import annotations

from typing import Annotated

import typer

from aisle.cli import (
    asking,
    classifying,
    demonstrating,
    filling,
    keeping,
    keys,
    labelling,
    learning,
    pretraining,
    reporting,
    ruling,
    serving,
    teaching,
)

app = typer.Typer(
    name="aisle",
    help="Search and recommendations for an online shop.\n\nStart with: aisle demo, or aisle init SHOP.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

FIRST, FILL, LEARN, ASK, KEEP = "To begin", "Bring data in", "Learn and check", "Ask", "Take back"
SERVE, TEACH, STEER = "Serve over HTTP", "Teach language models", "Steer what is shown"
app.command("demo", rich_help_panel=FIRST)(demonstrating.demo)
app.command("init", rich_help_panel=FIRST)(filling.init)
app.command("import", rich_help_panel=FILL)(filling.import_)
app.command("train", rich_help_panel=LEARN)(learning.train)
app.command("adapt", rich_help_panel=TEACH)(teaching.adapt)
app.command("compress", rich_help_panel=TEACH)(teaching.compress)
app.command("pretrain", rich_help_panel=TEACH)(pretraining.pretrain)
app.command("finetune", rich_help_panel=TEACH)(classifying.finetune)
app.command("label", rich_help_panel=TEACH)(labelling.label)
app.command("tune", rich_help_panel=TEACH)(teaching.tune)
app.command("classify", rich_help_panel=ASK)(classifying.classify)
app.command("evaluate", rich_help_panel=LEARN)(learning.evaluate)
app.command("search-report", rich_help_panel=LEARN)(reporting.search_report)
app.command("doctor", rich_help_panel=LEARN)(learning.doctor)
app.command("search", rich_help_panel=ASK)(asking.search)
app.command("suggest", rich_help_panel=ASK)(asking.suggest)
app.command("recommend", rich_help_panel=ASK)(asking.recommend)
app.command("similar", rich_help_panel=ASK)(asking.similar)
app.command("basket", rich_help_panel=ASK)(asking.basket)
app.command("rollback", rich_help_panel=KEEP)(keeping.rollback)
app.command("erase", rich_help_panel=KEEP)(keeping.erase)
app.command("serve", rich_help_panel=SERVE)(serving.serve)
app.add_typer(ruling.rules, name="rules", rich_help_panel=STEER)
app.add_typer(keys.keys, name="keys", rich_help_panel=SERVE)


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Search and recommendations for an online shop, built on large language models."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"aisle {installed('aisle')}")
        raise typer.Exit


__all__ = ["app"]
