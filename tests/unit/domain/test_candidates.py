import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aisle.domain import Candidates, Request, allowed_mask, top_candidates
from aisle.errors import DataError

SCORES = arrays(np.float64, st.integers(0, 40), elements=st.sampled_from([-1.0, 0.0, 0.5, 0.5, 2.0, np.nan, -np.inf]))


@given(scores=SCORES, n=st.integers(1, 50), data=st.data())
def test_top_candidates_equal_a_full_sort(scores, n, data):
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores))), dtype=bool)
    excluded = np.array(data.draw(st.lists(st.integers(-1, 60), max_size=5)), dtype=np.int64)
    request = Request("home", 0, allowed=allowed, excluded_rows=excluded)

    found = top_candidates("popular", scores, n, request)

    usable = [r for r in range(len(scores)) if np.isfinite(scores[r]) and allowed[r] and r not in excluded]
    expected = sorted(usable, key=lambda r: (-scores[r], r))[:n]
    assert found.item_rows.tolist() == expected


def test_rows_behind_the_mask_may_not_be_proposed():
    mask = allowed_mask(Request("home", 0, allowed=np.array([True, False])), 4)

    assert mask.tolist() == [True, False, False, False]


def test_candidates_refuse_what_does_not_fit_together():
    with pytest.raises(DataError, match="do not fit together"):
        Candidates(np.array([1]), np.zeros((2, 1), np.float32), ("a",), np.zeros(1, np.float32))
    with pytest.raises(DataError, match="finite"):
        Candidates.of_one("a", np.array([1]), np.array([np.nan]))


def test_candidates_of_one_source_are_put_into_order_with_ties_by_row():
    found = Candidates.of_one("a", np.array([7, 3, 5]), np.array([1.0, 1.0, 2.0]))

    assert found.item_rows.tolist() == [5, 3, 7]
    assert found.keep(np.array([False, True, True])).best(1).item_rows.tolist() == [3]
