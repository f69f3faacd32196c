"""Which words of the items shown answer the query: for the page that is shown, never for all that was found.

Enters: a request and its slate. Leaves: a ``Highlight`` of each item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aisle.domain import Highlight, Item, ItemText, Marked, Request
from aisle.flows.stages import InService, Stages
from aisle.retrieval.marking import QueryReader, marks, snippet

READ_CHARACTERS = 2_000
"""Of each description."""


def highlight(
    request: Request, item_ids: Sequence[str], names: Sequence[str], in_service: InService, stages: Stages
) -> Mapping[str, Highlight]:
    """The items' titles, and pieces of their descriptions, with the query's words marked.

    Args:
        request: whose query was answered; its corrected words count, and the language of its context.
        item_ids: what is shown.
        names: the placement's sources; those that read queries as words say which words those are.
        in_service: where the sources are found.
        stages: where items are read.
    """
    readers = [in_service.sources[name] for name in names if name in in_service.sources]
    wanted = frozenset(
        word for reader in readers if isinstance(reader, QueryReader) for word in reader.query_stems(request)
    )
    return {
        item.item_id: _of_item(item, wanted, request.context.language) for item in stages.records.read_items(item_ids)
    }


def _of_item(item: Item, wanted: frozenset[str], language: str | None) -> Highlight:
    text = _told(item, wanted, language)
    title = Marked(text.title, text.language, tuple(marks(text.title, wanted)))
    description = text.description[:READ_CHARACTERS]
    found = marks(description, wanted)
    if not found:
        return Highlight(title)
    begin, end = snippet(description, found)
    inside = tuple((a - begin, b - begin) for a, b in found if begin <= a and b <= end)
    piece = Marked(description[begin:end], text.language, inside, begin, end < len(text.description))
    return Highlight(title, piece)


def _told(item: Item, wanted: frozenset[str], language: str | None) -> ItemText:
    """The text in the language asked for, else the one whose title has most of the query, the first of equals."""
    if language is not None or len(item.texts) == 1:
        return item.text(language)
    return max(item.texts, key=lambda text: sum(end - begin for begin, end in marks(text.title, wanted)))
