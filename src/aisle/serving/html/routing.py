"""A route of a page, which names itself to whoever counts requests."""

from __future__ import annotations

from typing import Any

from starlette.routing import Match, Route


class PageRoute(Route):
    """As Starlette's, and what it matched stands in the scope as ``route``, as FastAPI's routes have it."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """How well the route fits, and what the endpoint needs to know."""
        match, child = super().matches(scope)
        return match, {**child, "route": self} if match is not Match.NONE else child
