"""The following thread: what other processes record, erase, train and roll back reaches a process that serves."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aisle import wiring
from aisle.domain import Event, EventType, Item, ItemText
from aisle.errors import CorruptError, UnavailableError
from aisle.flows.collect import Following
from aisle.shop import Shop
from aisle.testing.tiny import HOUR_MS, NOW_MS

OTHER = """
import sys
from aisle.domain import Event, EventType, Item, ItemText
from aisle.shop import Shop
folder, now_ms, work = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with Shop.open(folder, clock=lambda: now_ms) as shop:
    exec(work)
"""
"""A program of its own that opens the shop and does something with it."""


def elsewhere(shop: Shop, work: str) -> None:
    """Do ``work`` in another process."""
    subprocess.run([sys.executable, "-c", OTHER, str(shop.folder.root), str(NOW_MS), work], check=True, timeout=120)


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether something comes true before the time is over."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def following(shop):
    shop.follow(0.05)
    shop.search("tea")
    return shop


def test_what_another_process_records_is_answered_without_asking_for_it(following):
    elsewhere(
        following,
        "shop.add_items([Item('teapot', (ItemText('en', 'Cast iron teapot'),), created_ms=now_ms - 1000)]);"
        "shop.add_events([Event('newcomer', EventType.VIEW, now_ms - 1000, 'teapot')])",
    )

    assert eventually(lambda: following.search("cast iron teapot").item_ids[:1] == ("teapot",))
    assert eventually(
        lambda: following.recommend("recently-viewed", user_id="newcomer").item_ids == ("teapot",),
    )


def test_two_processes_that_follow_see_each_other(following):
    """A second process adds an event, waits until it sees ours in its own answers, and says so with another event."""
    work = """
import time
shop.follow(0.05)
shop.add_events([Event('from-there', EventType.VIEW, now_ms - 1000, 'kettle')])
while shop.recommend('recently-viewed', user_id='from-here').item_ids != ('boots',):
    time.sleep(0.02)
shop.add_events([Event('seen-there', EventType.VIEW, now_ms - 1000, 'boots')])
"""
    child = subprocess.Popen([sys.executable, "-c", OTHER, str(following.folder.root), str(NOW_MS), work])
    try:
        viewed = lambda user_id: following.recommend("recently-viewed", user_id=user_id).item_ids  # noqa: E731
        assert eventually(lambda: viewed("from-there") == ("kettle",), 60)
        following.add_events([Event("from-here", EventType.VIEW, NOW_MS - HOUR_MS, "boots")])
        assert eventually(lambda: viewed("seen-there") == ("boots",), 60)
        assert child.wait(30) == 0
    finally:
        child.kill()


def test_a_version_trained_elsewhere_comes_into_service_and_goes_when_it_is_rolled_back(following):
    versions = lambda: following.live.stages.lineup.versions["popular"]  # noqa: E731
    before = versions()

    elsewhere(following, "shop.train(['popular'])")
    assert eventually(lambda: versions() > before)

    elsewhere(following, "shop.rollback('popular')")
    assert eventually(lambda: versions() == before)
    assert following.recommend("popular").degraded == ()


def test_a_damaged_new_version_leaves_the_old_one_in_service_and_is_named(following, caplog):
    lineup = following.live.stages.lineup
    before = lineup.versions["popular"]
    models: Path = following.folder.models
    damaged = models / "popular" / "000099"
    shutil.copytree(models / "popular" / before, damaged)
    for file in damaged.glob("*.np*"):
        file.write_bytes(b"damaged")
    current = models / "popular" / "current"
    current.write_text(f"000099\n{current.read_text()}")

    assert eventually(lambda: "popular" in lineup.failures)
    assert lineup.versions["popular"] == before
    assert f"version 000099 cannot be used, version {before} answers on" in lineup.failures["popular"]
    assert following.recommend("popular").degraded == ()
    time.sleep(0.3)
    assert len([record for record in caplog.records if "000099" in record.getMessage()]) == 1

    following.train(["popular"])
    assert "popular" not in lineup.failures
    assert lineup.versions["popular"] > "000099"


def test_a_version_that_could_not_be_read_for_a_moment_comes_in_later(following, monkeypatch):
    monkeypatch.setattr(wiring, "TRY_AGAIN_SECONDS", 0.3)
    lineup = following.live.stages.lineup
    before = lineup.versions["popular"]
    artifacts = following.specs["popular"].artifacts
    read = artifacts.current

    def fail(own, name):
        if name == "popular":
            raise CorruptError("weights.npz cannot be read (Too many open files)", may_pass=True)
        return read(name)

    with monkeypatch.context() as patched:
        patched.setattr(type(artifacts), "current", fail)
        elsewhere(following, "shop.train(['popular'])")
        assert eventually(lambda: "Too many open files" in lineup.failures.get("popular", ""))
        assert lineup.versions["popular"] == before

    assert eventually(lambda: lineup.versions["popular"] > before)
    assert "popular" not in lineup.failures


def test_a_user_erased_elsewhere_is_forgotten(following):
    following.add_events([Event("gone", EventType.VIEW, NOW_MS - HOUR_MS, "kettle")])
    assert following.recommend("recently-viewed", user_id="gone").item_ids == ("kettle",)

    elsewhere(following, "shop.erase_user('gone')")

    assert eventually(lambda: following.recommend("recently-viewed", user_id="gone").item_ids == ())


def test_errors_do_not_end_the_thread_and_are_told_once(following, monkeypatch, caplog):
    read_changes = following.records.changes_since

    def locked(*arguments):
        raise UnavailableError("shop.db is locked by another process")

    with monkeypatch.context() as patched:
        patched.setattr(following.records, "changes_since", locked)
        assert eventually(lambda: "aisle.collect" in [record.name for record in caplog.records])
        time.sleep(0.3)
    assert following.records.changes_since == read_changes
    assert [record.name for record in caplog.records].count("aisle.collect") == 1

    elsewhere(following, "shop.add_events([Event('later', EventType.VIEW, now_ms - 1000, 'kettle')])")
    assert eventually(lambda: following.recommend("recently-viewed", user_id="later").item_ids == ("kettle",))


def test_a_nudge_is_taken_in_at_once_and_stopping_ends_the_thread():
    taken: list[float] = []
    following = Following(lambda: taken.append(time.monotonic()), lambda: None, every_seconds=600.0)
    assert eventually(lambda: len(taken) == 1)

    following.nudge()
    assert eventually(lambda: len(taken) == 2)

    following.stop()
    following.nudge()
    time.sleep(0.05)
    assert len(taken) == 2


def test_after_much_was_taken_in_it_goes_on_soon():
    taken: list[float] = []

    def take_in() -> None:
        if not taken:
            time.sleep(0.6)
        taken.append(time.monotonic())

    following = Following(take_in, lambda: None, every_seconds=0.05)

    assert eventually(lambda: len(taken) >= 2)
    following.stop()
    assert taken[1] - taken[0] < 1.5


def test_taking_in_goes_on_while_new_versions_are_loaded():
    taken: list[float] = []
    is_loading, is_loaded = threading.Event(), threading.Event()

    def look() -> None:
        is_loading.set()
        is_loaded.wait(30)

    following = Following(lambda: taken.append(time.monotonic()), look, every_seconds=0.05)
    assert is_loading.wait(20)
    n_taken = len(taken)

    assert eventually(lambda: len(taken) > n_taken + 2)
    is_loaded.set()
    following.stop()


def test_items_and_events_of_this_process_are_taken_in_before_anybody_asks(following):
    follower = following.live.follower

    appended = following.add_items([Item("teapot", (ItemText("en", "Cast iron teapot"),), created_ms=NOW_MS)])

    assert eventually(lambda: follower.seq >= appended.seq)
    assert following.live.parts.catalogue.row("teapot") >= 0
