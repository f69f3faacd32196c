"""The command that looks at the quality of search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from aisle.cli.screen import JsonOption, ShopArgument, err, opened, out, print_line
from aisle.errors import ConfigError
from aisle.evaluation.search_report_page import search_page
from aisle.evaluation.search_report_table import search_tables
from aisle.flows.search_judged import read_judgments
from aisle.flows.search_report import SearchReportPlan


def search_report(
    shop: ShopArgument,
    days: Annotated[int, typer.Option("--days", min=1, help="Searches of the last so many days.")] = 30,
    judgments: Annotated[
        Path | None, typer.Option("--judgments", help="CSV, TSV or Parquet with the columns query, item, grade.")
    ] = None,
    relevant_from: Annotated[
        float, typer.Option("--relevant-from", help="Grade from which on an item is relevant, for recall.")
    ] = 1.0,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            help="NAME=VERSION beside what is in service, such as ranker=000002; twice: the two; NAME: the one before.",
        ),
    ] = None,
    worst: Annotated[int, typer.Option("--worst", min=1, max=1000, help="Rows of each table of the worst.")] = 20,
    least_people: Annotated[
        int, typer.Option("--least-people", min=1, help="Show no query that fewer people typed.")
    ] = 1,
    page: Annotated[Path | None, typer.Option("--page", help="Also write a page, one HTML file.")] = None,
    language: Annotated[Literal["en", "zh"], typer.Option("--language", help="Language of the report.")] = "en",
    seed: Annotated[int, typer.Option("--seed", help="Draws searches and intervals.")] = 0,
    json: JsonOption = False,
) -> None:
    """Look at search: figures by kind of query, the worst queries, and what another version changes.

    Nothing is changed, and no list of the report counts as shown.

    Example: aisle search-report myshop --page report.html
    """
    with opened(shop) as open_shop:
        if page and not page.parent.is_dir():  # said before the long work, not after it
            raise ConfigError(f"{page} cannot be written: folder {page.parent} does not exist; make it first")
        graded = None if judgments is None else read_judgments(judgments, relevant_from=relevant_from)
        plan = SearchReportPlan(days=days, n_worst=worst, least_people=least_people, judgments=graded, seed=seed)
        report = open_shop.search_report(plan, compare=compare or ())
        if page:
            try:
                page.write_text(search_page(report, language), encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"{page} cannot be written: {error.strerror}") from error
            err.print(f"written: {escape(str(page))}")
    if json:
        print_line(report.as_json())
    else:
        out.print(search_tables(report, language))
