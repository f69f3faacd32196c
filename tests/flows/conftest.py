"""A real shop folder filled with the tiny shop, trained once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aisle.folder import ShopFolder, init
from aisle.settings import DEFAULT_PLACEMENTS
from aisle.shop import Shop
from aisle.testing import tiny_shop
from aisle.testing.tiny import TinyShop


@pytest.fixture(scope="session")
def tiny() -> TinyShop:
    return tiny_shop()


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory, tiny) -> Path:
    folder = tmp_path_factory.mktemp("shops") / "trained"
    with Shop(init_without_chance(folder), clock=tiny.clock) as shop:
        fill(shop, tiny)
        shop.train()
    return folder


@pytest.fixture
def shop(trained_folder, tmp_path, tiny):
    """A trained tiny shop of the test's own."""
    folder = tmp_path / "shop"
    shutil.copytree(trained_folder, folder)
    with Shop.open(folder, clock=tiny.clock) as opened:
        yield opened


@pytest.fixture
def untrained(tmp_path, tiny):
    """A filled tiny shop that was never trained."""
    with Shop(init_without_chance(tmp_path / "untrained"), clock=tiny.clock) as opened:
        fill(opened, tiny)
        yield opened


def init_without_chance(root: Path) -> ShopFolder:
    """An empty shop whose lists are the same every time, with time enough for a machine that does other things too."""
    made = init(root)
    tables = [f"[placement.{name}]\ntimeout_ms = 20000\nexplore.share = 0.0\n" for name in DEFAULT_PLACEMENTS]
    made.settings.write_text(made.settings.read_text("utf-8") + "\n" + "\n".join(tables), encoding="utf-8")
    return made


def fill(shop: Shop, tiny: TinyShop) -> None:
    """Bring the tiny shop's records in."""
    shop.add_items(tiny.items)
    shop.add_users(tiny.users)
    shop.add_documents(tiny.documents)
    shop.add_events(tiny.events)
