"""Aisle: search and recommendations for an online shop, built on large language models.

import aisle

aisle.init("myshop")
with aisle.open("myshop") as shop:
shop.add_items(items)
shop.add_events(events)
shop.train()
shop.search("red kettle")
shop.recommend(user_id="u1")
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aisle.contracts import Clock, Meter, Progress
    from aisle.domain import Context, Document, Event, EventType, Filters, Item, ItemKind, ItemText, Response, User
    from aisle.errors import AisleError
    from aisle.folder import init
    from aisle.shop import Shop

__all__ = [
    "AisleError",
    "Context",
    "Document",
    "Event",
    "EventType",
    "Filters",
    "Item",
    "ItemKind",
    "ItemText",
    "Response",
    "User",
    "init",
    "open",
]

_HOMES = {"AisleError": "aisle.errors", "init": "aisle.folder"}
"""Where a public name comes from, if not from ``aisle.domain``."""


def __getattr__(name: str) -> Any:
    # Only what is used is loaded, so that `aisle.client` alone stays light.
    if name not in __all__:
        raise AttributeError(f"module 'aisle' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "aisle.domain")), name)


def open(
    folder: str | Path, *, clock: Clock | None = None, progress: Progress | None = None, meter: Meter | None = None
) -> Shop:
    """Open the shop in ``folder``; a context manager.

    Args:
        folder: made by ``aisle.init``.
        clock: gives now in UTC milliseconds; None takes the system's.
        progress: hears of long work such as training.
        meter: hears how answering goes, for metrics.

    Raises:
        ConfigError: it is not a shop, or a setting is wrong.
        CorruptError: its database is damaged.
    """
    # The rooms behind a shop are imported when one is opened: `import aisle` alone stays quick.
    from aisle.contracts import silent
    from aisle.shop import Shop, now_ms

    return Shop.open(folder, clock=clock or now_ms, progress=progress or silent, meter=meter)
