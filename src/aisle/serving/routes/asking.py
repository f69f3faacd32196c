"""Questions that are answered with a list: search, recommendations, similar items, baskets, suggestions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from aisle import wire
from aisle.domain import NO_VALUE, Context, Filters
from aisle.domain import Response as ShopResponse
from aisle.errors import AisleError, ConfigError, DataError
from aisle.flows.asks import Ask
from aisle.serving.answers import answer_of, json_response
from aisle.serving.context import serving_of
from aisle.serving.describing import operation
from aisle.serving.languages import language_of
from aisle.serving.problems import NOT_FOUND, NOT_READY, Problem, document_of, problem_of
from aisle.serving.reading import read_body, read_query
from aisle.shop import ANYTHING, ANYWHERE, Shop
from aisle.wire.asks import Ask as AskBody

router = APIRouter(prefix="/v1", tags=["Asking"])

Found = ShopResponse | AisleError
"""An answer, or why there is none."""
NO_FILTERS = wire.Filters()
NO_CONTEXT = wire.Context()
BASKET, SIMILAR = "frequently-bought-together", "similar-items"


@router.post(
    "/search",
    **operation("Search", wire.Answer, role="read", body=wire.SearchAsk, problems=[NOT_READY]),
)
async def search(request: Request) -> Response:
    """Items for a typed query, best first, in any language the encoder knows; spelling is forgiven."""
    body = await read_body(request, wire.SearchAsk)
    return json_response(await _answering(request, _search, [body]))


@router.post(
    "/search/batch",
    **operation("Search for many queries", wire.Answers, role="read", body=wire.SearchBatch, problems=[NOT_READY]),
)
async def search_batch(request: Request) -> Response:
    """One answer for each query, in their order."""
    body = await read_body(request, wire.SearchBatch)
    return json_response(await _answering(request, _search, body.asks, is_batch=True))


@router.post(
    "/recommend",
    **operation("Recommend", wire.Answer, role="read", body=wire.RecommendAsk, problems=[NOT_READY]),
)
async def recommend(request: Request) -> Response:
    """The list of a placement: for a user, or about items where the placement is about items."""
    body = await read_body(request, wire.RecommendAsk)
    return json_response(await _answering(request, _recommend, [body]))


@router.post(
    "/recommend/batch",
    **operation("Recommend many lists", wire.Answers, role="read", body=wire.RecommendBatch, problems=[NOT_READY]),
)
async def recommend_batch(request: Request) -> Response:
    """One answer for each ask, in their order; asks of one placement are answered together."""
    body = await read_body(request, wire.RecommendBatch)
    return json_response(await _answering(request, _recommend, body.asks, is_batch=True))


@router.post(
    "/basket",
    **operation("Complete a basket", wire.Answer, role="read", body=wire.BasketAsk, problems=[NOT_READY]),
)
async def complete_basket(request: Request) -> Response:
    """What goes with the items in a basket; the same as recommending `frequently-bought-together` about them."""
    body = await read_body(request, wire.BasketAsk)
    return json_response(await _answering(request, _complete_basket, [body]))


@router.get(
    "/items/{item_id:path}/similar",
    **operation(
        "Similar items",
        wire.Answer,
        role="read",
        query=wire.SimilarQuery,
        path={"item_id": "The item that the list is about."},
        problems=[NOT_FOUND, NOT_READY],
    ),
)
async def similar(request: Request) -> Response:
    """Items like one item; the same as recommending `similar-items` about it."""
    query = read_query(request, wire.SimilarQuery)
    item_id = request.path_params["item_id"]
    body = wire.RecommendAsk(
        placement=SIMILAR,
        user_id=query.user_id,
        size=query.size,
        with_items=query.with_items,
        explain=query.explain,
        context=wire.Context(language=query.language),
    )
    return json_response(await _answering(request, _similar_to(item_id), [body]))


@router.get(
    "/suggest",
    **operation("Suggest", wire.Suggestions, role="read", query=wire.SuggestQuery, problems=[NOT_READY]),
)
async def suggest(request: Request) -> Response:
    """Ways to go on typing: past queries, categories, brands and titles."""
    query = read_query(request, wire.SuggestQuery)
    serving = serving_of(request)
    found = await serving.answering.run(serving.shop.suggest, query.prefix, size=query.size, language=query.language)
    return json_response(
        {
            "suggestions": [
                {"text": one.text, "kind": one.kind, "weight": one.weight, "language": one.language} for one in found
            ]
        }
    )


async def _answering(request: Request, ask: Any, bodies: Sequence[AskBody], *, is_batch: bool = False) -> Any:
    """Ask the shop beside the event loop, and make the answers there too.

    In a batch, a wrong question spoils no other: its problem stands in its place.
    """
    serving = serving_of(request)
    language = language_of(request, serving.shop.settings.shop.languages) if any(b.explain for b in bodies) else None

    def work() -> Any:
        found = ask(serving.shop, bodies)
        if not is_batch and isinstance(found[0], AisleError):
            raise found[0]
        # For the request's line in the log.
        request.state.degraded = sorted(
            {part for one in found if isinstance(one, ShopResponse) for part in one.degraded}
        )
        answers = _answers(request, serving.shop, bodies, found, language)
        return {"answers": answers} if is_batch else answers[0]

    return await serving.answering.run(work)


def _search(shop: Shop, bodies: Sequence[wire.SearchAsk]) -> list[Found]:
    return _each([_ask(body, text=body.query) for body in bodies], shop.try_search)


def _recommend(shop: Shop, bodies: Sequence[wire.RecommendAsk]) -> list[Found]:
    """The answers in the order of ``bodies``, those of one placement asked together."""
    found: dict[int, Found] = {}
    for placement in dict.fromkeys(body.placement for body in bodies):
        places = [place for place, body in enumerate(bodies) if body.placement == placement]
        asks = [_ask(bodies[place], item_ids=bodies[place].item_ids) for place in places]
        try:
            answers = _each(asks, partial(shop.try_recommend, placement))
        except ConfigError as error:  # there is no such placement
            answers = [error] * len(asks)
        found |= zip(places, answers, strict=True)
    return [found[place] for place in range(len(bodies))]


def _complete_basket(shop: Shop, bodies: Sequence[wire.BasketAsk]) -> list[Found]:
    return _each([_ask(body, item_ids=body.item_ids) for body in bodies], partial(shop.try_recommend, BASKET))


def _similar_to(item_id: str) -> Any:
    def ask(shop: Shop, bodies: Sequence[AskBody]) -> list[Found]:
        if shop.live.stages.catalogue.row(item_id) == NO_VALUE:
            raise Problem(NOT_FOUND, f"there is no item {item_id[:200]!r}", field="item_id")
        return _each([_ask(body, item_ids=(item_id,)) for body in bodies], partial(shop.try_recommend, SIMILAR))

    return ask


def _each(asks: Sequence[Ask | DataError], answer: Callable[[list[Ask]], Sequence[Found]]) -> list[Found]:
    """The answers of the asks that could be made, and the errors of the others in their places."""
    answers = iter(answer([ask for ask in asks if isinstance(ask, Ask)]))
    return [next(answers) if isinstance(ask, Ask) else ask for ask in asks]


def _ask(body: AskBody, *, text: str | None = None, item_ids: tuple[str, ...] = ()) -> Ask | DataError:
    """The question in the shop's words, or what is wrong with its filters."""
    try:
        return _worded(body, text, item_ids)
    except DataError as error:
        return error


def _worded(body: AskBody, text: str | None, item_ids: tuple[str, ...]) -> Ask:
    filters, context = body.filters, body.context
    return Ask(
        user_id=body.user_id,
        text=text,
        item_ids=item_ids,
        size=body.size,
        filters=ANYTHING if filters == NO_FILTERS else Filters(**filters.__dict__),
        context=ANYWHERE if context == NO_CONTEXT else Context(**context.__dict__),
        with_facets=body.with_facets,
    )


def _answers(
    request: Request, shop: Shop, bodies: Sequence[AskBody], found: Sequence[Found], language: str | None
) -> list[dict[str, Any]]:
    wanted = {
        item_id
        for body, response in zip(bodies, found, strict=True)
        if body.with_items and isinstance(response, ShopResponse)
        for item_id in response.item_ids
    }
    items = {item.item_id: item for item in shop.read_items(list(wanted))} if wanted else {}
    return [
        document_of(request, problem_of(response))
        if isinstance(response, AisleError)
        else answer_of(
            response,
            items if body.with_items else None,
            shop.explain(response.slate.slate_id, body.context.language or language) if body.explain else None,
        )
        for body, response in zip(bodies, found, strict=True)
    ]
