from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.contracts import Parts
from aisle.domain import INTERACTION_SCHEMA, Catalogue, EventTable, Item, ItemTable, ItemText, Query, Request, Snapshot
from aisle.errors import CorruptError
from aisle.retrieval.lexical import Lexical, LexicalConfig
from aisle.testing import TinyShop, tiny_shop

NOTHING = EventTable.empty()


def _asked(text: str, **limits) -> Request:
    return Request("search", 0, query=Query(text), **limits)


def _of(parts: Parts, shop: TinyShop, **config) -> Lexical:
    return Lexical.fit("lexical", shop.snapshot, LexicalConfig(**config), parts)


def _found(source: Lexical, parts: Parts, text: str, **limits) -> list[str]:
    [candidates] = source.retrieve([_asked(text, **limits)], 20)
    return parts.catalogue.ids(candidates.item_rows)


def _titled(*titles: str) -> tuple[Snapshot, Parts]:
    items = ItemTable.from_rows([Item(str(row), (ItemText("en", title),)) for row, title in enumerate(titles)])
    return Snapshot(items, [], pl.DataFrame(schema=INTERACTION_SCHEMA), 0), Parts(Catalogue(items), lambda: 0)


def _order(query: str, *titles: str, **config) -> list[int]:
    snapshot, parts = _titled(*titles)
    [candidates] = Lexical.fit("lexical", snapshot, LexicalConfig(**config), parts).retrieve([_asked(query)], 20)
    return candidates.item_rows.tolist()


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("waterproof boots", "boots"),
        ("雨伞", "umbrella"),
        ("longjing", "green-tea"),
        ("龙井", "green-tea"),
        ("KETTLES", "kettle"),
        ("kettel", "kettle"),
        ("headfones", "headphones"),
    ],
)
def test_words_in_either_language_find_the_item(query: str, first: str, shop: TinyShop, parts: Parts) -> None:
    assert _found(_of(parts, shop), parts, query)[0] == first


def test_corrections_can_be_switched_off(shop: TinyShop, parts: Parts) -> None:
    assert _found(_of(parts, shop, n_corrections=0), parts, "kettel") == []


def test_only_what_is_allowed_is_found(shop: TinyShop, parts: Parts) -> None:
    source = _of(parts, shop)
    everything = _found(source, parts, "tea")
    assert len(everything) >= 3
    allowed = np.zeros(shop.catalogue.n_items, dtype=np.bool_)
    allowed[shop.row(everything[-1])] = True

    assert _found(source, parts, "tea", allowed=allowed) == everything[-1:]
    excluded = np.array([shop.row(everything[0]), 99], dtype=np.int64)
    assert _found(source, parts, "tea", excluded_rows=excluded) == everything[1:]


def test_few_allowed_among_many_matches_are_found() -> None:
    snapshot, parts = _titled(*(f"garden hose {number}" for number in range(3000)))
    source = Lexical.fit("lexical", snapshot, LexicalConfig(), parts)
    allowed = np.zeros(3000, dtype=np.bool_)
    allowed[[5, 1700, 2999]] = True

    [candidates] = source.retrieve([_asked("garden hose", allowed=allowed)], 2)

    assert candidates.item_rows.tolist() == [5, 1700]


_SHOP = tiny_shop()
_ANY = Lexical.fit("lexical", _SHOP.snapshot, LexicalConfig(), Parts(catalogue=_SHOP.catalogue, clock=_SHOP.clock))


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_query(text: str) -> None:
    [candidates] = _ANY.retrieve([_asked(text)], 5)
    assert np.isfinite(candidates.fused).all()
    assert len(_ANY.score([_asked(text)], [np.arange(12)])[0]) == 12


@pytest.mark.parametrize(
    "text", ['"(', "AND", "title:boots", "boots^99", "tea OR", "[a TO b]", "*", "/.*/", "tea -tea", "+"]
)
def test_query_syntax_means_nothing(text: str, shop: TinyShop, parts: Parts) -> None:
    source = _of(parts, shop)
    plain = "".join(character if character.isalpha() else " " for character in text)
    assert _found(source, parts, text) == _found(source, parts, plain)


def test_no_query_finds_and_scores_nothing(shop: TinyShop, parts: Parts) -> None:
    source = _of(parts, shop)
    anyone = Request("search", 0)
    assert len(source.retrieve([anyone], 5)[0]) == 0
    assert np.isnan(source.score([anyone], [np.array([0, 1])])[0]).all()


def test_scoring_gives_what_retrieving_gave(shop: TinyShop, parts: Parts) -> None:
    source = _of(parts, shop)
    [candidates] = source.retrieve([_asked("green tea")], 20)

    [scores] = source.score([_asked("green tea")], [candidates.item_rows])
    np.testing.assert_array_equal(scores, candidates.fused)
    [others] = source.score([_asked("green tea")], [np.array([shop.row("boots"), 500])])
    assert others[0] == 0.0
    assert np.isnan(others[1])


def test_more_of_the_query_comes_first() -> None:
    assert _order("red metal garden cart", "garden", "red metal garden cart", "metal garden cart")[0] == 1


def test_words_side_by_side_come_before_words_apart() -> None:
    titles = ("oak door with wood stain", "oak stain with wood door")
    assert _order("wood door", *titles) == [1, 0]
    assert _order("wood stain", *titles) == [0, 1]


def test_compounds_meet_their_parts() -> None:
    assert _order("dish washer", "washer for garden tools", "dishwasher") == [1, 0]
    assert set(_order("greenboard drywall", "green board drywall", "boots")) == {0}


def test_units_and_sizes_meet_however_they_are_written() -> None:
    assert _order("5/8in x 4ft", "5/8 in. x 4 ft. panel", "1/2 in. x 4 ft. panel") == [0, 1]


def test_a_title_counts_more_than_a_description(parts: Parts, shop: TinyShop) -> None:
    items = ItemTable.from_rows(
        [
            Item("described", (ItemText("en", "lamp", "goes with a sofa"),)),
            Item("titled", (ItemText("en", "sofa", "goes with a lamp"),)),
        ]
    )
    snapshot = Snapshot(items, [], pl.DataFrame(schema=INTERACTION_SCHEMA), 0)
    source = Lexical.fit("lexical", snapshot, LexicalConfig(), Parts(Catalogue(items), lambda: 0))
    assert source.retrieve([_asked("sofa")], 5)[0].item_rows.tolist() == [1, 0]


def test_new_and_changed_items_are_found_by_their_words_of_now(shop: TinyShop, parts: Parts) -> None:
    source = _of(parts, shop)
    changed = ItemTable.from_rows(
        [
            Item("canoe", (ItemText("en", "Birch canoe"), ItemText("zh", "桦木独木舟"))),
            Item("boots", (ItemText("en", "first wording"),)),
            Item("boots", (ItemText("en", "Felt slippers"),)),
        ]
    )
    parts.catalogue.extend(changed)

    source.extend(changed, NOTHING)

    assert _found(source, parts, "canoe") == ["canoe"]
    assert _found(source, parts, "独木舟") == ["canoe"]
    assert _found(source, parts, "slippers") == ["boots"]
    assert "boots" not in _found(source, parts, "waterproof hiking wording")


def test_loaded_answers_are_those_before(shop: TinyShop, parts: Parts, tmp_path: Path) -> None:
    source = _of(parts, shop)
    changed = ItemTable.from_rows([Item("boots", (ItemText("en", "Felt slippers"),))])
    source.extend(changed, NOTHING)
    source.save(tmp_path)

    loaded = Lexical.load("lexical", tmp_path, LexicalConfig(), parts)

    asked = [_asked(text) for text in ("tea", "slippers", "boots", "kettel", "雨伞", "headphones wireless")]
    for before, after in zip(source.retrieve(asked, 10), loaded.retrieve(asked, 10), strict=True):
        np.testing.assert_array_equal(before.item_rows, after.item_rows)
        np.testing.assert_array_equal(before.fused, after.fused)
    loaded.extend(ItemTable.from_rows([Item("kettle", (ItemText("en", "Felt hat"),))]), NOTHING)
    assert _found(loaded, parts, "felt")[0] in ("boots", "kettle")


@pytest.mark.parametrize("file", ["arrays.npz", "uses.json", "checksums.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_file_is_refused(file: str, damage: str, shop: TinyShop, parts: Parts, tmp_path: Path) -> None:
    _of(parts, shop).save(tmp_path)
    path = tmp_path / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x41
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(bytes(content) if damage == "flip" else bytes(content[: len(content) // 2]))

    with pytest.raises(CorruptError):
        Lexical.load("lexical", tmp_path, LexicalConfig(), parts)


def test_words_that_do_not_fit_together_are_refused_even_with_right_checksums(
    shop: TinyShop, parts: Parts, tmp_path: Path
) -> None:
    from aisle.storage.checksums import write_checksums

    _of(parts, shop).save(tmp_path)
    (tmp_path / "uses.json").write_text(json.dumps(["not", "a", "table"]))
    write_checksums(tmp_path, ["arrays.npz", "uses.json"])

    with pytest.raises(CorruptError, match=r"uses\.json"):
        Lexical.load("lexical", tmp_path, LexicalConfig(), parts)


def test_an_empty_shop_can_be_searched_and_filled(tmp_path: Path) -> None:
    snapshot, parts = _titled()
    source = Lexical.fit("lexical", snapshot, LexicalConfig(), parts)
    assert len(source.retrieve([_asked("tea")], 5)[0]) == 0
    items = ItemTable.from_rows([Item("tea", (ItemText("en", "Tea"),))])
    parts.catalogue.extend(items)
    source.extend(items, NOTHING)
    assert source.retrieve([_asked("tea")], 5)[0].item_rows.tolist() == [0]
