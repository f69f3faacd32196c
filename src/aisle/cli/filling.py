"""Commands that make and fill a shop: init, import."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from aisle import folder
from aisle.cli.screen import JsonOption, ShopArgument, err, opened, out, print_json, print_line, told_errors
from aisle.ingest import guess_mapping, known_adapters
from aisle.ingest.mapping import FormatName

ADAPTERS = ", ".join(known_adapters())


def init(
    shop: ShopArgument,
    name: Annotated[str, typer.Option("--name", help="Shown to people.")] = "My shop",
    currency: Annotated[str, typer.Option("--currency", help="ISO 4217 code of prices without one.")] = "USD",
    language: Annotated[
        list[str] | None, typer.Option("--language", help="Languages of the shop, the first being the default.")
    ] = None,
) -> None:
    """Make an empty shop.

    Example: aisle init myshop --name "Corner store" --currency EUR --language de
    """
    with told_errors():
        made = folder.init(shop, name=name, currency=currency, languages=tuple(language or ("en", "zh")))
    out.print(f"made {escape(str(made.root))}; its settings are in {escape(str(made.settings))}", highlight=False)
    out.print(f"next: [bold]aisle import {escape(shop)} items.csv[/]", highlight=False)


def import_(
    shop: ShopArgument,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files, folders or patterns; - is standard input.", show_default=False),
    ],
    mapping: Annotated[
        str | None,
        typer.Option("--mapping", "-m", help=f"A mapping file, or one of: {ADAPTERS}. Default: by column names."),
    ] = None,
    format: Annotated[
        FormatName | None, typer.Option("--format", help="Where the name does not tell, as with standard input.")
    ] = None,
    guess: Annotated[
        bool, typer.Option("--guess", help="Import nothing; print a mapping to begin with, guessed from the file.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Bring items, users, events or documents in from CSV, JSON, JSONL or Parquet, also gzip or zstd.

    What cannot be accepted is refused with its row, field, value and what is allowed, here and in a file; the rest goes
    in. An import that was interrupted is simply run again: every row is loaded once.

    Examples:
      aisle import myshop items.csv

      aisle import myshop exports/ --mapping ga4

      zcat events.jsonl.gz | aisle import myshop - --format jsonl

    Exit status 1 when a file could not be read to its end, or nothing at all was accepted.
    """
    if guess:
        with told_errors():
            print_line(guess_mapping(files[0], format))
        return
    try:
        with opened(shop) as open_shop:
            report = open_shop.import_files(files, mapping, format=format, stdin=sys.stdin.buffer)
    except KeyboardInterrupt as interrupt:
        err.print("[yellow]stopped; what was stored stays, run the same command again and it goes on from there[/]")
        raise typer.Exit(130) from interrupt
    if json:
        print_json({**asdict(report), "refusals_path": str(report.refusals_path or "") or None})
    else:
        for theirs, ours in report.read_as.items():
            out.print(f"read {escape(theirs)} as {ours}", highlight=False)
        for table in report.tables():
            out.print(table)
        if report.refusals_path:
            out.print(f"all refusals: {escape(str(report.refusals_path))}", highlight=False)
        out.print(f"next: [bold]aisle train {escape(shop)}[/] when everything is in", highlight=False)
    if not report.is_complete:
        err.print(
            "[red]not everything was read; mend the file and run the same command again, it goes on from there[/]"
        )
        raise typer.Exit(1)
    if report.n_refused and not report.n_stored:
        err.print("[red]nothing was accepted; see what is allowed above, and describe the columns in a mapping[/]")
        raise typer.Exit(1)
