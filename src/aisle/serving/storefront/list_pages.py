"""Pages that are lists: home, search results, categories, and the suggestions under the search box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from starlette.responses import RedirectResponse, Response

from aisle.domain import NO_VALUE
from aisle.domain import Response as Answer
from aisle.flows.asks import Ask
from aisle.serving.html import Words
from aisle.serving.storefront.choice import MOST, STEP, Choice
from aisle.serving.storefront.facets import BETWEEN, Link, last_name, narrowing
from aisle.serving.storefront.front import Front
from aisle.serving.storefront.happenings import impressions, record, searching
from aisle.serving.storefront.shelves import Card, Shelf, make_shelf
from aisle.serving.storefront.visit import Visit
from aisle.shop import Shop

HOME = ("recommended-for-you", "recently-viewed", "buy-it-again", "trending", "new-arrivals")
ROW = 6
"""Items in a row of the home page."""
SORTED = 200
"""Items found that an order by price looks at."""
BY_WORDS = "lexical"
"""The source that finds what was typed word by word."""
N_SUGGESTIONS = 8
LONGEST_PREFIX = 100


class ListPages:
    """Made once with the frame of all pages."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def home(self, visit: Visit) -> Response:
        """Rows of lists for this visitor; a row with nothing in it is left out."""
        words = self._front.words(visit)
        shelves = await visit.serving.answering.run(_rows, visit.serving.shop, visit, words)
        return await self._front.show(visit, "home.html", seen=impressions(visit, shelves), shelves=shelves)

    async def search(self, visit: Visit) -> Response:
        """Items for a query; everything, where none was typed."""
        choice = Choice.read(visit.request.query_params, visit.serving.shop.settings.shop.currency)
        return await self._list(visit, choice)

    async def browse(self, visit: Visit) -> Response:
        """Items of a category, or all."""
        choice = Choice.read(visit.request.query_params, visit.serving.shop.settings.shop.currency)
        return await self._list(visit, replace(choice, query=""))

    async def categories(self, visit: Visit) -> Response:
        """All categories with what lies below them."""
        return await self._front.show(visit, "categories.html")

    async def suggestions(self, visit: Visit) -> Response:
        """Ways to go on typing, as a piece of a page."""
        prefix = visit.request.query_params.get("q", "").strip()[:LONGEST_PREFIX]
        found = []
        if prefix:
            shop = visit.serving.shop
            found = await visit.serving.answering.run(
                lambda: shop.suggest(prefix, size=N_SUGGESTIONS, language=visit.language)
            )
        return self._front.piece(visit, "suggestions.html", suggestions=found, prefix=prefix)

    async def _list(self, visit: Visit, choice: Choice) -> Response:
        shop, words = visit.serving.shop, self._front.words(visit)
        choice, is_there = await visit.serving.answering.run(_known, shop, choice)
        if not is_there:
            return await self._front.trouble(visit, 404)
        placement = shop.settings.placement["search" if choice.query else "browse"]
        answer, shelf = await visit.serving.answering.run(_found, shop, visit, words, choice)
        if choice.query and answer.redirect is not None:
            await record(visit, searching(visit, choice.query, shelf.slate_id))
            return RedirectResponse(answer.redirect, 303)  # an address that the shop's own rules allow
        currency = shop.settings.shop.currency
        n_found = max(answer.n_found, len(shelf.cards))
        has_more = len(shelf.cards) >= choice.n < MOST and n_found > choice.n
        if choice.is_fresh:
            await record(visit, searching(visit, choice.query, shelf.slate_id))
        return await self._front.show(
            visit,
            "list.html",
            seen=impressions(visit, [shelf]),
            query=choice.query,
            choice=choice,
            shelf=shelf,
            n_found=n_found,
            has_most=n_found >= placement.n_candidates,
            is_by_meaning_only=bool(choice.query) and _is_by_meaning_only(answer, placement.sources),
            more=choice.address(currency, n=choice.n + STEP) if has_more else None,
            narrowing=narrowing(choice, answer.facets, words, currency, has_stock=not placement.is_in_stock_only),
            trail=_trail(choice, words, currency),
            reset=Choice(query=choice.query, category=None if choice.query else choice.category).address(currency),
        )


def _rows(shop: Shop, visit: Visit, words: Words) -> list[Shelf]:
    shelves = []
    for placement in HOME:
        ask = Ask(user_id=visit.user_id, size=ROW, context=visit.context)
        if placement in shop.settings.placement:
            shelf = make_shelf(shop, placement, shop.ask_recommend(placement, [ask])[0], words)
            shelves += [shelf] if shelf.cards else []
    return shelves


def _known(shop: Shop, choice: Choice) -> tuple[Choice, bool]:
    """The choice without brands that no item has, and whether its category is there: addresses outlive both."""
    catalogue = shop.live.stages.catalogue
    brands = tuple(brand for brand in choice.brands if catalogue.brands.find(brand) != NO_VALUE)
    is_there = choice.category is None or catalogue.categories.find(choice.category) != NO_VALUE
    return replace(choice, brands=brands), is_there


def _found(shop: Shop, visit: Visit, words: Words, choice: Choice) -> tuple[Answer, Shelf]:
    is_sorted = choice.sort != "relevance"
    ask = Ask(
        user_id=visit.user_id,
        text=choice.query or None,
        size=SORTED if is_sorted else choice.n,
        filters=choice.filters,
        context=visit.context,
        with_facets=True,
    )
    answer = (shop.ask_search([ask]) if choice.query else shop.ask_recommend("browse", [ask]))[0]
    shelf = make_shelf(shop, "found", answer, words)
    if is_sorted:
        ordered = _by_price(shelf.cards, is_rising=choice.sort == "price-up")[: choice.n]
        shelf = replace(shelf, cards=ordered, is_in_order=False)
    return answer, shelf


def _is_by_meaning_only(answer: Answer, sources: Sequence[str]) -> bool:
    """Whether items were looked for by the words typed, and none of those shown has them."""
    slots = answer.slate.slots
    was_looked = BY_WORDS in sources and BY_WORDS not in answer.degraded
    return was_looked and bool(slots) and not any(slot.scores.get(BY_WORDS, 0.0) > 0.0 for slot in slots)


def _by_price(cards: Sequence[Card], *, is_rising: bool) -> list[Card]:
    """Cards by price, those without one last."""

    def key(card: Card) -> tuple[bool, int]:
        amount = card.price_minor or 0
        return card.price_minor is None, amount if is_rising else -amount

    return sorted(cards, key=key)


def _trail(choice: Choice, words: Words, currency: str) -> list[Link]:
    names = choice.category.split(BETWEEN) if choice.category else []
    paths = [BETWEEN.join(names[: depth + 1]) for depth in range(len(names))]
    return [Link(last_name(path, words), Choice(category=path).address(currency)) for path in paths]
