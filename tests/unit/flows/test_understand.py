from __future__ import annotations

import pytest

from aisle.domain import Catalogue, Filters, Item, ItemTable, ItemText
from aisle.errors import DataError
from aisle.flows import understand
from aisle.flows.understand import check_names


def catalogue_of_brands(names: list[str]) -> Catalogue:
    items = [Item(name, (ItemText("en", name),), brand=name) for name in names]
    return Catalogue(ItemTable.from_rows(items))


@pytest.mark.parametrize("n_others", [3, 1000])
def test_an_unknown_brand_is_told_the_closest_among_few_names_and_among_many(n_others: int) -> None:
    shop = catalogue_of_brands([*(f"Other {number}" for number in range(n_others)), "Northgate"])

    with pytest.raises(DataError, match="Did you mean 'Northgate'"):
        check_names(Filters(brands=("northgaet",)), shop)


def test_among_very_many_names_only_some_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    n_compared: list[int] = []

    def compare(name: str, known: object, **how: object) -> list[str]:
        n_compared.append(len(list(known)))  # type: ignore[call-overload]
        return []

    monkeypatch.setattr(understand.difflib, "get_close_matches", compare)
    shop = catalogue_of_brands([f"Brand {number}" for number in range(3000)])

    with pytest.raises(DataError, match="no item has the brand 'Brandy'"):
        check_names(Filters(brands=("Brandy",)), shop)

    assert n_compared[0] <= understand.MOST_COMPARED
