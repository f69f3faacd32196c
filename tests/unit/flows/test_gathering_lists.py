"""Training reads the newest lists and what came of them, and nothing of before."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.domain import Event, EventTable, EventType, Features, Slate, Slot
from aisle.flows import rank_training, slate_pages
from aisle.flows.rank_training import gather
from aisle.storage import SqlRecords

NOW_MS = 1_000_000_000_000
HOUR_MS = 3_600_000


def write(records: SqlRecords, number: int) -> int:
    """A list that was clicked before it was written down; the sequence number of the click."""
    slate_id, time_ms = str(number), NOW_MS + number * HOUR_MS
    features = Features(("number",), np.array([[number]], np.float32))
    click = Event("ann", EventType.CLICK, time_ms, "kettle", slate_id=slate_id)
    seq = records.append_events(EventTable.from_rows([click])).seq
    records.append_slates([Slate(slate_id, "home", time_ms, (Slot("kettle", 1.0, 1.0),), features=features)])
    return seq


def test_only_the_newest_lists_and_their_events_are_read(records: SqlRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_training, "MAX_LISTS", 3)
    monkeypatch.setattr(rank_training, "_WRITTEN_LATE", 2)
    monkeypatch.setattr(slate_pages, "_SLATES_A_PAGE", 2)
    clicks = [write(records, number) for number in range(10)]
    n_unpacked, first_seqs = 0, []
    read_slates, read_events = records.read_slates, records.read_slate_events

    def counted(after_seq: int, limit: int = 1_000) -> tuple[int, list[Slate]]:
        nonlocal n_unpacked
        seq, page = read_slates(after_seq, limit)
        n_unpacked += len(page)
        return seq, page

    monkeypatch.setattr(records, "read_slates", counted)
    monkeypatch.setattr(
        records, "read_slate_events", lambda after_seq=0: first_seqs.append(after_seq) or read_events(after_seq)
    )

    examples, _ = gather(records, NOW_MS + 10 * HOUR_MS)

    assert examples.features.values.ravel().tolist() == [7, 8]  # the newest may yet be clicked
    assert examples.is_click.all()
    assert n_unpacked == 3
    assert clicks[4] < first_seqs[0] < clicks[7]
