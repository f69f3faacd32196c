"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real data sets; the test is skipped, and says so, where they are absent."""
    folder = Path(os.environ.get("AISLE_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set AISLE_DATA")
    return folder
