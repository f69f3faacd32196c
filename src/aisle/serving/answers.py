"""The shop's answers as bytes of JSON: built directly, for speed; ``aisle.wire`` says what they look like.

A test checks every kind of answer against its schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from starlette.responses import Response as HttpResponse

from aisle import wire
from aisle.contracts import Appended, Listed
from aisle.domain import (
    Document,
    Event,
    Explanation,
    Facets,
    Highlight,
    Item,
    Marked,
    Query,
    Reason,
    Refusal,
    Response,
    Slate,
    User,
)
from aisle.serving.problems import refusal_of

T = TypeVar("T")

JSON = "application/json"


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """``content`` as an answer; dataclasses, enums and numpy numbers are written as JSON has them."""
    return HttpResponse(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, headers, JSON)


def answer_of(
    response: Response, items: Mapping[str, Item] | None = None, explanation: Explanation | None = None
) -> dict[str, Any]:
    """``wire.Answer``; with the records of ``items`` and the reasons of ``explanation`` where they were asked for."""
    slate = response.slate
    listed: list[dict[str, Any]] = [
        {
            "item_id": slot.item_id,
            "utility": slot.utility,
            "propensity": slot.propensity,
            "sources": slot.scores,
            "outcomes": slot.outcomes,
        }
        for slot in slate.slots
    ]
    answer: dict[str, Any] = {
        "slate_id": slate.slate_id,
        "placement": slate.placement,
        "items": listed,
        "n_found": response.n_found,
        "cursor": response.cursor,
        "relaxed": response.relaxed,
        "degraded": response.degraded,
        "timings_ms": response.timings_ms,
    }
    if items is not None:
        for entry in listed:
            item = items.get(entry["item_id"])
            entry["item"] = None if item is None else item_of(item, with_cost=False)
    if explanation is not None:
        answer["language"] = explanation.language
        for entry, slot in zip(listed, explanation.slots, strict=True):
            entry["reasons"] = reasons_of(slot.reasons)
    if response.highlights is not None:
        for entry in listed:
            marked = response.highlights.get(entry["item_id"])
            entry["highlight"] = None if marked is None else highlight_of(marked)
    if response.n_more_variants is not None:
        for entry in listed:
            entry["n_more_variants"] = response.n_more_variants.get(entry["item_id"])
    if response.facets is not None:
        answer["facets"] = facets_of(response.facets)
    if response.query is not None:
        answer["understood"] = understood_of(response.query)
    if response.rules:
        answer |= {"rules": response.rules, "redirect": response.redirect}
        for entry, slot in zip(listed, slate.slots, strict=True):
            entry["placed_by"] = slot.placed_by
    return answer


def understood_of(query: Query) -> dict[str, Any]:
    """``wire.Understood``."""
    return {
        "searched": query.effective,
        "language": query.language,
        "intents": [{"value": intent, "probability": share} for intent, share in query.intents],
        "categories": query.categories,
        "brands": query.brands,
        "attributes": query.attributes,
        "price": query.price,
        "spelling": query.spelling,
    }


def facets_of(facets: Facets) -> dict[str, Any]:
    """``wire.Facets``."""
    return {
        "categories": facets.categories,
        "brands": facets.brands,
        "attributes": facets.attributes,
        "prices": facets.prices,
        "ratings": facets.ratings,
        "lowest_price_minor": facets.lowest_price_minor,
        "highest_price_minor": facets.highest_price_minor,
        "n_in_stock": facets.n_in_stock,
    }


def highlight_of(highlight: Highlight) -> dict[str, Any]:
    """``wire.Highlight``."""
    snippet = highlight.snippet
    return {"title": _marked(highlight.title), "snippet": None if snippet is None else _marked(snippet)}


def _marked(marked: Marked) -> dict[str, Any]:
    return {
        "text": marked.text,
        "language": marked.language,
        "ranges": marked.ranges,
        "begins": marked.begins,
        "is_cut": marked.is_cut,
        "html": marked.html,
    }


def reasons_of(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """``wire.Reason``, as many as there are."""
    return [{"code": reason.code, "text": reason.text, "strength": reason.strength} for reason in reasons]


def explanation_of(explanation: Explanation) -> dict[str, Any]:
    """``wire.Explanation``."""
    return {
        "slate_id": explanation.slate.slate_id,
        "placement": explanation.slate.placement,
        "language": explanation.language,
        "items": [
            {
                "item_id": slot.item_id,
                "sources": slot.sources,
                "outcomes": slot.outcomes,
                "propensity": slot.propensity,
                "reasons": reasons_of(slot.reasons),
            }
            for slot in explanation.slots
        ],
    }


def slate_of(slate: Slate) -> dict[str, Any]:
    """``wire.Slate``."""
    return {
        "slate_id": slate.slate_id,
        "placement": slate.placement,
        "time_ms": slate.time_ms,
        "user_id": slate.user_id,
        "query": slate.query,
        "anchor_item_ids": slate.anchor_item_ids,
        "versions": slate.versions,
        "items": [
            {
                "item_id": slot.item_id,
                "utility": slot.utility,
                "propensity": slot.propensity,
                "sources": slot.scores,
                "outcomes": slot.outcomes,
                "placed_by": slot.placed_by,
            }
            for slot in slate.slots
        ],
    }


def item_of(item: Item, *, with_cost: bool = True) -> dict[str, Any]:
    """``wire.ListedItem``; what the shop pays is left out of lists that a page may show."""
    told = {
        "item_id": item.item_id,
        "texts": [
            {"language": text.language, "title": text.title, "description": text.description} for text in item.texts
        ],
        "kind": item.kind,
        "brand": item.brand,
        "category": item.category,
        "attributes": item.attributes,
        "price_minor": item.price_minor,
        "currency": item.currency,
        "stock": item.stock,
        "seller": item.seller,
        "image": item.image,
        "created_ms": item.created_ms,
        "starts_ms": item.starts_ms,
        "ends_ms": item.ends_ms,
        "is_available": item.is_available,
    }
    return {**told, "cost_minor": item.cost_minor} if with_cost else told


def user_of(user: User) -> dict[str, Any]:
    """``wire.ListedUser``."""
    return {
        "user_id": user.user_id,
        "gender": user.gender,
        "age_band": user.age_band,
        "region": user.region,
        "language": user.language,
        "platforms": user.platforms,
        "attributes": user.attributes,
        "created_ms": user.created_ms,
    }


def event_of(event: Event) -> dict[str, Any]:
    """``wire.ListedEvent``."""
    return {name: getattr(event, name) for name in wire.ListedEvent.model_fields}


def document_of(document: Document) -> dict[str, Any]:
    """``wire.ListedDocument``."""
    return {name: getattr(document, name) for name in wire.ListedDocument.model_fields}


def page_of(listed: Listed[T], told: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """``wire.Page`` of rows as ``told`` writes them."""
    return {"rows": [told(row) for row in listed.rows], "cursor": listed.cursor}


def written_of(appended: Appended, refusals: Sequence[Refusal] = (), n_left_out: int = 0) -> dict[str, Any]:
    """``wire.Written``."""
    return {
        "n_new": appended.n_new,
        "n_changed": appended.n_changed,
        "n_duplicate": appended.n_duplicate,
        "n_waiting": appended.n_waiting,
        "n_left_out": n_left_out,
        "refusals": [refusal_of(refusal) for refusal in refusals],
    }
