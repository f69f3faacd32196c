"""The words of a shop as frozen records. Knows nothing of files, databases or models."""

from aisle.domain.candidates import Candidates, allowed_mask, top_candidates
from aisle.domain.catalogue import NO_VALUE, Catalogue, category_path
from aisle.domain.chat import Message
from aisle.domain.documents import Document
from aisle.domain.events import EVENT_CODE, EVENT_TYPES, INTEREST_TYPES, SHOWN_TYPES, Event, EventType
from aisle.domain.explanations import Explanation, Reason, SlotReasons
from aisle.domain.facets import AttributeFacet, CategoryFacet, Facet, Facets, PriceFacet, RatingFacet
from aisle.domain.features import Examples, Features
from aisle.domain.highlights import Highlight, Marked
from aisle.domain.items import UNKNOWN_LANGUAGE, Item, ItemKind, ItemText
from aisle.domain.refusals import Refusal
from aisle.domain.relaxed import Relaxed
from aisle.domain.requests import (
    SORTS,
    Context,
    Filters,
    Guess,
    Intent,
    PriceRange,
    Query,
    Request,
    Respelling,
    Sort,
    UserState,
)
from aisle.domain.slates import OUTCOME_NAMES, Outcomes, Response, Slate, Slot
from aisle.domain.snapshots import INTERACTION_SCHEMA, Snapshot
from aisle.domain.tables import DocumentTable, EventTable, ItemTable, UserTable
from aisle.domain.users import User

__all__ = [
    "EVENT_CODE",
    "EVENT_TYPES",
    "INTERACTION_SCHEMA",
    "INTEREST_TYPES",
    "NO_VALUE",
    "OUTCOME_NAMES",
    "SHOWN_TYPES",
    "SORTS",
    "UNKNOWN_LANGUAGE",
    "AttributeFacet",
    "Candidates",
    "Catalogue",
    "CategoryFacet",
    "Context",
    "Document",
    "DocumentTable",
    "Event",
    "EventTable",
    "EventType",
    "Examples",
    "Explanation",
    "Facet",
    "Facets",
    "Features",
    "Filters",
    "Guess",
    "Highlight",
    "Intent",
    "Item",
    "ItemKind",
    "ItemTable",
    "ItemText",
    "Marked",
    "Message",
    "Outcomes",
    "PriceFacet",
    "PriceRange",
    "Query",
    "RatingFacet",
    "Reason",
    "Refusal",
    "Relaxed",
    "Request",
    "Respelling",
    "Response",
    "Slate",
    "Slot",
    "SlotReasons",
    "Snapshot",
    "Sort",
    "User",
    "UserState",
    "UserTable",
    "allowed_mask",
    "category_path",
    "top_candidates",
]
