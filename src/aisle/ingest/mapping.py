"""A mapping: which column of a source becomes which column of ours, written as a small TOML file.

Enters: TOML, a name of a ready adapter, or nothing. Leaves: ``TableMapping``. Knows nothing of the rows themselves.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from pydantic import Field as Setting
from pydantic import field_validator, model_validator

from aisle.errors import ConfigError, unknown_name
from aisle.ingest.parsing import is_time_format, step_ms, times
from aisle.ingest.targets import TABLES, is_language_tag, target_of
from aisle.settings import Config

TableName = Literal["items", "users", "events", "documents"]
FormatName = Literal["csv", "jsonl", "json", "parquet", "text"]
MISSING = ("", "null", "NULL", "\\N", "nan", "NaN")


class Condition(Config):
    """A test on one source column; all that is given must hold. A missing value fails every test but
    ``is_missing`` and ``is_not``.
    """

    column: str
    """The source column."""
    equals: str | int | float | bool | None = None
    """The value as text, exactly."""
    is_not: str | int | float | bool | None = None
    """Anything but this."""
    one_of: tuple[str | int | float, ...] | None = None
    """One of these."""
    below: float | None = None
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    """Numeric bounds."""
    matches: str | None = None
    """A regular expression found somewhere in the text."""
    is_missing: bool | None = None
    """True: no value; false: some value."""
    also: tuple[Condition, ...] = ()
    """Conditions that must hold as well, on other columns."""

    @model_validator(mode="after")
    def _tests_something(self) -> Condition:
        tests = set(Condition.model_fields) - {"column", "also"}
        if all(getattr(self, test) is None for test in tests):
            raise ValueError(f"a condition needs one of {', '.join(sorted(tests))}")
        return self

    def columns(self) -> list[str]:
        """Every source column it looks at."""
        return [self.column, *(name for condition in self.also for name in condition.columns())]


class Rule(Condition):
    """When the condition holds, the field is ``value``."""

    value: str


class Field(Config):
    """How one of our columns is made. Exactly one of ``from``, ``join``, ``template``, ``hash``, ``when``, ``value``
    and ``start`` says from what; the rest says how it is read. A bare string in TOML means ``from``.
    """

    source: str | tuple[str, ...] | None = Setting(default=None, alias="from")
    """A source column, or several of which the first with a value counts."""
    join: tuple[str, ...] | None = None
    """Source columns put together with ``separator``; missing ones are left out, lists are joined in the same way."""
    separator: str = " "
    template: str | None = None
    """Text with ``{column}`` in it; no value when any of them is missing."""
    hash: tuple[str, ...] | None = None
    """A short id made from these columns, the same for the same values on every machine."""
    when: tuple[Rule, ...] | None = None
    """The value of the first rule that holds, else ``otherwise``."""
    value: str | int | float | bool | tuple[str, ...] | None = None
    """The same for every row (``[constants]`` is the short way to write it)."""
    start: str | None = None
    """Times only: the first time (ISO 8601); ``step`` is added for each position or row."""
    step: str = "1d"
    """A number and one of ms, s, m, h, d."""
    by: Literal["position", "row"] = "position"
    """``position`` counts within the exploded list, ``row`` within the source."""
    extract: str | None = None
    """A regular expression; its first group is the value, no value where it is not found."""
    map: dict[str, str] | None = None
    """Values to replace; others stay unless ``otherwise`` is given."""
    otherwise: str | None = None
    default: str | int | float | bool | None = None
    """What stands in for a missing value."""
    split: str | None = None
    """The separator of a list written as text (category path, platforms, attributes)."""
    divided_by: str | None = None
    """Numbers only: a column to divide by, for a price that is a line's total."""
    absolute: bool = False
    """Numbers only: drop the sign."""
    bands: tuple[int, ...] | None = None
    """Numbers to bands: ``[18, 25]`` gives ``under-18``, ``18-24``, ``25+``."""
    time: str = "auto"
    """``s``, ``ms``, ``us``, ``ns``, ``year``, ``iso``, or a strptime format. ``auto``: times as they are, numbers in
    the unit since 1970 that their size tells, other text as ISO 8601."""
    timezone: str = "UTC"
    """Of times that carry none."""
    decimal: Literal[".", ","] = "."
    """Money only: the decimal mark; the other one separates thousands."""

    @model_validator(mode="before")
    @classmethod
    def _bare_text_names_a_column(cls, given: Any) -> Any:
        return {"from": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _has_one_origin(self) -> Field:
        origins = [name for name in _ORIGINS if getattr(self, name) is not None]
        if len(origins) != 1:
            named = ", ".join(map(_as_written, _ORIGINS))
            raise ValueError(f"give exactly one of {named}; got {', '.join(map(_as_written, origins)) or 'none'}")
        return self

    def sources(self) -> list[str]:
        """Every source column it reads."""
        named = [self.source] if isinstance(self.source, str) else list(self.source or ())
        named += [
            *(self.join or ()),
            *(self.hash or ()),
            *(name for rule in self.when or () for name in rule.columns()),
        ]
        named += [self.divided_by] if self.divided_by else []
        return named + [name for _, name in template_parts(self.template or "") if name is not None]


def _as_written(name: str) -> str:
    return "from" if name == "source" else name


_ORIGINS = ("source", "join", "template", "hash", "when", "value", "start")


class CsvConfig(Config):
    """How a CSV file is written."""

    delimiter: str = Setting(default=",", min_length=1, max_length=1)
    """One character; tab is ``"\\t"``. Not stated: tab for .tsv, otherwise what the header shows of , ; tab and |."""
    quote: str = Setting(default='"', max_length=1)
    """The quote; empty for none."""
    encoding: str = "utf-8"
    """``utf-8`` (with or without a byte order mark), ``gb18030`` (also for GBK, GB2312), ``latin-1``, ``cp1252``,
    ``big5``, ``shift_jis``, ``utf-16`` or another that Python knows."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of a file without a header row."""

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            "".encode(name)
        except LookupError:
            raise ValueError(
                "not an encoding; use utf-8, gb18030, latin-1, cp1252, big5, shift_jis or utf-16"
            ) from None
        return name


class TableMapping(Config):
    """One table out of one kind of source."""

    table: TableName
    """What the rows become."""
    about: str = ""
    """One line for people."""
    format: FormatName | None = None
    """Of the source; None goes by the file name. ``text`` is one document a file: columns ``name`` and ``text``."""
    csv: CsvConfig = CsvConfig()
    records: str | None = None
    """JSON only: where the records lie in the document, ``*`` standing for every value of an object or list, e.g.
    ``*.variants.*``. The keys met are ``$key1``, ``$key2``, the objects ``$1``, ``$2``, the record ``$value``."""
    explode: str | None = None
    """A list column: each element becomes a row. ``$position`` (from 0) and ``$length`` are columns then."""
    explode_separator: str | None = None
    """Of a list written as text (a comma when absent)."""
    missing: tuple[str, ...] = MISSING
    """Texts that mean no value."""
    language: str | None = None
    """Of texts without a language of their own; None tells it from the script."""
    keep: tuple[Condition, ...] = ()
    """Rows for which any of these fails are left out (counted, not refused)."""
    columns: dict[str, Field] = Setting(default_factory=dict)
    """Our column to how it is made. ``title.zh`` is the title in that language."""
    constants: dict[str, str | int | float | bool | tuple[str, ...]] = Setting(default_factory=dict)
    """Our columns that are the same for every row."""
    attributes: dict[str, Field] = Setting(default_factory=dict)
    """Attribute name to how it is made; a list gives several values."""
    are_columns_optional: bool = False
    """True reads an absent column of CSV or Parquet as having no values, for formats with several spellings."""
    attributes_from: str | None = None
    """JSON only: an object whose keys are attribute names."""

    @field_validator("columns", mode="before")
    @classmethod
    def _languages_become_flat(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        flat: dict[str, Any] = {}
        for target, field in given.items():
            if isinstance(field, dict) and not field.keys() & _FIELD_KEYS and all(map(is_language_tag, field)):
                flat.update({f"{target}.{tag}": inner for tag, inner in field.items()})
            else:
                flat[target] = field
        return flat

    @model_validator(mode="after")
    def _names_known_targets(self) -> TableMapping:
        known = TABLES[self.table]
        for target in (*self.columns, *self.constants):
            if target_of(self.table, target) is None:
                raise ValueError(unknown_name(f"{self.table} column", target, known))
        twice = sorted(self.columns.keys() & self.constants.keys())
        if twice:
            raise ValueError(f"{twice[0]} stands in both [columns] and [constants]")
        if (self.attributes or self.attributes_from) and self.table not in ("items", "users"):
            raise ValueError(f"{self.table} have no attributes; only items and users do")
        for name, field in self.fields().items():
            _check_field(name, field)
        return self

    def fields(self) -> dict[str, Field]:
        """Our columns and how each is made, constants included."""
        constants = {name: Field.model_validate({"value": value}) for name, value in self.constants.items()}
        return {**self.columns, **constants}

    def wanted(self) -> list[str]:
        """Source columns that are read, each once, in order of mention; those that ingest makes itself left out."""
        named: dict[str, None] = {}
        for field in (*self.columns.values(), *self.attributes.values()):
            named.update(dict.fromkeys(field.sources()))
        named.update(dict.fromkeys(name for condition in self.keep for name in condition.columns()))
        if self.attributes_from:
            named[self.attributes_from] = None
        return [name for name in named if name not in MADE_COLUMNS]

    def fingerprint(self) -> str:
        """Changes whenever the mapping would make other rows."""
        content = self.model_dump_json(exclude={"about"}, by_alias=True)
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


_FIELD_KEYS = {field.alias or name for name, field in Field.model_fields.items()}
MADE_COLUMNS = ("$position", "$length", "$row")
"""Columns that ingest adds to every source."""


def _check_field(name: str, field: Field) -> None:
    """What pydantic cannot see: formats, zones, patterns."""
    if not is_time_format(field.time):
        raise ValueError(f"{name}: time = {field.time!r} is not s, ms, us, ns, year, iso, auto or a strptime format")
    try:
        ZoneInfo(field.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{name}: timezone = {field.timezone!r} is not a zone such as Europe/London") from None
    if field.start is not None and times(pl.Series([field.start]), "iso")[0] is None:
        raise ValueError(f"{name}: start = {field.start!r} is not a time in ISO 8601")
    if field.start is not None:
        step_ms(field.step)
    template_parts(field.template or "")
    if field.bands is not None and list(field.bands) != sorted(set(field.bands)):
        raise ValueError(f"{name}: bands = {list(field.bands)} must rise")
    if field.extract is not None and pl.Series(["x"]).str.contains(field.extract, strict=False)[0] is None:
        raise ValueError(f"{name}: extract = {field.extract!r} is not a regular expression")
    if field.extract is not None and "(" not in field.extract:
        raise ValueError(f"{name}: extract = {field.extract!r} has no group; put what you want into ( )")


def template_parts(template: str) -> list[tuple[str, str | None]]:
    """``"a{b}c"`` as [("a", "b"), ("c", None)]: text and the column after it."""
    parts: list[tuple[str, str | None]] = []
    rest = template
    while "{" in rest:
        text, _, rest = rest.partition("{")
        column, closing, rest = rest.partition("}")
        if not closing or not column:
            raise ValueError(f"template {template!r} has a {{ without a column name and }}")
        parts.append((text, column))
    return [*parts, (rest, None)] if rest else parts


def parse_mapping(text: str, where: str = "mapping") -> TableMapping:
    """The mapping written in ``text`` (TOML); ``where`` names it in messages.

    Raises:
        ConfigError: not TOML, or a key that is unknown or wrong.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    return TableMapping.parse(table, where)


def read_mapping(path: Path) -> TableMapping:
    """The mapping in a file. Raises ``ConfigError`` when it is absent or wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"mapping {path} cannot be read: {error}; write one with `aisle import SHOP FILE --guess`"
        ) from error
    return parse_mapping(text, str(path))
