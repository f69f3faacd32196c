"""What the outside world asks, in its own words: ids and text, not rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from aisle.domain import Context, Filters, Response, Sort
from aisle.errors import AisleError


@dataclass(frozen=True)
class Ask:
    """One question to the shop. ``size`` None means the placement's; ``item_ids`` are what the list is about;
    ``with_facets`` asks for counts over what was found, to narrow it by, ``with_highlights`` for the places in titles
    and descriptions that answer the query. ``cursor`` is that of the page before; all but ``size`` and what is asked
    for besides must be as it was there. ``is_as_typed`` takes no word of the query for another.
    """

    user_id: str | None = None
    text: str | None = None
    item_ids: tuple[str, ...] = ()
    size: int | None = None
    filters: Filters = field(default_factory=Filters)
    context: Context = field(default_factory=Context)
    sort: Sort = "relevance"
    cursor: str | None = None
    with_facets: bool = False
    with_highlights: bool = False
    is_as_typed: bool = False


def pages(asks: Sequence[Ask], size: int = 1_024) -> Iterator[Sequence[Ask]]:
    """Slices that are answered together; more at once would cost memory and gain nothing."""
    return (asks[start : start + size] for start in range(0, len(asks), size))


def all_answered(answers: Sequence[Response | AisleError]) -> list[Response]:
    """The answers; raises what is wrong with the first that has none."""
    for one in answers:
        if isinstance(one, AisleError):
            raise one
    return [one for one in answers if isinstance(one, Response)]
