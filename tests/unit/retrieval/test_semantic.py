from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aisle.contracts import Parts, Progress, silent
from aisle.domain import (
    EVENT_CODE,
    EventTable,
    EventType,
    Item,
    ItemKind,
    ItemTable,
    ItemText,
    Query,
    Request,
    UserState,
)
from aisle.errors import ConfigError, CorruptError
from aisle.retrieval.semantic import Semantic, SemanticConfig, item_texts
from aisle.testing import HashedWords, TinyShop

NOTHING = EventTable.empty()


class _Counting(HashedWords):
    """Notes what it was asked to encode."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], *, progress: Progress = silent) -> np.ndarray:
        self.asked += texts
        return super().encode(texts, progress=progress)


def _of(parts: Parts, shop: TinyShop, **config) -> Semantic:
    return Semantic.fit("semantic", shop.snapshot, SemanticConfig(**config), parts)


def _history(*events: tuple[int, EventType]) -> UserState:
    rows = np.array([row for row, _ in events], dtype=np.int64)
    types = np.array([EVENT_CODE[event_type] for _, event_type in events], dtype=np.uint8)
    return UserState("ann", rows, types, np.arange(len(events), dtype=np.int64))


def test_the_order_is_that_of_the_cosines(shop: TinyShop, parts: Parts) -> None:
    source = _of(parts, shop)
    asked = Request("search", 0, query=Query("green tea"))
    encoder = HashedWords()
    cosines = encoder.encode(item_texts(shop.snapshot.items, SemanticConfig())) @ encoder.encode(["green tea"])[0]

    [candidates] = source.retrieve([asked], 100)

    assert candidates.item_rows.tolist() == np.argsort(-cosines, kind="stable").tolist()
    np.testing.assert_allclose(candidates.fused, np.sort(cosines)[::-1], atol=1e-6)
    np.testing.assert_allclose(source.score([asked], [np.arange(12)])[0], cosines, atol=1e-6)


def test_anchors_bring_what_is_like_them_and_not_themselves(shop: TinyShop, parts: Parts) -> None:
    row = shop.row("green-tea")
    [candidates] = _of(parts, shop).retrieve([Request("similar-items", 0, anchor_rows=np.array([row]))], 11)

    assert row not in candidates.item_rows
    assert len(candidates) == 11
    assert shop.catalogue.item_ids[candidates.item_rows[0]] == "black-tea"


def test_a_history_counts_its_latest_interactions_most(shop: TinyShop, parts: Parts) -> None:
    source = _of(parts, shop)
    tea, boots = shop.row("black-tea"), shop.row("boots")

    def first(*events: tuple[int, EventType]) -> int:
        [candidates] = source.retrieve([Request("recommended-for-you", 0, state=_history(*events))], 1)
        return int(candidates.item_rows[0])

    assert first(*[(boots, EventType.VIEW)] * 3, *[(tea, EventType.VIEW)] * 3) == tea
    assert first(*[(tea, EventType.VIEW)] * 3, *[(boots, EventType.VIEW)] * 3) == boots
    # A refund shows no interest.
    assert first((boots, EventType.VIEW), (tea, EventType.REFUND)) == boots


def test_limits_are_kept_in_batches_of_different_requests(shop: TinyShop, parts: Parts) -> None:
    source = _of(parts, shop)
    allowed = np.zeros(12, dtype=np.bool_)
    allowed[[1, 4, 7]] = True
    asked = [
        Request("search", 0, query=Query("tea"), allowed=allowed, excluded_rows=np.array([4])),
        Request("search", 0, query=Query("boots"), allowed=allowed),
        Request("search", 0, query=Query("tea"), excluded_rows=np.arange(10)),
        Request("search", 0, query=Query("  ")),
        Request("search", 0),
    ]

    found = source.retrieve(asked, 3)

    assert [sorted(candidates.item_rows.tolist()) for candidates in found] == [[1, 7], [1, 4, 7], [10, 11], [], []]
    for request, candidates in zip(asked, found, strict=True):
        np.testing.assert_array_equal(candidates.item_rows, source.retrieve([request], 3)[0].item_rows)
    assert np.isnan(source.score(asked[4:], [np.array([0])])[0]).all()


def test_only_changed_texts_are_encoded_again(shop: TinyShop, parts: Parts) -> None:
    encoder = _Counting()
    source = _of(replace(parts, encoder=encoder), shop)
    encoder.asked.clear()
    boots = shop.item("boots")
    canoe = Item("canoe", (ItemText("en", "Birch canoe"),), kind=ItemKind.PRODUCT)
    renamed = replace(shop.item("kettle"), texts=(ItemText("en", "Copper pot"),))
    items = ItemTable.from_rows([replace(boots, price_minor=1, stock=3), canoe, renamed])
    parts.catalogue.extend(items)

    source.extend(items, NOTHING)

    assert len(encoder.asked) == 2
    for query, item_id in (("birch canoe", "canoe"), ("copper pot", "kettle")):
        [candidates] = source.retrieve([Request("search", 0, query=Query(query))], 1)
        assert parts.catalogue.ids(candidates.item_rows) == [item_id]


def test_what_is_typed_goes_to_the_encoder_that_keeps_nothing(shop: TinyShop, parts: Parts) -> None:
    keeping, passing = _Counting(), _Counting()
    source = _of(replace(parts, encoder=keeping, query_encoder=passing), shop)
    keeping.asked.clear()

    for _ in range(2):
        source.retrieve([Request("search", 0, query=Query("tea"))], 1)

    assert keeping.asked == []
    assert passing.asked == ["tea"]


class _EnglishOnly(HashedWords):
    """Reads what is written in ASCII."""

    def unread_shares(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([sum(not c.isascii() for c in text) / len(text) for text in texts], dtype=np.float32)


def test_a_query_that_the_encoder_cannot_read_is_left_to_others(shop: TinyShop, parts: Parts) -> None:
    source = _of(replace(parts, query_encoder=_EnglishOnly()), shop)
    asked = [Request("search", 0, query=Query(text)) for text in ("kettle", "水壶", "kettle 水壶")]

    assert [len(found) > 0 for found in source.retrieve(asked, 5)] == [True, False, True]
    known, unread, _ = source.score(asked, [np.array([0, 1])] * 3)
    assert np.isfinite(known).all()
    assert np.isnan(unread).all()
    everything = _of(replace(parts, query_encoder=_EnglishOnly()), shop, max_unread=1.0)
    assert all(len(found) for found in everything.retrieve(asked, 5))
    assert all(len(found) for found in _of(parts, shop).retrieve(asked, 5))  # it cannot tell, so it reads all


def test_loaded_answers_are_those_before(shop: TinyShop, parts: Parts, tmp_path: Path) -> None:
    source = _of(parts, shop)
    source.extend(ItemTable.from_rows([replace(shop.item("kettle"), texts=(ItemText("en", "Copper pot"),))]), NOTHING)
    source.save(tmp_path)

    loaded = Semantic.load("semantic", tmp_path, SemanticConfig(), parts)

    asked = [Request("search", 0, query=Query(text)) for text in ("tea", "copper pot", "雨伞")]
    for before, after in zip(source.retrieve(asked, 12), loaded.retrieve(asked, 12), strict=True):
        np.testing.assert_array_equal(before.item_rows, after.item_rows)
        np.testing.assert_array_equal(before.fused, after.fused)


def test_another_encoders_vectors_are_refused(shop: TinyShop, parts: Parts, tmp_path: Path) -> None:
    _of(parts, shop).save(tmp_path)

    with pytest.raises(CorruptError, match="aisle train"):
        Semantic.load("semantic", tmp_path, SemanticConfig(), replace(parts, encoder=HashedWords(32)))


def test_without_an_encoder_it_cannot_be_fitted(shop: TinyShop, parts: Parts) -> None:
    with pytest.raises(ConfigError, match="encoder"):
        _of(replace(parts, encoder=None), shop)


def test_what_is_encoded_of_an_item() -> None:
    texts = (ItemText("en", "Green tea", "Picked early in spring."), ItemText("zh", "绿茶", "早春采摘"))
    items = ItemTable.from_rows(
        [
            Item("full", texts, brand="Hillside", category=("Grocery", "Tea")),
            Item("branded", (ItemText("en", "Hillside green tea"),), brand="Hillside"),
            Item("bare", (ItemText("en", ""),)),
        ]
    )

    assert item_texts(items, SemanticConfig(description_characters=6)) == [
        "Green tea. Hillside. Tea. Picked",
        "Hillside green tea",
        "",
    ]
    assert item_texts(items, SemanticConfig(language="zh", description_characters=0))[:2] == [
        "绿茶. Hillside. Tea",
        "Hillside green tea",
    ]
