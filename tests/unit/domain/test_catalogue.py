import threading

import numpy as np
import pytest

from aisle.domain import NO_VALUE, Catalogue, Item, ItemKind, ItemTable, ItemText
from aisle.domain.catalogue import require_rows
from aisle.errors import DataError


def item(item_id: str, **fields: object) -> Item:
    return Item(item_id, (ItemText("en", item_id),), **fields)  # type: ignore[arg-type]


def catalogue(*items: Item) -> Catalogue:
    return Catalogue(ItemTable.from_rows(items))


def test_rows_are_appended_and_never_reused():
    shop = catalogue(item("a"), item("b", price_minor=5))
    before = shop.column("price_minor")

    rows = shop.extend(ItemTable.from_rows([item("c"), item("a", price_minor=9)]))

    assert rows.tolist() == [2, 0]
    assert shop.ids([0, 1, 2]) == ["a", "b", "c"]
    assert shop.column("price_minor").tolist() == [9, 5, -1]
    assert len(before) == 2


def test_growing_past_the_first_capacity_keeps_everything():
    shop = catalogue()
    for start in range(0, 100, 10):
        shop.extend(ItemTable.from_rows([item(f"i{n}", stock=n) for n in range(start, start + 10)]))

    assert shop.column("stock").tolist() == list(range(100))
    assert shop.rows(["i99", None, "nobody"]).tolist() == [99, -1, -1]


def test_one_table_may_name_an_item_twice_and_the_later_row_counts():
    shop = catalogue(item("a", price_minor=1), item("a", price_minor=2))

    assert shop.n_items == 1
    assert shop.column("price_minor").tolist() == [2]


def test_a_category_includes_what_lies_below_it():
    shop = catalogue(
        item("kettle", category=("Kitchen", "Kettles")), item("pan", category=("Kitchen", "Pans")), item("gift")
    )

    assert shop.in_category("Kitchen").tolist() == [True, True, False]
    assert shop.in_category("Kitchen > Pans").tolist() == [False, True, False]
    assert shop.in_category("Garden").tolist() == [False, False, False]
    assert [shop.categories.values[node] for node in shop.category_nodes(0)] == ["Kitchen", "Kitchen > Kettles"]


def test_what_may_be_shown_follows_flag_and_dates_and_not_stock():
    shop = catalogue(
        item("uncounted"),
        item("sold-out", stock=0),
        item("off", is_available=False),
        item("campaign", kind=ItemKind.PROMOTION, starts_ms=10, ends_ms=20),
    )

    assert [shop.showable(now).tolist() for now in (9, 10, 19, 20)] == [
        [True, True, False, False],
        [True, True, False, True],
        [True, True, False, True],
        [True, True, False, False],
    ]


def test_an_unknown_item_is_named():
    with pytest.raises(DataError, match="unknown item 'ghost'"):
        require_rows(catalogue(item("a")), ["a", "ghost"])
    assert require_rows(catalogue(item("a")), ["a"]).dtype == np.int64


def test_a_typed_id_is_found_capitals_aside_and_one_exactly_so_goes_first():
    items = catalogue(item("SKU-12a"), item("sku-12A"), item("kettle"))

    assert [items.typed_row(text) for text in ("SKU-12a", "sku-12A", "kettle")] == [0, 1, 2]
    assert [items.typed_row(text) for text in ("SKU-12A", "KETTLE", "sku-12", "")] == [0, 2, -1, -1]
    items.extend(ItemTable.from_rows([item("NEW-1")]))
    assert items.typed_row("new-1") == 3


def test_readers_see_whole_rows_while_a_writer_appends():
    growing = catalogue(item("seed", category=("C",)))
    failures: list[BaseException] = []
    is_done = threading.Event()

    def read() -> None:
        try:
            while not is_done.is_set():
                # Each order of looking is one that sources use.
                last = growing.n_items - 1
                assert growing.row(growing.item_ids[last]) in (last, NO_VALUE)
                assert len(growing.column("category")) > last
                assert growing.in_category("C")[last] or last
                newest = growing.row(f"i{last}")
                assert newest == NO_VALUE or growing.ids([newest]) == [f"i{last}"]
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(300):
        growing.extend(ItemTable.from_rows([item(f"i{n + 1}", category=(f"C{n}",))]))
    is_done.set()
    for reader in readers:
        reader.join()

    assert failures == []


def test_a_reader_in_the_middle_of_a_change_finds_nothing_half_there():
    shop = catalogue(*(item(f"i{n}", category=("C",)) for n in range(16)))
    grow = shop._grow
    seen: list[object] = []

    def look_while_growing(n: int) -> None:
        grow(n)
        seen.append((shop.row("new"), shop.n_items, len(shop.column("stock")), len(shop.in_category("C"))))

    shop._grow = look_while_growing  # type: ignore[method-assign]
    shop.extend(ItemTable.from_rows([item("new")]))

    assert seen == [(NO_VALUE, 16, 16, 16)]
    assert shop.row("new") == 16
