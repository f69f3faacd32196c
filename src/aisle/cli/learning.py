"""Commands that learn and check: train, evaluate, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from aisle.cli.screen import JsonOption, ShopArgument, err, opened, out, print_json, print_line, rows
from aisle.contracts import Manifest
from aisle.errors import ConfigError
from aisle.evaluation.report_page import page_html
from aisle.evaluation.report_table import report_tables
from aisle.flows.diagnose import Level
from aisle.flows.evaluate import EvaluationPlan
from aisle.ranking.gate import CALIBRATION_OF, PASSED

GATE_FIGURES = {
    "n_held_out_lists": "lists",
    "n_held_out_clicks": "clicks",
    "log_loss": "log loss of clicks",
    "base_log_loss": "log loss of base rates",
    "order_gain": "clicks' worth in its order",
    "fused_order_gain": "clicks' worth in the fused order",
    "calibration_error": "calibration error",
    PASSED: "passed",
}
COLOURS = {Level.OK: "green", Level.ADVICE: "yellow", Level.PROBLEM: "red"}


def train(
    shop: ShopArgument,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="Only this: a source, statistics or ranker; may be repeated. Default: all."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Learn from everything recorded, and put the new models into service.

    The shop keeps answering from the old models until each new one is ready. The ranker learns from lists that were
    shown and what was clicked in them; it answers only when it passes its gate.
    """
    heard: list[str] = []
    with opened(shop) as open_shop:
        manifests = open_shop.train(source, told=heard.append)
    if json:
        print_json({"trained": [plain_manifest(manifest) for manifest in manifests], "ranker": heard})
        return
    serving = [manifest for manifest in manifests if is_in_service(manifest)]
    out.print(rows(("source", "version"), [(m.name, m.version) for m in serving], "trained and in service"))
    for sentence in heard:
        out.print(escape(sentence.replace("SHOP", shop)), highlight=False)
    for manifest in manifests:
        if PASSED in manifest.metrics:
            out.print(gate_table(manifest))
    out.print(f"next: [bold]aisle serve {escape(shop)}[/], or aisle evaluate {escape(shop)} first", highlight=False)


def is_in_service(manifest: Manifest) -> bool:
    """Whether a version that was trained answers: a ranker has to pass its gate first."""
    return bool(manifest.metrics.get(PASSED, 1.0))


def plain_manifest(manifest: Manifest) -> dict[str, Any]:
    """A version as JSON values; a ranker's with its gate."""
    told = {"source": manifest.name, "version": manifest.version, "data_seq": manifest.data_seq}
    return {**told, "metrics": dict(manifest.metrics)} if PASSED in manifest.metrics else told


def gate_table(manifest: Manifest) -> Table:
    """The figures by which a ranker was let in or not."""
    lines = [
        (words, f"{manifest.metrics[name]:.4g}") for name, words in GATE_FIGURES.items() if name in manifest.metrics
    ]
    lines += [
        (f"calibration error in {name.removeprefix(CALIBRATION_OF)}", f"{value:.4g}")
        for name, value in manifest.metrics.items()
        if name.startswith(CALIBRATION_OF)
    ]
    return rows(("on lists it had not seen", "value"), lines, f"gate of ranker {manifest.version}")


def evaluate(
    shop: ShopArgument,
    placement: Annotated[str, typer.Option("--placement", help="Which list to measure.")] = "recommended-for-you",
    protocol: Annotated[
        Literal["last", "temporal"],
        typer.Option(
            "--protocol", help="last: hide each user's last item. temporal: learn from the first 80% by time."
        ),
    ] = "last",
    cutoff: Annotated[list[int] | None, typer.Option("--cutoff", min=1, max=1000, help="Places to measure at.")] = None,
    max_cases: Annotated[int, typer.Option("--max-cases", min=1, help="Users asked at most.")] = 5_000,
    seed: Annotated[int, typer.Option("--seed", help="Draws users and intervals.")] = 0,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with plots.")] = None,
    language: Annotated[Literal["en", "zh"], typer.Option("--language", help="Language of the report.")] = "en",
    json: JsonOption = False,
) -> None:
    """Measure a list against baselines on behaviour it has not seen.

    Models are fitted anew on the training part only; the shop's own are not touched. similar-items and
    frequently-bought-together are asked about the last item of each user's history.
    """
    plan = EvaluationPlan(
        placement=placement, protocol=protocol, cutoffs=tuple(cutoff or (10,)), max_cases=max_cases, seed=seed
    )
    with opened(shop) as open_shop:
        if html and not html.parent.is_dir():  # said before the long work, not after it
            raise ConfigError(f"{html} cannot be written: folder {html.parent} does not exist; make it first")
        report = open_shop.evaluate(plan)
    if html:
        html.write_text(page_html(report, language), encoding="utf-8")
        err.print(f"written: {escape(str(html))}")
    if json:
        print_line(report.as_json())
    else:
        out.print(report_tables(report, language))


def doctor(shop: ShopArgument, json: JsonOption = False) -> None:
    """Look the shop over: what is missing or wrong, and what to run.

    Exit status 1 when there is a problem.
    """
    with opened(shop) as open_shop:
        findings = open_shop.doctor()
    if json:
        print_json({"findings": [{"level": f.level, "what": f.what, "command": f.command} for f in findings]})
    else:
        for finding in findings:
            colour = COLOURS[finding.level]
            out.print(f"[{colour}]{finding.level.value:>7}[/]  {escape(finding.what)}", highlight=False)
            if finding.command:
                out.print(f"         run: [bold]{escape(finding.command)}[/]", highlight=False)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(1)
