"""Writes: events, items, users and documents, one or many; good rows go in, bad ones come back as refusals.

Every write may be sent again: an event is stored once under its ``event_id``, its content, or the key of its request;
other records replace themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pydantic_core
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from aisle import wire
from aisle.contracts import Appended
from aisle.domain import DocumentTable, Event, EventTable, ItemTable, Refusal, UserTable
from aisle.ingest import accept_records, adapter
from aisle.ingest.cleaning import AnyTable, CleaningConfig
from aisle.serving import acceptance
from aisle.serving.answers import json_response, written_of
from aisle.serving.context import serving_of
from aisle.serving.describing import operation
from aisle.serving.foreign import EVENT_FORMS, ITEM_FORMS, USER_FORMS, form_of, records_in, signs_of, timed
from aisle.serving.idempotency import IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_SCHEMA, came_at
from aisle.serving.problems import INVALID, KEY_REUSED, REFUSED, UNREADABLE, Problem
from aisle.serving.reading import SMALL_BYTES, json_bytes, read_query
from aisle.shop import Shop
from aisle.wire.values import MOST_ROWS

router = APIRouter(prefix="/v1", tags=["Filling"])

FEW_ROWS = 20
"""So many events are handed on as they are; a table of their own would cost more than reading them."""
MOST_LISTED = 100_000
"""Items in the lists of a body's foreign events: each becomes an event, however short it is written."""
NOTHING = Appended(0, 0)


@dataclass(frozen=True)
class Read:
    """What a body held."""

    table: AnyTable | Sequence[Event]
    """A table, or a few events as they are."""
    refusals: Sequence[Refusal]
    n_left_out: int = 0
    n_duplicate: int = 0
    """Events that say again what another of the same body says."""


def _one_or_many(name: str) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{name}"}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_ROWS}]}


@router.post(
    "/events",
    **operation(
        "Record events",
        wire.Written,
        role="write",
        body_schema=_one_or_many("Event"),
        query=wire.EventForm,
        headers={IDEMPOTENCY_KEY: IDEMPOTENCY_KEY_SCHEMA},
        problems=[REFUSED, KEY_REUSED],
    ),
)
async def add_events(request: Request) -> Response:
    """One event or an array of them; when this answers they are stored durably, and the next list reflects them.

    Send `slate_id` and `slot` of the answer that an event follows from. Sending an event again is harmless: with an
    `event_id` it is stored once, and without one the same content at the same `time_ms` is stored once. Events with
    neither happen when they come in: send them with an `Idempotency-Key` header, and the same body under the same key
    is stored once, whenever and to whichever worker it is sent again; the repeat counts them as `n_duplicate`. Another
    body under the same key is refused.

    Bodies of other systems are taken as they are: rows of Google Analytics 4's export and bodies of its Measurement
    Protocol, user events of Google Retail (one, or the body of `userEvents:import` with them inline), and feedback of
    Gorse.
    """
    serving = serving_of(request)
    query = read_query(request, wire.EventForm)
    body = await json_bytes(request)
    now_ms = await came_at(request, body, query.format)
    read = None
    if len(body) <= SMALL_BYTES:
        records, form = _recognised(body, query.format, EVENT_FORMS, now_ms)
        if form == "aisle":  # a mapping takes some ten milliseconds however little there is to read
            read = _own_events(records, serving.shop, now_ms)
    if read is None:
        read = await serving.answering.run_aside(_read_events, body, query.format, serving.shop, now_ms)
    appended = NOTHING
    if len(read.table):
        assert isinstance(read.table, EventTable | Sequence)
        appended = await serving.intake.add(read.table)
    appended = replace(appended, n_duplicate=appended.n_duplicate + read.n_duplicate)
    serving.metrics.took_in("new", appended.n_new)
    serving.metrics.took_in("duplicate", appended.n_duplicate)
    serving.metrics.took_in("refused", len({refusal.row for refusal in read.refusals}))
    return _written(read, appended)


@router.post(
    "/items",
    **operation(
        "Add or replace items",
        wire.Written,
        role="write",
        body_schema=_one_or_many("Item"),
        query=wire.ItemForm,
        problems=[REFUSED],
    ),
)
async def add_items(request: Request) -> Response:
    """One item or an array of them; when this answers they can be found and recommended.

    An item replaces the one of the same id; an unchanged one changes nothing. Products of Google Retail, items of
    Gorse, and the items that events of Google Analytics 4 name are taken as they are.
    """
    form = read_query(request, wire.ItemForm).format
    return await _write(request, form, _read_items, lambda shop, table: shop.add_items(table))


@router.post(
    "/users",
    **operation(
        "Add or replace users",
        wire.Written,
        role="write",
        body_schema=_one_or_many("User"),
        query=wire.UserForm,
        problems=[REFUSED],
    ),
)
async def add_users(request: Request) -> Response:
    """One profile or an array of them; a profile replaces the one of the same id. Gorse's are taken as they are."""
    form = read_query(request, wire.UserForm).format
    return await _write(request, form, _read_users, lambda shop, table: shop.add_users(table))


@router.post(
    "/documents",
    **operation(
        "Add or replace documents",
        wire.Written,
        role="write",
        body_schema=_one_or_many("Document"),
        problems=[REFUSED],
    ),
)
async def add_documents(request: Request) -> Response:
    """One text of the shop or an array of them; a document replaces the one of the same id."""
    return await _write(request, "aisle", _read_documents, lambda shop, table: shop.add_documents(table))


async def _write(request: Request, form: str, read: Any, append: Any) -> Response:
    serving = serving_of(request)
    body = await json_bytes(request)

    def work() -> tuple[Read, Appended]:
        found: Read = read(body, form, serving.shop, serving.shop.clock())
        return found, append(serving.shop, found.table) if len(found.table) else NOTHING

    return _written(*await serving.answering.run_aside(work))


def _written(read: Read, appended: Appended) -> Response:
    if read.refusals and not len(read.table):
        first = read.refusals[0]
        n_rows = len({refusal.row for refusal in read.refusals})
        where = f"{first.field}: " if first.field else ""
        detail = f"{where}{first.value!r} in row {first.row}; allowed is {first.allowed}"
        more = f" ({n_rows} rows were refused)" if n_rows > 1 else ""
        raise Problem(REFUSED, detail + more, field=first.field, row=first.row, refusals=read.refusals[:1_000])
    return json_response(written_of(appended, read.refusals[:1_000], read.n_left_out))


def _read_events(body: bytes, form: str, shop: Shop, now_ms: int) -> Read:
    records, found = _recognised(body, form, EVENT_FORMS, now_ms)
    if found == "aisle":
        return _own_events(records, shop, now_ms)
    return _foreign(timed(records, found, now_ms), EVENT_FORMS, found, shop, now_ms)


def _own_events(records: Sequence[Any], shop: Shop, now_ms: int) -> Read:
    accepted = acceptance.accept(records, wire.Event, acceptance.events(now_ms, _cleaning(shop)))
    distinct = list(dict.fromkeys(accepted.rows))
    table = distinct if len(distinct) <= FEW_ROWS else EventTable.from_rows(distinct)
    return Read(table, accepted.refusals, n_duplicate=len(accepted.rows) - len(distinct))


def _read_items(body: bytes, form: str, shop: Shop, now_ms: int) -> Read:
    def own(records: list[Any]) -> Read:
        accepted = acceptance.accept(records, wire.Item, acceptance.items(_cleaning(shop)))
        return Read(ItemTable.from_rows({item.item_id: item for item in accepted.rows}.values()), accepted.refusals)

    return _own_or_foreign(body, form, ITEM_FORMS, shop, now_ms, own)


def _read_users(body: bytes, form: str, shop: Shop, now_ms: int) -> Read:
    def own(records: list[Any]) -> Read:
        accepted = acceptance.accept(records, wire.User, acceptance.user)
        return Read(UserTable.from_rows({user.user_id: user for user in accepted.rows}.values()), accepted.refusals)

    return _own_or_foreign(body, form, USER_FORMS, shop, now_ms, own)


def _read_documents(body: bytes, form: str, shop: Shop, now_ms: int) -> Read:
    accepted = acceptance.accept(_records(body, now_ms), wire.Document, acceptance.document)
    documents = {document.document_id: document for document in accepted.rows}
    return Read(DocumentTable.from_rows(documents.values()), accepted.refusals)


def _own_or_foreign(
    body: bytes,
    form: str,
    forms: Mapping[str, str | None],
    shop: Shop,
    now_ms: int,
    own: Callable[[list[Any]], Read],
) -> Read:
    """Records in our form read by ``own``, those of other systems by their mapping in ``forms``."""
    records, found = _recognised(body, form, forms, now_ms)
    return own(records) if found == "aisle" else _foreign(records, forms, found, shop, now_ms)


def _recognised(body: bytes, form: str, forms: Mapping[str, str | None], now_ms: int) -> tuple[list[Any], str]:
    """The records of a body, and the form they are in."""
    records = _records(body, now_ms)
    return records, form_of(records, forms) if form == "auto" else form


def _records(body: bytes, now_ms: int) -> list[Any]:
    """The records of a body. Raises ``Problem`` for what is not JSON, for none, and for too many."""
    try:
        document = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(UNREADABLE, f"Invalid JSON: {error}") from error
    records = records_in(document, now_ms)
    if not 1 <= len(records) <= MOST_ROWS:
        raise Problem(INVALID, f"{len(records)} records; allowed are 1 to {MOST_ROWS} in one request")
    return records


def _foreign(records: Sequence[Any], forms: Mapping[str, str | None], form: str, shop: Shop, now_ms: int) -> Read:
    mapping = forms[form]
    assert mapping is not None
    if form_of(records, {form: mapping}) != form:  # it was named, and a mapping leaves out what it does not know
        what = f"format is {form!r}, but no record has a key of that form: {', '.join(signs_of(form))}"
        raise Problem(INVALID, what, field="format")
    rows = [record if isinstance(record, Mapping) else {} for record in records]
    listed = adapter(mapping).explode
    n_listed = sum(len(given) for row in rows if listed and isinstance(given := row.get(listed), list))
    if n_listed > MOST_LISTED:
        what = f"{n_listed} items in the `{listed}` of the records; allowed are {MOST_LISTED} in one request"
        raise Problem(INVALID, what, field=listed)
    accepted = accept_records(rows, mapping, clock=lambda: now_ms, config=_cleaning(shop))
    return Read(accepted.table, accepted.refusals, accepted.n_left_out, accepted.n_duplicate)


def _cleaning(shop: Shop) -> CleaningConfig:
    return CleaningConfig(currency=shop.settings.shop.currency)
