"""What the shop holds: single records, lists page by page, slates and their reasons, and erasure."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from aisle import wire
from aisle.serving.answers import (
    document_of,
    event_of,
    explanation_of,
    item_of,
    json_response,
    page_of,
    slate_of,
    user_of,
)
from aisle.serving.context import serving_of
from aisle.serving.describing import operation
from aisle.serving.languages import language_of
from aisle.serving.problems import NOT_FOUND, Problem
from aisle.serving.reading import read_query

router = APIRouter(prefix="/v1", tags=["Reading back"])


@router.get("/items", **operation("List items", wire.ItemPage, role="read", query=wire.ListQuery))
async def list_items(request: Request) -> Response:
    """Items in the order of their arrival, page by page: send each page's `cursor` for the next."""
    query = read_query(request, wire.ListQuery)
    serving = serving_of(request)
    listed = await serving.answering.run_aside(serving.shop.list_items, query.cursor, query.limit)
    return json_response(page_of(listed, item_of))


@router.get(
    "/items/{item_id:path}",
    **operation(
        "Read an item",
        wire.ListedItem,
        role="read",
        path={"item_id": "The item's id; `/` may be written as it is."},
        problems=[NOT_FOUND],
    ),
)
async def read_item(request: Request) -> Response:
    """The item's record."""
    serving = serving_of(request)
    item_id = request.path_params["item_id"]
    found = await serving.answering.run_aside(serving.shop.read_items, [item_id])
    if not found:
        raise Problem(NOT_FOUND, f"there is no item {item_id[:200]!r}", field="item_id")
    return json_response(item_of(found[0]))


@router.get("/users", **operation("List users", wire.UserPage, role="admin", query=wire.ListQuery))
async def list_users(request: Request) -> Response:
    """Profiles by id, page by page."""
    query = read_query(request, wire.ListQuery)
    serving = serving_of(request)
    listed = await serving.answering.run_aside(serving.shop.list_users, query.cursor, query.limit)
    return json_response(page_of(listed, user_of))


@router.get(
    "/users/{user_id:path}",
    **operation("Read a user", wire.ListedUser, role="admin", path={"user_id": "The user's id."}, problems=[NOT_FOUND]),
)
async def read_user(request: Request) -> Response:
    """The user's profile."""
    serving = serving_of(request)
    found = await serving.answering.run_aside(serving.shop.read_user, request.path_params["user_id"])
    if found is None:
        raise Problem(NOT_FOUND, "there is no profile of that user", field="user_id")
    return json_response(user_of(found))


@router.delete(
    "/users/{user_id:path}",
    **operation("Erase a user", wire.Erased, role="admin", path={"user_id": "The user's id."}, problems=[NOT_FOUND]),
)
async def erase_user(request: Request) -> Response:
    """Removes everything recorded of a user: profile, events and lists shown. Models forget at the next training."""
    serving = serving_of(request)
    user_id = request.path_params["user_id"]
    if not user_id:
        raise Problem(NOT_FOUND, "a user's id is missing behind /v1/users/", field="user_id")
    n_rows = await serving.answering.run_aside(serving.shop.erase_user, user_id)
    return json_response({"n_rows": n_rows})


@router.get("/events", **operation("List events", wire.EventPage, role="admin", query=wire.EventListQuery))
async def list_events(request: Request) -> Response:
    """Events, newest arrival first, page by page; of one user with `user_id`."""
    query = read_query(request, wire.EventListQuery)
    serving = serving_of(request)
    listed = await serving.answering.run_aside(
        serving.shop.list_events, query.cursor, query.limit, user_id=query.user_id
    )
    return json_response(page_of(listed, event_of))


@router.get("/documents", **operation("List documents", wire.DocumentPage, role="read", query=wire.ListQuery))
async def list_documents(request: Request) -> Response:
    """Documents by id, page by page."""
    query = read_query(request, wire.ListQuery)
    serving = serving_of(request)
    listed = await serving.answering.run_aside(serving.shop.list_documents, query.cursor, query.limit)
    return json_response(page_of(listed, document_of))


@router.get(
    "/slates/{slate_id}",
    **operation(
        "Read a slate", wire.Slate, role="read", path={"slate_id": "An answer's `slate_id`."}, problems=[NOT_FOUND]
    ),
)
async def read_slate(request: Request) -> Response:
    """A list as it was shown, with what was expected of each item and the versions that made it."""
    serving = serving_of(request)
    slate = await serving.answering.run_aside(serving.shop.read_slate, request.path_params["slate_id"])
    if slate is None:
        raise _no_slate(request)
    return json_response(slate_of(slate))


@router.get(
    "/slates/{slate_id}/explain",
    **operation(
        "Explain a slate",
        wire.Explanation,
        role="read",
        query=wire.ExplainQuery,
        path={"slate_id": "An answer's `slate_id`."},
        problems=[NOT_FOUND],
    ),
)
async def explain_slate(request: Request) -> Response:
    """Why each item stood where it did: who found it, what was expected of it, and the reasons in words.

    In the language of `language`, else of `Accept-Language`, else of the shop.
    """
    query = read_query(request, wire.ExplainQuery)
    serving = serving_of(request)
    shop, slate_id = serving.shop, request.path_params["slate_id"]
    language = query.language or language_of(request, shop.settings.shop.languages)
    if await serving.answering.run_aside(shop.read_slate, slate_id) is None:
        raise _no_slate(request)
    return json_response(explanation_of(await serving.answering.run_aside(shop.explain, slate_id, language)))


def _no_slate(request: Request) -> Problem:
    return Problem(NOT_FOUND, f"there is no slate {request.path_params['slate_id'][:100]!r}", field="slate_id")
