"""The propensities that are written down are the frequencies with which items are shown."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from aisle.decision import ObjectivePolicy
from aisle.domain import Candidates, Request
from aisle.ranking import FusedScore
from aisle.settings import ExploreConfig, PlacementConfig
from aisle.testing import tiny_shop

N_SLATES = 20_000


@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_propensities_are_frequencies_given_the_slots_above(diversity):
    catalogue = tiny_shop().catalogue
    found = Candidates.of_one("a", np.arange(6), np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0]))
    placement = PlacementConfig(sources=("a",), diversity=diversity, explore=ExploreConfig(share=0.4, pool=3))
    request = Request("home", 5, size=2)
    (outcomes,) = FusedScore().predict([request], [found], [])
    policy = ObjectivePolicy(catalogue)
    shown: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    said: dict[tuple[tuple[str, ...], str], float] = {}

    for number in range(N_SLATES):
        slate = policy.select(request, found, outcomes, placement, f"slate-{number}")
        above: tuple[str, ...] = ()
        for slot in slate.slots:
            shown[above][slot.item_id] += 1
            assert said.setdefault((above, slot.item_id), slot.propensity) == slot.propensity
            above = (*above, slot.item_id)

    for above, counts in shown.items():
        n_lists = sum(counts.values())
        total = sum(said[above, item_id] for item_id in counts)
        assert total == pytest.approx(1.0)  # every item that could be shown was shown
        for item_id, count in counts.items():
            propensity = said[above, item_id]
            error = np.sqrt(propensity * (1 - propensity) / n_lists)
            assert abs(count / n_lists - propensity) < 4 * error


def test_chance_depends_on_the_slate_only():
    catalogue = tiny_shop().catalogue
    found = Candidates.of_one("a", np.arange(10), np.arange(10.0))
    placement = PlacementConfig(sources=("a",), explore=ExploreConfig(share=0.5, pool=10))
    request = Request("home", 5, size=5)
    (outcomes,) = FusedScore().predict([request], [found], [])

    lists = [ObjectivePolicy(catalogue).select(request, found, outcomes, placement, name).item_ids for name in "aabc"]

    assert lists[0] == lists[1]
    assert len(set(lists)) == 3
