"""Likeness of items by their columns."""

from __future__ import annotations

import numpy as np

from aisle.domain import ItemTable
from aisle.retrieval.item_features import feature_matrix
from behaviour import items_of


def test_rare_features_in_common_make_items_more_alike() -> None:
    table = ItemTable.concat(
        [
            items_of("ab", brand="Rare", category=("Home", "Tea")),
            items_of("cd", brand="Big", category=("Home", "Tea")),
            items_of("e", brand="Big", category=("Home", "Lamps")),
            items_of("f", category=("Garden",)),
        ]
    )
    likeness = (feature_matrix(table) @ feature_matrix(table).T).toarray()

    np.testing.assert_allclose(np.diag(likeness)[:5], 1.0, rtol=1e-6)
    assert likeness[0, 1] == likeness[:, :].max()
    assert likeness[0, 1] > likeness[0, 2] > likeness[0, 4] > 0
    assert likeness[5].sum() == 0  # "Garden" is f's alone


def test_values_of_attributes_count_and_absent_columns_do_not() -> None:
    table = ItemTable.concat(
        [
            items_of("ab", attributes={"colour": ("red", "blue")}),
            items_of("c", attributes={"colour": ("blue",), "size": ("red",)}),
            items_of("d"),
        ]
    )
    likeness = (feature_matrix(table) @ feature_matrix(table).T).toarray()

    assert likeness[0, 1] > likeness[0, 2] > 0
    assert not likeness[3].any()


def test_items_without_any_columns_have_no_features() -> None:
    assert feature_matrix(items_of("abc")).shape == (3, 0)
    assert feature_matrix(ItemTable.empty()).shape == (0, 0)
