import numpy as np
import pytest

from aisle.domain import Candidates
from aisle.flows.propose import behind


def candidates(source: str, rows: list[int], scores: list[float]) -> Candidates:
    return Candidates.of_one(source, np.array(rows), np.array(scores, dtype=np.float32))


def test_what_fills_a_list_up_comes_behind_and_leaves_the_differences_above_it_large():
    first = candidates("linear", [3, 1, 2], [1.0, 0.8, 0.5])

    filled = behind(first, candidates("popular", [1, 7, 8, 9], [9.0, 8.0, 7.0, 6.0]), size=5)

    assert filled.item_rows.tolist() == [3, 1, 2, 7, 8]
    assert filled.fused.tolist() == pytest.approx([1.0, 0.8, 0.5, 0.475, 0.45])
    assert filled.sources == ("linear", "popular")
    assert np.isnan(filled.scores[:3, 1]).all()


def test_an_empty_list_is_filled_in_the_order_of_the_source():
    filled = behind(Candidates.empty("linear"), candidates("popular", [5, 6], [2.0, 1.0]), size=3)

    assert filled.item_rows.tolist() == [5, 6]
    assert filled.fused[0] > filled.fused[1]
