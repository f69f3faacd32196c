"""Becoming another user, and choosing another language."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from aisle.serving.html import LANGUAGES
from aisle.serving.storefront.basket import Basket
from aisle.serving.storefront.front import Front, back_to
from aisle.serving.storefront.visit import Visit, may_switch, new_visitor

LONGEST_USER_ID = 200


class Switches:
    """Made once with the frame of all pages."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def user(self, visit: Visit) -> Response:
        """Be the user that the form names, somebody new where it names none. The basket stays behind."""
        form = await visit.request.form()
        user_id = str(form.get("user", "")).strip()
        if user_id and not may_switch(visit.serving):
            raise HTTPException(403)
        if len(user_id) > LONGEST_USER_ID or not user_id.isprintable():
            raise HTTPException(422)
        visit.user_id = user_id or new_visitor()
        visit.session_id = ""
        visit.basket = Basket()
        return back_to("/")

    async def language(self, visit: Visit) -> Response:
        """Show the pages in another language from now on."""
        form = await visit.request.form()
        wanted = str(form.get("language", ""))
        if wanted in LANGUAGES:
            visit.choose(wanted)
        return back_to(str(form.get("back", "/")))
