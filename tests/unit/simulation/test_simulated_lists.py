"""Drawing what the old shop showed: no item twice, nothing that does not exist yet."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aisle.simulation import simulate
from aisle.simulation.shelves import Shelves, first_different


@given(arrays(np.int64, (3, 12), elements=st.integers(-1, 8)), arrays(np.float64, (3, 12), elements=st.floats(0, 1)))
def test_the_best_different_items_agree_with_a_plain_loop(rows, keys):
    expected = np.full((3, 5), -1)
    for at in range(3):
        seen: list[int] = []
        for place in np.argsort(-keys[at], kind="stable"):
            if rows[at, place] >= 0 and rows[at, place] not in seen:
                seen.append(int(rows[at, place]))
        expected[at, : len(seen[:5])] = seen[:5]

    assert first_different(rows, keys, 5).tolist() == expected.tolist()


def test_draws_stay_in_their_category_and_in_what_exists():
    shop = simulate("tiny", seed=2)
    shelves = Shelves(shop.truth_at_start)
    shelves.arrange(0)
    shelves.open(0)
    leaf = np.repeat(np.arange(shop.vocabulary.n_leaves), 20)
    drawn = shelves.draw(leaf, 10, np.random.default_rng(0))

    assert (shop.assortment.leaf[drawn] == leaf[:, None]).all()
    assert (shop.assortment.created_day[drawn] < 0).all()
    assert (shop.assortment.created_day > 0).any()


def test_draws_follow_the_weights():
    shop = simulate("small", seed=2)
    truth = shop.truth_at_start
    shelves = Shelves(truth)
    shelves.arrange(0)
    shelves.open(shop.config.n_days)
    drawn = shelves.draw_anywhere(2_000, 50, np.random.default_rng(0))
    times = np.bincount(drawn.ravel(), minlength=shop.config.n_products)
    push = (shop.assortment.appeal + shop.assortment.exposure)[: shop.config.n_products]

    assert np.corrcoef(np.log1p(times), push)[0, 1] > 0.95
