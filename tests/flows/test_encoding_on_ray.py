"""A shop whose settings name Ray encodes its items there, and answers as it did."""

from __future__ import annotations

import shutil

import pytest

from aisle.folder import ShopFolder
from aisle.shop import Shop

RAY = "\n[encoder.ray]\nprocesses = 1\nleast_texts = 2\n"


def found(shop: Shop, query: str) -> list[str]:
    return list(shop.search(query).item_ids)


@pytest.mark.timeout(600)  # Ray starts a dozen processes
def test_items_are_encoded_on_ray_and_queries_here(trained_folder, tmp_path, tiny) -> None:
    pytest.importorskip("ray", reason='an extra that few need: pip install "aisle[ray]"')
    folder = ShopFolder(tmp_path / "shop")
    shutil.copytree(trained_folder, folder.root)
    with Shop.open(folder.root, clock=tiny.clock) as before:
        wanted = found(before, "something warm to drink")
    folder.embeddings.unlink()
    folder.settings.write_text(folder.settings.read_text("utf-8") + RAY, encoding="utf-8")
    heard: list[str] = []

    with Shop.open(folder.root, clock=tiny.clock, progress=lambda task, *_: heard.append(task)) as shop:
        shop.train(["semantic"])
        assert heard.count("start Ray") == 2  # begun and ready, once
        heard.clear()
        assert found(shop, "something warm to drink") == wanted != []
    assert "start Ray" not in heard
