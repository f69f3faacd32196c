"""Pairs as the records of a shop hold them: which, how many, and in which language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import polars as pl
import pytest

from aisle.domain import Event, EventType, Item, ItemText
from aisle.flows.text_pairs import DESCRIPTION, QUERY, VIEWED, gather_pairs
from aisle.folder import init
from aisle.shop import Shop
from aisle.testing import FrozenClock

NOW = 1_700_000_000_000
MINUTE = 60_000
N = 20


class Read(Sequence[str]):
    """Texts that count how many of them are taken one by one."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.n_taken = texts, 0

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        self.n_taken += 1
        return self.texts[at]

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(init(tmp_path / "shop"), clock=FrozenClock(NOW)) as opened:
        opened.add_items([Item(f"i{row:02}", (ItemText("en", f"thing {row}"),)) for row in range(N)])
        yield opened


def event(kind: EventType, minutes: float, user_id: str, **more: str) -> Event:
    return Event(user_id=user_id, type=kind, time_ms=NOW + round(minutes * MINUTE) - 1_000 * MINUTE, **more)


def test_texts_are_written_for_the_pairs_that_are_chosen_only(shop: Shop) -> None:
    shop.add_events(
        [
            event(EventType.VIEW, row, f"u{user}", item_id=f"i{row:02}", session_id=f"s{user}")
            for user in range(3)
            for row in range(N)
        ]
    )
    snapshot, texts = shop.records.snapshot(), Read([f"text {row}" for row in range(N)])

    everything = gather_pairs(snapshot, shop.records, texts).frame
    texts.n_taken = 0
    few = gather_pairs(snapshot, shop.records, texts, 7).frame

    assert everything.filter(kind=VIEWED).height == 2 * (N - 1)
    assert texts.n_taken <= 7
    chosen = everything.sort(pl.col("left").hash(0), "kind", "item_row", "description_row").head(7)
    assert few.equals(chosen.sort("kind", "left", "item_row", "description_row"))


def test_a_title_is_paired_with_its_description_in_every_language_that_has_both(shop: Shop) -> None:
    texts = (
        ItemText("en", "kettle", "boils water"),
        ItemText("zh", "水壶", "烧水用"),
        ItemText("de", "Kessel"),
        ItemText("fr", "", "fait bouillir"),
    )
    shop.add_items([Item("kettle", texts), Item("lamp", (ItemText("zh", "台灯", "阅读用"),))])
    snapshot = shop.records.snapshot()

    pairs = gather_pairs(snapshot, shop.records, [f"text {row}" for row in range(snapshot.n_items)])

    row_of = {item_id: row for row, item_id in enumerate(snapshot.items.frame["item_id"])}
    frame = pairs.frame.filter(kind=DESCRIPTION)
    found = {
        (left, pairs.descriptions[at], row)
        for left, at, row in frame.select("left", "description_row", "item_row").iter_rows()
    }
    assert found == {
        ("kettle", "boils water", row_of["kettle"]),
        ("水壶", "烧水用", row_of["kettle"]),
        ("台灯", "阅读用", row_of["lamp"]),
    }
    learned, held_out = pairs.parted(0.0)
    assert not len(held_out)
    told = {(learned.lefts[a], learned.rights[b]) for a, b in zip(learned.left, learned.right, strict=True)}
    assert told == {(left, right) for left, right, _ in found}


def test_a_search_is_answered_in_its_session_or_by_its_user_where_a_session_is_not_named(shop: Shop) -> None:
    def searched(minutes: float, user_id: str, query: str, **more: str) -> Event:
        return event(EventType.SEARCH, minutes, user_id, query=query, **more)

    def bought(minutes: float, user_id: str, item_id: str, **more: str) -> Event:
        return event(EventType.PURCHASE, minutes, user_id, item_id=item_id, **more)

    shop.add_events(
        [
            searched(0, "ann", "kettle", session_id="s1"),
            bought(2, "ann", "i01"),  # from a list of orders, which knows no sessions
            searched(0, "bob", "lamp"),
            bought(2, "bob", "i02", session_id="s2"),
            searched(0, "device", "boots", session_id="s3"),
            bought(2, "cleo", "i03", session_id="s3"),  # signed in meanwhile
            searched(0, "dan", "drill", session_id="s4"),
            bought(2, "dan", "i04", session_id="s5"),  # another visit
            searched(0, "eve", "tent", session_id="s6"),
            searched(1, "eve", "rope"),
            bought(2, "eve", "i05", session_id="s6"),  # after the later of the two
            searched(0, "s7", "hose"),
            bought(2, "fay", "i06", session_id="s7"),  # a session that is named as somebody else is
        ]
    )
    snapshot = shop.records.snapshot()

    frame = gather_pairs(snapshot, shop.records, [f"text {row}" for row in range(N)]).frame

    found = set(frame.filter(kind=QUERY).select("left", "item_row").rows())
    assert found == {("kettle", 1), ("lamp", 2), ("boots", 3), ("rope", 5)}
