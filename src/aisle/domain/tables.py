"""The columns of every table that travels between rooms, written once.

Bulk work is columnar: a table is a polars frame whose columns and types are checked when it is built. Rows (`Item`,
`Event`, ...) and tables convert into each other without loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import polars as pl

from aisle.domain.documents import Document
from aisle.domain.events import EARLIEST_MS, EVENT_TYPES, Event, EventType
from aisle.domain.items import UNKNOWN_LANGUAGE, Item, ItemKind, ItemText
from aisle.domain.users import User
from aisle.errors import DataError

TEXTS = pl.List(pl.Struct({"language": pl.String, "title": pl.String, "description": pl.String}))
ATTRIBUTES = pl.List(pl.Struct({"name": pl.String, "value": pl.String}))
EVENT_TYPE = pl.Enum([event_type.value for event_type in EVENT_TYPES])
ITEM_KIND = pl.Enum([kind.value for kind in ItemKind])


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, whether a value is required, what stands in when the column is absent, its least value."""

    dtype: Any
    is_required: bool = False
    default: Any = None
    least: int | None = None


ITEM_COLUMNS: Mapping[str, Column] = {
    "item_id": Column(pl.String, is_required=True),
    "kind": Column(ITEM_KIND, is_required=True, default=ItemKind.PRODUCT.value),
    "texts": Column(TEXTS, is_required=True),
    "brand": Column(pl.String),
    "category": Column(pl.List(pl.String), is_required=True, default=[]),
    "attributes": Column(ATTRIBUTES, is_required=True, default=[]),
    "price_minor": Column(pl.Int64, least=0),
    "currency": Column(pl.String),
    "cost_minor": Column(pl.Int64, least=0),
    "stock": Column(pl.Int64, least=0),
    "seller": Column(pl.String),
    "image": Column(pl.String),
    "created_ms": Column(pl.Int64),
    "starts_ms": Column(pl.Int64),
    "ends_ms": Column(pl.Int64),
    "is_available": Column(pl.Boolean, is_required=True, default=True),
}

USER_COLUMNS: Mapping[str, Column] = {
    "user_id": Column(pl.String, is_required=True),
    "gender": Column(pl.String),
    "age_band": Column(pl.String),
    "region": Column(pl.String),
    "language": Column(pl.String),
    "platforms": Column(pl.List(pl.String), is_required=True, default=[]),
    "attributes": Column(ATTRIBUTES, is_required=True, default=[]),
    "created_ms": Column(pl.Int64),
}

EVENT_COLUMNS: Mapping[str, Column] = {
    "event_id": Column(pl.String),
    "user_id": Column(pl.String, is_required=True),
    "type": Column(EVENT_TYPE, is_required=True),
    "time_ms": Column(pl.Int64, is_required=True),
    "item_id": Column(pl.String),
    "quantity": Column(pl.Int64, is_required=True, default=1),
    "price_minor": Column(pl.Int64),
    "currency": Column(pl.String),
    "rating": Column(pl.Float64),
    "text": Column(pl.String),
    "query": Column(pl.String),
    "session_id": Column(pl.String),
    "basket_id": Column(pl.String),
    "slate_id": Column(pl.String),
    "slot": Column(pl.Int32),
    "placement": Column(pl.String),
    "platform": Column(pl.String),
    "device": Column(pl.String),
    "region": Column(pl.String),
    "is_suspect": Column(pl.Boolean, is_required=True, default=False),
}

DOCUMENT_COLUMNS: Mapping[str, Column] = {
    "document_id": Column(pl.String, is_required=True),
    "title": Column(pl.String, is_required=True),
    "text": Column(pl.String, is_required=True),
    "kind": Column(pl.String, is_required=True, default="policy"),
    "language": Column(pl.String, is_required=True, default=UNKNOWN_LANGUAGE),
    "url": Column(pl.String),
    "updated_ms": Column(pl.Int64),
}


def schema_of(columns: Mapping[str, Column]) -> dict[str, Any]:
    """Column name to polars type."""
    return {name: column.dtype for name, column in columns.items()}


@dataclass(frozen=True)
class Table:
    """A checked polars frame; subclasses fix the columns. Build with ``from_frame`` to fill absent columns."""

    frame: pl.DataFrame

    columns: ClassVar[Mapping[str, Column]] = {}

    def __post_init__(self) -> None:
        expected = schema_of(self.columns)
        if dict(self.frame.schema) != expected:
            actual = dict(self.frame.schema)
            wrong = sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
            raise DataError(
                f"{type(self).__name__}: columns {wrong} do not fit; expected "
                + ", ".join(f"{name}: {expected.get(name, 'absent')}" for name in wrong),
                field=wrong[0] if wrong else None,
            )
        for name, column in self.columns.items():
            if column.is_required and (n_null := self.frame.get_column(name).null_count()):
                raise DataError(f"{type(self).__name__}: {n_null} rows have no {name}", field=name)
        for name, column in self.columns.items():
            if column.least is not None and (self.frame[name] < column.least).any():
                message = f"{name} {self.frame[name].min()} is below {column.least}, the least allowed"
                raise DataError(f"{type(self).__name__}: {message}", field=name)

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """Take a frame with some of the columns: absent ones are filled with their default, the order is fixed.

        Raises:
            DataError: a column is unknown or cannot be cast to its type.
        """
        unknown = sorted(set(frame.columns) - set(cls.columns))
        if unknown:
            raise DataError(f"{cls.__name__}: unknown columns {unknown}; known: {list(cls.columns)}", field=unknown[0])
        filled = [
            pl.col(name).cast(column.dtype) if name in frame.columns else _constant(column).alias(name)
            for name, column in cls.columns.items()
        ]
        try:
            return cls(frame.select(filled))
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{cls.__name__}: {error}") from error

    @classmethod
    def empty(cls) -> Self:
        """A table without rows."""
        return cls(pl.DataFrame(schema=schema_of(cls.columns)))

    @classmethod
    def concat(cls, tables: Iterable[Self]) -> Self:
        """All rows, in order."""
        frames = [table.frame for table in tables]
        return cls(pl.concat(frames)) if frames else cls.empty()

    def __len__(self) -> int:
        return self.frame.height


def _constant(column: Column) -> pl.Expr:
    return pl.lit(column.default, dtype=column.dtype) if column.default != [] else pl.lit([], dtype=column.dtype)


class ItemTable(Table):
    """Items, one row each."""

    columns = ITEM_COLUMNS

    @classmethod
    def from_rows(cls, items: Iterable[Item]) -> ItemTable:
        """A table of ``items`` in the given order."""
        rows = [
            {
                "item_id": item.item_id,
                "kind": item.kind.value,
                "texts": [
                    {"language": text.language, "title": text.title, "description": text.description}
                    for text in item.texts
                ],
                "brand": item.brand,
                "category": list(item.category),
                "attributes": _flat(item.attributes),
                "price_minor": item.price_minor,
                "currency": item.currency,
                "cost_minor": item.cost_minor,
                "stock": item.stock,
                "seller": item.seller,
                "image": item.image,
                "created_ms": item.created_ms,
                "starts_ms": item.starts_ms,
                "ends_ms": item.ends_ms,
                "is_available": item.is_available,
            }
            for item in items
        ]
        return cls(pl.DataFrame(rows, schema=schema_of(ITEM_COLUMNS)))

    def rows(self) -> Iterator[Item]:
        """The items, one at a time."""
        for row in self.frame.iter_rows(named=True):
            row["kind"] = ItemKind(row["kind"])
            row["texts"] = tuple(ItemText(**text) for text in row["texts"])
            row["category"] = tuple(row["category"])
            row["attributes"] = _grouped(row["attributes"])
            yield Item(**row)


class UserTable(Table):
    """Users, one row each."""

    columns = USER_COLUMNS

    @classmethod
    def from_rows(cls, users: Iterable[User]) -> UserTable:
        """A table of ``users`` in the given order."""
        rows = [
            {
                "user_id": user.user_id,
                "gender": user.gender,
                "age_band": user.age_band,
                "region": user.region,
                "language": user.language,
                "platforms": list(user.platforms),
                "attributes": _flat(user.attributes),
                "created_ms": user.created_ms,
            }
            for user in users
        ]
        return cls(pl.DataFrame(rows, schema=schema_of(USER_COLUMNS)))

    def rows(self) -> Iterator[User]:
        """The users, one at a time."""
        for row in self.frame.iter_rows(named=True):
            row["platforms"] = tuple(row["platforms"])
            row["attributes"] = _grouped(row["attributes"])
            yield User(**row)


class EventTable(Table):
    """Events, one row each, in the order they were received."""

    columns = EVENT_COLUMNS

    @classmethod
    def from_rows(cls, events: Iterable[Event]) -> EventTable:
        """A table of ``events`` in the given order."""
        names = [name for name in EVENT_COLUMNS if name != "is_suspect"]
        rows = [(*(getattr(event, name) for name in names), False) for event in events]  # is_suspect is the last column
        return cls(pl.DataFrame(rows, schema=schema_of(EVENT_COLUMNS), orient="row"))

    def require_milliseconds(self) -> Self:
        """This table; raises ``DataError`` for an event from before 1995, whose time must be in other units."""
        earliest = self.frame["time_ms"].min()
        if isinstance(earliest, int) and earliest < EARLIEST_MS:
            raise DataError(
                f"time_ms is {earliest}, which is before 1995; allowed are UTC milliseconds since 1970 from "
                f"{EARLIEST_MS} on (seconds have to be multiplied by 1000)",
                field="time_ms",
            )
        return self

    def rows(self) -> Iterator[Event]:
        """The events, one at a time (``is_suspect`` stays in the table)."""
        for row in self.frame.drop("is_suspect").iter_rows(named=True):
            row["type"] = EventType(row["type"])
            yield Event(**row)


class DocumentTable(Table):
    """Documents, one row each."""

    columns = DOCUMENT_COLUMNS

    @classmethod
    def from_rows(cls, documents: Iterable[Document]) -> DocumentTable:
        """A table of ``documents`` in the given order."""
        rows = [tuple(getattr(document, name) for name in DOCUMENT_COLUMNS) for document in documents]
        return cls(pl.DataFrame(rows, schema=schema_of(DOCUMENT_COLUMNS), orient="row"))

    def rows(self) -> Iterator[Document]:
        """The documents, one at a time."""
        for row in self.frame.iter_rows(named=True):
            yield Document(**row)


def _flat(attributes: Mapping[str, tuple[str, ...]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, values in attributes.items() for value in values]


def _grouped(pairs: list[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    grouped: dict[str, list[str]] = {}
    for pair in pairs:
        grouped.setdefault(pair["name"], []).append(pair["value"])
    return {name: tuple(values) for name, values in grouped.items()}
