from __future__ import annotations

import numpy as np
import pytest

from aisle.domain import Candidates, Request
from aisle.flows.propose import behind, beside, with_named
from aisle.settings import PlacementConfig
from aisle.testing import TinyShop, tiny_shop


def _found(shop: TinyShop, scores: dict[str, float]) -> Candidates:
    rows = np.array([shop.row(item_id) for item_id in scores])
    return Candidates.of_one("a", rows, np.array(list(scores.values()), dtype=np.float32))


def _about(shop: TinyShop, item_id: str) -> Request:
    return Request("with-it", 0, anchor_rows=np.array([shop.row(item_id)]))


def test_what_goes_with_an_item_comes_before_what_could_replace_it() -> None:
    shop = tiny_shop()
    found = _found(shop, {"black-tea": 1.0, "kettle": 0.6, "teapot": 0.4})
    config = PlacementConfig(sources=("a",), same_category=0.5)

    given = beside(_about(shop, "green-tea"), found, config, shop.catalogue)

    assert shop.catalogue.ids(given.item_rows) == ["kettle", "black-tea", "teapot"]
    assert given.fused.tolist() == pytest.approx([0.6, 0.5, 0.4])
    assert given.scores[:, 0].tolist() == pytest.approx([0.6, 1.0, 0.4])  # what the source said stays as it was


def test_nothing_changes_without_anchors_categories_or_the_wish() -> None:
    shop = tiny_shop()
    found = _found(shop, {"black-tea": 1.0, "kettle": -0.6})
    config = PlacementConfig(sources=("a",), same_category=0.5)

    assert beside(Request("home", 0), found, config, shop.catalogue) is found
    assert beside(_about(shop, "green-tea"), found, PlacementConfig(sources=("a",)), shop.catalogue) is found
    assert beside(_about(shop, "kettle"), found, config, shop.catalogue).fused.tolist() == found.fused.tolist()


def test_an_item_that_the_query_names_goes_before_all_others_if_it_may_be_shown() -> None:
    shop = tiny_shop()
    found = _found(shop, {"black-tea": 1.0, "kettle": 0.6})

    def first(item_id: str, **limits: np.ndarray) -> Candidates:
        return with_named(Request("search", 0, named_rows=np.array([shop.row(item_id)]), **limits), found)  # type: ignore[arg-type]

    assert shop.catalogue.ids(first("kettle").item_rows) == ["kettle", "black-tea"]
    unknown = first("boots")
    assert shop.catalogue.ids(unknown.item_rows) == ["boots", "black-tea", "kettle"]
    assert unknown.fused.tolist() == sorted(unknown.fused.tolist(), reverse=True)
    assert np.isnan(unknown.scores[0]).all()
    assert len(first("boots", excluded_rows=np.array([shop.row("boots")]))) == 2
    assert len(first("boots", allowed=np.zeros(12, dtype=np.bool_))) == 2


def candidates(source: str, rows: list[int], scores: list[float]) -> Candidates:
    return Candidates.of_one(source, np.array(rows), np.array(scores, dtype=np.float32))


def test_what_fills_a_list_up_comes_behind_and_leaves_the_differences_above_it_large():
    first = candidates("linear", [3, 1, 2], [1.0, 0.8, 0.5])

    filled = behind(first, candidates("popular", [1, 7, 8, 9], [9.0, 8.0, 7.0, 6.0]), size=5)

    assert filled.item_rows.tolist() == [3, 1, 2, 7, 8]
    assert filled.fused.tolist() == pytest.approx([1.0, 0.8, 0.5, 0.475, 0.45])
    assert filled.sources == ("linear", "popular")
    assert np.isnan(filled.scores[:3, 1]).all()


def test_an_empty_list_is_filled_in_the_order_of_the_source():
    filled = behind(Candidates.empty("linear"), candidates("popular", [5, 6], [2.0, 1.0]), size=3)

    assert filled.item_rows.tolist() == [5, 6]
    assert filled.fused[0] > filled.fused[1]
