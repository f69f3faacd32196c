"""Questions that are answered with a list: search, recommendations, similar items, baskets, suggestions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from aisle import wire
from aisle.domain import Context, Filters
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

NO_FILTERS = wire.Filters()
NO_CONTEXT = wire.Context()
BASKET, SIMILAR = "frequently-bought-together", "similar-items"
ASKS_A_PIECE = 16
"""Of a batch; between two pieces other batches have their turn, and a caller who hung up is not worked for."""

Answer = dict[str, Any]
"""``wire.Answer`` as plain values."""


@dataclass(frozen=True)
class Question:
    """One ask with where it belongs: ``placement`` None is a search. ``language`` is of the reasons."""

    body: AskBody
    placement: str | None = None
    text: str | None = None
    item_ids: tuple[str, ...] = ()
    language: str | None = None


@router.post(
    "/search",
    **operation("Search", wire.Answer, role="read", body=wire.SearchAsk, problems=[NOT_READY]),
)
async def search(request: Request) -> Response:
    """Items for a typed query, best first, in any language the encoder knows; spelling is forgiven."""
    return await _one(request, _search(await read_body(request, wire.SearchAsk)))


@router.post(
    "/search/batch",
    **operation("Search for many queries", wire.Answers, role="read", body=wire.SearchBatch, problems=[NOT_READY]),
)
async def search_batch(request: Request) -> Response:
    """One answer for each query, in their order."""
    body = await read_body(request, wire.SearchBatch)
    return await _many(request, [_search(ask) for ask in body.asks])


@router.post(
    "/recommend",
    **operation("Recommend", wire.Answer, role="read", body=wire.RecommendAsk, problems=[NOT_READY]),
)
async def recommend(request: Request) -> Response:
    """The list of a placement: for a user, or about items where the placement is about items."""
    return await _one(request, _recommend(await read_body(request, wire.RecommendAsk)))


@router.post(
    "/recommend/batch",
    **operation("Recommend many lists", wire.Answers, role="read", body=wire.RecommendBatch, problems=[NOT_READY]),
)
async def recommend_batch(request: Request) -> Response:
    """One answer for each ask, in their order; asks of one placement are answered together."""
    body = await read_body(request, wire.RecommendBatch)
    return await _many(request, [_recommend(ask) for ask in body.asks])


@router.post(
    "/basket",
    **operation("Complete a basket", wire.Answer, role="read", body=wire.BasketAsk, problems=[NOT_READY]),
)
async def complete_basket(request: Request) -> Response:
    """What goes with the items in a basket; the same as recommending `frequently-bought-together` about them."""
    body = await read_body(request, wire.BasketAsk)
    return await _one(request, Question(body, BASKET, item_ids=body.item_ids))


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
    body = AskBody(
        user_id=query.user_id,
        size=query.size,
        with_items=query.with_items,
        explain=query.explain,
        context=wire.Context(language=query.language),
    )
    try:
        return await _one(request, Question(body, SIMILAR, item_ids=(item_id,)))
    except DataError as error:
        if error.field != "item_id":
            raise
        raise Problem(NOT_FOUND, f"there is no item {item_id[:200]!r}", field="item_id") from error


@router.get(
    "/suggest",
    **operation("Suggest", wire.Suggestions, role="read", query=wire.SuggestQuery, problems=[NOT_READY]),
)
async def suggest(request: Request) -> Response:
    """Ways to go on typing: past queries, categories, brands and titles."""
    query = read_query(request, wire.SuggestQuery)
    serving = serving_of(request)
    found = await serving.answering.run_quick(
        serving.shop.suggest, query.prefix, size=query.size, language=query.language
    )
    return json_response(
        {
            "suggestions": [
                {"text": one.text, "kind": one.kind, "weight": one.weight, "language": one.language} for one in found
            ]
        }
    )


def _search(body: wire.SearchAsk) -> Question:
    return Question(body, text=body.query)


def _recommend(body: wire.RecommendAsk) -> Question:
    return Question(body, body.placement, item_ids=body.item_ids)


async def _one(request: Request, question: Question) -> Response:
    """The answer to one question, made together with others of its placement that wait."""
    serving = serving_of(request)
    asked = _worded(request, [question])[0]
    answer: Answer = await serving.answering.ask(
        question.placement, partial(_answers, serving.shop, question.placement), asked
    )
    request.state.degraded = sorted(answer["degraded"])  # for the request's line in the log
    return json_response(answer)


async def _many(request: Request, questions: Sequence[Question]) -> Response:
    """The answers of a batch, in their order; a wrong question spoils no other: its problem stands in its place."""
    serving = serving_of(request)
    asked = _worded(request, questions)
    answers: list[Answer] = [{}] * len(asked)
    degraded: set[str] = set()
    for placement in dict.fromkeys(question.placement for question in asked):
        places = [place for place, question in enumerate(asked) if question.placement == placement]
        for start in range(0, len(places), ASKS_A_PIECE):
            piece = places[start : start + ASKS_A_PIECE]
            work = partial(_answers, serving.shop, placement, [asked[place] for place in piece])
            try:
                found = await serving.answering.run_piece(work)
            except ConfigError as error:  # there is no such placement
                found = [error] * len(piece)
            for place, one in zip(piece, found, strict=True):
                answers[place] = document_of(request, problem_of(one)) if isinstance(one, AisleError) else one
                degraded.update(answers[place].get("degraded", ()))
    request.state.degraded = sorted(degraded)
    return json_response({"answers": answers})


def _worded(request: Request, questions: Sequence[Question]) -> list[Question]:
    """With the language that reasons are wanted in, where they are."""
    if not any(question.body.explain for question in questions):
        return list(questions)
    of_caller = language_of(request, serving_of(request).shop.settings.shop.languages)
    return [replace(question, language=question.body.context.language or of_caller) for question in questions]


def _answers(shop: Shop, placement: str | None, questions: Sequence[Question]) -> list[Answer | AisleError]:
    """The answers to questions of one placement, asked of the shop together; or what is wrong with a question."""
    asks = [_ask(question) for question in questions]
    possible = [ask for ask in asks if isinstance(ask, Ask)]
    answered = iter(shop.try_search(possible) if placement is None else shop.try_recommend(placement, possible))
    found = [next(answered) if isinstance(ask, Ask) else ask for ask in asks]
    pairs = list(zip(questions, found, strict=True))
    wanted = {
        item_id
        for question, response in pairs
        if question.body.with_items and isinstance(response, ShopResponse)
        for item_id in response.item_ids
    }
    items = {item.item_id: item for item in shop.read_items(list(wanted))} if wanted else {}
    return [
        response
        if isinstance(response, AisleError)
        else answer_of(
            response,
            items if question.body.with_items else None,
            shop.explain(response.slate.slate_id, question.language) if question.body.explain else None,
        )
        for question, response in pairs
    ]


def _ask(question: Question) -> Ask | DataError:
    """The question in the shop's words, or what is wrong with its filters."""
    body = question.body
    try:
        return Ask(
            user_id=body.user_id,
            text=question.text,
            item_ids=question.item_ids,
            size=body.size,
            filters=ANYTHING if body.filters == NO_FILTERS else Filters(**body.filters.__dict__),
            context=ANYWHERE if body.context == NO_CONTEXT else Context(**body.context.__dict__),
            sort=body.sort,
            cursor=body.cursor,
            with_facets=body.with_facets,
            with_highlights=isinstance(body, wire.SearchAsk) and body.with_highlights,
            is_as_typed=isinstance(body, wire.SearchAsk) and body.as_typed,
        )
    except DataError as error:
        return error
