"""A trained tiny shop, made once, and the application over a copy of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aisle.testing import tiny_shop
from aisle.testing.tiny import TinyShop
from tests.service.tiny_server import fill, in_process


@pytest.fixture(scope="session")
def tiny() -> TinyShop:
    return tiny_shop()


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory, tiny) -> Path:
    return fill(tmp_path_factory.mktemp("served") / "trained", tiny)


@pytest.fixture(scope="module")
def http(trained_folder, tmp_path_factory):
    """A client of the application; the tests of a module share its shop."""
    with in_process(trained_folder, tmp_path_factory.mktemp("http") / "shop") as client:
        yield client


@pytest.fixture
def own_http(trained_folder, tmp_path):
    """The same with a shop of the test's own."""
    with in_process(trained_folder, tmp_path / "shop") as client:
        yield client
