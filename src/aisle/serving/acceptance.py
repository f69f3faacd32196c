"""Records that were sent, to records of the shop and refusals: good rows go in, bad rows are named.

The shape of a row is checked by ``aisle.wire``, its texts are cleaned as an import cleans them; foreign forms (GA4,
Google Retail, Gorse) go through the same mappings as files of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import polars as pl
from pydantic import ValidationError

from aisle import wire
from aisle.domain import (
    UNKNOWN_LANGUAGE,
    Document,
    Event,
    EventType,
    Item,
    ItemKind,
    ItemText,
    Refusal,
    User,
)
from aisle.errors import DataError
from aisle.ingest.cleaning import CleaningConfig
from aisle.ingest.refused import shown
from aisle.ingest.texts import clean_blocks, clean_lines, is_formula, languages
from aisle.serving.reading import MOST_DETAILS, dotted
from aisle.wire.values import Asked

Body = TypeVar("Body", bound=Asked)
Row = TypeVar("Row")

SOURCE = "request"
MOST_FIELDS = 100
"""No record has more; one that has is refused without looking at each."""
MOST_TOLD = 1_000
"""Refusals told with what is wrong; those after them only say which row."""


@dataclass(frozen=True)
class Accepted(Generic[Row]):
    """Rows to store, in order, and what was refused; rows of refusals count from 1."""

    rows: list[Row]
    refusals: list[Refusal]


class Unacceptable(Exception):
    """A value that refuses its row."""

    def __init__(self, field: str, value: str, allowed: str) -> None:
        super().__init__(field)
        self.field = field
        self.value = value
        self.allowed = allowed


@dataclass
class Wording:
    """Cleans the texts of many rows at once: they are noted on a first reading and replaced on a second."""

    doubtful: dict[bool, set[str]] = field(default_factory=lambda: {False: set(), True: set()})
    cleaned: dict[bool, dict[str, str | None]] = field(default_factory=lambda: {False: {}, True: {}})
    formulas: set[str] = field(default_factory=set)

    def line(self, field: str, text: str | None) -> str | None:
        """A text of one line; raises ``Unacceptable`` for one that a spreadsheet would run."""
        return self._word(field, text, False)

    def block(self, field: str, text: str | None) -> str | None:
        """A text of several lines; raises ``Unacceptable`` as ``line`` does."""
        return self._word(field, text, True)

    def lines(self, field: str, texts: Sequence[str]) -> tuple[str, ...]:
        """Texts of one line each; those that are empty when clean are left out."""
        return tuple(clean for text in texts if (clean := self.line(field, text)))

    def clean(self) -> bool:
        """Clean what was noted; False when there was nothing, and the rows stand as they are."""
        for is_block, clean in ((False, clean_lines), (True, clean_blocks)):
            noted = sorted(self.doubtful[is_block])
            if noted:
                result = clean(pl.Series(noted, dtype=pl.String))
                self.cleaned[is_block] = dict(zip(noted, result.to_list(), strict=True))
                self.formulas |= set(result.filter(is_formula(result).fill_null(False)).to_list())
        return any(self.doubtful.values())

    def _word(self, field: str, text: str | None, is_block: bool) -> str | None:
        if text is None or _is_plain(text):
            return text
        if text not in self.cleaned[is_block]:
            self.doubtful[is_block].add(text)
            return text
        clean = self.cleaned[is_block][text]
        if clean in self.formulas:
            raise Unacceptable(field, text, "text that a spreadsheet does not run as a formula")
        return clean


def _is_plain(text: str) -> bool:
    """Whether cleaning surely leaves ``text`` as it is."""
    return (
        text.isascii()
        and text.isprintable()
        and text != ""
        and text[0] not in " =+-@"
        and text[-1] != " "
        and "  " not in text
        and "<" not in text
        and "&" not in text
    )


def accept(given: Sequence[Any], kind: type[Body], build: Callable[[Body, Wording], Row]) -> Accepted[Row]:
    """Rows of ``kind`` built by ``build``, which may raise ``Unacceptable`` or ``DataError`` to refuse one."""
    refusals: list[Refusal] = []
    bodies: list[tuple[int, Body]] = []
    for number, row in enumerate(given, start=1):
        if isinstance(row, Mapping) and len(row) > MOST_FIELDS:
            refusals.append(Refusal(SOURCE, number, "", f"{len(row)} fields", f"at most {MOST_FIELDS} fields"))
            continue
        try:
            bodies.append((number, kind.model_validate(row)))
        except ValidationError as error:
            refusals += _refused(number, error, is_told=len(refusals) < MOST_TOLD)
    wording = Wording()
    built, refused = _build(bodies, build, wording)
    if wording.clean():
        built, refused = _build(bodies, build, wording)
    return Accepted(built, sorted([*refusals, *refused], key=lambda refusal: refusal.row))


def _build(
    bodies: Sequence[tuple[int, Body]], build: Callable[[Body, Wording], Row], wording: Wording
) -> tuple[list[Row], list[Refusal]]:
    built: list[Row] = []
    refused: list[Refusal] = []
    for number, body in bodies:
        try:
            built.append(build(body, wording))
        except Unacceptable as wrong:
            refused.append(Refusal(SOURCE, number, wrong.field, shown(wrong.value), wrong.allowed))
        except DataError as error:
            refused.append(Refusal(SOURCE, number, error.field or "", "", str(error)))
    return built, refused


def _refused(number: int, error: ValidationError, *, is_told: bool) -> list[Refusal]:
    n_wrong = error.error_count()
    if not is_told or n_wrong > MOST_DETAILS:  # writing them out would take longer than all the rest
        return [Refusal(SOURCE, number, "", f"{n_wrong} mistakes", "a record as /openapi.json describes it")]
    return [
        Refusal(
            SOURCE,
            number,
            dotted(wrong["loc"]),
            "" if wrong["type"] == "missing" else shown(_as_text(wrong["input"])),
            wrong["msg"],
        )
        for wrong in error.errors(include_url=False, include_context=False)[:20]
    ]


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    # Python does not write out whole numbers of thousands of digits.
    return "a very large number" if isinstance(value, int) and abs(value) > 10**100 else repr(value)[:200]


def events(now_ms: int, config: CleaningConfig) -> Callable[[wire.Event, Wording], Event]:
    """Builds events; those without a time happen at ``now_ms``, UTC milliseconds."""
    latest_ms = now_ms + config.latest_ahead_ms

    def build(body: wire.Event, wording: Wording) -> Event:
        time_ms = now_ms if body.time_ms is None else body.time_ms
        if time_ms > latest_ms:
            raise Unacceptable("time_ms", str(time_ms), f"a time of at most {latest_ms}, a day ahead of the server")
        return Event(
            user_id=body.user_id,
            type=EventType(body.type),
            time_ms=time_ms,
            item_id=body.item_id,
            event_id=body.event_id,
            quantity=body.quantity,
            price_minor=body.price_minor,
            currency=(body.currency or config.currency) if body.price_minor is not None else body.currency,
            rating=body.rating,
            text=wording.block("text", body.text),
            query=wording.line("query", body.query),
            session_id=body.session_id,
            basket_id=body.basket_id,
            slate_id=body.slate_id,
            slot=body.slot,
            placement=wording.line("placement", body.placement),
            platform=wording.line("platform", body.platform),
            device=wording.line("device", body.device),
            region=wording.line("region", body.region),
        )

    return build


def items(config: CleaningConfig) -> Callable[[wire.Item, Wording], Item]:
    """Builds items; prices without a currency are in the shop's."""

    def build(body: wire.Item, wording: Wording) -> Item:
        has_money = body.price_minor is not None or body.cost_minor is not None
        texts = (
            ItemText(
                text.language.partition("-")[0],
                wording.line("texts.title", text.title) or "",
                wording.block("texts.description", text.description) or "",
            )
            for text in body.texts
        )
        titled = tuple(text for text in texts if text.title)
        if not titled:
            raise Unacceptable("texts", body.texts[0].title, "a title with visible characters")
        return Item(
            item_id=body.item_id,
            texts=titled,
            kind=ItemKind(body.kind),
            brand=wording.line("brand", body.brand),
            category=wording.lines("category", body.category),
            attributes=_attributes(body.attributes, wording),
            price_minor=body.price_minor,
            currency=(body.currency or config.currency) if has_money else body.currency,
            cost_minor=body.cost_minor,
            stock=body.stock,
            seller=wording.line("seller", body.seller),
            image=wording.line("image", body.image),
            created_ms=body.created_ms,
            starts_ms=body.starts_ms,
            ends_ms=body.ends_ms,
            is_available=body.is_available,
        )

    return build


def user(body: wire.User, wording: Wording) -> User:
    """Builds a user."""
    return User(
        user_id=body.user_id,
        gender=wording.line("gender", body.gender),
        age_band=wording.line("age_band", body.age_band),
        region=wording.line("region", body.region),
        language=body.language,
        platforms=wording.lines("platforms", body.platforms),
        attributes=_attributes(body.attributes, wording),
        created_ms=body.created_ms,
    )


def document(body: wire.Document, wording: Wording) -> Document:
    """Builds a document; its title and language are told from its text where they are not given."""
    text = wording.block("text", body.text)
    if not text:
        raise Unacceptable("text", body.text, "text with visible characters")
    told = body.language or languages(pl.Series([text]), None)[0]
    return Document(
        document_id=body.document_id,
        title=wording.line("title", body.title) or text.partition("\n")[0][:120],
        text=text,
        kind=wording.line("kind", body.kind) or "policy",
        language=told or UNKNOWN_LANGUAGE,
        url=wording.line("url", body.url),
        updated_ms=body.updated_ms,
    )


def _attributes(given: dict[str, tuple[str, ...]], wording: Wording) -> dict[str, tuple[str, ...]]:
    named = ((wording.line("attributes", name), wording.lines(f"attributes.{name}", given[name])) for name in given)
    return {name: values for name, values in named if name and values}
