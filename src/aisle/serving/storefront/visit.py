"""Who visits: user, session, language and basket, read from cookies with distrust and written back.

Nobody is a named user until he says so: a new visitor gets a random id. Where the shop has keys it is no longer for
demonstration on one's own machine, and nobody may become another user.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from aisle.domain import Context
from aisle.serving.context import Serving, serving_of
from aisle.serving.html import LANGUAGES
from aisle.serving.languages import language_of
from aisle.serving.storefront.basket import Basket

VISITOR, SESSION, LANGUAGE, BASKET = "aisle_visitor", "aisle_session", "aisle_language", "aisle_basket"
_YEAR_SECONDS = 365 * 86_400
_RANDOM = re.compile(r"visitor-[0-9a-f]{32}")
_SESSION = re.compile(r"[0-9a-f]{32}")
_LONGEST_USER_ID = 200
_PLAIN = set(string.ascii_letters + string.digits + "-._~/?=&%+:,;@!*'()$#")
"""Characters of an address; anything else stands in it as ``%..``."""


@dataclass
class Visit:
    """One request to a page and who makes it."""

    request: Request
    serving: Serving
    language: str
    user_id: str
    session_id: str
    basket: Basket
    has_chosen_language: bool = False

    @classmethod
    def of(cls, request: Request) -> Visit:
        """Read from the request's cookies."""
        serving, cookies = serving_of(request), request.cookies
        user_id = decoded(cookies.get(VISITOR, ""))
        session_id = cookies.get(SESSION, "")
        language = cookies.get(LANGUAGE, "")
        return cls(
            request=request,
            serving=serving,
            language=language if language in LANGUAGES else language_of(request, _offered(serving)),
            user_id=user_id if _may_be(user_id, serving) else new_visitor(),
            session_id=session_id if _SESSION.fullmatch(session_id) else secrets.token_hex(16),
            basket=Basket.read(cookies.get(BASKET)),
            has_chosen_language=language in LANGUAGES,
        )

    def choose(self, language: str) -> None:
        """Have the pages in ``language`` from now on."""
        self.language, self.has_chosen_language = language, True

    @property
    def is_visitor(self) -> bool:
        """Whether it is nobody in particular."""
        return _RANDOM.fullmatch(self.user_id) is not None

    @property
    def context(self) -> Context:
        """The circumstances that questions are asked with."""
        return Context(language=self.language, platform="web")

    @property
    def here(self) -> str:
        """The page's own address, to come back to."""
        url = self.request.url
        path = quote(url.path)
        return f"{path}?{url.query}" if url.query else path

    def remember(self, response: Response) -> None:
        """Write everything back that the next request must bring along."""
        kept = {
            VISITOR: (encoded(self.user_id), _YEAR_SECONDS),
            SESSION: (self.session_id, None),
            LANGUAGE: (self.language if self.has_chosen_language else "", _YEAR_SECONDS),
            BASKET: (self.basket.write() if self.basket.lines else "", _YEAR_SECONDS),
        }
        is_secure = self.request.url.scheme == "https"
        for name, (value, seconds) in kept.items():
            if value == self.request.cookies.get(name, ""):
                continue
            if value:
                response.set_cookie(name, value, max_age=seconds, secure=is_secure, httponly=True, samesite="lax")
            else:
                response.delete_cookie(name, secure=is_secure, httponly=True, samesite="lax")


def new_visitor() -> str:
    """The id of somebody new, which nobody can guess."""
    return f"visitor-{secrets.token_hex(16)}"


def may_switch(serving: Serving) -> bool:
    """Whether a visitor may become any user."""
    return serving.keys is None


def is_from_here(request: Request) -> bool:
    """Whether a form was sent by a page of this very server, as the browser tells."""
    told = request.headers.get("sec-fetch-site")
    if told is not None:
        return told == "same-origin"
    origin = request.headers.get("origin") or request.headers.get("referer")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def safe_path(address: str) -> str:
    """``address`` when it is a page of this server, else the home page; so that nobody is led elsewhere."""
    is_path = address.startswith("/") and not address.startswith(("//", "/\\")) and set(address) <= _PLAIN
    return address if is_path and len(address) <= 4_000 else "/"


def encoded(user_id: str) -> str:
    """A user id as a cookie may hold it."""
    return user_id.encode("utf-8", "surrogatepass").hex() if not _RANDOM.fullmatch(user_id) else user_id


def decoded(cookie: str) -> str:
    """What ``encoded`` was given; empty where it cannot be read."""
    if _RANDOM.fullmatch(cookie):
        return cookie
    try:
        return bytes.fromhex(cookie).decode("utf-8")
    except ValueError:
        return ""


def _may_be(user_id: str, serving: Serving) -> bool:
    if _RANDOM.fullmatch(user_id):
        return True
    return may_switch(serving) and 0 < len(user_id) <= _LONGEST_USER_ID and user_id.isprintable()


def _offered(serving: Serving) -> tuple[str, ...]:
    """The languages of the pages, the shop's own first one before the others."""
    own = [language for language in serving.shop.settings.shop.languages if language in LANGUAGES]
    return tuple(dict.fromkeys((*own, *LANGUAGES)))
