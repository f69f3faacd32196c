"""Variants of a group: the first ones stay, in the order of the list."""

from __future__ import annotations

import numpy as np

from aisle.domain import Candidates, Catalogue, Item, ItemTable, ItemText
from aisle.flows.arrange import first_of_group, further_variants, ordered
from aisle.settings import PlacementConfig


def _catalogue(*groups: str | None) -> Catalogue:
    return Catalogue(
        ItemTable.from_rows(
            Item(f"i{row}", (ItemText("en", "thing"),), attributes={} if group is None else {"model": (group,)})
            for row, group in enumerate(groups)
        )
    )


def _found(n: int) -> Candidates:
    return Candidates.of_one("a", np.arange(n), np.arange(n, 0, -1, dtype=np.float32))


def _config(most: int) -> PlacementConfig:
    return PlacementConfig(sources=("a",), group="model", group_most=most)


def test_at_most_so_many_of_a_group_stay_and_what_is_in_none_does() -> None:
    catalogue = _catalogue("x", None, "x", "y", "x", None)
    found = _found(6)

    for most, kept, more in (
        (1, [0, 1, 3, 5], {0: 2, 3: 0}),
        (2, [0, 1, 2, 3, 5], {0: 1, 2: 1, 3: 0}),
        (3, [0, 1, 2, 3, 4, 5], {0: 0, 2: 0, 3: 0, 4: 0}),
    ):
        listed = first_of_group(found, catalogue, _config(most))
        assert listed.item_rows.tolist() == kept
        assert further_variants(listed, found, catalogue, _config(most)) == more


def test_the_first_in_another_order_stands_for_its_group() -> None:
    catalogue = _catalogue("x", "x", "y")
    found = ordered(_found(3), np.array([9.0, 1.0, 9.0]))

    assert found.item_rows.tolist() == [1, 0, 2]
    assert first_of_group(found, catalogue, _config(1)).item_rows.tolist() == [1, 2]


def test_an_attribute_that_no_item_has_groups_nothing() -> None:
    catalogue = _catalogue(None, None)

    assert first_of_group(_found(2), catalogue, _config(1)).item_rows.tolist() == [0, 1]
    assert first_of_group(Candidates.empty("a"), catalogue, _config(1)).item_rows.tolist() == []
