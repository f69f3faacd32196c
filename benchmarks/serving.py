"""The server under load: mixed search, recommend, similar, suggest and events over HTTP, in closed and open loop.

``python -m benchmarks.serving [--items 50000] [--workers 1] [--minutes 10] [--shop FOLDER]``. A simulated shop is
filled and trained (or taken from ``--shop``), the real server is started on it, and in the same run the floor is
measured: a bare FastAPI endpoint under the same load, and the pieces alone (tantivy, faiss, the encoder) on the same
queries.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import orjson
import psutil

import aisle
from aisle.language import open_encoder
from aisle.settings import Settings
from aisle.shop import Shop, now_ms
from aisle.simulation import SimulatedShop, SimulationConfig, simulate
from benchmarks.load import Call, Numbers, closed, open_loop
from benchmarks.result import Run

PROTOCOL = (
    "simulated shop; the server in its own processes, the generator in this one, all on the same cores; mixed calls: "
    "30% search, 30% recommend, 15% similar, 15% suggest, 10% single events; closed loop with 16 connections gives the "
    "capacity, open loop (Poisson) at 80% of it; times from when a request was due; milliseconds"
)
SHARES = {"search": 0.30, "recommend": 0.30, "similar": 0.15, "suggest": 0.15, "event": 0.10}
N_CONNECTIONS = 16
DAY_MS = 86_400_000
_BARE = """
from fastapi import FastAPI
from fastapi.responses import JSONResponse
app = FastAPI()
@app.post("/")
async def bare(body: dict) -> JSONResponse:
    return JSONResponse({"items": ["item"] * 20})
"""


@dataclass(frozen=True)
class Mix:
    """Draws calls as the shares say; words, users and items are those of the simulated shop."""

    texts: Sequence[str]
    user_ids: Sequence[str]
    item_ids: Sequence[str]
    rng: np.random.Generator
    numbers: Iterator[int]

    def draw(self) -> Call:
        """The next call."""
        return self.of_kind(str(self.rng.choice(list(SHARES), p=list(SHARES.values()))))

    def of_kind(self, kind: str) -> Call:
        """One call of a kind, the rest at random."""
        text, user_id = self._any(self.texts), self._any(self.user_ids)
        item_id = self._any(self.item_ids)
        if kind == "search":
            return post(kind, "/v1/search", {"query": text, "user_id": user_id})
        if kind == "recommend":
            return post(kind, "/v1/recommend", {"user_id": user_id})
        if kind == "similar":
            return Call.get(kind, f"/v1/items/{item_id}/similar")
        if kind == "suggest":
            return Call.get(kind, f"/v1/suggest?prefix={quote(text.split()[0][:4])}")
        event = {
            "event_id": f"benchmark-{next(self.numbers)}",
            "user_id": user_id,
            "type": "view_item",
            "time_ms": now_ms(),
            "item_id": item_id,
        }
        return post(kind, "/v1/events", event)

    def _any(self, values: Sequence[str]) -> str:
        return values[int(self.rng.integers(len(values)))]


def main() -> None:
    """Read the arguments, measure, print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="products of the simulated shop")
    parser.add_argument("--shop", type=Path, default=None, help="a shop made by an earlier run; made there if absent")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--minutes", type=float, default=10.0, help="at 80%% of the capacity")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each shorter measurement")
    arguments = parser.parse_args()
    run = Run("serving", f"{PROTOCOL}; {arguments.items} products, {arguments.workers} workers")
    with tempfile.TemporaryDirectory(prefix="aisle-benchmark-") as folder:
        root = arguments.shop or Path(folder) / "shop"
        world = simulate(until_today(arguments.items), seed=1)
        mix = mix_of(world)
        if not (root / "aisle.toml").exists():
            fill_and_train(root, world, run)
        system = served(root, mix, arguments.workers, arguments.seconds, arguments.minutes, run)
        body = mix.of_kind("search").raw.split(b"\r\n\r\n", 1)[1]
        peers = {"bare_fastapi": bare(Path(folder), lambda: Call.post("bare", "/", body), arguments.seconds, run)}
        peers |= pieces(root, mix, run)
        run.finish(system, peers)


def until_today(n_products: int) -> SimulationConfig:
    """A medium history that ends at the last midnight."""
    config = SimulationConfig.of_size("medium", n_products=n_products)
    today = now_ms() - now_ms() % DAY_MS
    return config.model_copy(update={"start_ms": today - config.n_days * DAY_MS})


def mix_of(world: SimulatedShop) -> Mix:
    """Calls about the world's own users, items and queries."""
    rng = np.random.default_rng(0)
    users = rng.integers(world.config.n_users, size=2_000)
    texts = world.queries(users, rng).texts().to_list()
    ids = world.user_ids()
    products = world.item_ids()[: world.assortment.n_products]
    return Mix(texts, [ids[int(row)] for row in users], list(products), rng, itertools.count(now_ms()))


def post(kind: str, path: str, body: object) -> Call:
    """A POST of JSON."""
    return Call.post(kind, path, orjson.dumps(body))


def fill_and_train(root: Path, world: SimulatedShop, run: Run) -> None:
    """Make the shop, once."""
    aisle.init(root, currency="USD", languages=("en", "zh"))
    with Shop.open(root) as shop:
        shop.add_users(world.users())
        for items in world.items():
            shop.add_items(items)
        for events in world.events():
            shop.add_events(events)
        run.say(f"{shop.records.counts()['events']:,} events recorded")
        shop.train()
        run.say("trained")


@contextmanager
def serving(root: Path, workers: int, run: Run) -> Iterator[tuple[int, psutil.Process]]:
    """The real server on a free port, ready; ended by SIGTERM."""
    port = free_port()
    command = [sys.executable, "-m", "aisle", "serve", str(root), "--port", str(port), "--workers", str(workers)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until_answered(f"http://127.0.0.1:{port}/health/ready", server)
            run.say(f"ready after {time.perf_counter() - started:.1f} s")
            yield port, psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait(60)


def served(root: Path, mix: Mix, workers: int, seconds: float, minutes: float, run: Run) -> Numbers:
    """Everything measured of the server."""
    started = time.perf_counter()
    with serving(root, workers, run) as (port, process):
        numbers: Numbers = {"seconds_to_ready": round(time.perf_counter() - started, 1)}
        asyncio.run(closed(port, N_CONNECTIONS, seconds / 2, mix.draw))  # warms every worker
        for kind in SHARES:
            heard = asyncio.run(closed(port, 1, seconds / 5, lambda k=kind: mix.of_kind(k)))
            numbers |= {f"alone_{name}": value for name, value in heard.numbers().items() if name.startswith(kind)}
        numbers |= stages(port, mix)
        run.say(f"one at a time: {numbers}")
        loaded = asyncio.run(closed(port, N_CONNECTIONS, seconds, mix.draw)).numbers()
        numbers |= {f"closed_{name}": value for name, value in loaded.items()}
        run.say(f"closed loop: {loaded}")
        rate = 0.8 * float(loaded["per_second"] or 0.0)
        memory = Memory(process)
        steady = asyncio.run(open_loop(port, rate, 60 * minutes, mix.draw, mix.rng, every_second=memory.note)).numbers()
        numbers |= {f"open80_{name}": value for name, value in steady.items()} | memory.numbers()
        run.say(f"open loop at {rate:.0f} a second: {steady}, {memory.numbers()}")
        trained = while_training(root, port, 0.5 * rate, seconds, mix)
        numbers |= {f"training_{name}": value for name, value in trained.items()}
        run.say(f"while training, at {0.5 * rate:.0f} a second: {trained}")
    return numbers


class Memory:
    """Resident memory of the server and its workers over time."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._seconds: list[float] = []
        self._mb: list[float] = []

    def note(self, elapsed: float) -> None:
        """Look once every ten seconds."""
        if int(elapsed) % 10 == 0:
            family = [self._process, *self._process.children(recursive=True)]
            self._seconds.append(elapsed)
            self._mb.append(sum(member.memory_info().rss for member in family) / 2**20)

    def numbers(self) -> Numbers:
        """Start, end and growth (least squares over the second half)."""
        half = len(self._mb) // 2
        if half < 2:
            return {}
        slope = np.polyfit(self._seconds[half:], self._mb[half:], 1)[0]
        return {
            "memory_start_mb": round(self._mb[0]),
            "memory_end_mb": round(self._mb[-1]),
            "memory_growth_mb_per_minute": round(60.0 * float(slope), 2),
        }


def stages(port: int, mix: Mix, n: int = 200) -> Numbers:
    """Median milliseconds of each stage, as the answers themselves tell."""
    numbers: Numbers = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for kind, path in (("search", "/v1/search"), ("recommend", "/v1/recommend")):
            seen: dict[str, list[float]] = {}
            for _ in range(n):
                body = mix.of_kind(kind).raw.split(b"\r\n\r\n", 1)[1]
                answer = client.post(path, content=body, headers={"content-type": "application/json"}).json()
                for stage, milliseconds in answer["timings_ms"].items():
                    seen.setdefault(stage, []).append(milliseconds)
            numbers |= {f"{kind}_stage_{stage}_ms": round(float(np.median(ms)), 3) for stage, ms in seen.items()}
    return numbers


def while_training(root: Path, port: int, rate: float, seconds: float, mix: Mix) -> Numbers:
    """The load goes on while another process trains, promotes, and the server swaps."""
    before = models(port)
    command = [sys.executable, "-m", "aisle", "train", str(root)]
    for name in ("popular", "trending", "item_neighbours", "bought_together", "lexical"):
        command += ["--source", name]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as training:
        heard = asyncio.run(open_loop(port, rate, max(60.0, seconds), mix.draw, mix.rng))
        code = training.wait(600)
    time.sleep(2.0)
    swapped = sum(version != before.get(name) for name, version in models(port).items())
    return {**heard.numbers(), "exit_status": code, "n_swapped": swapped}


def models(port: int) -> dict[str, str]:
    """The current version of every model."""
    answer = httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=30).json()
    return {
        str(model["name"]): str(version["version"])
        for model in answer["models"]
        for version in model["versions"]
        if version["is_current"]
    }


def bare(folder: Path, next_call: Callable[[], Call], seconds: float, run: Run) -> Numbers:
    """The floor: FastAPI under uvicorn that takes the same POST bodies and answers a constant."""
    (folder / "bare.py").write_text(_BARE, encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port), "--log-level", "warning"]
    with subprocess.Popen([*command, "--app-dir", str(folder)]) as server:
        try:
            wait_until_answered(f"http://127.0.0.1:{port}/openapi.json", server)
            heard = asyncio.run(closed(port, N_CONNECTIONS, seconds, next_call)).numbers()
            alone = asyncio.run(closed(port, 1, seconds / 5, next_call)).numbers()
        finally:
            server.terminate()
            server.wait(30)
    run.say(f"bare endpoint: {heard}")
    return heard | {f"alone_{name}": value for name, value in alone.items() if name.startswith("all")}


def pieces(root: Path, mix: Mix, run: Run, n: int = 300) -> dict[str, Numbers]:
    """Each library alone on the same queries, in this process: what no shop around it can be faster than."""
    import faiss
    import tantivy

    texts = [str(mix.texts[i % len(mix.texts)]) for i in range(n)]
    with Shop.open(root) as shop:
        titles = [text for table in shop.records.read_catalogue() for text in _titles(table.frame)]
    encoder = open_encoder(Settings.read(root / "aisle.toml").encoder)
    vectors = np.random.default_rng(0).standard_normal((len(titles), encoder.dimension), dtype=np.float32)
    faiss.normalize_L2(vectors)
    flat = faiss.IndexScalarQuantizer(encoder.dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    flat.train(vectors)
    flat.add(vectors)  # type: ignore[call-arg]  # the wrapper of the C++ method takes the array alone
    schema = tantivy.SchemaBuilder().add_text_field("title").build()
    index = tantivy.Index(schema)
    writer = index.writer()
    for title in titles:
        writer.add_document(tantivy.Document(title=title))
    writer.commit()
    index.reload()
    searcher = index.searcher()

    def search(text: str) -> None:
        query, _ = index.parse_query_lenient(text, ["title"])
        searcher.search(query, 200)

    queries = encoder.encode(texts)
    places = itertools.count()
    measured = {
        "tantivy": timed(search, texts),
        "faiss": timed(lambda text: flat.search(queries[next(places)][None, :], 200), texts),
        "encoder": timed(lambda text: encoder.encode([text]), texts),
    }
    run.say(f"pieces alone: {measured}")
    return measured


def _titles(frame: object) -> list[str]:
    import polars as pl

    assert isinstance(frame, pl.DataFrame)
    return [texts[0]["title"] for texts in frame["texts"].to_list()]


def timed(work: Callable[[str], object], texts: Sequence[str]) -> Numbers:
    """Percentiles of ``work`` over texts."""
    milliseconds = []
    for text in texts:
        start = time.perf_counter()
        work(text)
        milliseconds.append(1000.0 * (time.perf_counter() - start))
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def free_port() -> int:
    """A port nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answered(address: str, server: subprocess.Popen[bytes], seconds: float = 300.0) -> None:
    """Until ``address`` answers with success; a server that listens not yet, or is not ready yet, is asked again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with status {server.returncode} before it answered")
        with suppress(httpx.HTTPError):
            if httpx.get(address, timeout=5).is_success:
                return
        time.sleep(0.1)
    raise SystemExit(f"{address} did not answer in {seconds:.0f} s")


if __name__ == "__main__":
    main()
