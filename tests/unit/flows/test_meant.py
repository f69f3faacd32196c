from __future__ import annotations

import numpy as np
import pytest

from aisle.domain import Candidates, Guess, Query, Request
from aisle.flows.meant import meant_first
from aisle.testing import tiny_shop

TINY = tiny_shop()
IDS = ("boots", "green-tea", "black-tea", "kettle")
FOUND = Candidates.of_one("lexical", TINY.catalogue.rows(IDS), np.array([4.0, 3.0, 2.0, 1.0]))


def order(weight: float, **guesses: tuple[Guess, ...]) -> list[str]:
    request = Request("search", 0, query=Query("tea", **guesses))
    ranked = meant_first(request, FOUND, weight, TINY.catalogue)
    assert ranked.fused.tolist() == sorted(ranked.fused.tolist(), reverse=True)
    assert sorted(ranked.item_rows.tolist()) == sorted(FOUND.item_rows.tolist())
    return TINY.catalogue.ids(ranked.item_rows)


@pytest.mark.parametrize("path", ["Grocery > Tea", "Grocery"])
def test_what_lies_in_the_category_meant_goes_up_and_nothing_goes_away(path) -> None:
    assert order(0.5, categories=(Guess(path, 0.9),)) == ["green-tea", "boots", "black-tea", "kettle"]
    assert order(2.0, categories=(Guess(path, 0.9),)) == ["green-tea", "black-tea", "boots", "kettle"]


def test_a_brand_counts_beside_the_category() -> None:
    assert order(1.0, brands=(Guess("Maple", 0.9),))[0] == "kettle"
    assert order(1.0, brands=(Guess("Maple", 0.1),))[0] == "boots"


def test_no_guess_or_no_weight_changes_nothing() -> None:
    assert order(0.0, categories=(Guess("Grocery", 1.0),)) == list(IDS)
    assert order(1.0) == list(IDS)
    assert order(1.0, categories=(Guess("Unheard of", 1.0),), brands=(Guess("Nobody", 1.0),)) == list(IDS)
    assert meant_first(Request("home", 0), FOUND, 1.0, TINY.catalogue) is FOUND
