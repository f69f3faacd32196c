"""The one form in which every benchmark reports."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

Metrics = Mapping[str, float | int | None]


@dataclass
class Run:
    """A benchmark under way; ``finish`` prints its result as the last line of standard output."""

    benchmark: str
    protocol: str
    started: float = field(default_factory=time.perf_counter)

    def say(self, message: str) -> None:
        """Progress for a person, on standard error."""
        print(f"[{time.perf_counter() - self.started:7.1f} s] {message}", file=sys.stderr, flush=True)

    def finish(self, system: Metrics, peers: Mapping[str, Metrics]) -> None:
        """Print the result. ``system`` is the product, ``peers`` what it is measured against in the same run."""
        result = {
            "benchmark": self.benchmark,
            "system": dict(system),
            "peers": {name: dict(metrics) for name, metrics in peers.items()},
            "protocol": self.protocol,
            "seconds": round(time.perf_counter() - self.started, 1),
            "peak_memory_mb": peak_memory_mb(),
            "machine": machine(),
        }
        print(orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY).decode())


def peak_memory_mb() -> int:
    """The most memory this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def machine() -> str:
    """Processor, cores, memory and Python of the machine, in one line."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}"
