"""Raw values to a checked table: every value read by its meaning, every row that cannot be read refused with a reason.

Enters: the drawn columns of a batch (``drawing.draw``). Leaves: ``Cleaned``, a table of the domain and refusals. Knows
nothing of files or of the record store. Cleaning a clean table changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import Field as Setting

from aisle.domain import UNKNOWN_LANGUAGE, DocumentTable, EventTable, ItemTable, UserTable
from aisle.domain.tables import ATTRIBUTES, EVENT_TYPE, ITEM_KIND, TEXTS
from aisle.ingest.drawing import ATTRIBUTE, SPREAD
from aisle.ingest.limits import MIB
from aisle.ingest.mapping import Field, TableMapping
from aisle.ingest.parsing import (
    currencies_in,
    minor_units,
    money,
    numbers,
    texts,
    times,
    truths,
    whole_numbers,
)
from aisle.ingest.refused import ROW, no_refusals, refuse_where
from aisle.ingest.targets import REQUIRED, TABLES, Reading
from aisle.ingest.texts import clean_blocks, clean_ids, clean_lines, is_formula, languages
from aisle.settings import Config

AnyTable = ItemTable | UserTable | EventTable | DocumentTable
TABLE_CLASSES: dict[str, type[AnyTable]] = {
    "items": ItemTable,
    "users": UserTable,
    "events": EventTable,
    "documents": DocumentTable,
}
KEYS = {"items": "item_id", "users": "user_id", "documents": "document_id"}


class CleaningConfig(Config):
    """What is believable in a shop."""

    currency: str = Setting(default="USD", pattern=r"^[A-Z]{3}$")
    """Of prices that name none."""
    earliest_ms: int = 788_918_400_000
    """First believable time (1995, before which no shop was online); an earlier one refuses its row."""
    latest_ahead_ms: int = 86_400_000
    """How far ahead of the clock an event may be (clocks of phones are wrong by minutes, not days)."""
    largest_quantity: int = 100_000
    """A larger quantity of one item in one event is a mistake."""
    largest_price_minor: int = 10_000_000_000
    """A higher price is a mistake: 100 million in a currency with two digits."""
    longest_id: int = 512
    """Characters of an id."""
    longest_text_bytes: int = MIB
    """Bytes of any text."""
    latin_language: str = "en"
    """Language of text in Latin letters that says nothing of its language."""


@dataclass(frozen=True)
class Cleaned:
    """A batch after cleaning. ``n_duplicate`` rows said again what another row of the batch says."""

    table: AnyTable
    refused: pl.DataFrame
    n_duplicate: int = 0


@dataclass
class _Columns:
    """Columns read so far and the rows that must go."""

    frame: pl.DataFrame
    read: dict[str, pl.Series]
    wrong: pl.Series
    refused: list[pl.DataFrame]

    def refuse(self, wrong: pl.Series, field: str, value: pl.Series, allowed: str) -> None:
        if wrong.any():
            wrong = wrong.fill_null(False)
            self.refused.append(refuse_where(self.frame, wrong, field, value, allowed))
            self.wrong = self.wrong | wrong


def clean(drawn: pl.DataFrame, mapping: TableMapping, config: CleaningConfig, now_ms: int) -> Cleaned:
    """The drawn columns of one batch as a table.

    Args:
        drawn: raw values by our column, with ``$row``.
        mapping: how times and money are written.
        config: what is believable.
        now_ms: the clock, for times ahead of it.
    """
    n = drawn.height
    columns = _Columns(drawn, {}, pl.Series([False]).new_from_index(0, n), [])
    fields = mapping.fields()
    required = {name for names in REQUIRED[mapping.table] for name in names}
    for name in drawn.columns:
        # A column without a value is as one that the mapping does not make; to read it costs as much as any other.
        if name == ROW or (drawn[name].null_count() == n and name.partition(".")[0] not in required):
            continue
        if name == SPREAD or name.startswith(ATTRIBUTE):
            columns.read[name] = _attribute_values(drawn[name])
            _check_texts(columns, name.removeprefix(ATTRIBUTE), columns.read[name], config)
            continue
        column = name.partition(".")[0]
        _read(columns, name, TABLES[mapping.table][column], fields.get(name), config, now_ms)
    _BUILD[mapping.table](columns, mapping, config)
    return _finish(columns, mapping.table)


def _finish(columns: _Columns, table: str) -> Cleaned:
    kind = TABLE_CLASSES[table]
    built = {name: series for name, series in columns.read.items() if name in kind.columns}
    frame = pl.DataFrame([series.alias(name) for name, series in built.items()])
    if columns.refused:
        frame = frame.filter(~columns.wrong)
    defaults = [
        pl.col(name).fill_null(column.default)
        for name, column in kind.columns.items()
        if name in frame.columns and column.is_required and column.default not in (None, [])
    ]
    frame = frame.with_columns(defaults)
    n_before = frame.height
    if table == "events":
        frame = frame.unique(maintain_order=True, keep="first")
    else:
        frame = frame.unique(KEYS[table], maintain_order=True, keep="last")
    refused = pl.concat(columns.refused).sort("row", maintain_order=True) if columns.refused else no_refusals()
    return Cleaned(kind.from_frame(frame), refused, n_before - frame.height)


def _read(
    columns: _Columns, name: str, reading: Reading, field: Field | None, config: CleaningConfig, now_ms: int
) -> None:
    """Read one column by its meaning and refuse what cannot be read."""
    raw = columns.frame[name]
    value, allowed = _value(raw, reading, field or _PLAIN)
    if not (reading in ("line", "url", "block") and raw.dtype == pl.String):  # markup without words says nothing
        columns.refuse(raw.is_not_null() & value.is_null() & ~_is_blank(raw), name, raw, allowed)
    _check_texts(columns, name, value, config)
    if reading == "id":
        columns.refuse(
            (value.str.len_chars() > config.longest_id) | value.str.contains(r"\p{Cc}"),
            name,
            value,
            f"an id of at most {config.longest_id} characters without control characters",
        )
    if reading in ("time", "milliseconds"):
        latest = now_ms + config.latest_ahead_ms if name.startswith("time") else 4_102_444_800_000
        columns.refuse(
            (value < config.earliest_ms) | (value > latest),
            name,
            raw,
            f"a time between {_date(config.earliest_ms)} and {_date(latest)}",
        )
    bounds = _BOUNDS.get(reading)
    if bounds is not None:
        low, high = bounds(config)
        columns.refuse((value < low) | (value > high), name, raw, f"a number from {low} to {high}")
    columns.read[name] = value


_PLAIN = Field.model_validate("plain")
_BOUNDS: dict[str, Any] = {
    "minor": lambda config: (0, config.largest_price_minor),
    "money": lambda config: (0, config.largest_price_minor),
    "count": lambda config: (0, 2**53),
    "quantity": lambda config: (1, config.largest_quantity),
    "slot": lambda config: (0, 100_000),
    "rating": lambda config: (-1000, 1000),
}


def _value(raw: pl.Series, reading: Reading, field: Field) -> tuple[pl.Series, str]:
    """The column read, and what is allowed in it."""
    match reading:
        case "id":
            return clean_ids(texts(raw)), "text"
        case "line" | "url":
            return clean_lines(texts(raw)), "text"
        case "block":
            return clean_blocks(texts(raw)), "text"
        case "tag":
            tag = texts(raw).str.strip_chars().str.replace("_", "-", literal=True).str.extract(r"^([A-Za-z]{2,3})\b")
            return tag.str.to_lowercase(), "a language tag such as en or zh"
        case "currency":
            code = texts(raw).str.strip_chars().str.to_uppercase()
            return pl.select(
                pl.when(code.str.contains(r"^[A-Z]{3}$")).then(code)
            ).to_series(), "three letters, e.g. USD"
        case "kind":
            kind = texts(raw).str.strip_chars().str.to_lowercase()
            return kind.cast(ITEM_KIND, strict=False), "one of " + ", ".join(ITEM_KIND.categories)
        case "type":
            kind = texts(raw).str.strip_chars()
            return kind.cast(EVENT_TYPE, strict=False), "one of " + ", ".join(EVENT_TYPE.categories)
        case "list":
            return _lists(raw), "a list of texts"
        case "money":
            return money(raw, field.decimal), f"an amount such as 1234{field.decimal}50"
        case "minor" | "count" | "quantity" | "slot":
            return whole_numbers(raw), "a whole number"
        case "rating":
            return numbers(raw), "a number"
        case "milliseconds":
            return whole_numbers(raw), "UTC milliseconds since 1970"
        case "time":
            if field.start is not None:
                return raw, "a time"
            spelled = {"auto": "ISO 8601, or as a number since 1970", "iso": "ISO 8601"}
            written = spelled.get(field.time, field.time)
            return times(raw, field.time, field.timezone), f"a time written as {written} ({field.timezone})"
        case "truth":
            return truths(raw), "true or false"


def _is_blank(raw: pl.Series) -> pl.Series:
    """Text that is only blanks or invisible characters, a float that is not a number, or an empty list: no value."""
    if raw.dtype == pl.String:
        return raw.str.contains(r"[^\s\p{Cc}\p{Cf}\p{Co}]").not_().fill_null(True)
    if raw.dtype.is_float():
        return raw.is_nan().fill_null(True)
    return pl.Series([False]).new_from_index(0, len(raw))


def _check_texts(columns: _Columns, name: str, value: pl.Series, config: CleaningConfig) -> None:
    """Refuse texts, also inside lists, that are too long or that a spreadsheet would run."""
    limit = config.longest_text_bytes
    if value.dtype == pl.String:
        columns.refuse(value.str.len_bytes() > limit, name, value, f"at most {limit} bytes")
        columns.refuse(is_formula(value), name, value, _NO_FORMULA)
        return
    if value.dtype == ATTRIBUTES:
        value = value.list.eval(pl.element().struct.field("value"))
    if value.dtype == pl.List(pl.String):
        longest = value.list.eval(pl.element().str.len_bytes()).list.max()
        columns.refuse((longest > limit).fill_null(False), name, value.list.first(), f"at most {limit} bytes a value")
        formulas = value.list.eval(pl.element().filter(is_formula(pl.element())))
        columns.refuse(formulas.list.len() > 0, name, formulas.list.first(), _NO_FORMULA)


_NO_FORMULA = "text that a spreadsheet does not run as a formula"


def _lists(raw: pl.Series) -> pl.Series:
    """A list of clean one-line texts; one text is a list of one; None is an empty list."""
    if not isinstance(raw.dtype, pl.List):
        raw = pl.select(pl.when(raw.is_not_null()).then(pl.concat_list(pl.lit(texts(raw))))).to_series()
    flat = pl.DataFrame({"at": pl.int_range(0, len(raw), eager=True), "value": raw}).explode("value")
    flat = flat.with_columns(clean_lines(texts(flat["value"])).alias("value")).drop_nulls("value")
    grouped = flat.group_by("at", maintain_order=True).agg("value")
    whole = pl.DataFrame({"at": pl.int_range(0, len(raw), eager=True)}).join(
        grouped, on="at", how="left", maintain_order="left"
    )
    return whole["value"].cast(pl.List(pl.String)).fill_null([])


def _attribute_values(raw: pl.Series) -> pl.Series:
    """Values of one attribute as lists of clean text, or the pairs of an object as they are."""
    if raw.dtype == ATTRIBUTES:
        return _pairs(raw)
    return _lists(raw)


def _pairs(raw: pl.Series) -> pl.Series:
    """Names and values of spread attributes, cleaned; pairs that lack either are dropped."""
    at = pl.int_range(0, len(raw), eager=True).alias("at")
    flat = pl.DataFrame({"at": at, "pair": raw}).explode("pair").unnest("pair").drop_nulls()
    flat = flat.with_columns(clean_lines(flat["name"]).alias("name"), clean_lines(flat["value"]).alias("value"))
    pairs = flat.drop_nulls().group_by("at", maintain_order=True).agg(pl.struct("name", "value").alias("pairs"))
    whole = at.to_frame().join(pairs, on="at", how="left", maintain_order="left")
    return whole["pairs"].cast(ATTRIBUTES).fill_null([])


def _attributes(columns: _Columns) -> pl.Series | None:
    """All attribute columns as one list of (name, value), in the order of the mapping."""
    parts: list[pl.Expr] = []
    frame = pl.DataFrame([series.alias(name) for name, series in columns.read.items() if name.startswith("attribute")])
    for name in frame.columns:
        if name == SPREAD:
            parts.append(pl.col(name))
        else:
            pair = pl.struct(pl.lit(name.removeprefix(ATTRIBUTE)).alias("name"), pl.element().alias("value"))
            parts.append(pl.col(name).list.eval(pair))
    if not parts:
        return None
    return frame.select(pl.concat_list([part.cast(ATTRIBUTES) for part in parts]).alias("attributes"))["attributes"]


def _require(columns: _Columns, *names: str) -> None:
    for name in names:
        columns.refuse(_is_absent(columns, name), name, _nothing(columns, pl.String), "a value (it is required)")


def _is_absent(columns: _Columns, name: str) -> pl.Series:
    """Where there is no value; a value that could not be read was refused already."""
    value = columns.read.get(name)
    if value is None:
        columns.read[name] = value = _nothing(columns, pl.String)
    raw = columns.frame[name] if name in columns.frame.columns else value
    return value.is_null() & (raw.is_null() | _is_blank(raw))


def _nothing(columns: _Columns, dtype: Any) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, columns.frame.height)


def _settle_money(columns: _Columns, target: str, config: CleaningConfig) -> None:
    """``price`` in major units and ``currency`` to ``price_minor``; a price always has a currency."""
    minor_name = f"{target}_minor"
    if target not in columns.read and minor_name not in columns.read:
        return
    currency = columns.read.get("currency", _nothing(columns, pl.String))
    if target in columns.read:
        raw = columns.frame[target]
        currency = _first_of(currency, currencies_in(raw))
        minor = minor_units(columns.read[target], currency.fill_null(config.currency))
        limit = config.largest_price_minor
        columns.refuse((minor > limit).fill_null(False), target, raw, f"at most {limit} minor units")
        columns.read[minor_name] = minor
    has_price = columns.read[minor_name].is_not_null()
    columns.read["currency"] = currency.zip_with(~has_price, currency.fill_null(config.currency))


def _first_of(*values: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce([pl.lit(value) for value in values])).to_series()


def _settle_times(columns: _Columns, *names: str) -> None:
    for name in names:
        if name in columns.read:
            columns.read[f"{name}_ms"] = columns.read[name]


def _build_items(columns: _Columns, mapping: TableMapping, config: CleaningConfig) -> None:
    _require(columns, "item_id")
    columns.read["texts"] = _item_texts(columns, mapping, config)
    has_none = (columns.read["texts"].list.len() == 0) & ~columns.wrong
    columns.refuse(has_none, "title", _nothing(columns, pl.String), "a title")
    for target in ("price", "cost"):
        _settle_money(columns, target, config)
    _settle_times(columns, "created", "starts", "ends")
    attributes = _attributes(columns)
    if attributes is not None:
        columns.read["attributes"] = attributes


def _item_texts(columns: _Columns, mapping: TableMapping, config: CleaningConfig) -> pl.Series:
    """Titles and descriptions as the list of texts, those without a title left out."""
    parts: list[pl.Expr] = []
    n = columns.frame.height
    for name in [name for name in columns.read if name == "title" or name.startswith("title.")]:
        _, _, language = name.partition(".")
        title = columns.read[name]
        description = columns.read.get(name.replace("title", "description", 1))
        if description is None:
            description = pl.Series([""]).new_from_index(0, n)
        tag = pl.Series([language]).new_from_index(0, n) if language else _language(columns, mapping, config, title)
        parts.append(
            pl.struct(
                pl.lit(tag).alias("language"),
                pl.lit(title).alias("title"),
                pl.lit(description.fill_null("")).alias("description"),
            )
        )
    if not parts:
        return pl.Series([[]], dtype=TEXTS).new_from_index(0, n)
    titled = pl.element().filter(pl.element().struct.field("title").is_not_null())
    return pl.select(pl.concat_list(parts)).to_series().list.eval(titled).cast(TEXTS)


def _language(columns: _Columns, mapping: TableMapping, config: CleaningConfig, text: pl.Series) -> pl.Series:
    told = languages(text.fill_null(""), mapping.language, config.latin_language)
    given = columns.read.get("language")
    if given is None:
        return told.fill_null(UNKNOWN_LANGUAGE)
    return _first_of(given, told).fill_null(UNKNOWN_LANGUAGE)


def _build_users(columns: _Columns, mapping: TableMapping, config: CleaningConfig) -> None:
    _require(columns, "user_id")
    _settle_times(columns, "created")
    attributes = _attributes(columns)
    if attributes is not None:
        columns.read["attributes"] = attributes


def _build_events(columns: _Columns, mapping: TableMapping, config: CleaningConfig) -> None:
    _require(columns, "user_id", "type", "time" if "time" in columns.read else "time_ms")
    _settle_times(columns, "time")
    is_search = (columns.read["type"].cast(pl.String) == "search").fill_null(False)
    columns.refuse(
        _is_absent(columns, "item_id") & ~is_search,
        "item_id",
        _nothing(columns, pl.String),
        "an item id (only a search has none)",
    )
    _settle_money(columns, "price", config)


def _build_documents(columns: _Columns, mapping: TableMapping, config: CleaningConfig) -> None:
    _require(columns, "document_id", "text")
    title = columns.read.get("title")
    head = columns.read["text"].str.split("\n").list.first().str.slice(0, 120)
    columns.read["title"] = head if title is None else _first_of(title, head)
    columns.read["language"] = _language(columns, mapping, config, columns.read["text"])
    _settle_times(columns, "updated")


_BUILD = {"items": _build_items, "users": _build_users, "events": _build_events, "documents": _build_documents}


def _date(milliseconds: int) -> str:
    return pl.Series([milliseconds]).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%d")[0]
