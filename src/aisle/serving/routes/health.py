"""Whether a process lives, whether it can answer, and what it counted. Neither needs to know what is asked."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from aisle.serving.context import serving_of

router = APIRouter(tags=["Operating"], include_in_schema=False)

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.api_route("/health/live", methods=["GET", "HEAD"])
async def live(request: Request) -> Response:
    """The process runs and its event loop turns."""
    return Response(b'{"status":"live"}', media_type="application/json")


@router.api_route("/health/ready", methods=["GET", "HEAD"])
async def ready(request: Request) -> Response:
    """The shop is loaded and the process takes requests; 503 before that and while it shuts down."""
    if not serving_of(request).is_ready:
        return Response(b'{"status":"not ready"}', 503, {"retry-after": "1"}, "application/json")
    return Response(b'{"status":"ready"}', media_type="application/json")


@router.get("/metrics", openapi_extra={"x-role": "read"})
async def metrics(request: Request) -> Response:
    """Everything counted so far, of all workers, in Prometheus's text form."""
    serving = serving_of(request)
    return Response(await serving.answering.run_aside(serving.metrics.text), media_type=PROMETHEUS)
