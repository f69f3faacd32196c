"""What is bought together, by association and not by fame."""

from __future__ import annotations

import numpy as np

from aisle.domain import EventType, ItemTable
from aisle.retrieval.bought_together import BoughtTogether, BoughtTogetherConfig
from aisle.testing import tiny_shop
from behaviour import Did, answer, ask, event_table, parts_for, snapshot_of

MILK_IN_EVERY_BASKET = ["ab" + "m"] * 4 + ["cd" + "m"] * 4 + ["m", "ma", "mc"] * 3


def baskets(*contents: str) -> list[Did]:
    return [Did(f"u{k}", item, k, basket=f"k{k}") for k, items in enumerate(contents) for item in items]


def fitted(events: list[Did], **config: float):
    snapshot = snapshot_of(events, "abcdefm")
    parts = parts_for(snapshot)
    return BoughtTogether.fit("together", snapshot, BoughtTogetherConfig(**config), parts), parts.catalogue


def test_the_best_seller_goes_with_nothing_in_particular() -> None:
    source, catalogue = fitted(baskets(*MILK_IN_EVERY_BASKET))

    assert answer(source, ask(catalogue, about="a"), catalogue) == ["b"]
    assert answer(source, ask(catalogue, about="c"), catalogue) == ["d"]


def test_a_pair_met_once_is_no_evidence() -> None:
    source, catalogue = fitted(baskets("ab", "c", "d", "e", "f"))

    assert answer(source, ask(catalogue, about="a"), catalogue) == []


def test_baskets_without_a_name_are_sessions_or_days() -> None:
    events = [Did(user, item, day) for user, day in (("u", 0.1), ("v", 3.1), ("w", 7.1)) for item in "ab"]
    events += [Did("u", "c", 0.9), Did("v", "c", 4.2), Did("w", "c", 8.2), *baskets("e", "f", "m")]
    source, catalogue = fitted(events)

    assert answer(source, ask(catalogue, about="a"), catalogue) == ["b"]  # c came the same day only once


def test_only_purchases_make_baskets() -> None:
    events = [Did(f"u{k}", item, 0, EventType.VIEW, f"k{k}") for k in range(5) for item in "ab"]
    source, catalogue = fitted([*events, *baskets("c", "d")])

    assert answer(source, ask(catalogue, about="a"), catalogue) == []


def test_a_basket_of_several_items_adds_their_evidence() -> None:
    source, catalogue = fitted(baskets("abe", "abe", "abe", "af", "af", "af", "c", "d", "m", "m"))

    assert answer(source, ask(catalogue, about="ab"), catalogue)[0] == "e"


def test_a_wholesale_order_is_looked_at_only_in_part() -> None:
    source, catalogue = fitted(baskets("abcdef", "abcdef", "m", "m"), largest_basket=2)

    assert answer(source, ask(catalogue, about="a"), catalogue) == ["b"]
    assert answer(source, ask(catalogue, about="e"), catalogue) == []


def test_new_baskets_count_also_when_their_items_come_one_by_one() -> None:
    source, catalogue = fitted(baskets("a", "b", "c", "d", "m", "m", "m"))
    for did in baskets("ef", "ef", "ef"):
        source.extend(ItemTable.empty(), event_table([did]))

    assert answer(source, ask(catalogue, about="e"), catalogue) == ["f"]


def test_extending_gives_the_counts_of_a_fit() -> None:
    events = baskets(*MILK_IN_EVERY_BASKET)
    whole, catalogue = fitted(events, min_support=1)
    grown, _ = fitted(events[:9], min_support=1)  # three whole baskets
    for start in range(9, len(events), 2):  # the others, torn apart
        grown.extend(ItemTable.empty(), event_table(events[start : start + 2]))

    for letter in "abcdm":
        request = ask(catalogue, about=letter)
        found, wanted = (source.retrieve([request], 7)[0] for source in (grown, whole))
        np.testing.assert_array_equal(found.item_rows, wanted.item_rows)
        np.testing.assert_allclose(found.fused, wanted.fused, rtol=1e-6)


def test_what_is_saved_answers_alike(tmp_path) -> None:
    source, catalogue = fitted(baskets(*MILK_IN_EVERY_BASKET))
    source.save(tmp_path)

    again = BoughtTogether.load("t", tmp_path, BoughtTogetherConfig(), parts_for(snapshot_of([], "abcdefm")))

    request = ask(catalogue, about="a")
    np.testing.assert_array_equal(again.retrieve([request], 5)[0].fused, source.retrieve([request], 5)[0].fused)


def test_the_tiny_shop_has_its_known_answers() -> None:
    shop = tiny_shop()
    parts = parts_for(shop.snapshot)
    source = BoughtTogether.fit("together", shop.snapshot, BoughtTogetherConfig(), parts)

    for about, wanted in (("kettle", "green-tea"), ("boots", "socks")):
        request = ask(parts.catalogue)
        request = type(request)("test", 0, anchor_rows=parts.catalogue.rows([about]))
        assert answer(source, request, parts.catalogue)[0] == wanted
