"""A report as one self-contained HTML page: nothing is loaded from elsewhere, every value is escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aisle.evaluation import report_plots
from aisle.evaluation.intervals import Interval
from aisle.evaluation.report import Report
from aisle.evaluation.report_table import best_of, facts_of, groups_in_order, metric_tables
from aisle.evaluation.report_words import HAS_NO_BEST, IS_LOWER_BETTER, MEANINGS, WORDS, Language, figure, percent

MOST_GROUP_COLUMNS = 3
"""Metrics shown of each group."""


def page_html(report: Report, language: Language = "en") -> str:
    """The page; headings in ``language``, names as they are. About a second, most of it loading matplotlib."""
    environment = Environment(
        loader=PackageLoader("aisle.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    metrics = list(report.systems[0].metrics)
    totals = list(report.systems[0].totals)
    explained = dict.fromkeys(name.split("@")[0] for name in (*metrics, *totals))
    return environment.get_template("report.html").render(
        report=report,
        language=language,
        words=WORDS[language],
        level=percent(report.level),
        facts=facts_of(report, language),
        metric_tables=metric_tables(report),
        totals=totals,
        best={metric: best_of(report, metric) for metric in metrics},
        others=[system for system in report.systems if system.name != report.baseline],
        plots=_plots(report),
        groupings=[_grouping(report, name) for name in dict.fromkeys(result.grouping for result in report.groups)],
        meanings=[(name, MEANINGS[language][name]) for name in explained],
        figure=figure,
        tone=_tone,
    )


def _plots(report: Report) -> dict[str, Markup | None]:
    return {
        "metrics": Markup(report_plots.metrics_plot(report)),
        "differences": Markup(report_plots.differences_plot(report)) if report.differences else None,
        "cutoffs": Markup(report_plots.cutoffs_plot(report)) if len(report.cutoffs) > 1 else None,
        "trade_off": Markup(report_plots.trade_off_plot(report)),
    }


def _grouping(report: Report, name: str) -> dict[str, object]:
    results = [result for result in report.groups if result.grouping == name]
    metrics = [metric for metric in results[0].metrics if metric.endswith(f"@{report.cutoffs[-1]}")]
    return {
        "name": name,
        "plot": Markup(report_plots.groups_plot(report, name)),
        "metrics": metrics[:MOST_GROUP_COLUMNS],
        "results": groups_in_order(results),
        "has_exposure": results[0].exposure is not None,
    }


def _tone(metric: str, interval: Interval) -> str:
    """Whether a difference is clearly for the better or the worse."""
    name = metric.split("@")[0]
    if not interval.is_clear or name in HAS_NO_BEST:
        return "level"
    is_better = (interval.value < 0) == (name in IS_LOWER_BETTER)
    return "up" if is_better else "down"
