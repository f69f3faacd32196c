"""Bodies written for other systems: which form it is, and where its records lie.

Enters: parsed JSON. Leaves: records and the name of the ready mapping that reads them; None for our own form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

EVENT_FORMS: Mapping[str, str | None] = {
    "aisle": None,
    "ga4": "ga4",
    "google-retail": "google-retail-events",
    "gorse": "gorse-feedback",
}
"""Ready mapping by the name of a form."""
ITEM_FORMS: Mapping[str, str | None] = {
    "aisle": None,
    "ga4": "ga4-items",
    "google-retail": "google-retail-catalogue",
    "gorse": "gorse-items",
}
USER_FORMS: Mapping[str, str | None] = {"aisle": None, "gorse": "gorse-users"}

_SIGNS: Sequence[tuple[str, str]] = (
    ("event_name", "ga4"),
    ("eventType", "google-retail"),
    ("FeedbackType", "gorse"),
    ("priceInfo", "google-retail"),
    ("categories", "google-retail"),
    ("ItemId", "gorse"),
    ("UserId", "gorse"),
)
"""A key that only one form has."""
_ENVELOPES: Sequence[tuple[str, ...]] = (
    ("inputConfig", "userEventInlineSource", "userEvents"),
    ("inputConfig", "productInlineSource", "products"),
    ("userEvents",),
    ("products",),
)
"""Where Google Retail's import requests keep their records."""
_TIMES: Mapping[str, Sequence[str]] = {
    "ga4": ("event_timestamp",),
    "google-retail": ("eventTime",),
    "gorse": ("Timestamp", "time_stamp", "timestamp"),
}
"""Where an event of a form says when it happened."""
_FROM_PARAMS = ("currency", "search_term", "ga_session_id", "session_id", "item_list_id", "item_list_name")
"""Parameters of a Measurement Protocol event that our mapping reads."""
_1970 = datetime(1970, 1, 1, tzinfo=UTC)


def records_in(document: Any, now_ms: int) -> list[Any]:
    """The records of a body: one object alone, an array, or what an import request of another system wraps."""
    if isinstance(document, list):
        return document
    if _is_measurement(document):
        return _measured(document, now_ms)
    for path in _ENVELOPES:
        inner = document
        for step in path:
            inner = inner.get(step) if isinstance(inner, Mapping) else None
        if isinstance(inner, list):
            return inner
    return [document]


def form_of(records: Sequence[Any], forms: Mapping[str, str | None]) -> str:
    """The form of the first record that shows one; ``aisle`` when none does."""
    for record in records[:10]:
        if isinstance(record, Mapping):
            for key, form in _SIGNS:
                if key in record and form in forms:
                    return form
    return "aisle"


def timed(records: Sequence[Any], form: str, now_ms: int) -> list[Any]:
    """Events of other systems; those that do not say when they happened, happened at ``now_ms``, UTC milliseconds."""
    names = _TIMES[form]
    now = (
        1_000 * now_ms if form == "ga4" else (_1970 + timedelta(milliseconds=now_ms)).isoformat(timespec="milliseconds")
    )
    return [
        {**record, names[0]: now}
        if isinstance(record, Mapping) and all(record.get(name) in (None, "") for name in names)
        else record
        for record in records
    ]


def signs_of(form: str) -> list[str]:
    """The keys by which ``form`` is known."""
    return [key for key, known in _SIGNS if known == form]


def _is_measurement(document: Any) -> bool:
    """Whether it is a body of GA4's Measurement Protocol: a client and its events by name."""
    return (
        isinstance(document, Mapping)
        and isinstance(document.get("events"), list)
        and ("client_id" in document or "app_instance_id" in document)
    )


def _measured(document: Mapping[str, Any], now_ms: int) -> list[Any]:
    """The events of a Measurement Protocol body as rows of GA4's export, which our mapping reads."""
    return [_exported(document, event, now_ms) if isinstance(event, Mapping) else event for event in document["events"]]


def _exported(document: Mapping[str, Any], event: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    given = event.get("params")
    params: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    return {
        "event_name": event.get("name"),
        "event_timestamp": event.get("timestamp_micros", document.get("timestamp_micros", 1_000 * now_ms)),
        "user_id": document.get("user_id"),
        "user_pseudo_id": document.get("client_id", document.get("app_instance_id")),
        "items": params.get("items"),
        "ecommerce": {"transaction_id": params.get("transaction_id")},
        "event_params": [
            {"key": name, "value": {"string_value": str(params[name])}}
            for name in _FROM_PARAMS
            if isinstance(params.get(name), str | int)
        ],
    }
