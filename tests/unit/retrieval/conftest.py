"""The tiny shop's parts, for sources that read words and meaning."""

from __future__ import annotations

import pytest

from aisle.contracts import Parts
from aisle.testing import HashedWords, TinyShop, tiny_shop


@pytest.fixture
def shop() -> TinyShop:
    return tiny_shop()


@pytest.fixture
def parts(shop: TinyShop) -> Parts:
    return Parts(catalogue=shop.catalogue, clock=shop.clock, encoder=HashedWords())
