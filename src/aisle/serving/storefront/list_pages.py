"""Pages that are lists: home, search results, categories, and the suggestions under the search box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from starlette.responses import RedirectResponse, Response

from aisle.domain import NO_VALUE
from aisle.domain import Response as Answer
from aisle.domain.attributes import NO_PAIR
from aisle.domain.money import shown
from aisle.errors import DataError
from aisle.flows.asks import Ask
from aisle.serving.html import Words
from aisle.serving.storefront.choice import SIZE, Choice
from aisle.serving.storefront.facets import BETWEEN, Link, last_name, narrowing
from aisle.serving.storefront.front import Front
from aisle.serving.storefront.happenings import impressions, record, searching
from aisle.serving.storefront.shelves import Shelf, make_shelf
from aisle.serving.storefront.visit import Visit
from aisle.shop import Shop

HOME = ("recommended-for-you", "recently-viewed", "buy-it-again", "trending", "new-arrivals")
ROW = 6
"""Items in a row of the home page."""
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
            relaxed=_given_up(answer, words),
            spelling=_other_spelling(answer, choice, words, currency),
            typed=_typed_limit(answer, choice, words, currency),
            more=choice.address(currency, after=answer.cursor) if answer.cursor else None,
            first=choice.address(currency) if choice.after else None,
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
    """Without brands and attributes that no item has, and whether its category is: addresses outlive them."""
    catalogue = shop.live.stages.catalogue
    brands = tuple(brand for brand in choice.brands if catalogue.brands.find(brand) != NO_VALUE)
    pairs = tuple(pair for pair in choice.attributes if catalogue.attributes.find(*pair) != NO_PAIR)
    is_there = choice.category is None or catalogue.categories.find(choice.category) != NO_VALUE
    return replace(choice, brands=brands, attributes=pairs), is_there


def _found(shop: Shop, visit: Visit, words: Words, choice: Choice) -> tuple[Answer, Shelf]:
    ask = Ask(
        user_id=visit.user_id,
        text=choice.query or None,
        size=SIZE,
        filters=choice.filters,
        context=visit.context,
        sort=choice.sort,
        cursor=choice.after,
        with_facets=True,
        with_highlights=bool(choice.query),
        is_as_typed=choice.is_as_typed,
    )
    answer = _answered(shop, ask)
    shelf = make_shelf(shop, "found", answer, words)
    is_by_relevance = choice.sort == "relevance" and choice.after is None
    return answer, shelf if is_by_relevance else replace(shelf, is_in_order=False)


def _answered(shop: Shop, ask: Ask) -> Answer:
    """The answer; the first page, where the cursor in the address has grown too old or is another list's."""
    try:
        return (shop.ask_search([ask]) if ask.text else shop.ask_recommend("browse", [ask]))[0]
    except DataError as error:
        if error.field != "cursor":
            raise
    return _answered(shop, replace(ask, cursor=None))


def _given_up(answer: Answer, words: Words) -> str | None:
    """What is said above a list that stands in for an empty one."""
    relaxed = answer.relaxed
    if relaxed is None:
        return None
    match relaxed.step:
        case "words":
            return words("relaxed_words", query=relaxed.query, dropped=" ".join(relaxed.dropped_words))
        case "filters":
            names = [words(f"filter_{name}") for name in relaxed.dropped_filters]
            return words("relaxed_filters", dropped=words("and").join(names))
        case "neighbours":
            return words("relaxed_neighbours")
        case "popular":
            if relaxed.category is None:
                return words("relaxed_popular")
            return words("relaxed_popular_in", category=last_name(relaxed.category, words))


def _other_spelling(answer: Answer, choice: Choice, words: Words, currency: str) -> tuple[str, Link] | None:
    """What is said of another spelling of the query, and where the one that was not searched for leads."""
    spelling = answer.query.spelling if answer.query is not None else None
    if spelling is None:
        return None
    if spelling.is_searched:
        as_typed = Link(words("search_instead", query=choice.query), choice.address(currency, is_as_typed=True))
        return words("shown_instead", query=spelling.text), as_typed
    return words("did_you_mean"), Link(spelling.text, choice.address(currency, query=spelling.text))


def _typed_limit(answer: Answer, choice: Choice, words: Words, currency: str) -> str | None:
    """What is said of a price range that was read out of the query and holds for the list."""
    query, given_up = answer.query, answer.relaxed.dropped_filters if answer.relaxed else ()
    is_chosen = choice.low is not None or choice.high is not None
    if query is None or query.price is None or not query.price.is_limit or is_chosen or "price" in given_up:
        return None
    low, high = (
        None if minor is None else shown(minor, currency) for minor in (query.price.low_minor, query.price.high_minor)
    )
    kind = "between" if low and high else "most" if high else "least"
    return words(f"typed_{kind}", low=low or "", high=high or "")


def _is_by_meaning_only(answer: Answer, sources: Sequence[str]) -> bool:
    """Whether items were looked for by the words typed, and none of those shown has them."""
    slots = answer.slate.slots
    was_looked = BY_WORDS in sources and BY_WORDS not in answer.degraded
    return was_looked and bool(slots) and not any(slot.scores.get(BY_WORDS, 0.0) > 0.0 for slot in slots)


def _trail(choice: Choice, words: Words, currency: str) -> list[Link]:
    names = choice.category.split(BETWEEN) if choice.category else []
    paths = [BETWEEN.join(names[: depth + 1]) for depth in range(len(names))]
    return [Link(last_name(path, words), Choice(category=path).address(currency)) for path in paths]
