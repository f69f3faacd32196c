"""The shared list gives what sorting for each request would."""

from __future__ import annotations

import numpy as np
import pytest

from aisle.domain import Catalogue, Request
from aisle.retrieval.dense_scores import NO_OPINION, CrowdBest, propose


@pytest.mark.parametrize("n_spare", [3, 40])
def test_everybody_gets_what_sorting_for_him_would_give(n_spare: int) -> None:
    rng = np.random.default_rng(0)
    best = CrowdBest(Catalogue(), n_kept=2, n_spare=n_spare)
    dense = np.round(rng.random(100), 1)  # with ties
    dense[rng.random(100) < 0.2] = NO_OPINION
    masks = [None, rng.random(100) < 0.7, rng.random(100) < 0.1]
    for _ in range(200):
        request = Request(
            "home",
            0,
            allowed=masks[rng.integers(3)],
            excluded_rows=rng.choice(100, rng.integers(0, 12), replace=False),
            anchor_rows=rng.choice(100, rng.integers(0, 2), replace=False),
        )
        n = int(rng.integers(1, 30))

        found, wanted = best.propose("popular", dense, n, request), propose("popular", dense, n, request)

        assert found.item_rows.tolist() == wanted.item_rows.tolist()
        assert found.fused.tolist() == wanted.fused.tolist()


def test_other_scores_make_another_list() -> None:
    best, request = CrowdBest(Catalogue()), Request("home", 0)

    first = best.propose("popular", np.array([1.0, 2.0]), 1, request)
    second = best.propose("popular", np.array([2.0, 1.0]), 1, request)

    assert (first.item_rows.tolist(), second.item_rows.tolist()) == ([1], [0])
