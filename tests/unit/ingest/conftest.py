"""What tests of the ingest room share: a real record store and a fixed clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aisle.contracts import RecordStore
from aisle.ingest import ImportConfig, ImportReport, TableMapping, import_files

NOW_MS = 1_800_000_000_000


@pytest.fixture
def bring_in(records: RecordStore) -> Callable[..., ImportReport]:
    """``import_files`` into the test's shop at a fixed time."""

    def bring(path: Path, mapping: TableMapping | str | Path | None = None, **options: object) -> ImportReport:
        options.setdefault("config", ImportConfig())
        return import_files([path], mapping, records, clock=lambda: NOW_MS, **options)  # type: ignore[arg-type]

    return bring
