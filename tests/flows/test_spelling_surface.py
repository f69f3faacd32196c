"""Another spelling in answers: searched for, offered, switched off, and left to rules."""

from __future__ import annotations

import pytest

import aisle
from aisle.domain import Item, ItemText
from aisle.flows.asks import Ask
from aisle.shop import Shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spelling") / "shop"
    aisle.init(folder)
    with aisle.open(folder) as opened:
        kettles = [Item(f"k{n}", (ItemText("en", f"waterproof walking boots {n}"),)) for n in range(40)]
        dresses = [Item(f"d{n}", (ItemText("zh", f"红色连衣裙{n}"),)) for n in range(40)]
        opened.add_items([*kettles, *dresses])
        opened.train(["lexical", "understanding"])
        yield opened


def ask(shop: Shop, text: str, **more):
    return shop.ask_search([Ask(text=text, **more)])[0]


def test_the_answer_says_what_was_searched_for_instead(shop) -> None:
    found = ask(shop, "waterprof walking boots")
    assert found.query.spelling.is_searched
    assert found.query.effective == "waterproof walking boots"
    assert found.slate.item_ids[0].startswith("k")


def test_traditional_characters_find_simplified_ones(shop) -> None:
    found = ask(shop, "紅色連衣裙")
    assert found.query.spelling is None
    assert found.relaxed is None
    assert found.slate.item_ids[0].startswith("d")


def test_pinyin_finds_chinese(shop) -> None:
    found = ask(shop, "lianyiqun")
    assert found.query.spelling.text == "连衣裙"
    assert found.query.spelling.is_searched
    assert found.slate.item_ids[0].startswith("d")


def test_as_typed_is_searched_for_as_it_stands(shop) -> None:
    found = ask(shop, "waterprof", is_as_typed=True)
    assert found.query.spelling is None
    assert found.query.effective == "waterprof"
    assert not any(slot.scores.get("lexical", 0.0) > 0.0 for slot in found.slate.slots)
