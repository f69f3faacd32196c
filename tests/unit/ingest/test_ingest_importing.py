"""Imports that are killed, repeated, changed or refused by the store: every row exactly once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aisle.contracts import Appended
from aisle.errors import UnavailableError
from aisle.ingest import ImportConfig, ImportReport, parse_mapping
from aisle.ingest.limits import LimitsConfig
from aisle.storage.records import SqlRecords

Bring = Callable[..., ImportReport]
SMALL = ImportConfig(limits=LimitsConfig(batch_rows=100))


def write_events(path: Path, n: int) -> None:
    lines = [f"u{k % 7},view_item,{1_700_000_000_000 + k * 60_000},i{k}" for k in range(n)]
    path.write_text("user_id,type,time_ms,item_id\n" + "\n".join(lines) + "\n")


def test_an_import_that_stops_in_the_middle_goes_on_where_it_was(
    tmp_path: Path, bring_in: Bring, records: SqlRecords
) -> None:
    write_events(tmp_path / "e.csv", 1000)
    seen: list[int] = []

    def stop_after_three(table: object, appended: Appended) -> None:
        seen.append(appended.n_new)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring_in(tmp_path / "e.csv", config=SMALL, on_batch=stop_after_three)
    assert records.counts()["events"] == 300
    report = bring_in(tmp_path / "e.csv", config=SMALL)
    assert (report.n_resumed, report.n_new, report.n_duplicate, report.n_rows) == (300, 700, 0, 1000)
    assert records.counts()["events"] == 1000
    again = bring_in(tmp_path / "e.csv", config=SMALL)
    assert (again.n_resumed, again.n_new, again.n_rows) == (1000, 0, 1000)


def test_another_batch_size_resumes_at_the_same_row(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    write_events(tmp_path / "e.csv", 500)

    def stop(table: object, appended: Appended) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring_in(tmp_path / "e.csv", config=SMALL, on_batch=stop)
    other = ImportConfig(limits=LimitsConfig(batch_rows=77))
    report = bring_in(tmp_path / "e.csv", config=other)
    assert (report.n_resumed, report.n_new, report.n_duplicate, report.n_rows) == (100, 400, 0, 500)


def test_a_file_that_breaks_keeps_what_was_good_and_says_how_to_go_on(
    tmp_path: Path, bring_in: Bring, records: SqlRecords
) -> None:
    (tmp_path / "in").mkdir()
    rows = [json.dumps({"item_id": str(n), "title": f"item {n}"}) for n in range(250)]
    (tmp_path / "in" / "a.json").write_text("[" + ",".join(rows) + ', {"item_id": ')
    (tmp_path / "in" / "b.json").write_text('[{"item_id":"last","title":"t"}]')
    mapping = parse_mapping('table = "items"\n[columns]\nitem_id = "item_id"\ntitle = "title"')
    report = bring_in(tmp_path / "in", mapping, config=SMALL)
    assert not report.is_complete
    assert report.failures[0].row == 200
    assert "Rows up to 200 are stored; mend the source and run the same import again" in report.failures[0].message
    assert records.counts()["items"] == 201
    (tmp_path / "in" / "a.json").write_text("[" + ",".join(rows) + "]")
    mended = bring_in(tmp_path / "in", mapping, config=SMALL)
    assert mended.is_complete
    assert records.counts()["items"] == 251


def test_a_changed_file_or_mapping_is_another_import(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    write_events(tmp_path / "e.csv", 10)
    bring_in(tmp_path / "e.csv")
    write_events(tmp_path / "e.csv", 11)
    report = bring_in(tmp_path / "e.csv")
    assert (report.n_resumed, report.n_new, report.n_duplicate) == (0, 1, 10)


def test_a_store_that_does_not_answer_stops_the_import(
    tmp_path: Path, bring_in: Bring, records: SqlRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(tmp_path / "e.csv", 300)
    append = records.append_events
    calls: list[int] = []

    def fails_once(*arguments: Any) -> Appended:
        calls.append(1)
        if len(calls) == 2:
            raise UnavailableError("disk full")
        return append(*arguments)

    monkeypatch.setattr(records, "append_events", fails_once)
    with pytest.raises(UnavailableError):
        bring_in(tmp_path / "e.csv", config=SMALL)
    assert bring_in(tmp_path / "e.csv", config=SMALL).n_new == 200
    assert records.counts()["events"] == 300


def test_refusals_go_to_a_file_and_the_first_to_the_report(tmp_path: Path, bring_in: Bring) -> None:
    lines = [f"u,nothing,{k},i" if k % 2 else f"u{k},view_item,1700000000000,i" for k in range(1, 101)]
    (tmp_path / "e.csv").write_text("user_id,type,time_ms,item_id\n" + "\n".join(lines))
    report = bring_in(tmp_path / "e.csv", refusals_path=tmp_path / "out" / "refused.jsonl")
    written = [json.loads(line) for line in (tmp_path / "out" / "refused.jsonl").read_text().splitlines()]
    assert len(written) == 100  # a wrong type and a wrong time in each of 50 rows
    assert set(written[0]) == {"source", "row", "field", "value", "allowed"}
    assert report.refused_fields == {"type": 50, "time_ms": 50}
    assert (report.n_refused, report.n_new, len(report.refusals)) == (50, 50, 20)
    assert report.refusals_path == tmp_path / "out" / "refused.jsonl"
    assert [table.title for table in report.tables()] == [
        "Import of events from 1 source(s)",
        "Refused: first 20 of 100 values",
    ]


def test_progress_and_batches_are_heard_in_order(tmp_path: Path, bring_in: Bring) -> None:
    write_events(tmp_path / "e.csv", 250)
    heard: list[tuple[str, int]] = []
    sizes: list[int] = []
    bring_in(
        tmp_path / "e.csv",
        config=SMALL,
        progress=lambda task, done, total=None: heard.append((task, done)),
        on_batch=lambda table, appended: sizes.append(len(table)),
    )
    assert [done for _, done in heard] == [100, 200, 250]
    assert sizes == [100, 100, 50]


def test_events_of_unknown_items_wait(tmp_path: Path, bring_in: Bring, records: SqlRecords) -> None:
    write_events(tmp_path / "e.csv", 5)
    assert bring_in(tmp_path / "e.csv").n_waiting == 5
    (tmp_path / "i.csv").write_text("item_id,title\ni0,a\ni1,b\n")
    bring_in(tmp_path / "i.csv")
    assert records.counts()["waiting_events"] == 3


_KILLED = """
import os, signal, sys
from pathlib import Path
from aisle.ingest import ImportConfig, import_files
from aisle.ingest.limits import LimitsConfig
from aisle.storage.records import SqlRecords

folder, die_at = Path(sys.argv[1]), int(sys.argv[2])
heard = []
def progress(task, done, total=None):
    heard.append(done)
    if len(heard) == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
records = SqlRecords.open(folder / "shop.db")
import_files([folder / "e.csv"], None, records, clock=lambda: 1_800_000_000_000,
             config=ImportConfig(limits=LimitsConfig(batch_rows=100)), progress=progress)
"""


def test_a_killed_process_loses_and_doubles_nothing(tmp_path: Path) -> None:
    write_events(tmp_path / "e.csv", 1000)
    for die_at in (1, 4):
        ended = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), str(die_at)], check=False)
        assert ended.returncode == -9
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), "0"], check=True)
    store = SqlRecords.open(tmp_path / "shop.db")
    counts = store.counts()
    store.close()
    assert counts["events"] == 1000
