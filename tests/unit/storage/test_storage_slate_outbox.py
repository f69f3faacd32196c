"""Slates are written just behind the answers: soon, all of them, and without anybody who was erased meanwhile."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aisle.contracts import Appended, Changes
from aisle.domain import Features, Slate, Slot
from aisle.errors import NotReadyError, UnavailableError
from aisle.storage import SlateOutbox, SqlRecords, slate_outbox

DAY_MS = 86_400_000
NOW_MS = 100 * DAY_MS
FEATURES = Features(("price", "n_views"), np.array([[1.5, 2.0], [np.nan, 4.0]], np.float32))


@pytest.fixture
def outbox(records: SqlRecords) -> Iterator[SlateOutbox]:
    box = SlateOutbox(records, now, flush_seconds=0.01)
    yield box
    box.drain()


def now() -> int:
    return NOW_MS


def slate(slate_id: str, user_id: str | None = "ann") -> Slate:
    slots = (Slot("kettle", 0.5, 1.0, {"linear": 0.25}, {"click": 0.125}), Slot("boots", 0.25, 0.5))
    return Slate(slate_id, "home", 7, slots, user_id, "tea", ("boots",), {"linear": "3"}, FEATURES)


class Locked:
    """Holds the write lock as another process would, inside its ``with`` block."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def __enter__(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self.connection.execute("ROLLBACK")
        self.connection.close()


def soon(is_so: Callable[[], bool]) -> bool:
    for _ in range(500):
        if is_so():
            return True
        time.sleep(0.01)
    return False


def test_what_is_put_is_written_without_being_asked(records: SqlRecords, outbox: SlateOutbox) -> None:
    outbox.put([slate("1"), slate("2", None)])

    assert soon(lambda: records.read_slate("2") is not None)
    assert records.read_slate("1") == slate("1")


def test_a_slate_can_be_read_before_and_after_it_is_written(records: SqlRecords) -> None:
    outbox = SlateOutbox(records, now, flush_seconds=60.0)
    outbox.put([slate("1")])
    assert records.read_slate("1") is None
    assert outbox.read("1") == slate("1")
    assert outbox.read("nobody's") is None

    assert outbox.flush()

    assert (outbox.n_waiting, outbox.read("1")) == (0, slate("1"))
    assert outbox.drain() == 0


def test_slates_of_one_moment_are_written_in_one_transaction(
    records: SqlRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = SlateOutbox(records, now, flush_seconds=60.0)
    written: list[int] = []
    append = records.append_slates

    def counted(slates: Sequence[Slate], n_erasures: int | None = None) -> Appended:
        written.append(len(slates))
        return append(slates, n_erasures)

    monkeypatch.setattr(records, "append_slates", counted)
    for number in range(20):
        outbox.put([slate(str(number))])

    assert outbox.drain() == 0

    assert written == [20]
    assert len(records.read_slates(0)[1]) == 20


def test_of_one_id_the_first_stays(records: SqlRecords, outbox: SlateOutbox) -> None:
    outbox.put([slate("1"), replace(slate("1"), placement="other")])
    outbox.flush()
    outbox.put([replace(slate("1"), placement="later")])
    outbox.flush()

    found = records.read_slate("1")
    assert found is not None
    assert found.placement == "home"


def test_put_does_not_wait_for_a_locked_database_and_nothing_is_lost(
    tmp_path: Path, records: SqlRecords, outbox: SlateOutbox
) -> None:
    with Locked(tmp_path / "shop.db"):
        outbox.put([slate("1")])
        assert not outbox.flush(0.5)
        outbox.put([slate("2")])
        assert records.read_slate("1") is None

    assert outbox.flush()
    assert [found.slate_id for found in records.read_slates(0)[1]] == ["1", "2"]
    assert outbox.n_lost == 0


def test_a_full_outbox_refuses_all_of_what_is_put(tmp_path: Path, records: SqlRecords) -> None:
    outbox = SlateOutbox(records, now, flush_seconds=0.01, most_waiting=3)
    with Locked(tmp_path / "shop.db"):
        outbox.put([slate("1"), slate("2")])
        with pytest.raises(UnavailableError, match="2 slates wait .* at most 3"):
            outbox.put([slate("3"), slate("4")])
        outbox.put([slate("5")])

    assert outbox.drain() == 0
    assert [found.slate_id for found in records.read_slates(0)[1]] == ["1", "2", "5"]


def test_what_cannot_be_written_in_time_is_counted(tmp_path: Path, records: SqlRecords) -> None:
    outbox = SlateOutbox(records, now, flush_seconds=0.01)
    with Locked(tmp_path / "shop.db"):
        outbox.put([slate("1"), slate("2")])
        assert outbox.drain(0.3) == 2

    assert (outbox.n_lost, outbox.n_waiting) == (2, 0)
    assert records.read_slates(0)[1] == []


def test_a_slate_that_cannot_be_written_does_not_take_others_with_it(records: SqlRecords) -> None:
    outbox = SlateOutbox(records, now, flush_seconds=60.0)
    odd = replace(slate("odd"), versions={"linear": object()})  # type: ignore[dict-item]
    outbox.put([slate("1"), odd, slate("2")])

    assert outbox.drain() == 0

    assert outbox.n_lost == 1
    assert [found.slate_id for found in records.read_slates(0)[1]] == ["1", "2"]


def test_an_error_of_no_known_kind_does_not_end_the_writing(
    records: SqlRecords, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = SlateOutbox(records, now, flush_seconds=0.01)

    def fail(*_: object) -> Changes:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(records, "changes_since", fail)
        outbox.put([slate("1")])
        assert soon(lambda: "Too many open files" in caplog.text)

    assert soon(lambda: records.read_slate("1") is not None)
    assert outbox.drain() == outbox.n_lost == 0


def test_slates_that_are_too_old_are_deleted_a_few_at_a_time(
    records: SqlRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slate_outbox, "_DROPPED_AT_ONCE", 2)
    monkeypatch.setattr(slate_outbox, "_DROP_SECONDS", 0.0)
    old, kept = NOW_MS - 31 * DAY_MS, NOW_MS - 29 * DAY_MS
    records.append_slates([replace(slate(str(number)), time_ms=old) for number in range(3)])
    records.append_slates([replace(slate("kept"), time_ms=kept)])
    outbox = SlateOutbox(records, now, kept_days=30, flush_seconds=0.01)

    outbox.put([replace(slate("new 1"), time_ms=NOW_MS)])
    assert soon(lambda: records.read_slate("1") is None)
    assert records.read_slate("2") is not None
    outbox.put([replace(slate("new 2"), time_ms=NOW_MS)])
    assert soon(lambda: records.read_slate("2") is None)
    outbox.drain()

    assert [found.slate_id for found in records.read_slates(0)[1]] == ["kept", "new 1", "new 2"]


def test_slates_are_kept_for_ever_where_no_number_of_days_is_set(records: SqlRecords) -> None:
    outbox = SlateOutbox(records, now, kept_days=0, flush_seconds=0.01)
    outbox.put([slate("1")])
    assert soon(lambda: records.read_slate("1") is not None)
    outbox.put([slate("2")])
    outbox.drain()

    assert len(records.read_slates(0)[1]) == 2


def test_a_drained_outbox_takes_nothing_more(outbox: SlateOutbox) -> None:
    outbox.drain()

    with pytest.raises(NotReadyError):
        outbox.put([slate("1")])


def assert_nobodys(found: Slate | None, slate_id: str = "1") -> None:
    assert found == replace(slate(slate_id), user_id=None, query=None, anchor_item_ids=())
    assert found is not None
    assert found.features is None


def test_an_erased_user_is_taken_out_of_what_waits(records: SqlRecords) -> None:
    outbox = SlateOutbox(records, now, flush_seconds=60.0)
    outbox.put([slate("1"), slate("2", "bob")])

    outbox.forget("ann")

    assert_nobodys(outbox.read("1"))
    assert outbox.read("2") == slate("2", "bob")
    outbox.drain()
    assert_nobodys(records.read_slate("1"))
    assert records.read_slate("2") == slate("2", "bob")


def test_a_user_whom_another_process_erases_is_taken_out_of_what_waits(tmp_path: Path, records: SqlRecords) -> None:
    outbox = SlateOutbox(records, now, flush_seconds=60.0)
    outbox.put([slate("0")])
    outbox.flush()
    outbox.put([slate("1")])
    other = SqlRecords.open(tmp_path / "shop.db")
    assert other.erase_user("ann") == 1
    other.close()

    outbox.flush()

    assert_nobodys(records.read_slate("1"))
    came_back, made_before = replace(slate("2"), time_ms=NOW_MS), slate("3")
    outbox.put([came_back, made_before])
    outbox.drain()
    assert records.read_slate("2") == came_back
    assert_nobodys(records.read_slate("3"), "3")


def test_many_threads_may_put_at_once(records: SqlRecords, outbox: SlateOutbox) -> None:
    def put(number: int) -> None:
        for round_ in range(25):
            outbox.put([slate(f"{number}-{round_}")])

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outbox.drain()

    assert {found.slate_id for found in records.read_slates(0)[1]} == {f"{n}-{r}" for n in range(4) for r in range(25)}
