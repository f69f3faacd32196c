"""The web application of one process: which routes there are and what surrounds them.

Enters: the parts of a serving process. Leaves: an ASGI application. Starts nothing and stops nothing.
"""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from aisle.serving.context import Serving
from aisle.serving.describing import openapi_of
from aisle.serving.gate import guarded
from aisle.serving.limits import Buckets, RequestSize
from aisle.serving.logs import RequestLog
from aisle.serving.problems import answer_with_problems, fault_response
from aisle.serving.routes import asking, classifying, filling, health, operating, records, reference, ruling
from aisle.serving.status import status_router
from aisle.serving.storefront import storefront_router

TAGS = [
    {"name": "Asking", "description": "Lists for queries, users, items and baskets."},
    {"name": "Labelling texts", "description": "Opinion, intent, topic, tags: what fine-tuned models tell of texts."},
    {"name": "Filling", "description": "Events, items, users and documents: one or many, safe to send again."},
    {"name": "Reading back", "description": "What the shop holds, and why a list was as it was."},
    {"name": "Query rules", "description": "Synonyms, stop words, pins, boosts, redirects: drafted, tried, published."},
    {"name": "Operating", "description": "Training, models, and how the shop is."},
]
DESCRIPTION = """\
Search and recommendations of one shop. Bodies are JSON; fields that are not described are refused. Every list has a
`slate_id`, which events send back. Errors are problem documents (RFC 9457)."""


def create_app(serving: Serving) -> FastAPI:
    """The application that answers with the parts of ``serving``."""
    app = FastAPI(
        title="Aisle",
        version="1",
        summary="Search and recommendations for an online shop",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.state.serving = serving
    app.openapi = partial(openapi_of, app)
    answer_with_problems(app)
    buckets = Buckets(serving.config.requests_per_second)
    names = map(str.lower, (serving.config.host, *serving.config.allowed_hosts))
    hosts = frozenset(names) if serving.keys is None else None
    rooms = asking, classifying, filling, records, ruling, operating, reference, health
    for router in (room.router for room in rooms):
        # Straight into one flat list: a router inside a router would be searched again on every request.
        app.router.routes.extend(guarded(router.routes, serving.keys, buckets, hosts=hosts))
    app.router.routes.extend(guarded(status_router().routes, serving.keys, buckets, hosts=hosts))
    if serving.config.storefront:
        # Last: it takes what nobody else does.
        keys = serving.keys if serving.config.storefront_needs_key else None
        app.router.routes.extend(guarded(storefront_router().routes, keys, buckets, hosts=hosts, are_pages=True))
    app.add_middleware(RequestSize, most_bytes=serving.config.max_body_bytes)
    app.add_middleware(RequestLog, metrics=serving.metrics, on_fault=fault_response)
    return app
