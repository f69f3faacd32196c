"""Our columns as a mapping may name them, and how each is read.

Money may be given in major units (``price = "12.50"``) or minor ones (``price_minor``); times in any form (``time``) or
as UTC milliseconds (``time_ms``); texts in several languages (``title.zh``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Reading = Literal[
    "id", "line", "block", "tag", "url", "kind", "type", "list", "money", "minor", "currency",
    "count", "quantity", "slot", "rating", "time", "milliseconds", "truth",
]  # fmt: skip

_ITEMS: dict[str, Reading] = {
    "item_id": "id",
    "kind": "kind",
    "title": "line",
    "description": "block",
    "language": "tag",
    "brand": "line",
    "category": "list",
    "price": "money",
    "price_minor": "minor",
    "currency": "currency",
    "cost": "money",
    "cost_minor": "minor",
    "stock": "count",
    "seller": "line",
    "image": "url",
    "created": "time",
    "created_ms": "milliseconds",
    "starts": "time",
    "starts_ms": "milliseconds",
    "ends": "time",
    "ends_ms": "milliseconds",
    "is_available": "truth",
}
_USERS: dict[str, Reading] = {
    "user_id": "id",
    "gender": "line",
    "age_band": "line",
    "region": "line",
    "language": "tag",
    "platforms": "list",
    "created": "time",
    "created_ms": "milliseconds",
}
_EVENTS: dict[str, Reading] = {
    "event_id": "id",
    "user_id": "id",
    "type": "type",
    "time": "time",
    "time_ms": "milliseconds",
    "item_id": "id",
    "quantity": "quantity",
    "price": "money",
    "price_minor": "minor",
    "currency": "currency",
    "rating": "rating",
    "text": "block",
    "query": "line",
    "session_id": "id",
    "basket_id": "id",
    "slate_id": "id",
    "slot": "slot",
    "placement": "line",
    "platform": "line",
    "device": "line",
    "region": "line",
}
_DOCUMENTS: dict[str, Reading] = {
    "document_id": "id",
    "title": "line",
    "text": "block",
    "kind": "line",
    "language": "tag",
    "url": "url",
    "updated": "time",
    "updated_ms": "milliseconds",
}
TABLES: Mapping[str, Mapping[str, Reading]] = {
    "items": _ITEMS,
    "users": _USERS,
    "events": _EVENTS,
    "documents": _DOCUMENTS,
}
"""Column to reading, by table."""

REQUIRED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "items": (("item_id",), ("title",)),
    "users": (("user_id",),),
    "events": (("user_id",), ("type",), ("time", "time_ms")),
    "documents": (("document_id",), ("text",)),
}
"""What a mapping must make; one name of each group will do. ``title.zh`` counts as ``title``."""

_LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def is_language_tag(text: str) -> bool:
    """Whether ``text`` looks like a BCP 47 tag: ``en``, ``zh``, ``zh-Hant``."""
    return _LANGUAGE_TAG.fullmatch(text) is not None


def target_of(table: str, name: str) -> tuple[str, str | None] | None:
    """Column and language of a name in a mapping, None when there is no such column."""
    column, _, language = name.partition(".")
    if column not in TABLES[table]:
        return None
    if not language:
        return column, None
    if table == "items" and column in ("title", "description") and is_language_tag(language):
        return column, language
    return None
