"""Every registered ranker, and the statistics it reads, keep the promises of their contracts."""

from __future__ import annotations

import pytest

from aisle import registry
from aisle.ranking import ItemStatistics, StatisticsConfig
from aisle.testing.conformance import check_ranker, check_statistics


@pytest.mark.parametrize("name", registry.registered("aisle.rankers"))
def test_a_registered_ranker_keeps_its_promises(name: str) -> None:
    check_ranker(registry.find("aisle.rankers", name))


def test_the_statistics_keep_their_promises() -> None:
    check_statistics(ItemStatistics, StatisticsConfig(sources=("one", "other")))
