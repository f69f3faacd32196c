"""What the metrics of all workers say, read off the same text that Prometheus reads.

Enters: the text of ``/metrics``. Leaves: times of every stage since the start, and gauges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_GAUGES = ("aisle_lag_records", "aisle_slates_lost", "aisle_waiting_requests")
ORDER = ("understand", "retrieve", "describe", "rank", "decide", "record")


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
    degraded: Mapping[str, float]
    """Answers that went out without a part, by part."""


def read_metrics(text: str) -> Readings:
    """Everything the status page tells of the metrics."""
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    gauges: dict[str, float] = dict.fromkeys(_GAUGES, 0.0)
    degraded: dict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "aisle_stage_seconds_bucket":
                buckets[sample.labels["stage"]][float(sample.labels["le"])] += sample.value
            elif sample.name == "aisle_answer_seconds_bucket":
                buckets["total"][float(sample.labels["le"])] += sample.value
            elif sample.name == "aisle_degraded_total":
                degraded[sample.labels["part"]] += sample.value
            elif sample.name in gauges:
                gauges[sample.name] += sample.value
    stages = [_stage(name, counts) for name, counts in buckets.items()]
    known = [stage for stage in stages if stage.n]
    return Readings(sorted(known, key=_place), gauges, dict(sorted(degraded.items(), key=lambda pair: -pair[1])))


def _place(stage: StageTime) -> tuple[int, str]:
    if stage.name in ORDER:
        return ORDER.index(stage.name), ""
    return (len(ORDER) + 1, "") if stage.name == "total" else (len(ORDER), stage.name)


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
