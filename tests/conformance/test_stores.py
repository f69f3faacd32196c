"""The stores and the vector index keep the promises of their contracts."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from aisle.contracts import RecordStore
from aisle.retrieval.vectors import CosineIndex
from aisle.storage import FolderArtifacts, LiveStates, SqlEmbeddings, SqlRecords
from aisle.testing import conformance


def records_in(folder: Path) -> RecordStore:
    return SqlRecords.open(folder / "shop.db")


def test_records() -> None:
    conformance.check_record_store(records_in)


def test_live_states() -> None:
    conformance.check_state_store(LiveStates, records_in)


def test_live_states_that_hardly_keep_anyone() -> None:
    conformance.check_state_store(lambda records, items: LiveStates(records, items, kept_users=1), records_in)


def test_artifacts() -> None:
    ticks = count(1)
    conformance.check_artifact_store(lambda folder: FolderArtifacts(folder, clock=lambda: next(ticks)))


def test_embeddings() -> None:
    conformance.check_embedding_store(lambda folder: SqlEmbeddings.open(folder / "vectors.db"))


def test_vector_index() -> None:
    conformance.check_vector_index(CosineIndex, CosineIndex.load)
