"""Small plots of the last hour as figures that a template draws: lines, ticks, a legend.

Enters: times and values. Leaves: coordinates in a box of 560 x 160 units. Gaps in time stay gaps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 160
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 22
LONGEST_GAP_SECONDS = 20.0
LEAST_SECONDS = 60.0
"""What a plot spans at least; a server that has just started leaves its left part empty."""
MOST_LINES = 6
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Line:
    """One line: its pieces as SVG points, and its last and highest value for the legend."""

    label: str
    pieces: Sequence[str]
    last: str
    highest: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Plot:
    """A plot ready to be drawn, the last sample at its right end; without lines when there is nothing to show yet."""

    title: str
    unit: str
    lines: Sequence[Line]
    across: Sequence[Tick]
    up: Sequence[Tick]


def plot(title: str, unit: str, times_s: Sequence[float], series: Mapping[str, Sequence[float]]) -> Plot:
    """Lines of ``series`` (each as long as ``times_s``, ascending), the highest ones first, at most 6; nan is a gap."""
    highest = {name: max((v for v in values if math.isfinite(v)), default=0.0) for name, values in series.items()}
    shown = sorted(series, key=lambda name: (-highest[name], name))[:MOST_LINES]
    if len(times_s) < 2 or not shown:
        return Plot(title, unit, (), (), ())
    top = nice_top(max(highest[name] for name in shown))
    first, last = min(times_s[0], times_s[-1] - LEAST_SECONDS), times_s[-1]

    def x(time_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (time_s - first) / (last - first)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top)

    lines = [
        Line(
            name,
            [" ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in piece) for piece in _pieces(times_s, series[name])],
            figure(next((v for v in reversed(series[name]) if math.isfinite(v)), 0.0)),
            figure(highest[name]),
        )
        for name in shown
    ]
    minutes = (last - first) / 60.0
    step = next((step for step in (1, 2, 5, 10, 15, 20) if minutes / step <= 6), 30)
    across = [Tick(x(last - 60.0 * ago), f"-{ago} min" if ago else "0") for ago in range(0, int(minutes) + 1, step)]
    return Plot(title, unit, lines, across, [Tick(y(top * part), figure(top * part)) for part in (0.0, 0.5, 1.0)])


def nice_top(value: float) -> float:
    """The least round number from ``value`` up; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in _NICE if factor * power >= value * (1 - 1e-9))


def figure(value: float) -> str:
    """A number with three digits that count."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _pieces(times_s: Sequence[float], values: Sequence[float]) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    before = times_s[0]
    for time_s, value in zip(times_s, values, strict=True):
        if (time_s - before > LONGEST_GAP_SECONDS or not math.isfinite(value)) and pieces[-1]:
            pieces.append([])
        if math.isfinite(value):
            pieces[-1].append((time_s, value))
        before = time_s
    # A line of one point is drawn as a dot only if it goes somewhere, be it to itself.
    return [piece if len(piece) > 1 else piece * 2 for piece in pieces if piece]
