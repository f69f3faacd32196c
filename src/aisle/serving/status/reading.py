"""What the metrics of all workers say, read off the same text that Prometheus reads.

Enters: the text of ``/metrics``. Leaves: times of every stage since the start, and gauges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_GAUGES = ("aisle_lag_records", "aisle_slates_lost", "aisle_waiting_requests")
BEFORE, AFTER = (
    ("understand", "retrieve"),
    ("fuse", "backfill", "facets", "describe", "rank", "decide", "record", "total"),
)
"""Stages in the order in which they run; the sources, which ``retrieve`` asks, stand between them."""


@dataclass(frozen=True)
class StageTime:
    """How long a stage or source takes: how often it ran, its middle and its slowest hundredth in milliseconds."""

    name: str
    n: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Readings:
    """Since the server started, all workers together."""

    stages: Sequence[StageTime]
    gauges: Mapping[str, float]
    n_answers: int
    degraded: Mapping[tuple[str, str], float]
    """Answers that went out without a part, by part and why (failed, late, missing), the most first."""


def read_metrics(text: str) -> Readings:
    """Everything the status page tells of the metrics."""
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    gauges: dict[str, float] = dict.fromkeys(_GAUGES, 0.0)
    degraded: dict[tuple[str, str], float] = defaultdict(float)
    n_answers = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "aisle_stage_seconds_bucket":
                buckets[sample.labels["stage"]][float(sample.labels["le"])] += sample.value
            elif sample.name == "aisle_answer_seconds_bucket":
                buckets["total"][float(sample.labels["le"])] += sample.value
            elif sample.name == "aisle_degraded_total":
                degraded[sample.labels["part"], sample.labels["why"]] += sample.value
            elif sample.name == "aisle_asks_total":
                n_answers += sample.value
            elif sample.name in gauges:
                gauges[sample.name] += sample.value
    stages = [_stage(name, counts) for name, counts in buckets.items()]
    known = [stage for stage in stages if stage.n]
    missed = dict(sorted(degraded.items(), key=lambda pair: (-pair[1], pair[0])))
    return Readings(sorted(known, key=_place), gauges, int(n_answers), missed)


def _place(stage: StageTime) -> tuple[int, str]:
    if stage.name in BEFORE:
        return BEFORE.index(stage.name), ""
    if stage.name in AFTER:
        return len(BEFORE) + 1 + AFTER.index(stage.name), ""
    return len(BEFORE), stage.name


def _stage(name: str, counts: Mapping[float, float]) -> StageTime:
    ends = sorted(counts)
    return StageTime(name, int(counts[ends[-1]]), _quantile(ends, counts, 0.5), _quantile(ends, counts, 0.99))


def _quantile(ends: Sequence[float], counts: Mapping[float, float], share: float) -> float:
    """Milliseconds, interpolated inside the bucket; its lower end where the bucket has no upper one."""
    wanted = share * counts[ends[-1]]
    below, start = 0.0, 0.0
    for end in ends:
        if counts[end] >= wanted:
            if end == float("inf"):
                break
            inside = (wanted - below) / (counts[end] - below) if counts[end] > below else 1.0
            return 1000.0 * (start + inside * (end - start))
        below, start = counts[end], end
    return 1000.0 * start
