"""The OpenAPI document: what every route takes, answers and refuses, said once beside the route.

Bodies are read by our own code (``reading.py``), so the document is made from the same records here rather than from
the signatures of functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from aisle import wire
from aisle.serving.problems import (
    FORBIDDEN,
    INTERNAL,
    INVALID,
    MEDIA,
    MEDIA_TYPE,
    TOO_LARGE,
    TOO_MANY,
    TOO_SLOW,
    UNAUTHORISED,
    UNAVAILABLE,
    UNREADABLE,
    Kind,
)
from aisle.wire.values import Body

Role = Literal["read", "write", "admin"]
"""Which keys may use a route; each includes the ones before it."""

REFERENCE = "#/components/schemas/{model}"
ALWAYS = (UNAUTHORISED, FORBIDDEN, TOO_MANY, INTERNAL, UNAVAILABLE)
"""What may happen on any route."""
OF_BODIES = (UNREADABLE, TOO_SLOW, TOO_LARGE, MEDIA, INVALID)
"""And on any that reads a body."""


def operation(
    summary: str,
    answer: type[BaseModel],
    *,
    role: Role,
    body: type[Body] | None = None,
    body_schema: Mapping[str, Any] | None = None,
    query: type[BaseModel] | None = None,
    path: Mapping[str, str] | None = None,
    headers: Mapping[str, Mapping[str, Any]] | None = None,
    problems: Sequence[Kind] = (),
    status: int = 200,
) -> dict[str, Any]:
    """Arguments of ``router.get`` and its like, for a route that reads its body and parameters by ``reading``.

    Args:
        summary: what the route does, in one line; the function's docstring says more.
        answer: what a success answers.
        role: which keys may use it.
        body: what it reads.
        body_schema: the same where one record does not say it.
        query: its query parameters.
        path: the parameters in its path, and what each is.
        headers: the headers that it reads and that may be left out, each with its schema, words included.
        problems: what may happen besides what may happen on any route.
        status: the status of a success.
    """
    extra: dict[str, Any] = {"x-role": role}
    parameters = [*_in_path(path or {}), *(_in_query(query) if query else ()), *_in_headers(headers or {})]
    if parameters:
        extra["parameters"] = parameters
    kinds = [*ALWAYS, *problems]
    schema = body_schema or (_reference(body) if body else None)
    if schema is not None:
        most = f"{body.most_bytes} bytes" if body else "what the setting `serving.max_body_bytes` says"
        extra["requestBody"] = {
            "description": f"At most {most}, without a `Content-Encoding`.",
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
        kinds += OF_BODIES
    elif query:
        kinds.append(INVALID)
    return {
        "summary": summary,
        "status_code": status,
        "response_model": None,
        "openapi_extra": extra,
        "responses": {
            status: {"description": (answer.__doc__ or "").strip(), "content": _json(answer)},
            **_problems(kinds),
        },
    }


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The document of all routes, made on first use."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        components = document.setdefault("components", {})
        components["schemas"] = _schemas()
        if app.state.serving.keys is not None:
            components["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer", "description": "A key made by `aisle keys add`."},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
                "password": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "For browsers: any name, and the key as the password.",
                },
            }
            for described in _operations(document):
                if "x-role" in described:
                    described["security"] = [{way: [described["x-role"]]} for way in components["securitySchemes"]]
        app.openapi_schema = document
    return app.openapi_schema


def _operations(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [described for methods in document["paths"].values() for described in methods.values()]


def _schemas() -> dict[str, Any]:
    models = [getattr(wire, name) for name in wire.__all__]
    _, document = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
    return dict(sorted(document["$defs"].items()))


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(model)}}


def _problems(kinds: Sequence[Kind]) -> dict[int | str, dict[str, Any]]:
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({kind.status for kind in kinds}):
        of_status = list(dict.fromkeys(kind for kind in kinds if kind.status == status))
        described[status] = {
            "description": "; ".join(kind.title for kind in of_status),
            "content": {
                MEDIA_TYPE: {
                    "schema": _reference(wire.Problem),
                    "examples": {
                        kind.name: {"value": {"type": kind.type, "title": kind.title, "status": kind.status}}
                        for kind in of_status
                    },
                }
            },
        }
    return described


def _in_path(described: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in described.items()
    ]


def _in_headers(described: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": schema["description"],
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in described.items()
    ]


def _in_query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=REFERENCE)
    required = schema.get("required", ())
    parameters = []
    for name, given in schema["properties"].items():
        field = {key: value for key, value in given.items() if key not in ("title", "description")}
        if "anyOf" in field:  # a parameter is left out rather than null
            field = next(kind for kind in field["anyOf"] if kind.get("type") != "null")
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": given.get("description", ""),
                "schema": field,
            }
        )
    return parameters
