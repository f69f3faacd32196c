"""Answer search requests: what was typed, understood, and the items that fit."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from aisle.domain import Query, Response
from aisle.errors import AisleError, DataError
from aisle.flows.answer import answer
from aisle.flows.asks import Ask
from aisle.flows.stages import Stages

PLACEMENT = "search"
MAX_QUERY_CHARACTERS = 500
_UNREADABLE = ("Cc", "Cs")
"""Control characters, and halves of a character (an argument that was not UTF-8) which no file or index takes."""


def search(asks: Sequence[Ask], stages: Stages) -> list[Response | AisleError]:
    """A response for each ask, its ``text`` being the query, or what is wrong with it."""
    queries: list[Query | AisleError | None] = []
    for ask in asks:
        try:
            queries.append(replace(understand_query(ask.text), is_as_typed=ask.is_as_typed))
        except DataError as error:
            queries.append(error)
    return answer(PLACEMENT, asks, queries, stages)


def understand_query(text: str | None) -> Query:
    """The query in one Unicode form (NFKC), spaces collapsed, without what cannot be read (``_UNREADABLE``).

    Raises:
        DataError: it is missing or longer than ``MAX_QUERY_CHARACTERS``.
    """
    if text is None:
        raise DataError("a search needs a query text", field="text")
    normal = unicodedata.normalize("NFKC", text) if len(text) <= MAX_QUERY_CHARACTERS else text
    if len(normal) > MAX_QUERY_CHARACTERS:  # one sign may stand for eighteen letters
        what = f"the query has {len(normal)} characters; at most {MAX_QUERY_CHARACTERS} are read"
        raise DataError(what, field="text")
    cleaned = "".join(" " if unicodedata.category(character) in _UNREADABLE else character for character in normal)
    return Query(text=" ".join(cleaned.split()))
