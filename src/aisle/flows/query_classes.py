"""What kind of query one is, so that figures can be told apart by it.

Enters: a query's text. Leaves: its class, language and length. Guesses come from what reads queries in the shop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aisle.domain import NO_VALUE, Catalogue, Intent, Query, Request
from aisle.flows.search import PLACEMENT, understand_query
from aisle.flows.stages import InService
from aisle.language.analysis import stems, word_starts, words
from aisle.language.chinese import is_chinese
from aisle.retrieval.marking import QueryReader

CLASSES = (
    "code", "service", "price", "nonsense", "long", "brand", "category", "attribute", "product", "unread"
)  # fmt: skip
"""In the order in which they are looked for: a query is of the first that fits. ``nonsense``: no word of it is in any
item, nor can be corrected to one. ``unread``: nothing reads queries in this shop now."""
LANGUAGES = ("english", "chinese", "mixed", "other")
LONG_WORDS = 6
_LIKELY = 0.5
_CATEGORY_FROM = 0.3
_CODE = re.compile(r"(?=.*\d.*\d.*\d)[a-z0-9]+(?:[-_/.][a-z0-9]+)*", re.IGNORECASE | re.ASCII)
"""One word of letters, digits and what stands between them, with three digits or more."""
_SHORTEST_CODE = 5
_LATIN = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class QueryKind:
    """What is known of a query. ``category``: the likeliest path, None where none is likely; ``stems`` of its words."""

    query_class: str
    language: str
    n_words: str
    category: str | None
    stems: frozenset[str]

    @property
    def groups(self) -> Mapping[str, str]:
        """The group of each grouping that the text alone decides."""
        return {"query_class": self.query_class, "language": self.language, "n_words": self.n_words}


def kind_of(text: str, in_service: InService, catalogue: Catalogue) -> QueryKind:
    """The kind of a query that can be read. About a millisecond."""
    query = understand_query(text)
    if in_service.reader is not None:
        query = in_service.reader.read(query.text)
    starts = len(word_starts(query.text))
    likeliest = next((one.value for one in query.categories if one.probability >= _CATEGORY_FROM), None)
    return QueryKind(
        _class_of(query, starts, in_service, catalogue),
        language_of(query.text),
        str(starts) if starts < LONG_WORDS else f"{LONG_WORDS}+",
        likeliest,
        frozenset(stems(words(query.text))),
    )


def language_of(text: str) -> str:
    """``chinese``, ``english`` (Latin letters), both (``mixed``), or ``other`` where there are neither."""
    has_chinese, has_latin = any(map(is_chinese, text)), bool(_LATIN.search(text))
    if has_chinese:
        return "mixed" if has_latin else "chinese"
    return "english" if has_latin else "other"


def is_same_errand(one: QueryKind, other: QueryKind) -> bool:
    """Whether two queries may be one wish in other words: they share a word, or their likeliest category."""
    return bool(one.stems & other.stems) or (one.category is not None and one.category == other.category)


def _class_of(query: Query, n_words: int, in_service: InService, catalogue: Catalogue) -> str:
    text = query.text
    if catalogue.typed_row(text) != NO_VALUE or (len(text) >= _SHORTEST_CODE and _CODE.fullmatch(text)):
        return "code"
    if in_service.reader is None:
        return "unread"
    intents = dict(query.intents)
    if intents.get(Intent.SERVICE, 0.0) >= _LIKELY:
        return "service"
    if query.price is not None or intents.get(Intent.PRICE, 0.0) >= _LIKELY:
        return "price"
    if not _has_known_word(query, in_service):
        return "nonsense"
    if n_words >= LONG_WORDS:
        return "long"
    likeliest = query.intents[0][0] if query.intents else Intent.PRODUCT
    if likeliest in (Intent.BRAND, Intent.CATEGORY):
        return likeliest.value
    return "attribute" if any(one.probability >= _LIKELY for one in query.attributes) else "product"


def _has_known_word(query: Query, in_service: InService) -> bool:
    """Whether items use any word of it, as it stands or corrected; True where no source can say."""
    readers: Sequence[QueryReader] = [one for one in in_service.sources.values() if isinstance(one, QueryReader)]
    request = Request(PLACEMENT, 0, query=query)
    return not readers or any(reader.query_stems(request) for reader in readers)
