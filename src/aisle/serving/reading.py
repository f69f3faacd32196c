"""Bodies and query parameters to checked records, or to a problem that names the field.

What a wrong body costs is bounded: it is short, and of very many things that are wrong only the number is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from aisle.serving.context import serving_of
from aisle.serving.problems import INVALID, MEDIA, TOO_LARGE, UNREADABLE, Problem
from aisle.wire.values import Asked, Body

A = TypeVar("A", bound=Asked)
B = TypeVar("B", bound=Body)

SMALL_BYTES = 4_096
"""A body up to this size is read at once; a larger one beside the event loop."""
MOST_DETAILS = 100
"""Of so many things that are wrong the first is told; of more, which take long to be written out, only how many."""


async def read_body(request: Request, kind: type[B]) -> B:
    """The JSON body of ``request`` as a ``kind``.

    Raises:
        Problem: another content type or encoding (415), longer than ``kind.most_bytes`` (413), not JSON (400), or not
            as the schema says (422).
    """
    _check_media(request)
    body = await _short_body(request, kind.most_bytes)
    if len(body) <= SMALL_BYTES:
        return _parse(body, kind)
    answering = serving_of(request).answering
    if len(body) <= Body.most_bytes:
        return await answering.run_quick(_parse, body, kind)
    return await answering.run_piece(_parse, body, kind)


def _parse(body: bytes, kind: type[B]) -> B:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise problem_of(error) from error


async def _short_body(request: Request, most_bytes: int) -> bytes:
    """The body, of which no more than ``most_bytes`` are taken in."""
    announced = request.headers.get("content-length", "")
    n_bytes = int(announced) if announced.isdecimal() and len(announced) < 20 else 0
    parts: list[bytes] = []
    if n_bytes <= most_bytes:
        n_bytes = 0
        async for part in request.stream():
            parts.append(part)
            n_bytes += len(part)
            if n_bytes > most_bytes:
                break
    if n_bytes > most_bytes:
        what = f"the body has {n_bytes} bytes or more; {most_bytes} are allowed here, ask for less in one request"
        raise Problem(TOO_LARGE, what, headers={"connection": "close"})
    return b"".join(parts)


async def json_bytes(request: Request) -> bytes:
    """The body of ``request``, which must be called JSON; without a type it is taken for JSON.

    Raises:
        Problem: another content type or encoding (415).
    """
    _check_media(request)
    return await request.body()


def _check_media(request: Request) -> None:
    given = request.headers.get("content-type")
    if given is not None:
        media = given.partition(";")[0].strip().lower()
        if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
            raise Problem(MEDIA, f"content-type is {given[:100]!r}; send application/json")
    encoding = request.headers.get("content-encoding", "").strip()
    if encoding.lower() not in ("", "identity"):
        raise Problem(MEDIA, f"content-encoding is {encoding[:100]!r}; send the body as it is, without one")


def read_query(request: Request, kind: type[A]) -> A:
    """The query parameters of ``request`` as a ``kind``; each may be given once.

    Raises:
        Problem: a parameter is unknown, given twice, or not as the schema says (422).
    """
    pairs = request.query_params.multi_items()
    given = dict(pairs)
    if len(given) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in given if names.count(name) > 1)
        raise Problem(INVALID, f"{twice}: given {names.count(twice)} times; once is allowed", field=twice)
    try:
        return kind.model_validate_strings(given)
    except ValidationError as error:
        raise problem_of(error) from error


def problem_of(error: ValidationError) -> Problem:
    """The first thing that is wrong, as a problem; of more than ``MOST_DETAILS`` only their number."""
    n_wrong = error.error_count()
    if n_wrong > MOST_DETAILS:
        what = f"{n_wrong} things are wrong, too many to name them; /openapi.json describes what is allowed"
        return Problem(INVALID, what)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return Problem(UNREADABLE, first["msg"])
    field = dotted(first["loc"])
    what = f"{field}: {first['msg']}" if field else first["msg"]
    more = n_wrong - 1
    return Problem(INVALID, f"{what} (and {more} more)" if more else what, field=field or None)


def dotted(where: Sequence[Any]) -> str:
    """Where in a body: ``asks[3].filters.brands``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).removeprefix(".")
