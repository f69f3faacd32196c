"""A full disk, a locked or damaged database, a damaged model: a clear error, nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aisle.contracts import Checkpoint
from aisle.domain import Event, EventTable, EventType, Item, ItemTable, ItemText
from aisle.errors import CorruptError, UnavailableError
from aisle.storage import FolderArtifacts, SqlRecords

PAGE_BYTES = 4096


def views(first: int, n: int) -> EventTable:
    return EventTable.from_rows(
        [Event(f"u{k}", EventType.VIEW, k, f"item {k}", text="x" * 200) for k in range(first, first + n)]
    )


def fill(folder: Path, n: int = 2_000) -> Path:
    records = SqlRecords.open(folder / "shop.db")
    records.append_items(ItemTable.from_rows([Item(f"item {k}", (ItemText("en", "t"),)) for k in range(n)]))
    records.append_events(views(0, n), Checkpoint("file", "f", n))
    records.close()
    return folder / "shop.db"


def limit_pages(records: SqlRecords, pages: int) -> None:
    """Let the database grow by so many pages and no further, as on a disk that is nearly full."""
    driver = records._commits._connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    (count,) = driver.execute("PRAGMA page_count").fetchone()
    driver.execute(f"PRAGMA max_page_count = {count + pages}")


def test_a_full_database_refuses_the_batch_whole_and_takes_it_when_there_is_room(tmp_path: Path) -> None:
    fill(tmp_path)
    records = SqlRecords.open(tmp_path / "shop.db")
    limit_pages(records, 100)  # room for the new users and items, not for their events

    with pytest.raises(UnavailableError, match="no room left on the disk"):
        records.append_events(views(10_000, 2_000), Checkpoint("file", "f", 4_000))

    assert records.counts()["events"] == 2_000
    assert records.read_checkpoint("file", "f") == Checkpoint("file", "f", 2_000)
    limit_pages(records, 100_000)
    assert records.append_events(views(10_000, 2_000), Checkpoint("file", "f", 4_000)).n_new == 2_000
    assert records.append_events(views(0, 2_000)).n_duplicate == 2_000
    stored = [records.list_events(user_id=f"u{n}").rows for n in (10_000, 11_999)]
    assert [len(rows) for rows in stored] == [1, 1]
    records.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB; only root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_the_disk(records: SqlRecords) -> int:
    """Append until there is no room; how many events were acknowledged."""
    for acknowledged in range(0, 100_000, 1_000):
        try:
            records.append_events(views(acknowledged, 1_000), Checkpoint("file", "f", acknowledged + 1_000))
        except UnavailableError:
            return acknowledged
    raise AssertionError("the disk did not fill")


def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk: Path) -> None:
    records = SqlRecords.open(small_disk / "shop.db")
    acknowledged = fill_the_disk(records)
    assert acknowledged > 0
    with contextlib.suppress(UnavailableError):
        records.close()

    records = SqlRecords.open(small_disk / "shop.db")
    assert records.counts()["events"] == acknowledged
    assert records.read_checkpoint("file", "f") == Checkpoint("file", "f", acknowledged)
    assert len(records.list_events(user_id=f"u{acknowledged - 1}").rows) == 1
    with contextlib.suppress(UnavailableError):
        records.close()


def test_a_full_disk_while_a_model_is_written_leaves_the_current_one(small_disk: Path) -> None:
    artifacts = FolderArtifacts(small_disk / "models")
    with artifacts.write("linear", "ease", data_seq=0, config={}, metrics={}) as draft:
        (draft.folder / "weights").write_bytes(b"1" * 1_000_000)
    promoted = artifacts.promote("linear")

    with (
        pytest.raises(UnavailableError, match="space"),
        artifacts.write("linear", "ease", data_seq=0, config={}, metrics={}) as draft,
    ):
        (draft.folder / "weights").write_bytes(b"2" * 20_000_000)

    assert artifacts.current("linear") == (small_disk / "models" / "linear" / "000001", promoted)
    assert artifacts.versions("linear") == [promoted]


def test_a_locked_database_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    path = fill(tmp_path)
    records = SqlRecords.open(path, busy_timeout_seconds=0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(UnavailableError, match=r"locked by another process.*Try again"):
        records.append_events(views(10_000, 10))
    assert records.counts()["events"] == 2_000  # readers are not in the way of a writer

    other.execute("COMMIT")
    assert records.append_events(views(10_000, 10)).n_new == 10
    records.close()


def test_something_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = fill(tmp_path)
    path.write_bytes(b"no database at all" + path.read_bytes()[18:])

    with pytest.raises(CorruptError, match="restore it from a backup") as caught:
        SqlRecords.open(path)

    assert caught.value.path == str(path)


def test_damaged_pages_are_told_and_never_read_as_something_else(tmp_path: Path) -> None:
    path = fill(tmp_path)
    content = bytearray(path.read_bytes())
    for page in range(len(content) // 2 // PAGE_BYTES * PAGE_BYTES, len(content), PAGE_BYTES):
        content[page : page + 64] = b"\xa5" * 64
    path.write_bytes(bytes(content))
    records = SqlRecords.open(path)

    with pytest.raises(CorruptError, match="restore it from a backup"):
        records.snapshot()
    with pytest.raises(CorruptError):
        records.append_events(views(10_000, 2_000))
    with contextlib.suppress(CorruptError):
        records.close()


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    path = folder / "shop.db"
    path.mkdir()

    with pytest.raises(UnavailableError, match="permissions"):
        SqlRecords.open(path)


def test_a_damaged_model_file_names_the_repair(tmp_path: Path) -> None:
    artifacts = FolderArtifacts(tmp_path)
    with artifacts.write("linear", "ease", data_seq=0, config={}, metrics={}) as draft:
        (draft.folder / "weights").write_bytes(b"1" * 1000)
    artifacts.promote("linear")
    content = bytearray((tmp_path / "linear" / "000001" / "weights").read_bytes())
    content[500] ^= 1
    (tmp_path / "linear" / "000001" / "weights").write_bytes(bytes(content))

    with pytest.raises(CorruptError, match="aisle train"):
        artifacts.current("linear")
