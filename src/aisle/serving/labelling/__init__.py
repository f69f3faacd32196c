"""A page on which a person labels texts: loopback only, one person, every answer saved at once."""

from __future__ import annotations

import threading
from importlib.resources import files
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from aisle.errors import AisleError
from aisle.ingest.label_book import LabelBook

_PAGE = "page.html"
_LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]


def label_app(book: LabelBook) -> FastAPI:
    """The page and what it asks for. Other sites cannot: bodies are JSON, and only loopback names are answered."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_LOOPBACK)
    page = files(__name__).joinpath(_PAGE).read_text(encoding="utf-8")
    lock = threading.Lock()

    def standing() -> dict[str, Any]:
        return {
            "text": book.next(),
            "labels": book.labels,
            "counts": book.counts(),
            "n_labelled": book.n_labelled,
            "n_open": book.n_open,
        }

    @app.exception_handler(AisleError)
    async def refused(request: Request, error: AisleError) -> JSONResponse:
        del request
        return JSONResponse({"detail": str(error)}, status_code=422)

    @app.get("/", response_class=HTMLResponse)
    def show() -> HTMLResponse:
        headers = {"Content-Security-Policy": "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'"}
        return HTMLResponse(page, headers=headers)

    @app.get("/standing")
    def tell() -> dict[str, Any]:
        with lock:
            return standing()

    @app.post("/say")
    def say(text: Annotated[str, Body()], label: Annotated[str, Body()]) -> dict[str, Any]:
        with lock:
            book.say(text, label)
            return standing()

    @app.post("/skip")
    def skip(text: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
        with lock:
            book.skip(text)
            return standing()

    @app.post("/undo")
    def undo(_: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        with lock:
            book.undo()
            return standing()

    return app
