"""The gate before every route: which role it needs, whether the caller has it, and whether it asks too often.

Enters: routes. Leaves: the same routes, guarded. A route says its role (``describing.operation``); one that says
nothing needs ``read`` to look and ``write`` to send, and only those listed here need nothing.
"""

from __future__ import annotations

import copy
import inspect
import ipaddress
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from aisle.serving.keys import ROLES, Keys, Role, may, token_of
from aisle.serving.limits import Buckets
from aisle.serving.problems import FORBIDDEN, TOO_MANY, UNAUTHORISED, Problem

OPEN = frozenset({"/health/live", "/health/ready", "/openapi.json", "/docs"})
"""Routes that need no key: they tell nothing of the shop."""
_LOOKING = {"GET", "HEAD", "OPTIONS"}
CHALLENGE = 'Basic realm="Aisle", Bearer realm="Aisle"'
"""Basic first: Chromium reads no further than the first scheme, and asks for a password only if it is this one."""
ASSETS = ("/static/", "/drawn/", "/pictures/")
"""What a page brings along: not counted against how often its reader may ask."""


class Guard:
    """ASGI: lets a request through to its route, or raises the problem that keeps it out."""

    def __init__(
        self,
        app: ASGIApp,
        role: Role | None,
        keys: Keys | None,
        buckets: Buckets,
        *,
        hosts: Collection[str] | None = None,
        is_page: bool = False,
        is_asset: bool = False,
    ) -> None:
        """``hosts``: names by which a server without keys may be asked (``is_known_host``); None: any."""
        self._app = app
        self._hosts = hosts
        self._is_page = is_page
        self._is_asset = is_asset
        self._role: Role | None = role
        self._keys = keys
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check who asks, then how often.

        Raises:
            Problem: no key or an unknown one (401), a key of too small a role, a name that is not this server's or a
                page of another site that changes something here (403), too often (429).
        """
        if self._role is not None:
            host = Headers(scope=scope).get("host", "")
            if self._hosts is not None and not is_known_host(host, self._hosts):
                what = (
                    f"a server without keys is not asked as {host[:100]!r}, for a page of another site could do so; "
                    "name it in allowed_hosts of [serving], or make keys"
                )
                raise Problem(FORBIDDEN, what)
            is_change = scope["method"] not in _LOOKING and not self._is_page
            if is_change and _is_sent_by_another_site(Headers(scope=scope)):
                what = (
                    "a page of another site may not do this; a program that may, sends a key as `Authorization: Bearer`"
                )
                raise Problem(FORBIDDEN, what)
            caller = self._caller(scope, self._role)
            if not self._is_asset and (wait := self._buckets.take(caller)):
                raise Problem(TOO_MANY, f"try again in {wait} s", headers={"retry-after": str(wait)})
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope, role: Role) -> str:
        if self._keys is None:
            return scope["client"][0] if scope.get("client") else ""
        token = token_of(Headers(scope=scope))
        holder = self._keys.holder(token) if token else None
        if holder is None:
            what = "the key is not known or was revoked" if token else "send a key as `Authorization: Bearer KEY`"
            raise Problem(UNAUTHORISED, what, headers={"www-authenticate": CHALLENGE})
        if not may(holder.role, role):
            raise Problem(FORBIDDEN, f"the key has the role {holder.role}; this needs {role}")
        scope.setdefault("state", {}).update(key_id=holder.key_id, key_name=holder.name)
        return holder.key_id


def is_known_host(host: str, allowed: Collection[str]) -> bool:
    """Whether ``host``, the header, is an address, ``localhost`` or an ``allowed`` name (small letters).

    A page of another site can let its own name lead to this machine, and then reads what it likes (DNS rebinding): its
    name is all that tells. No browser leaves the header out.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        if not host or name == "localhost" or name.endswith(".localhost") or name in allowed:
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_sent_by_another_site(headers: Headers) -> bool:
    """Whether a browser sends this for somebody else's page.

    It would add the password that it keeps, or reach a shop without keys on its own machine, and the page itself shows
    no key.
    """
    if "x-api-key" in headers or headers.get("authorization", "").lower().startswith("bearer "):
        return False
    told = headers.get("sec-fetch-site")
    if told is not None:
        return told not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def guarded(
    routes: Iterable[BaseRoute],
    keys: Keys | None,
    buckets: Buckets,
    *,
    hosts: Collection[str] | None = None,
    are_pages: bool = False,
) -> list[BaseRoute]:
    """Copies of ``routes`` behind guards; other than plain routes (such as folders of static files) stay open.

    Pages (``are_pages``) look themselves at which site their forms come from, and answer as pages.
    """
    behind: list[BaseRoute] = []
    for route in routes:
        if isinstance(route, Route):
            route = copy.copy(route)
            # Without FastAPI's own reading of parameters, a fifth of a small request's cost, which finds nothing here.
            app = request_response(route.endpoint) if takes_request_only(route) else route.app
            is_asset = route.path.startswith(ASSETS)
            role = role_of(route)
            route.app = Guard(app, role, keys, buckets, hosts=hosts, is_page=are_pages, is_asset=is_asset)
        behind.append(route)
    return behind


def takes_request_only(route: Route) -> bool:
    """Whether a route's function reads the request itself and makes the response itself."""
    signature = inspect.signature(route.endpoint, eval_str=True)
    kinds = [parameter.annotation for parameter in signature.parameters.values()]
    made = signature.return_annotation
    return kinds == [Request] and isinstance(made, type) and issubclass(made, Response)


def role_of(route: Route) -> Role | None:
    """The role that a route needs; None: nobody is asked for a key."""
    if route.path in OPEN:
        return None
    told = (getattr(route, "openapi_extra", None) or {}).get("x-role")
    if told is not None:
        if told not in ROLES:
            raise ValueError(f"{route.path} needs role {told!r}; known: {', '.join(ROLES)}")
        return told
    return "read" if (route.methods or set()) <= _LOOKING else "write"
