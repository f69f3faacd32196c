"""What the outside world asks, in its own words: ids and text, not rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from aisle.domain import Context, Filters


@dataclass(frozen=True)
class Ask:
    """One question to the shop. ``size`` None means the placement's; ``item_ids`` are what the list is about;
    ``with_facets`` asks for counts over what was found, to narrow it by.
    """

    user_id: str | None = None
    text: str | None = None
    item_ids: tuple[str, ...] = ()
    size: int | None = None
    filters: Filters = field(default_factory=Filters)
    context: Context = field(default_factory=Context)
    with_facets: bool = False
