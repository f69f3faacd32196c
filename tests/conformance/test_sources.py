"""Every registered candidate source keeps the promises of its contract."""

from __future__ import annotations

import pytest

from aisle import registry
from aisle.testing.conformance import check_source


@pytest.mark.parametrize("name", registry.registered("aisle.sources"))
def test_a_registered_source_keeps_its_promises(name: str) -> None:
    check_source(registry.find("aisle.sources", name))
