"""A report as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from aisle.evaluation.report import NO_LABEL, GroupResult, Report
from aisle.evaluation.report_words import HAS_NO_BEST, IS_LOWER_BETTER, WORDS, Language, figure, percent


def report_tables(report: Report, language: Language = "en") -> RenderableType:
    """Everything ``report`` says, as something a rich console prints."""
    words = WORDS[language]
    parts: list[RenderableType] = [Text(report.title, style="bold"), *_facts(report, language)]
    for metrics in metric_tables(report):
        parts += ["", _results(report, metrics, language)]
    parts += [Text(words["results_about"].format(level=percent(report.level)), style="dim")]
    parts += ["", _lists(report, language)]
    if report.differences:
        parts += ["", _differences(report, language)]
    for grouping in dict.fromkeys(result.grouping for result in report.groups):
        parts += ["", _groups(report, grouping, language)]
    return Group(*parts)


def table_text(report: Report, language: Language = "en", width: int = 120) -> str:
    """``report_tables`` as plain text, ``width`` columns wide."""
    written = StringIO()
    Console(file=written, width=width, color_system=None).print(report_tables(report, language))
    return written.getvalue()


def metric_tables(report: Report) -> list[list[str]]:
    """Which metrics stand together: those of one cut-off, then what describes the lists."""
    metrics = list(report.systems[0].metrics)
    rest = metrics[metrics.index("mean_rank") :]
    accuracy = metrics[: metrics.index("mean_rank")]
    return [*([m for m in accuracy if m.endswith(f"@{cutoff}")] for cutoff in report.cutoffs), rest]


def groups_in_order(results: Iterable[GroupResult]) -> list[GroupResult]:
    """By group name, those without a label last."""
    return sorted(results, key=lambda result: (result.group == NO_LABEL, result.group))


def facts_of(report: Report, language: Language) -> list[tuple[str, str]]:
    """How the figures were measured, as (heading, value)."""
    words = WORDS[language]
    method = {"bca": "BCa", "percentile": "percentile"}.get(report.method, report.method)
    return [
        (words["protocol"], report.protocol),
        (words["cases"], f"{report.n_cases:,}"),
        (words["items"], f"{report.n_items:,}"),
        (words["interactions"], f"{report.n_train_interactions:,}"),
        (
            words["intervals"],
            words["method"].format(level=percent(report.level), method=method, n=f"{report.n_resamples:,}"),
        ),
        (words["seed"], words["unknown"] if report.seed is None else str(report.seed)),
    ]


def best_of(report: Report, metric: str) -> str | None:
    """The system with the best mean; None where it says nothing (one system, all level, or no direction)."""
    name = metric.split("@")[0]
    if name in HAS_NO_BEST:
        return None
    values = {system.name: system.metrics[metric].value for system in report.systems}
    known = {system: value for system, value in values.items() if value == value}
    if len(set(known.values())) < 2:
        return None
    choose = min if name in IS_LOWER_BETTER else max
    return choose(known, key=lambda system: known[system])


def _facts(report: Report, language: Language) -> list[RenderableType]:
    lines = [*facts_of(report, language), *((WORDS[language]["notes"], note) for note in report.notes)]
    return [Text.assemble((f"{heading}: ", "dim"), value) for heading, value in lines]


def _results(report: Report, metrics: list[str], language: Language) -> Table:
    words = WORDS[language]
    table = Table(title=words["results"], title_justify="left")
    table.add_column(words["system"])
    for metric in metrics:
        table.add_column(metric, justify="right")
    best = {metric: best_of(report, metric) for metric in metrics}
    for system in report.systems:
        mark = f" ({words['baseline']})" if system.name == report.baseline else ""
        cells: list[Text] = []
        for metric in metrics:
            interval = system.metrics[metric]
            cell = Text(figure(interval.value), style="bold" if best[metric] == system.name else "")
            cells.append(cell.append(f"\n{figure(interval.low)}..{figure(interval.high)}", style="dim"))
        table.add_row(escape(system.name) + mark, *cells)
    return table


def _lists(report: Report, language: Language) -> Table:
    words = WORDS[language]
    table = Table(title=words["lists"], title_justify="left")
    table.add_column(words["system"])
    totals = list(report.systems[0].totals)
    for name in (*totals, words["answered"], words["seconds"]):
        table.add_column(name, justify="right")
    for system in report.systems:
        seconds = "–" if system.seconds is None else f"{system.seconds:.1f}"
        figures = [figure(system.totals[name]) for name in totals]
        table.add_row(escape(system.name), *figures, f"{system.n_answered:,}", seconds)
    return table


def _differences(report: Report, language: Language) -> Table:
    """The accuracy at the longest cut-off; the page and the JSON have every metric."""
    words = WORDS[language]
    metrics = metric_tables(report)[len(report.cutoffs) - 1]
    table = Table(title=words["differences"].format(baseline=escape(report.baseline)), title_justify="left")
    table.add_column(words["system"])
    for metric in metrics:
        table.add_column(metric, justify="right")
    for system in report.systems:
        if system.name == report.baseline:
            continue
        cells: list[Text] = []
        for metric in metrics:
            interval = report.difference(system.name, metric)
            if interval is None:
                cells.append(Text("–"))
                continue
            cell = Text(figure(interval.value, is_signed=True), style="bold" if interval.is_clear else "")
            ends = f"\n{figure(interval.low, is_signed=True)}..{figure(interval.high, is_signed=True)}"
            cells.append(cell.append(ends, style="dim"))
        table.add_row(escape(system.name), *cells)
    return table


def _groups(report: Report, grouping: str, language: Language) -> Table:
    words = WORDS[language]
    results = [result for result in report.groups if result.grouping == grouping]
    metrics = [metric for metric in results[0].metrics if metric.endswith(f"@{report.cutoffs[-1]}")][:3]
    has_exposure = results[0].exposure is not None
    table = Table(title=f"{words['groups']}: {escape(grouping)}", title_justify="left")
    for heading in (words["group"], words["system"]):
        table.add_column(heading)
    for heading in (words["cases"], *metrics, *([words["exposure"]] if has_exposure else [])):
        table.add_column(heading, justify="right")
    for result in groups_in_order(results):
        exposure = [] if result.exposure is None else [f"{result.exposure:.1%}"]
        figures = [
            f"{figure(i.value)}  {figure(i.low)}..{figure(i.high)}" for i in (result.metrics[m] for m in metrics)
        ]
        table.add_row(escape(result.group), escape(result.system), f"{result.n_cases:,}", *figures, *exposure)
    return table
