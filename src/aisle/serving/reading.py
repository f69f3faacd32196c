"""Bodies and query parameters to checked records, or to a problem that names the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from aisle.serving.problems import INVALID, MEDIA, UNREADABLE, Problem
from aisle.wire.values import Asked

A = TypeVar("A", bound=Asked)


async def read_body(request: Request, kind: type[A]) -> A:
    """The JSON body of ``request`` as a ``kind``.

    Raises:
        Problem: another content type (415), not JSON (400), or not as the schema says (422).
    """
    try:
        return kind.model_validate_json(await json_bytes(request))
    except ValidationError as error:
        raise problem_of(error) from error


async def json_bytes(request: Request, *others: str) -> bytes:
    """The body of ``request``, which must be called JSON, or one of ``others``; without a type it is taken for JSON."""
    given = request.headers.get("content-type")
    if given is not None:
        media = given.partition(";")[0].strip().lower()
        if media not in ("application/json", *others) and not (
            media.startswith("application/") and media.endswith("+json")
        ):
            raise Problem(MEDIA, f"content-type is {given[:100]!r}; send application/json")
    return await request.body()


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
    """The first thing that is wrong, as a problem."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return Problem(UNREADABLE, first["msg"])
    field = dotted(first["loc"])
    what = f"{field}: {first['msg']}" if field else first["msg"]
    more = error.error_count() - 1
    return Problem(INVALID, f"{what} (and {more} more)" if more else what, field=field or None)


def dotted(where: Sequence[Any]) -> str:
    """Where in a body: ``asks[3].filters.brands``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).removeprefix(".")
