from __future__ import annotations

import json
import threading

import polars as pl
import pytest

from aisle.contracts import Parts
from aisle.domain import INTERACTION_SCHEMA, Catalogue, EventTable, Intent, Item, ItemTable, ItemText, Snapshot
from aisle.errors import CorruptError
from aisle.storage.checksums import write_checksums
from aisle.understanding import ItemWordsReader, UnderstandingConfig


def item(number: int, title: str, brand: str | None, category: tuple[str, ...], **attributes: str) -> Item:
    return Item(
        item_id=f"{title}-{number}",
        texts=(ItemText("en", title, ""),),
        brand=brand,
        category=category,
        attributes={name: (value,) for name, value in attributes.items()},
    )


ITEMS = [
    *(item(n, f"Apple phone {n} red case", "Apple", ("Electronics", "Phones"), color="red") for n in range(9)),
    *(item(n, "apple juice", "Orchard", ("Food", "Juice")) for n in range(3)),
    *(item(n, f"running shoes {n}", "Fleet Feet", ("Shoes", "Running shoes"), color="dark blue") for n in range(6)),
    *(item(n, f"walking shoes {n}", "Fleet Feet", ("Shoes", "Walking shoes"), color="red") for n in range(6)),
]


def made(items: list[Item], **config: float) -> tuple[ItemWordsReader, Parts]:
    table = ItemTable.from_rows(items)
    parts = Parts(Catalogue(table), clock=lambda: 0, currency="EUR")
    snapshot = Snapshot(table, (), pl.DataFrame(schema=INTERACTION_SCHEMA), 0)
    return ItemWordsReader.fit("understanding", snapshot, UnderstandingConfig.model_validate(config), parts), parts


@pytest.fixture(scope="module")
def reader() -> ItemWordsReader:
    return made(ITEMS)[0]


def test_a_name_is_as_sure_as_the_items_that_say_it(reader) -> None:
    [brand] = reader.read("apple case").brands
    assert (brand.value, brand.probability) == ("Apple", 9 / (12 + 1))
    assert reader.read("orchard").brands[0].probability == 3 / (3 + 1)


def test_categories_follow_the_words_and_names(reader) -> None:
    query = reader.read("running shoes")
    assert query.categories[0].value == "Shoes > Running shoes"
    assert reader.read("juice").categories[0].value == "Food > Juice"
    walking = reader.read("walking in shoes").categories
    assert walking[0].value == "Shoes > Walking shoes"
    assert "Shoes" in {guess.value for guess in walking}
    assert all(0.0 < guess.probability <= 1.0 for guess in walking)


def test_attributes_of_several_words_are_found_whole(reader) -> None:
    [blue] = reader.read("dark blue running shoes").attributes
    assert (blue.name, blue.value) == ("color", "dark blue")
    assert reader.read("blue shoes").attributes == ()


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("red phone case", Intent.PRODUCT),
        ("running shoes", Intent.CATEGORY),
        ("fleet feet", Intent.BRAND),
        ("shoes under 40 euros", Intent.PRICE),
        ("cheap phone case", Intent.PRICE),
        ("how do i return my order", Intent.SERVICE),
        ("where is my pakage", Intent.SERVICE),
        ("怎么申请退款", Intent.SERVICE),
        ("红色手机壳", Intent.PRODUCT),
        ("密码锁", Intent.PRODUCT),
    ],
)
def test_what_is_wanted_is_told(reader, text, intent) -> None:
    intents = reader.read(text).intents
    assert intents[0][0] == intent
    assert sum(share for _, share in intents) == pytest.approx(1.0)
    assert {name for name, _ in intents} == set(Intent)


def test_a_price_leaves_the_words_that_are_searched(reader) -> None:
    query = reader.read("red shoes under 40")
    assert (query.effective, query.price.high_minor) == ("red shoes", 4_000)
    careful, _ = made(ITEMS, price_limits_from=0.9)
    assert careful.read("red shoes under 40").effective == "red shoes under 40"
    assert careful.read("red shoes under €40").effective == "red shoes"


def test_a_price_alone_searches_for_nothing_but_the_price(reader) -> None:
    query = reader.read("under €40")
    assert (query.effective, query.categories, query.price.high_minor) == ("", (), 4_000)


def test_the_language_is_the_askers_but_for_chinese(reader) -> None:
    assert reader.read("红色 shoes", "en").language == "zh"
    assert reader.read("shoes", "en").language == "en"


def test_what_is_saved_reads_alike_in_another_catalogue(tmp_path) -> None:
    reader, _ = made(ITEMS)
    reader.save(tmp_path)
    other = Parts(Catalogue(ItemTable.from_rows([ITEMS[-1], *ITEMS])), clock=lambda: 0, currency="EUR")
    loaded = ItemWordsReader.load("understanding", tmp_path, UnderstandingConfig(), other)
    for text in ("apple case", "running shoes", "dark blue", "where is my order", "juice under 3 euros"):
        assert loaded.read(text) == reader.read(text)


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"names": 3}', b"\xff"])
def test_a_damaged_file_is_told(tmp_path, damage) -> None:
    reader, parts = made(ITEMS)
    reader.save(tmp_path)
    [file] = tmp_path.glob("understanding.json")
    file.write_bytes(damage)
    with pytest.raises(CorruptError):
        ItemWordsReader.load("understanding", tmp_path, UnderstandingConfig(), parts)
    write_checksums(tmp_path, [file.name])
    with pytest.raises(CorruptError, match="aisle train"):
        ItemWordsReader.load("understanding", tmp_path, UnderstandingConfig(), parts)


def test_new_items_are_understood_at_once_and_counted_once() -> None:
    reader, parts = made(ITEMS)
    fresh = [item(0, "felt hat", "Brimworks", ("Hats",), color="grey")]
    page = ItemTable.from_rows(fresh)
    parts.catalogue.extend(page)
    for _ in range(2):
        reader.extend(page, EventTable.empty())
    query = reader.read("brimworks felt hat")
    assert [guess.value for guess in query.brands] == ["Brimworks"]
    assert query.brands[0].probability == 1 / (1 + 1)
    assert query.categories[0].value == "Hats"


def test_queries_are_read_while_items_come() -> None:
    reader, parts = made(ITEMS)
    wrong: list[BaseException] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                reader.read("running shoes apple red case")
            except BaseException as error:
                wrong.append(error)
                return

    asking = threading.Thread(target=ask)
    asking.start()
    for n in range(20):
        page = ItemTable.from_rows(
            [item(1_000 + n, f"running shoes apple case {n}", f"Brand {n}", ("Shoes", f"Kind {n}"))]
        )
        parts.catalogue.extend(page)
        reader.extend(page, EventTable.empty())
    is_over.set()
    asking.join()
    assert wrong == []


def test_a_shop_without_items_reads_queries_too() -> None:
    reader, _ = made([])
    query = reader.read("red shoes under 40")
    assert (query.categories, query.brands, query.effective) == ((), (), "red shoes")
    assert reader.read("") == reader.read("")


def test_what_is_kept_is_plain_json(tmp_path) -> None:
    made(ITEMS)[0].save(tmp_path)
    kept = json.loads((tmp_path / "understanding.json").read_text("utf-8"))
    assert "Shoes > Running shoes" in kept["paths"]
