"""Histograms of prices: every price in one bucket, bounds that people can read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.domain import PriceFacet
from aisle.flows.price_buckets import MOST_BUCKETS, price_buckets


def buckets(*prices: int) -> tuple[PriceFacet, ...]:
    return price_buckets(np.array(prices, dtype=np.int64))


def test_bounds_are_round_and_the_few_dear_ones_share_the_last_bucket() -> None:
    cheap = [1000 + 10 * place for place in range(99)]

    found = buckets(*cheap, 500_000)

    assert (found[0].lowest_minor, found[0].highest_minor) == (1000, 1099)
    assert found[1] == PriceFacet(1100, 1199, 10)
    assert found[-1].highest_minor >= 500_000
    assert len(found) <= MOST_BUCKETS + 1


def test_one_price_and_none() -> None:
    assert buckets(2599) == (PriceFacet(2599, 2599, 1),)
    assert buckets() == ()


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_every_price_is_in_exactly_one_bucket_and_counted_there(prices: list[int]) -> None:
    found = buckets(*prices)

    assert len(found) <= MOST_BUCKETS + 1
    for bucket in found:
        assert bucket.n_items == sum(bucket.lowest_minor <= price <= bucket.highest_minor for price in prices)
    assert sum(bucket.n_items for bucket in found) == len(prices)
    assert all(left.highest_minor + 1 == right.lowest_minor for left, right in pairwise(found))
