"""The routes of the storefront."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response
from starlette.routing import Match

from aisle.serving.html import PageRoute
from aisle.serving.storefront.basket_pages import BasketPages
from aisle.serving.storefront.front import Front
from aisle.serving.storefront.item_page import ItemPage
from aisle.serving.storefront.list_pages import ListPages
from aisle.serving.storefront.pictures import send_drawing, send_picture
from aisle.serving.storefront.switches import Switches
from aisle.serving.storefront.visit import Visit

NOT_OURS = ("/v1", "/health", "/metrics", "/docs", "/redoc", "/openapi.json", "/status")
"""Paths of programs, whose errors are problem documents."""


class AnythingElse(PageRoute):
    """Whatever no other route takes, but for the paths of programs."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """No match below ``NOT_OURS`` and for what is not a request of a page."""
        path = scope.get("path", "")
        is_ours = not any(path == known or path.startswith(f"{known}/") for known in NOT_OURS)
        match, child = super().matches(scope)
        # A wrong method stays what it is on the route that takes the path.
        return (match, child) if is_ours and match is Match.FULL else (Match.NONE, {})


def storefront_router() -> APIRouter:
    """All pages; to be included last, because the last route takes what is left for its "not found"."""
    front = Front()
    lists, baskets, switches = ListPages(front), BasketPages(front), Switches(front)

    async def lost(visit: Visit) -> Response:
        return await front.trouble(visit, 404)

    pages: list[tuple[str, Any, str]] = [
        ("/", lists.home, "GET"),
        ("/search", lists.search, "GET"),
        ("/browse", lists.browse, "GET"),
        ("/categories", lists.categories, "GET"),
        ("/suggestions", lists.suggestions, "GET"),
        ("/item/{item_id:path}", ItemPage(front).item, "GET"),
        ("/basket", baskets.basket, "GET"),
        ("/basket", baskets.change, "POST"),
        ("/checkout", baskets.buy, "POST"),
        ("/thanks", baskets.thanks, "GET"),
        ("/user", switches.user, "POST"),
        ("/language", switches.language, "POST"),
    ]
    routes = [PageRoute(path, front.endpoint(page), methods=[method]) for path, page, method in pages]
    routes += [
        PageRoute("/static/{fingerprint}/{name}", front.assets.send, methods=["GET"]),
        PageRoute("/pictures/{path:path}", send_picture, methods=["GET"]),
        PageRoute("/drawn/{hue}/{letter}.svg", send_drawing, methods=["GET"]),
        AnythingElse("/{path:path}", front.endpoint(lost), methods=["GET"]),
    ]
    router = APIRouter()
    router.routes.extend(routes)
    return router
