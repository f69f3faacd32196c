"""The page of one item."""

from __future__ import annotations

import re

from starlette.responses import Response

from aisle.domain import Item, ItemKind
from aisle.serving.html import Words
from aisle.serving.storefront.facets import trail
from aisle.serving.storefront.front import Front
from aisle.serving.storefront.happenings import impressions, opening, record
from aisle.serving.storefront.shelves import Card, Shelf, card_of, make_shelf
from aisle.serving.storefront.visit import Visit
from aisle.shop import Shop

ROW = 6
LISTS = ("frequently-bought-together", "similar-items")
LONGEST_ID = 400
_LIST = re.compile(r"[\w-]{1,64}")


class ItemPage:
    """Made once with the frame of all pages."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def item(self, visit: Visit) -> Response:
        """An item, what is like it, and what is bought with it. Coming here counts as a look at it."""
        shop, words = visit.serving.shop, self._front.words(visit)
        item_id = visit.request.path_params["item_id"]
        found = await visit.serving.answering.run(shop.read_items, [item_id]) if len(item_id) <= LONGEST_ID else []
        if not found:
            return await self._front.trouble(visit, 404)
        item, came_from = found[0], came_from_list(visit)
        await record(visit, opening(visit, item, came_from))
        card, shelves = await visit.serving.answering.run(_around, shop, visit, words, item)
        return await self._front.show(
            visit,
            "item.html",
            seen=impressions(visit, shelves),
            item=item,
            card=card,
            text=item.text(visit.language),
            trail=trail(item, words, shop.settings.shop.currency),
            came_from=came_from,
            can_buy=card.stock != "none",
            is_product=item.kind is ItemKind.PRODUCT,
            shelves=shelves,
        )


def came_from_list(visit: Visit) -> tuple[str, int] | None:
    """The list and place that an address says the item was opened from; None where it says nothing sound."""
    return read_place(visit.request.query_params.get("list", ""), visit.request.query_params.get("slot", ""))


def read_place(slate_id: str, slot: str) -> tuple[str, int] | None:
    """A slate id and a slot as they came; None where they cannot be any."""
    if _LIST.fullmatch(slate_id) and slot.isascii() and slot.isdecimal() and len(slot) <= 3:
        return slate_id, int(slot)
    return None


def _around(shop: Shop, visit: Visit, words: Words, item: Item) -> tuple[Card, list[Shelf]]:
    shelves = []
    for placement in LISTS:
        if placement in shop.settings.placement:
            answer = shop.recommend(
                placement, user_id=visit.user_id, item_ids=[item.item_id], size=ROW, context=visit.context
            )
            shelf = make_shelf(shop, placement, answer, words)
            shelves += [shelf] if shelf.cards else []
    return card_of(item, words), shelves
