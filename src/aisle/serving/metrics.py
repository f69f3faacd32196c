"""What happens in the serving processes, as numbers: for Prometheus, and for the status page.

Enters: stages, answers, requests, events as they happen. Leaves: the text of ``/metrics`` and the last hour as samples.
With a folder, all workers of a server count into files there and each of them tells the sum (prometheus_client's
multi-process mode, which must be chosen before that package is imported: see ``supervisor.py``).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from aisle.errors import AisleError
from aisle.serving.supervisor import METRICS_VARIABLE

log = logging.getLogger("aisle.serving")

SAMPLE_SECONDS = 5.0
KEPT_SECONDS = 3600.0
BUCKETS = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper ends in seconds, dense where the budgets of an answer lie."""


@dataclass(frozen=True)
class Sample:
    """What happened in the seconds up to ``time_s`` (UTC seconds), of all workers together.

    ``requests`` by route group, ``degraded`` by part, ``events`` and ``errors`` (statuses from 500) are a second;
    ``p50_ms`` and ``p99_ms`` are of all answers, read off the histogram's buckets, None when there were none.
    """

    time_s: float
    requests: Mapping[str, float] = field(default_factory=dict)
    p50_ms: float | None = None
    p99_ms: float | None = None
    degraded: Mapping[str, float] = field(default_factory=dict)
    events: float = 0.0
    errors: float = 0.0


class Metrics:
    """Counts for one process and tells for all. Implements ``contracts.Meter``; every method may be called anywhere."""

    def __init__(self) -> None:
        self._is_shared = METRICS_VARIABLE in os.environ
        own = self.registry = CollectorRegistry()
        self._stage = Histogram(
            "aisle_stage_seconds",
            "Time of each stage and source",
            ["placement", "stage"],
            buckets=BUCKETS,
            registry=own,
        )
        self._answer = Histogram(
            "aisle_answer_seconds", "Time of a whole answer", ["placement"], buckets=BUCKETS, registry=own
        )
        self._asks = Counter("aisle_asks", "Questions answered", ["placement"], registry=own)
        self._missed = Counter(
            "aisle_degraded", "Answers that went out without a part", ["placement", "part", "why"], registry=own
        )
        self._requests = Counter("aisle_requests", "Requests", ["route", "method", "status"], registry=own)
        self._request = Histogram(
            "aisle_request_seconds", "Time of a request", ["route"], buckets=BUCKETS, registry=own
        )
        self._events = Counter("aisle_events", "Events received", ["outcome"], registry=own)
        self._lag = Gauge(
            "aisle_lag_records", "Recorded changes that this process has not taken in",
            registry=own, multiprocess_mode="livemax",
        )  # fmt: skip
        self._lost = Gauge(
            "aisle_slates_lost", "Lists that could not be written down", registry=own, multiprocess_mode="livesum"
        )
        self._waiting = Gauge(
            "aisle_waiting_requests", "Requests waiting or being worked on", ["lane"],
            registry=own, multiprocess_mode="livesum",
        )  # fmt: skip
        self._trained = Gauge(
            "aisle_model_trained_timestamp_seconds", "When the version in service was trained", ["name"],
            registry=own, multiprocess_mode="livemin",
        )  # fmt: skip
        self._observers: list[Callable[[], None]] = []
        self._unobservable: str | None = None
        self._history = History(self)

    # As the meter of the flows.

    def took(self, placement: str, stage: str, seconds: float) -> None:
        """A stage or source worked this long for one answer."""
        self._stage.labels(placement, stage).observe(seconds)

    def missed(self, placement: str, part: str, why: Literal["failed", "late", "missing"]) -> None:
        """An answer goes out without ``part``."""
        self._missed.labels(placement, part, why).inc()

    def answered(self, placement: str, n_asks: int, seconds: float) -> None:
        """So many questions were answered together."""
        self._answer.labels(placement).observe(seconds)
        self._asks.labels(placement).inc(n_asks)

    # As the ledger of the server.

    def requested(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; ``route`` is its template, such as ``/v1/items/{item_id}``."""
        self._requests.labels(route, method, str(status)).inc()
        self._request.labels(route).observe(seconds)

    def took_in(self, outcome: Literal["new", "duplicate", "refused"], n_events: int) -> None:
        """So many events came to this end."""
        if n_events:
            self._events.labels(outcome).inc(n_events)

    def set_state(self, lag: int, slates_lost: int, waiting: Mapping[str, int], trained_ms: Mapping[str, int]) -> None:
        """How the process stands now; ``trained_ms`` UTC milliseconds by part."""
        self._lag.set(lag)
        self._lost.set(slates_lost)
        for lane, n in waiting.items():
            self._waiting.labels(lane).set(n)
        for name, milliseconds in trained_ms.items():
            self._trained.labels(name).set(milliseconds / 1000.0)

    def before_telling(self, observe: Callable[[], None]) -> None:
        """Call ``observe`` whenever the numbers are about to be read, so that gauges are of now.

        With a history also every few seconds: another worker may be the one that is asked.
        """
        self._observers.append(observe)

    def observe(self) -> None:
        """Bring this process's gauges up to now; one that cannot be had keeps its value, and the log says so once."""
        failure = None
        for observe in self._observers:
            try:
                observe()
            except AisleError as error:
                failure = str(error)
        if failure is not None and failure != self._unobservable:
            log.warning("some gauges are not of now: %s", failure)
        self._unobservable = failure

    def text(self) -> bytes:
        """All numbers in Prometheus's text form; while something is broken, those that can still be had."""
        self.observe()
        return generate_latest(self._all())

    def totals(self) -> Totals:
        """Everything counted so far, of all workers."""
        return Totals.of(list(self._all().collect()))

    def keep_history(self) -> None:
        """Begin to sample, in a thread of its own."""
        self._history.start()

    def history(self) -> Sequence[Sample]:
        """The last hour of all workers, oldest first; empty before ``keep_history``."""
        return self._history.samples()

    def close(self) -> None:
        """End sampling."""
        self._history.stop()

    def _all(self) -> CollectorRegistry:
        if not self._is_shared:
            return self.registry
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return together


@dataclass(frozen=True)
class Totals:
    """Counts since the server started, from which the rates of a sample are differences."""

    requests: Mapping[str, float]
    errors: float
    degraded: Mapping[str, float]
    events: float
    buckets: Mapping[float, float]
    """Answers by the upper end of their bucket in seconds, cumulative."""

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> Totals:
        """Read off the collected metrics."""
        requests: dict[str, float] = {}
        degraded: dict[str, float] = {}
        buckets: dict[float, float] = {}
        errors = events = 0.0
        for metric in metrics:
            for sample in metric.samples:
                labels = sample.labels
                if sample.name == "aisle_requests_total":
                    group = group_of(labels["route"])
                    requests[group] = requests.get(group, 0.0) + sample.value
                    errors += sample.value if labels["status"] >= "500" else 0.0
                elif sample.name == "aisle_degraded_total":
                    degraded[labels["part"]] = degraded.get(labels["part"], 0.0) + sample.value
                elif sample.name == "aisle_events_total" and labels["outcome"] == "new":
                    events += sample.value
                elif sample.name == "aisle_answer_seconds_bucket":
                    end = float(labels["le"])
                    buckets[end] = buckets.get(end, 0.0) + sample.value
        return cls(requests, errors, degraded, events, buckets)

    def since(self, before: Totals, time_s: float, seconds: float) -> Sample:
        """The rates between two counts."""
        ends = sorted(self.buckets)
        counts = [self.buckets[end] - before.buckets.get(end, 0.0) for end in ends]
        return Sample(
            time_s=time_s,
            requests=_rates(self.requests, before.requests, seconds),
            p50_ms=_quantile(ends, counts, 0.50),
            p99_ms=_quantile(ends, counts, 0.99),
            degraded=_rates(self.degraded, before.degraded, seconds),
            events=max(0.0, self.events - before.events) / seconds,
            errors=max(0.0, self.errors - before.errors) / seconds,
        )


class History:
    """The last hour of a server, sampled by a thread of its own."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=int(KEPT_SECONDS / SAMPLE_SECONDS))
        self._before: tuple[float, Totals] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aisle-history", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling."""
        self._stop.set()

    def samples(self) -> Sequence[Sample]:
        """Oldest first."""
        return list(self._samples)

    def sample(self) -> None:
        """Take one sample now; the first call only notes where the counts stand."""
        now, totals = self._clock(), self._metrics.totals()
        if self._before is not None and now > self._before[0]:
            self._samples.append(totals.since(self._before[1], now, now - self._before[0]))
        self._before = (now, totals)

    def _run(self) -> None:
        while True:
            self._metrics.observe()
            self.sample()
            if self._stop.wait(SAMPLE_SECONDS):
                return


def group_of(route: str) -> str:
    """What a route's requests are counted under on the status page: ``search``, ``events``, ``page``, ..."""
    parts = [part for part in route.split("/") if part and not part.startswith("{")]
    if not parts:
        return "page"
    if parts[0] != "v1":
        return parts[0] if parts[0] in ("health", "metrics", "status", "static") else "page"
    return "similar" if parts[-1] == "similar" else parts[1] if len(parts) > 1 else "v1"


def _rates(now: Mapping[str, float], before: Mapping[str, float], seconds: float) -> dict[str, float]:
    grown = {name: (count - before.get(name, 0.0)) / seconds for name, count in now.items()}
    return {name: rate for name, rate in grown.items() if rate > 0.0}


def _quantile(ends: Sequence[float], cumulative: Sequence[float], share: float) -> float | None:
    """Milliseconds below which ``share`` of the answers lie, interpolated inside the bucket; None without answers."""
    if not cumulative or cumulative[-1] <= 0.0:
        return None
    wanted = share * cumulative[-1]
    below, start = 0.0, 0.0
    for end, count in zip(ends, cumulative, strict=True):
        if count >= wanted:
            if end == float("inf"):
                return 1000.0 * start
            inside = (wanted - below) / (count - below) if count > below else 1.0
            return 1000.0 * (start + inside * (end - start))
        below, start = count, end
    return 1000.0 * start
