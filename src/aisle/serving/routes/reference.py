"""The API reference at ``/docs``: the OpenAPI document as one page that needs neither scripts nor the internet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from fastapi import APIRouter
from jinja2 import Environment, Template, select_autoescape
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from aisle.serving.problems import KINDS

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def reference(request: Request) -> Response:
    """The reference of this very server, made for the first who asks."""
    state = request.app.state
    if not hasattr(state, "reference"):
        state.reference = await run_in_threadpool(_page, request.app.openapi())
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    headers = {"content-security-policy": policy, "x-content-type-options": "nosniff"}
    return HTMLResponse(state.reference, headers=headers)


def _page(document: Mapping[str, Any]) -> str:
    by_tag: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            for tag in described.get("tags", ()):
                by_tag.setdefault(tag, []).append({"path": path, "method": method.upper(), **described})
    return _template().render(
        document=document, by_tag=by_tag, schemas=document["components"]["schemas"], kinds=KINDS, shown=_shown
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True)
    environment.filters["kind"] = kind_of
    return environment.from_string((files("aisle.serving.routes") / "reference.html.jinja").read_text(encoding="utf-8"))


def _shown(example: Any) -> str:
    return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()


def kind_of(schema: Mapping[str, Any]) -> str:
    """A schema in a few words: ``text``, ``list of Item``, ``integer or null``."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(kind_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return repr(schema["const"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return "list of " + kind_of(schema.get("items", {}))
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return "object of " + kind_of(schema["additionalProperties"])
    limits = (("minimum", "from {}"), ("maximum", "to {}"), ("maxLength", "of at most {} characters"))
    bounds = (text.format(schema[name]) for name, text in limits if name in schema)
    return " ".join([{"string": "text"}.get(kind, kind), *bounds])
