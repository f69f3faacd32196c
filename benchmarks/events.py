"""Single events over HTTP, acknowledged durably, and how soon the next answer knows them.

``python -m benchmarks.events [--items 2000] [--workers 1] [--seconds 15]``. The real server is started on a simulated
shop; 16 connections post one event a request, each waiting for its acknowledgement. Beside it, in the same run and
under the same generator, a bare FastAPI endpoint that stores nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np

from aisle.shop import Shop, now_ms
from aisle.simulation import simulate
from benchmarks.load import Call, Numbers, closed
from benchmarks.result import Run
from benchmarks.serving import N_CONNECTIONS, bare, fill_and_train, post, serving, until_today

PROTOCOL = (
    "simulated shop; server and generator on the same cores; closed loop, 16 connections, one event a request, "
    "answered once it is on the disk; visible: time from sending an event until the first answer that "
    "shows its item among what was recently viewed, asked again and again; milliseconds"
)


def main() -> None:
    """Read the arguments, measure, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2_000, help="products of the simulated shop")
    parser.add_argument("--shop", type=Path, default=None, help="a shop made by an earlier run; made there if absent")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    parser.add_argument("--looks", type=int, default=200, help="events whose way into the next answer is timed")
    arguments = parser.parse_args()
    run = Run("events", f"{PROTOCOL}; {arguments.items} products, {arguments.workers} workers")
    with tempfile.TemporaryDirectory(prefix="aisle-benchmark-") as folder:
        root = arguments.shop or Path(folder) / "shop"
        if not (root / "aisle.toml").exists():
            fill_and_train(root, simulate(until_today(arguments.items), seed=1), run)
        with Shop.open(root) as shop:
            items = shop.list_items(limit=500).rows
        item_ids = [item.item_id for item in items if item.is_available and item.stock != 0 and item.kind == "product"]
        calls = events(item_ids)
        numbers: Numbers = {}
        with serving(root, arguments.workers, run) as (port, _):
            asyncio.run(closed(port, N_CONNECTIONS, 3.0, lambda: next(calls)))
            heard = asyncio.run(closed(port, N_CONNECTIONS, arguments.seconds, lambda: next(calls))).numbers()
            numbers |= heard
            run.say(f"acknowledged: {heard}")
            numbers |= visible(port, item_ids, arguments.looks, "one_process")
            run.say(f"visible: {numbers}")
        with serving(root, max(2, arguments.workers), run) as (port, _):
            numbers |= visible(port, item_ids, arguments.looks, "across_workers")
            run.say(f"visible across workers: {numbers}")
        run.finish(numbers, {"bare_fastapi": bare(Path(folder), lambda: to_root(next(calls)), arguments.seconds, run)})


def events(item_ids: list[str]) -> Iterator[Call]:
    """Looks at items by two thousand users, no two alike."""
    rng = np.random.default_rng(0)
    started = now_ms()
    for number in itertools.count():
        user, item = int(rng.integers(2_000)), int(rng.integers(len(item_ids)))
        yield post("event", "/v1/events", look(f"benchmark-{started}-{number}", f"visitor-{user}", item_ids[item]))


def to_root(call: Call) -> Call:
    """The same request to the bare endpoint, which stands at the root."""
    return Call(call.kind, call.raw.replace(b"POST /v1/events ", b"POST / ", 1))


def look(event_id: str, user_id: str, item_id: str) -> dict[str, object]:
    """A user looks at an item now."""
    return {"event_id": event_id, "user_id": user_id, "type": "view_item", "time_ms": now_ms(), "item_id": item_id}


def visible(port: int, item_ids: list[str], n: int, name: str) -> Numbers:
    """How long until an answer on another connection, perhaps of another process, shows what was just looked at."""
    milliseconds = []
    limits = httpx.Limits(max_keepalive_connections=0)  # each answer on a new connection: any worker may take it
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=30) as client:
        for number in range(n):
            user_id, item_id = f"{name}-{now_ms()}-{number}", item_ids[number % len(item_ids)]
            body = {"user_id": user_id, "placement": "recently-viewed", "size": 5}
            start = time.perf_counter()
            client.post("/v1/events", json=look(f"look-{user_id}", user_id, item_id)).raise_for_status()
            while not _shows(client.post("/v1/recommend", json=body).json(), item_id):
                if time.perf_counter() - start > 10.0:
                    raise SystemExit("an event was not visible after 10 s")
            milliseconds.append(1000.0 * (time.perf_counter() - start))
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return {f"visible_{name}_p50_ms": round(float(p50), 1), f"visible_{name}_p99_ms": round(float(p99), 1)}


def _shows(answer: dict[str, list[dict[str, object]]], item_id: str) -> bool:
    return any(item["item_id"] == item_id for item in answer["items"])


if __name__ == "__main__":
    main()
