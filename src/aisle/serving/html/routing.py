"""A route of a page, which names itself to whoever counts requests."""

from __future__ import annotations

from typing import Any

from starlette.routing import Match, Route


class PageRoute(Route):
    """As Starlette's, and what it matched stands in the scope as ``route``, as FastAPI's routes have it."""

    def __init__(self, *args: Any, role: str | None = None, **more: Any) -> None:
        """``role`` is what the gate asks for; None: what it asks for when nothing is said."""
        super().__init__(*args, **more)
        self.openapi_extra = {"x-role": role} if role else {}

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """How well the route fits, and what the endpoint needs to know."""
        match, child = super().matches(scope)
        return match, {**child, "route": self} if match is not Match.NONE else child
