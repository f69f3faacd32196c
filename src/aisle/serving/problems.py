"""Errors as problem documents (RFC 9457): every error leaves the server in this one form.

What is ours to repair is logged whole and answered without internals.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from aisle.domain import Refusal
from aisle.errors import AisleError, ConfigError, DataError, NotReadyError, PrivacyRefusal, UnavailableError

log = logging.getLogger("aisle.serving")

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1


@dataclass(frozen=True)
class Kind:
    """A kind of problem: the end of its ``type``, its status, its title."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The URI that names it."""
        return f"urn:aisle:problem:{self.name}"


UNREADABLE = Kind("unreadable", 400, "The body cannot be read")
UNAUTHORISED = Kind("unauthorised", 401, "A key is needed")
FORBIDDEN = Kind("forbidden", 403, "This key may not do that")
PRIVACY = Kind("privacy", 403, "This is not given out")
NOT_FOUND = Kind("not-found", 404, "There is no such thing")
NO_METHOD = Kind("method-not-allowed", 405, "This path does not take that method")
TOO_SLOW = Kind("timeout", 408, "The request did not come in time")
NOT_READY = Kind("not-ready", 409, "Something must be done first")
BUSY = Kind("busy", 409, "Something else must end first")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
MEDIA = Kind("unsupported-media-type", 415, "The body must be JSON")
INVALID = Kind("invalid", 422, "The request is not valid")
REFUSED = Kind("refused", 422, "None of the records was accepted")
KEY_REUSED = Kind("idempotency-key-reused", 422, "The key was sent before with another body")
TOO_MANY = Kind("too-many-requests", 429, "Too many requests")
INTERNAL = Kind("internal", 500, "The server failed")
UNAVAILABLE = Kind("unavailable", 503, "Not available at this moment")
KINDS: tuple[Kind, ...] = (
    UNREADABLE, UNAUTHORISED, FORBIDDEN, PRIVACY, NOT_FOUND, NO_METHOD, TOO_SLOW, NOT_READY, BUSY, TOO_LARGE, MEDIA,
    INVALID, REFUSED, KEY_REUSED, TOO_MANY, INTERNAL, UNAVAILABLE,
)  # fmt: skip


class Problem(Exception):
    """A request that is not answered; becomes the problem document."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        field: str | None = None,
        row: int | None = None,
        command: str | None = None,
        refusals: Sequence[Refusal] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.field = field
        self.row = row
        self.command = command
        self.refusals = refusals
        self.headers = headers or {}


def problem_of(error: AisleError) -> Problem:
    """The problem that an error of the shop is to a caller; ``INTERNAL`` where the caller cannot do anything."""
    match error:
        case DataError():
            return Problem(INVALID, str(error), field=error.field, row=error.row)
        case ConfigError() if error.setting is not None and error.setting.startswith("placement."):
            return Problem(INVALID, str(error), field="placement")
        case NotReadyError():
            return Problem(NOT_READY, str(error), command=error.command)
        case UnavailableError():
            return Problem(UNAVAILABLE, str(error), headers={"retry-after": str(RETRY_SECONDS)})
        case PrivacyRefusal():
            return Problem(PRIVACY, str(error))
        case _:
            return Problem(INTERNAL, "the request could not be answered; the server's log says why")


def problem_response(request: Request, problem: Problem) -> Response:
    """The document of ``problem`` as an answer to ``request``."""
    return Response(orjson.dumps(document_of(request, problem)), problem.kind.status, problem.headers, MEDIA_TYPE)


def document_of(request: Request, problem: Problem) -> dict[str, Any]:
    """``wire.Problem``."""
    document: dict[str, Any] = {
        "type": problem.kind.type,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": request.url.path,
    }
    optional: dict[str, Any] = {
        "field": problem.field,
        "row": problem.row,
        "command": problem.command,
        "refusals": None if problem.refusals is None else [refusal_of(refusal) for refusal in problem.refusals],
        "request_id": getattr(request.state, "request_id", None),
    }
    return document | {name: value for name, value in optional.items() if value is not None}


def refusal_of(refusal: Refusal) -> dict[str, Any]:
    """A refusal as it is told to a caller, who knows what he sent."""
    return {"row": refusal.row, "field": refusal.field, "value": refusal.value, "allowed": refusal.allowed}


def answer_with_problems(app: FastAPI) -> None:
    """Let what routes raise on purpose become problem documents; ``fault_response`` is for the rest."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(AisleError, _on_error)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem_response(request, problem)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AisleError)
    problem = problem_of(error)
    if problem.kind is INTERNAL:
        log.error("%s %s failed", request.method, _route_of(request), exc_info=error)
    return problem_response(request, problem)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == NO_METHOD.status:
        allowed = ", ".join(allowed_methods(request))
        headers = {"allow": allowed}
        return problem_response(
            request, Problem(NO_METHOD, f"{request.method}; allowed are {allowed}", headers=headers)
        )
    kind = next((kind for kind in KINDS if kind.status == error.status_code), None)
    if kind is None:
        phrase = HTTPStatus(error.status_code).phrase
        kind = Kind(phrase.lower().replace(" ", "-"), error.status_code, phrase)
    return problem_response(request, Problem(kind, str(error.detail), headers=headers))


def fault_response(request: Request, error: Exception) -> Response:
    """The answer to a request whose route failed; the trace goes to the log."""
    log.error("%s %s failed", request.method, _route_of(request), exc_info=error)
    return problem_response(request, Problem(INTERNAL, "the request could not be answered; the server's log says why"))


def allowed_methods(request: Request) -> list[str]:
    """Every method that some route takes at the path of ``request``, sorted."""
    allowed: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            allowed |= getattr(route, "methods", None) or set()
    return sorted(allowed)


def _route_of(request: Request) -> str:
    """The path as the route writes it, without the ids in it."""
    return getattr(request.scope.get("route"), "path", "an unknown path")
