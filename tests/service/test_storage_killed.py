"""A process killed with SIGKILL at any moment loses nothing acknowledged, doubles nothing, and can go on."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from aisle.contracts import Checkpoint
from aisle.domain import Event, EventTable, EventType, Item, ItemTable, ItemText
from aisle.storage import SqlRecords, event_writer

N_ROWS = 60_000
BATCH = 1_500
N_ITEMS = 300
ROUNDS = 10
N_THREADS = 12
# Larger than "small", so that the tail is used, and short enough that it is sorted in several times.
SMALL_APPEND, TAIL_LENGTH = 1_000, 7_000


def batch(first: int) -> EventTable:
    """Rows ``first`` to ``first + BATCH`` of the file being imported; one in ten says the same as the row before."""
    n = pl.int_range(first, first + BATCH, eager=True)
    told = n - (n % 10 == 9).cast(pl.Int64)
    frame = pl.DataFrame({"time_ms": told}).select(
        pl.format("user {}", pl.col("time_ms") * 7919 % 997).alias("user_id"),
        pl.lit("view_item").alias("type"),
        "time_ms",
        pl.format("item {}", pl.col("time_ms") % (2 * N_ITEMS)).alias("item_id"),
    )
    return EventTable.from_frame(frame)


def run_import(path: Path) -> None:
    """Import from the checkpoint to the end, telling each acknowledged position on standard output."""
    event_writer.SMALL_APPEND, event_writer.TAIL_LENGTH = SMALL_APPEND, TAIL_LENGTH
    records = SqlRecords.open(path)
    kept = records.read_checkpoint("file", "f")
    position = kept.position if kept else 0
    items = [Item(f"item {n}", (ItemText("en", f"Title {n}"),)) for n in range(N_ITEMS)]
    records.append_items(ItemTable.from_rows(items))
    while position < N_ROWS:
        records.append_events(batch(position), Checkpoint("file", "f", position + BATCH))
        position += BATCH
        print(position, flush=True)  # noqa: T201 the parent listens
    records.close()


def import_until(path: Path, seconds: float) -> int:
    """Run the import in a process of its own, kill it after a while; the last position it was told of."""
    with subprocess.Popen([sys.executable, __file__, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        ready = child.stdout.readline()
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        told = [ready, *child.stdout.read().splitlines(keepends=True)]
    return max((int(line) for line in told if line.endswith("\n")), default=0)


def run_single_events(path: Path, round_: str) -> None:
    """Append single events from many threads without end, telling each one that was acknowledged."""
    records = SqlRecords.open(path)

    def append(thread: int) -> None:
        for n in itertools.count():
            event_id = f"{round_}-{thread}-{n}"
            event = Event(f"user {n % 50}", EventType.VIEW, n, f"item {n % 30}", event_id=event_id)
            records.append_events(EventTable.from_rows([event]))
            os.write(1, f"{event_id}\n".encode())  # one short write: lines of threads do not mix

    for thread in range(N_THREADS):
        threading.Thread(target=append, args=(thread,)).start()


def acknowledged_until_killed(path: Path, round_: int, seconds: float) -> list[str]:
    """The events a process was told are stored before it was killed."""
    command = [sys.executable, __file__, str(path), str(round_)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        ready = child.stdout.readline()
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        told = [ready, *child.stdout.read().splitlines(keepends=True)]
    return [line.strip() for line in told if line.endswith("\n")]


def expected(position: int) -> pl.DataFrame:
    frames = [batch(first).frame for first in range(0, position, BATCH)]
    return pl.concat(frames).unique(maintain_order=True) if frames else EventTable.empty().frame


def assert_holds_exactly(records: SqlRecords, position: int) -> None:
    seq, frames = 0, []
    while True:
        changes = records.changes_since(seq)
        frames.append(changes.events.frame)
        seq = changes.seq
        if changes.is_complete:
            break
    stored, wanted = pl.concat(frames), expected(position)
    assert stored.equals(wanted)
    known = wanted.filter(pl.col("item_id").str.slice(5).cast(pl.Int64) < N_ITEMS)
    assert records.snapshot().interactions.height == known.height
    counts = records.counts()
    assert (counts["events"], counts["waiting_events"]) == (wanted.height, wanted.height - known.height)
    users = [f"user {n}" for n in range(0, 997, 83)]
    for user_id in users:
        mine = wanted.filter(user_id=user_id)
        assert EventTable.from_rows(records.list_events(user_id=user_id, limit=1_000).rows[::-1]).frame.equals(mine)
        (state,) = records.read_user_states([user_id], 20, 20)
        of_known = mine.filter(pl.col("item_id").is_in(known["item_id"].implode())).tail(20)
        assert state.times_ms.tolist() == of_known["time_ms"].to_list()


@pytest.mark.timeout(300)
def test_an_import_killed_ten_times_ends_with_every_row_exactly_once(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    rng = random.Random(7)
    for _ in range(ROUNDS):
        acknowledged = import_until(path, rng.uniform(0.0, 0.25))
        records = SqlRecords.open(path)
        kept = records.read_checkpoint("file", "f")
        position = kept.position if kept else 0
        assert position >= acknowledged
        assert_holds_exactly(records, position)
        records.close()

    subprocess.run([sys.executable, __file__, str(path)], check=True, stdout=subprocess.DEVNULL)

    records = SqlRecords.open(path)
    assert_holds_exactly(records, N_ROWS)
    assert sum(records.append_events(batch(first)).n_new for first in range(0, N_ROWS, BATCH)) == 0
    assert records.counts()["items"] == N_ITEMS
    records.close()


def test_two_processes_importing_the_same_file_store_every_row_once(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    children = [subprocess.Popen([sys.executable, __file__, str(path)], stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [child.wait(120) for child in children] == [0, 0]

    records = SqlRecords.open(path)
    found = records.changes_since(0, limit=2 * N_ROWS).events.frame
    assert found.sort("time_ms").equals(expected(N_ROWS).sort("time_ms"))
    records.close()


def test_single_events_of_many_threads_that_were_acknowledged_are_there_exactly_once(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    rng = random.Random(3)
    acknowledged: list[str] = []
    for round_ in range(4):
        acknowledged += acknowledged_until_killed(path, round_, rng.uniform(0.05, 0.3))

    records = SqlRecords.open(path)
    stored = records.changes_since(0, limit=10**6).events.frame["event_id"].to_list()
    assert len(acknowledged) > N_THREADS
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored)) == records.counts()["events"]
    records.close()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        run_single_events(Path(sys.argv[1]), sys.argv[2])
    else:
        run_import(Path(sys.argv[1]))
