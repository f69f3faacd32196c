"""The whole product killed with SIGKILL while it imports and while it trains: it opens, nothing is lost or doubled."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from aisle.domain import EventType
from aisle.folder import init
from aisle.shop import Shop
from aisle.testing import tiny_shop
from aisle.testing.tiny import DAY_MS, FIRST_DAY_MS
from tests.flows.conftest import init_without_chance

WRITER = """
import itertools, os, sys, threading
from aisle.domain import Event, EventType
from aisle.shop import Shop
shop = Shop.open(sys.argv[1], clock=lambda: int(sys.argv[2]))
shop.follow(0.02)
def write(thread):
    for n in itertools.count():
        user = f"{sys.argv[3]}-{thread}-{n}"
        shop.add_events([Event(user, EventType.VIEW, int(sys.argv[2]) - 1000, "kettle", event_id=user)])
        os.write(1, f"{user}\\n".encode())
for thread in range(3):
    threading.Thread(target=write, args=(thread,)).start()
while True:
    shop.search("tea")
"""
"""Records a view of each of endless users from three threads, names each when it is acknowledged, asks meanwhile."""
N_EVENTS = 300_000
ROUNDS = 10


def run_until_killed(arguments: list[str], seconds: float) -> bool:
    """Run the command line; kill it after ``seconds``. Whether it came to its end before."""
    child = subprocess.Popen(
        [sys.executable, "-m", "aisle", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.communicate()
        return False
    assert child.returncode == 0, errors.decode()
    return True


@pytest.fixture
def events_file(tmp_path) -> Path:
    """Events that differ, so that every row is one event; items are the tiny shop's."""
    tiny = tiny_shop()
    ids = [item.item_id for item in tiny.items]
    frame = pl.DataFrame({"n": range(N_EVENTS)}).select(
        user_id=pl.format("u{}", pl.col("n") % 5_000),
        type=pl.lit(EventType.VIEW.value),
        time_ms=FIRST_DAY_MS + pl.col("n").cast(pl.Int64) * 7_919 % (29 * DAY_MS),
        item_id=pl.lit(pl.Series(ids)).gather(pl.col("n") % len(ids)),
        session_id=pl.format("s{}", "n"),
    )
    path = tmp_path / "events.csv"
    frame.write_csv(path)
    return path


@pytest.mark.timeout(300)
def test_an_import_killed_ten_times_loads_every_row_once(tmp_path, events_file):
    tiny = tiny_shop()
    with Shop(init(tmp_path / "shop")) as shop:
        shop.add_items(tiny.items)
    arguments = ["import", str(tmp_path / "shop"), str(events_file)]
    rng = random.Random(11)

    started = time.monotonic()
    run_until_killed(["import", "--help"], 60)
    start_seconds = time.monotonic() - started
    for _ in range(ROUNDS):
        run_until_killed(arguments, start_seconds + rng.uniform(0.0, 1.5))
        with Shop.open(tmp_path / "shop") as shop:
            assert shop.records.counts()["events"] <= N_EVENTS
    assert run_until_killed(arguments, 240)

    with Shop.open(tmp_path / "shop") as shop:
        stored = shop.records.snapshot().interactions
        assert shop.records.counts()["events"] == N_EVENTS
        assert stored.height == N_EVENTS
        assert stored["session_id"].n_unique() == N_EVENTS


@pytest.mark.timeout(300)
def test_a_training_killed_ten_times_leaves_whole_models(tmp_path):
    tiny = tiny_shop()
    folder = tmp_path / "shop"
    with Shop(init_without_chance(folder), clock=tiny.clock) as shop:
        shop.add_items(tiny.items)
        shop.add_events(tiny.events)
        shop.train()
        expected = shop.recommend(user_id="dora").item_ids
    rng = random.Random(12)
    started = time.monotonic()
    assert run_until_killed(["train", str(folder)], 120)
    whole = time.monotonic() - started

    for _ in range(ROUNDS):
        run_until_killed(["train", str(folder)], rng.uniform(0.3 * whole, whole))
        with Shop.open(folder, clock=tiny.clock) as shop:
            answer = shop.recommend(user_id="dora")
            assert (answer.degraded, shop.live.stages.lineup.failures) == ((), {})
            assert answer.item_ids == expected
            assert shop.search("雨伞").item_ids[0] == "umbrella"

    assert run_until_killed(["train", str(folder)], 120)
    staged = list((folder / "models" / ".writing").iterdir())
    assert staged == []


@pytest.mark.timeout(120)
def test_what_a_killed_writer_was_told_is_stored_is_there_once_and_in_the_answers(tmp_path):
    tiny = tiny_shop()
    folder = tmp_path / "shop"
    with Shop(init(folder), clock=tiny.clock) as shop:
        shop.add_items(tiny.items)
        shop.train()
    rng = random.Random(13)
    acknowledged: list[str] = []

    for life in range(3):
        arguments = [sys.executable, "-c", WRITER, str(folder), str(tiny.clock()), f"life{life}"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            told = [child.stdout.readline() for _ in range(rng.randrange(20, 200))]
            child.send_signal(signal.SIGKILL)
            told += child.stdout.read().splitlines(keepends=True)
        acknowledged += [line.strip() for line in told if line.endswith("\n")]
        with Shop.open(folder, clock=tiny.clock) as shop:
            stored = shop.records.read_user_states(acknowledged, 10, 10)
            assert [len(state.item_rows) for state in stored] == [1] * len(acknowledged)
            newest = shop.recommend("recently-viewed", user_id=acknowledged[-1])
            assert (newest.item_ids, newest.degraded) == (("kettle",), ())
            assert shop.recommend("popular").item_ids[0] == "kettle"
