"""A load generator that is not the bottleneck: raw HTTP/1.1 over kept connections, about 10,000 requests a second.

``closed`` keeps every connection busy and finds the capacity; ``open`` sends at a given mean rate whatever the server
does (Poisson arrivals), and counts a request's time from when it was due, so that a stall is seen by all it delayed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Numbers = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the kind it is counted under and its bytes."""

    kind: str
    raw: bytes

    @classmethod
    def get(cls, kind: str, path: str, headers: Mapping[str, str] | None = None) -> Call:
        """A GET request."""
        return cls(kind, _head("GET", path, headers or {}) + b"\r\n")

    @classmethod
    def post(cls, kind: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Call:
        """A POST request with a JSON body."""
        head = _head("POST", path, headers or {})
        return cls(kind, head + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


@dataclass
class Heard:
    """What came back: milliseconds by kind, statuses by kind."""

    started: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    ms: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[str, dict[int, int]] = field(default_factory=dict)
    n_unsent: int = 0
    """Requests of an open loop that were due but found every connection busy until the end."""

    def note(self, kind: str, status: int, milliseconds: float) -> None:
        """Count one answer."""
        self.ms.setdefault(kind, []).append(milliseconds)
        of_kind = self.statuses.setdefault(kind, {})
        of_kind[status] = of_kind.get(status, 0) + 1

    @property
    def n_answers(self) -> int:
        """Answers of every kind."""
        return sum(map(len, self.ms.values()))

    def numbers(self) -> Numbers:
        """Rate, errors and percentiles in milliseconds, by kind and in all."""
        every = np.concatenate([np.array(values) for values in self.ms.values()]) if self.ms else np.empty(0)
        table: Numbers = {
            "per_second": round(self.n_answers / self.seconds, 1),
            "n_errors": sum(n for of in self.statuses.values() for status, n in of.items() if status >= 400),
            "n_unsent": self.n_unsent,
            **_percentiles("all", every),
        }
        for kind in sorted(self.ms):
            table |= _percentiles(kind, np.array(self.ms[kind]))
        return table


async def closed(port: int, n_connections: int, seconds: float, next_call: Callable[[], Call]) -> Heard:
    """Every connection sends its next request as soon as it has the answer to the last."""
    heard = Heard()
    end = heard.started + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            call = next_call()
            start = time.perf_counter()
            status = await _exchange(reader, writer, call)
            heard.note(call.kind, status, 1000.0 * (time.perf_counter() - start))
        writer.close()

    await asyncio.gather(*(one() for _ in range(n_connections)))
    heard.seconds = time.perf_counter() - heard.started
    return heard


async def open_loop(
    port: int,
    rate: float,
    seconds: float,
    next_call: Callable[[], Call],
    rng: np.random.Generator,
    n_connections: int = 64,
    every_second: Callable[[float], None] = lambda elapsed: None,
) -> Heard:
    """Requests fall due at random, ``rate`` a second on average; ``n_connections`` carry them as they fall due."""
    heard = Heard()
    due: asyncio.Queue[float | None] = asyncio.Queue()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (since := await due.get()) is not None:
            call = next_call()
            status = await _exchange(reader, writer, call)
            heard.note(call.kind, status, 1000.0 * (time.perf_counter() - since))
        writer.close()

    carriers = [asyncio.create_task(one()) for _ in range(n_connections)]
    at, told = heard.started, 0
    while at < heard.started + seconds:
        at += rng.exponential(1.0 / rate)
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        due.put_nowait(at)
        if int(at - heard.started) > told:
            told = int(at - heard.started)
            every_second(at - heard.started)
    for _ in carriers:
        due.put_nowait(None)
    _, late = await asyncio.wait(carriers, timeout=30.0)
    for carrier in late:
        carrier.cancel()
    heard.n_unsent = max(0, due.qsize() - len(late))
    heard.seconds = time.perf_counter() - heard.started
    return heard


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: Call) -> int:
    writer.write(call.raw)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    at = head.lower().find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
    elif b"chunked" in head.lower():
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return status


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n").encode()


def _percentiles(name: str, milliseconds: Sequence[float] | np.ndarray) -> Numbers:
    if not len(milliseconds):
        return {}
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99))
    return {
        f"{name}_p50_ms": round(float(p50), 2),
        f"{name}_p95_ms": round(float(p95), 2),
        f"{name}_p99_ms": round(float(p99), 2),
    }
