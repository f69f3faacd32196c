"""What tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aisle.storage import SqlRecords


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    """A real record store, empty."""
    store = SqlRecords.open(tmp_path / "shop.db")
    yield store
    store.close()
