"""A page on which one person labels texts, for their own machine only: every answer is saved before the next text.

Enters: a ``LabelBook``. Leaves: an application. Texts reach the page as JSON and are shown as text, never as HTML.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from aisle.errors import AisleError, UnavailableError
from aisle.ingest.label_book import LabelBook
from aisle.serving.html import LANGUAGES, Assets, Pages, guard, read_words
from aisle.serving.html.words import NAMES
from aisle.serving.languages import language_of

PACKAGE = "aisle.serving.labelling"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Names under which the page is answered: another site's name that leads here is not among them."""
_WORDS_OF_SCRIPT = ("skip", "undo", "done", "saved", "left", "lost")
_JSON = "application/json"
_MOST_BYTES = 8_000_000


def label_app(book: LabelBook) -> Starlette:
    """The page and what it asks for. It never waits for two answers at once, so that it needs no lock."""
    assets = Assets(PACKAGE, "/static")
    pages = Pages(PACKAGE, asset=assets.address, languages=NAMES)
    words = read_words(PACKAGE)

    async def page(request: Request) -> Response:
        asked = request.query_params.get("language")
        language = asked if asked in LANGUAGES else language_of(request, LANGUAGES)
        w = words[language]
        script = {key: w(key) for key in _WORDS_OF_SCRIPT}
        text = pages.render("label.html", w=w, language=language, script=orjson.dumps(script).decode())
        return guard(HTMLResponse(text, headers={"vary": "accept-language", "cache-control": "no-store"}))

    def standing(problem: str | None = None, status: int = 200) -> Response:
        told: dict[str, Any] = {
            "text": book.next(),
            "keys": list(book.keys.items()),
            "counts": book.counts(),
            "n_labelled": book.n_labelled,
            "n_open": book.n_open,
            "problem": problem,
        }
        response = Response(orjson.dumps(told), status, {"cache-control": "no-store"}, media_type=_JSON)
        return guard(response)

    async def tell(request: Request) -> Response:
        del request
        return standing()

    async def act(request: Request) -> Response:
        # A page of another site cannot send this type without asking, and the answer to that is no.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            return standing(f"send {_JSON}", 415)
        if int(request.headers.get("content-length", "0") or 0) > _MOST_BYTES:
            return standing(f"more than {_MOST_BYTES:,} bytes", 413)
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            return standing(f"this is not JSON: {error}", 422)
        given = [body.get(name) if isinstance(body, dict) else None for name in ("text", "label")]
        try:
            match request.path_params["what"], given:
                case "say", [str(text), str(label)]:
                    book.say(text, label)
                case "skip", [str(text), _]:
                    book.skip(text)
                case "undo", _:
                    book.undo()
                case what, _:
                    return standing(f"{what} takes an object with text{', label' * (what == 'say')}", 422)
        except AisleError as error:
            return standing(str(error), 503 if isinstance(error, UnavailableError) else 409)
        return standing()

    return Starlette(
        routes=[
            Route("/", page),
            Route("/standing", tell),
            Route("/{what:str}", act, methods=["POST"]),
            Route("/static/{fingerprint}/{name}", assets.send),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))],
    )
