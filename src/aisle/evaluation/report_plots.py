"""Plots of a report as SVG text, drawn without a display and without matplotlib's global figure state.

Text stays text in the SVG, so that a browser draws names in any script with its own fonts. matplotlib is imported when
a plot is drawn: whoever only measures never loads it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aisle.evaluation.report import GroupResult, Report
from aisle.evaluation.report_table import groups_in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (
    "#0f6fb8",
    "#d1620b",
    "#12805c",
    "#a3338c",
    "#8a6d00",
    "#4b4fc7",
    "#b3261e",
    "#3d6b7d",
    "#7a5c3e",
    "#5b8c00",
    "#c2185b",
    "#111827",
)
"""One a system, in order, readable on white; every plot names its systems as well."""
_INK = "#334155"
_FAINT = "#cbd5e1"
_ROW_INCHES = 0.34


def metrics_plot(report: Report) -> str:
    """Mean and interval of the main metrics, a panel each, a line a system."""
    return _panels(report, _main_metrics(report), are_differences=False)


def differences_plot(report: Report) -> str:
    """Difference from the baseline and its interval, a panel a metric; grey where the interval holds zero."""
    return _panels(report, _main_metrics(report), are_differences=True)


def cutoffs_plot(report: Report) -> str:
    """Recall and ndcg by cut-off, a line a system."""
    names = ("recall", "ndcg")
    figure = _figure(8.6, 3.0)
    for place, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), place + 1)
        _plain(axes)
        for index, system in enumerate(report.systems):
            found = [system.metrics[f"{name}@{cutoff}"] for cutoff in report.cutoffs]
            colour = COLOURS[index % len(COLOURS)]
            axes.plot(report.cutoffs, [i.value for i in found], color=colour, marker="o", markersize=4, lw=1.6)
            axes.fill_between(
                report.cutoffs, [i.low for i in found], [i.high for i in found], color=colour, alpha=0.13, lw=0
            )
        axes.set_title(f"{name}@k", fontsize=10, color=_INK, loc="left")
        axes.set_xlabel("k", fontsize=9, color=_INK)
        axes.set_xticks(report.cutoffs)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=_FAINT, lw=0.6)
    _legend(figure, report)
    return _svg(figure)


def trade_off_plot(report: Report) -> str:
    """Main metric against coverage, a point a system."""
    figure = _figure(8.6, 3.2)
    axes = figure.add_subplot(1, 1, 1)
    _plain(axes)
    coverage = f"coverage@{report.cutoffs[-1]}"
    for index, system in enumerate(report.systems):
        colour = COLOURS[index % len(COLOURS)]
        interval = system.metrics[report.main_metric]
        x = system.totals[coverage]
        axes.plot([x, x], [interval.low, interval.high], color=colour, lw=1.6, alpha=0.5)
        axes.plot([x], [interval.value], "o", color=colour, markersize=7)
    axes.set_xlabel(coverage, fontsize=9, color=_INK)
    axes.set_ylabel(report.main_metric, fontsize=9, color=_INK)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(color=_FAINT, lw=0.6)
    _legend(figure, report)
    return _svg(figure)


def groups_plot(report: Report, grouping: str) -> str:
    """The first metric of each group, with intervals, systems side by side."""
    results = [result for result in report.groups if result.grouping == grouping]
    groups = list(dict.fromkeys(result.group for result in groups_in_order(results)))
    metric = _group_metric(report, results)
    n_systems = len(report.systems)
    figure = _figure(8.6, 1.0 + (0.16 * n_systems + 0.18) * len(groups))
    axes = figure.add_subplot(1, 1, 1)
    _plain(axes)
    for index, system in enumerate(report.systems):
        colour = COLOURS[index % len(COLOURS)]
        for result in results:
            if result.system == system.name:
                y = groups.index(result.group) + (index - (n_systems - 1) / 2) * 0.7 / n_systems
                interval = result.metrics[metric]
                axes.plot([interval.low, interval.high], [y, y], color=colour, lw=1.8, alpha=0.55)
                axes.plot([interval.value], [y], "o", color=colour, markersize=4.5)
    axes.set_yticks(range(len(groups)), labels=groups, fontsize=9, color=_INK)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_title(metric, fontsize=10, color=_INK, loc="left")
    axes.grid(axis="x", color=_FAINT, lw=0.6)
    _legend(figure, report)
    return _svg(figure)


def _panels(report: Report, metrics: Sequence[str], *, are_differences: bool) -> str:
    systems = [system for system in report.systems if not (are_differences and system.name == report.baseline)]
    figure = _figure(8.6, 0.9 + _ROW_INCHES * len(systems))
    colour_of = {system.name: COLOURS[index % len(COLOURS)] for index, system in enumerate(report.systems)}
    for place, metric in enumerate(metrics):
        axes = figure.add_subplot(1, len(metrics), place + 1)
        _plain(axes)
        for row, system in enumerate(systems):
            interval = report.difference(system.name, metric) if are_differences else system.metrics[metric]
            if interval is None or interval.value != interval.value:
                continue
            colour = colour_of[system.name] if not are_differences or interval.is_clear else "#94a3b8"
            axes.plot([interval.low, interval.high], [row, row], color=colour, lw=2.2, alpha=0.55)
            axes.plot([interval.value], [row], "o", color=colour, markersize=6)
        names = [system.name for system in systems] if place == 0 else [""] * len(systems)
        axes.set_yticks(range(len(systems)), labels=names, fontsize=9, color=_INK)
        axes.set_ylim(len(systems) - 0.5, -0.5)
        if are_differences:
            axes.axvline(0.0, color=_INK, lw=0.9)
        else:
            axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=4)
        axes.set_title(metric, fontsize=10, color=_INK, loc="left")
        axes.grid(axis="x", color=_FAINT, lw=0.6)
    return _svg(figure)


def _main_metrics(report: Report) -> list[str]:
    cutoff = report.cutoffs[-1]
    return [f"{name}@{cutoff}" for name in ("ndcg", "recall", "mrr")]


def _group_metric(report: Report, results: Sequence[GroupResult]) -> str:
    known = results[0].metrics
    return report.main_metric if report.main_metric in known else f"recall@{report.cutoffs[-1]}"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.14))


def _plain(axes: Axes) -> None:
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(colors=_INK, labelsize=9, length=0)


def _legend(figure: Figure, report: Report) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[index % len(COLOURS)], marker="o", lw=1.6, label=system.name)
        for index, system in enumerate(report.systems)
    ]
    figure.legend(
        handles=handles, loc="outside right upper", frameon=False, fontsize=9, labelcolor=_INK, handlelength=1.2
    )


def _svg(figure: Figure) -> str:
    import matplotlib

    written = io.StringIO()
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "aisle", "font.family": "sans-serif"}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # Names may be Chinese; the SVG keeps them as text, so a glyph that matplotlib's own font lacks is not missed.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    return text[text.index("<svg") :]
