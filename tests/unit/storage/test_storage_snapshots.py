"""A snapshot is what the store holds, whether it was read from the database or from the files kept beside it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from aisle.domain import INTERACTION_SCHEMA, Event, EventTable, EventType, Item, ItemTable, ItemText, Snapshot
from aisle.storage import SqlRecords, snapshots


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlRecords]:
    monkeypatch.setattr(snapshots, "_KEEP_FROM_ROWS", 1)
    monkeypatch.setattr(snapshots, "PAGE_ROWS", 7)
    store = SqlRecords.open(tmp_path / "shop.db")
    yield store
    store.close()


def items(*item_ids: str) -> ItemTable:
    return ItemTable.from_rows([Item(item_id, (ItemText("en", item_id),)) for item_id in item_ids])


def views(*times: int, user_id: str = "u", item_id: str = "a") -> EventTable:
    return EventTable.from_rows([Event(user_id, EventType.VIEW, time_ms, item_id) for time_ms in times])


def kept_files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "snapshots").glob("*.parquet"))


def fresh(records: SqlRecords, tmp_path: Path) -> Snapshot:
    """The snapshot without any kept file."""
    shutil.rmtree(tmp_path / "snapshots", ignore_errors=True)
    return records.snapshot()


def assert_same(one: Snapshot, other: Snapshot) -> None:
    assert one.interactions.equals(other.interactions)
    assert list(one.user_ids) == list(other.user_ids)
    assert one.items.frame.equals(other.items.frame)
    assert one.seq == other.seq


def test_an_empty_shop_has_an_empty_snapshot(records: SqlRecords) -> None:
    snapshot = records.snapshot()

    assert (snapshot.n_items, snapshot.n_users, snapshot.seq) == (0, 0, 0)
    assert dict(snapshot.interactions.schema) == INTERACTION_SCHEMA


def test_interactions_are_sorted_by_time_and_then_by_arrival(records: SqlRecords) -> None:
    records.append_items(items("a", "b"))
    records.append_events(views(5, 3))
    records.append_events(views(3, 9, item_id="b"))

    found = records.snapshot().interactions

    assert found.select("time_ms", "item_row").rows() == [(3, 0), (3, 1), (5, 0), (9, 1)]


def test_suspects_searches_and_unknown_items_are_left_out(records: SqlRecords) -> None:
    records.append_items(items("a"))
    given = [
        Event("honest", EventType.PURCHASE, 1, "a", price_minor=5, quantity=2, platform="web"),
        Event("robot", EventType.VIEW, 2, "a"),
        Event("searcher", EventType.SEARCH, 3, query="q"),
        Event("early", EventType.VIEW, 4, "unknown"),
    ]
    frame = EventTable.from_rows(given).frame
    records.append_events(EventTable.from_frame(frame.with_columns(is_suspect=frame["user_id"] == "robot")))

    snapshot = records.snapshot()

    assert snapshot.user_ids == ["honest"]
    assert snapshot.interactions.rows() == [(0, 0, "purchase", 1, 2, 5, None, None, None, "web")]


def test_a_snapshot_from_kept_files_equals_one_from_the_database(records: SqlRecords, tmp_path: Path) -> None:
    records.append_items(items("a", "b"))
    for n in range(20):
        records.append_events(views(*range(20 - n, 30 - n), user_id=f"u{n}", item_id="ab"[n % 2]))
        kept = records.snapshot()
        assert kept.interactions.height == 10 * (n + 1)

    assert 1 < len(kept_files(tmp_path)) <= snapshots._MOST_FILES + 1
    assert_same(kept, fresh(records, tmp_path))


def test_an_item_that_arrives_later_brings_its_kept_events(records: SqlRecords) -> None:
    records.append_events(views(1, 2, item_id="late"))
    assert records.snapshot().interactions.height == 0

    records.append_items(items("late"))

    assert records.snapshot().interactions["time_ms"].to_list() == [1, 2]


def test_an_erased_user_is_in_no_kept_file(records: SqlRecords, tmp_path: Path) -> None:
    records.append_items(items("a"))
    records.append_events(views(1, 2, user_id="gone"))
    records.append_events(views(3, user_id="stays"))
    records.snapshot()
    assert kept_files(tmp_path)

    records.erase_user("gone")

    assert kept_files(tmp_path) == []
    assert records.snapshot().user_ids == ["stays"]


def test_what_a_killed_writer_left_goes_with_the_next_file(records: SqlRecords, tmp_path: Path) -> None:
    half = tmp_path / "snapshots" / "writing-x"
    half.mkdir(parents=True)
    (half / "events.parquet").write_bytes(b"half")
    records.append_items(items("a"))
    records.append_events(views(1))

    records.snapshot()

    assert [path.suffix for path in (tmp_path / "snapshots").iterdir()] == [".parquet"]


def test_files_of_another_history_are_not_used(records: SqlRecords, tmp_path: Path) -> None:
    """As after a backup was restored: the same numbers stand for other events."""
    records.append_items(items("a"))
    records.append_events(views(1, 2, 3))
    records.snapshot()
    (tmp_path / "other").mkdir()
    shutil.copytree(tmp_path / "snapshots", tmp_path / "other" / "snapshots")
    other = SqlRecords.open(tmp_path / "other" / "shop.db")
    other.append_items(items("a"))
    other.append_events(views(7, 8, 9))

    assert other.snapshot().interactions["time_ms"].to_list() == [7, 8, 9]
    other.close()


@pytest.mark.parametrize("damage", [b"", b"PAR1 not really", None])
def test_a_damaged_file_is_made_again_and_named_in_the_log(
    records: SqlRecords, tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    records.append_items(items("a"))
    records.append_events(views(1, 2, 3))
    before = records.snapshot()
    (path,) = (tmp_path / "snapshots").glob("*.parquet")
    if damage is None:
        pl.DataFrame({"seq": [1]}).write_parquet(path)
    else:
        path.write_bytes(damage)

    with caplog.at_level(logging.WARNING):
        after = records.snapshot()

    assert_same(before, after)
    assert path.name in caplog.text
    assert pl.read_parquet(path).height == 3


def test_a_folder_that_cannot_be_written_costs_only_time(
    records: SqlRecords, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "snapshots").write_text("a file where the folder should be")
    records.append_items(items("a"))
    records.append_events(views(1))

    with caplog.at_level(logging.WARNING):
        assert records.snapshot().interactions.height == 1

    assert "was not written" in caplog.text
