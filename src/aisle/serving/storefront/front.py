"""What every page of the storefront has: frame, headers, cookies, the check of forms, friendly errors.

Enters: a function that makes one page of a ``Visit``. Leaves: an endpoint.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aisle.domain import Event
from aisle.errors import AisleError, DataError, NotReadyError, UnavailableError
from aisle.serving.html import Assets, Pages, Words, guard, read_words
from aisle.serving.html.words import NAMES
from aisle.serving.problems import Problem
from aisle.serving.storefront.choice import amount
from aisle.serving.storefront.facets import last_name
from aisle.serving.storefront.happenings import record
from aisle.serving.storefront.surroundings import Kept, read_categories, read_people
from aisle.serving.storefront.visit import Visit, is_from_here, may_switch, safe_path

log = logging.getLogger("aisle.storefront")

PACKAGE = "aisle.serving.storefront"
RETRY_SECONDS = 1
Page = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Front:
    """The frame of the pages, made once for an application."""

    def __init__(self) -> None:
        self.assets = Assets(PACKAGE, "/static")
        self._pages = Pages(PACKAGE, asset=self.assets.address, languages=NAMES, amount=amount)
        self._words: dict[str, Words] | None = None
        self._categories = Kept(read_categories, ())
        self._people = Kept(read_people, ())

    def endpoint(self, page: Page) -> Endpoint:
        """``page`` as the server calls it: whatever happens, a visitor gets a page."""

        async def answered(request: Request) -> Response:
            visit = Visit.of(request)
            try:
                if request.method == "POST" and not is_from_here(request):
                    raise HTTPException(403)
                response = await page(visit)
            except AisleError as error:
                response = await self._failed(visit, error)
            except HTTPException as error:
                response = await self.trouble(visit, error.status_code)
            except (Problem, ClientDisconnect):
                raise  # too much or too slowly sent, or nobody is there any more: answered like everywhere
            except Exception:
                log.exception("a page of the storefront failed")
                response = await self.trouble(visit, 500)
            visit.remember(response)
            response.headers.setdefault("cache-control", "private, no-store")
            return guard(response)

        return answered

    def words(self, visit: Visit) -> Words:
        """The words in the visitor's language."""
        if self._words is None:
            self._words = read_words(PACKAGE, read_names(visit.serving.shop.folder.names))
        return self._words[visit.language]

    async def show(
        self, visit: Visit, template: str, *, seen: Sequence[Event] = (), status: int = 200, **values: Any
    ) -> Response:
        """The page; ``seen`` is recorded once it has been sent."""
        shop, words = visit.serving.shop, self.words(visit)
        menu, people = (), ()
        try:
            menu = await visit.serving.answering.run(self._categories.read, shop)
            people = await visit.serving.answering.run(self._people.read, shop) if may_switch(visit.serving) else ()
        except UnavailableError as error:
            log.warning("a page is shown without its menus: %s", error)
        text = self._pages.render(
            template,
            visit=visit,
            w=words,
            language=visit.language,
            shop_name=shop.settings.shop.name,
            currency=shop.settings.shop.currency,
            menu=menu,
            people=people,
            may_switch=may_switch(visit.serving),
            category_name=lambda path: last_name(path, words),
            **{"query": "", **values},
        )
        after = BackgroundTask(record, visit, list(seen)) if seen else None
        return HTMLResponse(text, status, background=after)

    def piece(self, visit: Visit, template: str, **values: Any) -> Response:
        """A piece of a page, without the frame."""
        return HTMLResponse(self._pages.render(template, w=self.words(visit), **values))

    async def trouble(self, visit: Visit, status: int, command: str | None = None) -> Response:
        """The page for something that went wrong."""
        key = next((f"trouble_{known}" for known in (403, 404, 405, 409, 422, 503) if known == status), "trouble_500")
        response = await self.show(
            visit,
            "trouble.html",
            status=status,
            key=key,
            command=command,
            request_id=getattr(visit.request.state, "request_id", None),
        )
        if status == 503:
            response.headers["retry-after"] = str(RETRY_SECONDS)
        return response

    async def _failed(self, visit: Visit, error: AisleError) -> Response:
        match error:
            case DataError():
                return await self.trouble(visit, 422)
            case NotReadyError():
                return await self.trouble(visit, 409, command=error.command)
            case UnavailableError():
                return await self.trouble(visit, 503)
        log.error("a page of the storefront failed", exc_info=error)
        return await self.trouble(visit, 500)


def back_to(address: str) -> Response:
    """To a page of this server after a form; to the home page where ``address`` is none."""
    return RedirectResponse(safe_path(address), 303)


def read_names(path: Path) -> Mapping[str, Mapping[str, str]]:
    """The shop's ``names.toml``: a table a language, from names as the catalogue has them to names in that language."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("names.toml cannot be read; names stay as the catalogue has them: %s", error)
        return {}
    return {
        language: {name: text for name, text in table.items() if isinstance(text, str)}
        for language, table in tables.items()
        if isinstance(table, dict)
    }
