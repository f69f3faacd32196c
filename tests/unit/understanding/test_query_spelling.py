from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.contracts import Parts
from aisle.domain import INTERACTION_SCHEMA, Catalogue, EventTable, Item, ItemTable, ItemText, Snapshot
from aisle.errors import CorruptError
from aisle.storage.checksums import write_checksums
from aisle.understanding import ItemWordsReader, UnderstandingConfig
from aisle.understanding.spelling_costs import other_keyboards, typing_cost

TITLES = [
    *[("en", f"waterproof running shoes model {n}") for n in range(30)],
    *[("en", f"cordless power tool kit {n}") for n in range(30)],
    *[("en", f"enamel kettle, blue {n}") for n in range(30)],
    *[("zh", f"红色连衣裙夏季新款{n}") for n in range(30)],
    *[("zh", f"不锈钢保温杯{n}") for n in range(30)],
]
SOLD = [
    "waterproof",
    "running",
    "shoes",
    "cordless",
    "power",
    "tool",
    "kettle",
    "blue",
    "连衣裙",
    "红色",
    "保温杯",
    "r-19",
    "42",
]


def item(number: int, language: str, title: str, description: str = "") -> Item:
    return Item(item_id=str(number), texts=(ItemText(language, title, description),))


def parts_of(items: list[Item]) -> tuple[Parts, Snapshot]:
    table = ItemTable.from_rows(items)
    snapshot = Snapshot(table, (), pl.DataFrame(schema=INTERACTION_SCHEMA), 0)
    return Parts(Catalogue(table), clock=lambda: 0, currency="EUR"), snapshot


def made(**config: float) -> tuple[ItemWordsReader, Parts]:
    items = [item(n, language, title) for n, (language, title) in enumerate(TITLES)]
    parts, snapshot = parts_of([*items, item(900, "en", "lamp", "for a boudoir")])
    return ItemWordsReader.fit("understanding", snapshot, UnderstandingConfig.model_validate(config), parts), parts


@pytest.fixture(scope="module")
def reader() -> ItemWordsReader:
    return made()[0]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("waterprof running shoes", "waterproof running shoes"),
        ("Waterprooof shoes", "waterproof shoes"),
        ("watreproof shoes", "waterproof shoes"),
        ("powertool kit", "power tool kit"),
        ("run ning shoes", "running shoes"),
        ("cprdless kit", "cordless kit"),
        ("lianyiqun", "连衣裙"),
        ("lian yi qun", "连衣裙"),
        ("红色连一裙", "红色连衣裙"),
        ("紅色連一裙", "红色连衣裙"),
        ("不锈刚保温杯", "不锈钢保温杯"),
    ],
)
def test_what_was_meant_is_searched_for_or_offered(reader, typed, meant) -> None:
    spelling = reader.read(typed).spelling
    assert spelling is not None
    assert spelling.text.replace("紅", "红") == meant
    assert reader.read(meant).spelling is None


def test_a_sure_one_is_searched_for_and_guessed_from(reader) -> None:
    query = reader.read("waterprof running shoes")
    assert query.spelling is not None
    assert query.spelling.is_searched
    assert query.effective == "waterproof running shoes"


def test_a_price_stays_a_limit_and_is_kept_in_the_offer(reader) -> None:
    query = reader.read("waterprof shoes under 40 euros")
    assert query.effective == "waterproof shoes"
    assert query.spelling is not None
    assert query.spelling.text == "waterproof shoes under 40 euros"


def test_as_typed_changes_nothing(reader) -> None:
    query = reader.read("waterprof shoes", is_as_typed=True)
    assert (query.effective, query.spelling, query.is_as_typed) == ("waterprof shoes", None, True)


@pytest.mark.parametrize(
    "text", ["r-19", "B07XQ9 kettle", "3/4in", "boudoir", "xqz", "kettles", "inch", "shoe", "保温杯红色"]
)
def test_codes_sizes_and_what_items_say_are_left_alone(reader, text) -> None:
    assert reader.read(text).spelling is None


def test_settings_offer_only_or_switch_off() -> None:
    offering, _ = made(spelling_searched_from=1.0)
    query = offering.read("waterprof running shoes")
    assert query.spelling is not None
    assert not query.spelling.is_searched
    assert query.effective == "waterprof running shoes"
    assert made(is_spelling_read=False)[0].read("waterprof running shoes").spelling is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(SOLD), min_size=1, max_size=6))
def test_a_query_of_sold_words_is_never_changed(sold) -> None:
    assert _shared().read(" ".join(sold)).spelling is None


@settings(deadline=None)
@given(st.lists(st.sampled_from([*SOLD, "kettel", "waterprof", "连一裙", "shoos"]), min_size=1, max_size=4))
def test_what_was_searched_for_is_right_already(typed) -> None:
    query = _shared().read(" ".join(typed))
    if query.spelling is not None and query.spelling.is_searched:
        again = _shared().read(query.effective).spelling
        assert again is None or not again.is_searched


@settings(deadline=None)
@given(st.text(max_size=600))
def test_any_text_is_answered(text) -> None:
    assert _shared().read(text).text == text


@pytest.mark.parametrize(
    "text",
    ["a" * 10_000, "ab " * 3_000, "连" * 10_000, "\x00\x07‮kettel", "😀" * 500, "qwrt" * 2_000, "连 一 裙 " * 900],
)
def test_hostile_text_is_answered(reader, text) -> None:
    assert reader.read(text).text == text


def test_new_items_are_known_at_once() -> None:
    reader, parts = made()
    assert reader.read("cordles kit").spelling is not None
    fresh = ItemTable.from_rows([item(901, "en", "cordles")])
    parts.catalogue.extend(fresh)
    reader.extend(fresh, EventTable.empty())
    assert reader.read("cordles kit").spelling is None


def test_it_is_kept_and_a_damaged_file_is_refused(tmp_path: Path) -> None:
    reader, parts = made()
    reader.save(tmp_path)
    again = ItemWordsReader.load("understanding", tmp_path, UnderstandingConfig(), parts)
    for text in ("waterprof shoes", "连一裙", "lianyiqun", "powertool kit"):
        assert again.read(text) == reader.read(text)
    (tmp_path / "spelling.json").write_text("[]")
    write_checksums(tmp_path, ["understanding.json", "spelling.json"])
    with pytest.raises(CorruptError):
        ItemWordsReader.load("understanding", tmp_path, UnderstandingConfig(), parts)


def test_likely_slips_cost_less() -> None:
    assert typing_cost("ketle", "kettle") < typing_cost("kettpe", "kettle") < typing_cost("ketqle", "kettle")
    assert typing_cost("ketlte", "kettle") < typing_cost("xettle", "kettle")
    assert typing_cost("kettle", "kettle") == 0.0
    assert "drill" in other_keyboards("ftokk") or "drill" in other_keyboards("вкшдд")


_MADE: list[ItemWordsReader] = []


def _shared() -> ItemWordsReader:
    if not _MADE:
        _MADE.append(made()[0])
    return _MADE[0]
