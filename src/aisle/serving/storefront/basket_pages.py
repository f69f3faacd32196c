"""The basket, what goes well with it, and buying."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import Response

from aisle.domain import Item
from aisle.errors import UnavailableError
from aisle.serving.html import Words, price
from aisle.serving.storefront.basket import Basket
from aisle.serving.storefront.front import Front, back_to
from aisle.serving.storefront.happenings import buying, impressions, putting, record
from aisle.serving.storefront.item_page import read_place
from aisle.serving.storefront.shelves import Card, Shelf, card_of, make_shelf, stock_of
from aisle.serving.storefront.visit import Visit
from aisle.shop import Shop

ROW = 6
_ORDER = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Line:
    """One line of the basket as it is shown."""

    card: Card
    quantity: int
    total: str | None


class BasketPages:
    """Made once with the frame of all pages."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def basket(self, visit: Visit) -> Response:
        """What is inside, what it costs, what goes with it."""
        shop, words = visit.serving.shop, self._front.words(visit)
        lines, shelf = await visit.serving.answering.run(_inside, shop, visit, words)
        items = [(item, n) for item, n in lines if stock_of(item) != "none"]
        return await self._front.show(
            visit,
            "basket.html",
            seen=impressions(visit, [shelf] if shelf else []),
            lines=[Line(card_of(item, words), n, _total([(item, n)], words)) for item, n in lines],
            total=_total(items, words),
            n_buyable=len(items),
            shelf=shelf,
        )

    async def change(self, visit: Visit) -> Response:
        """Put in, set or take out: form fields ``item``, ``add`` or ``quantity``, and ``back``."""
        form = {name: str(value) for name, value in (await visit.request.form()).items()}
        found = await visit.serving.answering.run(visit.serving.shop.read_items, [form.get("item", "")])
        if not found:
            raise HTTPException(404)
        item = found[0]
        had = visit.basket.quantity(item.item_id)
        wanted = had + _whole(form["add"]) if "add" in form else _whole(form.get("quantity", "0"))
        if stock_of(item) == "none":
            wanted = min(wanted, had)
        changed = visit.basket.put(item.item_id, wanted)
        n_more = changed.quantity(item.item_id) - had
        if n_more:
            place = read_place(form.get("list", ""), form.get("slot", ""))
            await record(visit, putting(visit, item, n_more, place))
            visit.basket = changed
        return back_to(form.get("back", "/basket"))

    async def buy(self, visit: Visit) -> Response:
        """Everything in the basket that can be bought; the basket is empty afterwards."""
        lines = await visit.serving.answering.run(_items, visit.serving.shop, visit.basket)
        bought = [(item, n) for item, n in lines if stock_of(item) != "none"]
        if not bought:
            return back_to("/basket")
        order_id, events = buying(visit, bought)
        if not await record(visit, events):
            raise UnavailableError("the purchase could not be recorded")
        visit.basket = Basket()
        return back_to(f"/thanks?order={order_id}")

    async def thanks(self, visit: Visit) -> Response:
        """After buying."""
        shop, words = visit.serving.shop, self._front.words(visit)
        order = visit.request.query_params.get("order", "")
        answer = await visit.serving.answering.run(
            lambda: make_shelf(
                shop,
                "recommended-for-you",
                shop.recommend("recommended-for-you", user_id=visit.user_id, size=ROW, context=visit.context),
                words,
            )
        )
        shelves = [answer] if answer.cards else []
        return await self._front.show(
            visit,
            "thanks.html",
            seen=impressions(visit, shelves),
            order=order if _ORDER.fullmatch(order) else None,
            shelves=shelves,
        )


def _items(shop: Shop, basket: Basket) -> list[tuple[Item, int]]:
    return [(item, basket.quantity(item.item_id)) for item in shop.read_items(basket.item_ids)]


def _inside(shop: Shop, visit: Visit, words: Words) -> tuple[list[tuple[Item, int]], Shelf | None]:
    lines = _items(shop, visit.basket)
    visit.basket = visit.basket.only(item.item_id for item, _ in lines)  # the shop may have dropped an item since
    if not lines:
        return lines, None
    answer = shop.recommend(
        "frequently-bought-together",
        user_id=visit.user_id,
        item_ids=visit.basket.item_ids,
        size=ROW,
        context=visit.context,
    )
    shelf = make_shelf(shop, "goes-well-with", answer, words)
    return lines, shelf if shelf.cards else None


def _total(lines: Sequence[tuple[Item, int]], words: Words) -> str | None:
    """The sum, one amount a currency; None when nothing has a price."""
    sums: dict[str | None, int] = {}
    for item, quantity in lines:
        if item.price_minor is not None:
            sums[item.currency] = sums.get(item.currency, 0) + item.price_minor * quantity
    return " + ".join(price(amount, currency, words.language) for currency, amount in sums.items()) or None


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else 0
