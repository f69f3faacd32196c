"""Bringing data in: events a second in bulk, a million items, memory, through the product and a real database.

``python -m benchmarks.ingest [--events 1000000] [--items 1000000]``. Writes synthetic files into a temporary folder,
imports each into a new shop's database, and measures two peers on the same rows: polars reading the file and doing
nothing with it (the floor), and Python's csv module feeding ``sqlite3.executemany`` (what a script would do). Each
part runs in a process of its own, so that peak memory is its own.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from aisle.ingest import import_files
from aisle.storage.records import SqlRecords
from benchmarks.result import Run, peak_memory_mb

PROTOCOL = (
    "synthetic events (9 columns; 100k users, 50k items, Zipf) and items (title, description, brand, category, price); "
    "import_files with cleaning, robots and duplicates on, into a new SQLite shop with synchronous=FULL; "
    "peers: polars read only, csv + sqlite3.executemany without any cleaning"
)
EVENT_COLUMNS = ("event_id", "user_id", "type", "time", "item_id", "quantity", "price", "currency", "session_id")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; default a temporary folder")
    arguments = parser.parse_args()
    run = Run("ingest", PROTOCOL)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        _alone(write_files, folder, arguments.events, arguments.items)
        run.say("files written")
        system: dict[str, float] = {}
        peers: dict[str, dict[str, float]] = {}
        for kind in ("csv", "parquet"):
            system |= _named(_alone(import_events, folder, f"events.{kind}", arguments.events), f"events_{kind}")
            run.say(f"events from {kind}: {system[f'events_{kind}_per_second']:,.0f} a second")
        system |= _named(_alone(import_items, folder, arguments.items), "items_parquet")
        run.say(f"items: {system['items_parquet_per_second']:,.0f} a second")
        peers["polars_read_csv"] = _alone(read_only, folder, "events.csv", arguments.events)
        peers["polars_read_parquet"] = _alone(read_only, folder, "events.parquet", arguments.events)
        peers["csv_executemany"] = _alone(plain_sqlite, folder, arguments.events)
        run.finish(system, peers)


def write_files(folder: Path, n_events: int, n_items: int) -> dict[str, float]:
    """Synthetic events as CSV and Parquet, items as Parquet."""
    rng = np.random.default_rng(0)
    start = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1000
    frame = _events(rng, n_events, start)
    frame.write_parquet(folder / "events.parquet")
    frame.with_columns(pl.col("time").dt.to_string("%Y-%m-%dT%H:%M:%S%.3fZ")).write_csv(folder / "events.csv")
    _items(rng, n_items).write_parquet(folder / "items.parquet")
    return {}


def _events(rng: np.random.Generator, n: int, start_ms: int) -> pl.DataFrame:
    moments = start_ms + np.sort(rng.integers(0, 300 * 86_400_000, n))
    users = rng.integers(0, 100_000, n)
    kinds = np.array(["view_item_list", "select_item", "view_item", "add_to_cart", "purchase"])
    return pl.DataFrame(
        {
            "event_id": [f"e{number:09d}" for number in range(n)],
            "user_id": "u" + pl.Series(users).cast(pl.String).str.zfill(6),
            "type": kinds[rng.choice(5, n, p=[0.4, 0.2, 0.25, 0.1, 0.05])],
            "time": pl.Series(moments).cast(pl.Datetime("ms", "UTC")),
            "item_id": "i" + pl.Series(np.minimum(rng.zipf(1.3, n), 50_000)).cast(pl.String),
            "quantity": rng.integers(1, 4, n),
            "price": (rng.integers(100, 20_000, n) / 100).round(2),
            "currency": np.repeat("USD", n),
            "session_id": "s" + pl.Series(users * 1000 + moments // 86_400_000 % 1000).cast(pl.String),
        }
    )


def _items(rng: np.random.Generator, n: int) -> pl.DataFrame:
    words = np.array([f"word{number}" for number in range(5_000)])
    drawn = rng.integers(0, len(words), (n, 8))
    titles = pl.DataFrame({str(column): words[drawn[:, column]] for column in range(8)})
    return pl.DataFrame(
        {
            "item_id": "i" + pl.Series(np.arange(n)).cast(pl.String),
            "title": titles.select(pl.concat_str(pl.all(), separator=" ")).to_series(),
            "description": titles.select(pl.concat_str(pl.all().reverse(), separator=" ")).to_series(),
            "brand": "brand" + pl.Series(rng.integers(0, 2_000, n)).cast(pl.String),
            "category": pl.Series(np.stack([rng.integers(0, 20, n), rng.integers(0, 400, n)], axis=1).tolist())
            .cast(pl.List(pl.String)),
            "price": (rng.integers(100, 20_000, n) / 100).round(2),
        }
    )  # fmt: skip


def import_events(folder: Path, name: str, n: int) -> dict[str, float]:
    """Events of one file through the product."""
    return _import(folder, name, n, "events")


def import_items(folder: Path, n: int) -> dict[str, float]:
    """Items through the product."""
    return _import(folder, "items.parquet", n, "items")


def _import(folder: Path, name: str, n: int, table: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as shop:
        records = SqlRecords.open(Path(shop) / "shop.db")
        before = peak_memory_mb()
        started, started_cpu = time.perf_counter(), time.process_time()
        report = import_files([folder / name], None, records, clock=lambda: time.time_ns() // 1_000_000)
        figures = _figures(n, started, started_cpu)
        stored = records.counts()[table]
        records.close()
        if stored != n or report.n_new != n or report.n_refused:
            raise SystemExit(f"{name}: {stored} stored, {report.n_new} new, {report.n_refused} refused; wanted {n}")
        size = (Path(shop) / "shop.db").stat().st_size / 2**20
    return {**figures, "memory_before_mb": before, "database_mb": round(size)}


def read_only(folder: Path, name: str, n: int) -> dict[str, float]:
    """Peer: polars reads every column and does nothing with it."""
    started, started_cpu = time.perf_counter(), time.process_time()
    frame = pl.read_csv(folder / name, infer_schema=False) if name.endswith(".csv") else pl.read_parquet(folder / name)
    return _figures(frame.height, started, started_cpu)


def plain_sqlite(folder: Path, n: int) -> dict[str, float]:
    """Peer: the csv module into ``executemany``, the same key and durability, nothing checked."""
    started, started_cpu = time.perf_counter(), time.process_time()
    with sqlite3.connect(folder / "plain.db") as connection, (folder / "events.csv").open(newline="") as file:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        columns = ", ".join(f"{name} TEXT" for name in EVENT_COLUMNS)
        connection.execute(f"CREATE TABLE events (seq INTEGER PRIMARY KEY, {columns}, UNIQUE (event_id))")
        connection.execute("CREATE INDEX by_user ON events (user_id, time)")
        marks = ", ".join("?" * len(EVENT_COLUMNS))
        rows = csv.reader(file)
        next(rows)
        insert = f"INSERT OR IGNORE INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({marks})"  # noqa: S608
        connection.executemany(insert, rows)
    return _figures(n, started, started_cpu)


def _figures(n: int, started: float, started_cpu: float) -> dict[str, float]:
    """Rate and cost. On a busy machine compare ``cpu_seconds``: it leaves out waiting for a core."""
    seconds = time.perf_counter() - started
    return {
        "per_second": round(n / seconds),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(time.process_time() - started_cpu, 2),
        "peak_memory_mb": peak_memory_mb(),
    }


def _named(metrics: dict[str, float], prefix: str) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in metrics.items()}


def _alone(part: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """Run one part in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(part, arguments)


if __name__ == "__main__":
    main()
