"""The tables of a shop's database, for SQLite and any other database SQLAlchemy speaks to.

Ids of users and items are written once, in ``user_codes`` and ``item_codes``; events carry the small numbers. One
ascending ``seq`` numbers every stored row of the shop; the change feed follows it. Knows nothing of how rows are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from aisle.domain.tables import DOCUMENT_COLUMNS, EVENT_COLUMNS, ITEM_COLUMNS, USER_COLUMNS
from aisle.domain.tables import Column as TableColumn

REVISION = "0004"
"""The newest migration; a database that carries another, unknown one was written by a newer Aisle."""

CONTENT_HASH_BYTES = 16

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

Number = BigInteger().with_variant(Integer(), "sqlite")
"""64-bit integer; SQLite keeps a table in the order of its key only if that is declared plain INTEGER."""


def _number_key(name: str) -> Column[Any]:
    return Column(name, Number, primary_key=True, autoincrement=False)


def _sql_type(dtype: Any) -> Any:
    """The SQL type of a column of the domain's tables; lists travel as JSON text, enums as their names."""
    if dtype == pl.Int64:
        return Number
    if dtype == pl.Int32:
        return Integer()
    if dtype == pl.Float64:
        return Double()
    if dtype == pl.Boolean:
        return Boolean(create_constraint=False)
    return Text()


def _content(columns: Mapping[str, TableColumn], key: str) -> list[Column[Any]]:
    return [
        Column(name, _sql_type(column.dtype), nullable=not column.is_required)
        for name, column in columns.items()
        if name != key
    ]


ledger = Table(
    "ledger",
    metadata,
    Column("ledger_id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Number, nullable=False),
    Column("n_items", Number, nullable=False),
    Column("n_events", Number, nullable=False),
    Column("n_suspect", Number, nullable=False),
    Column("n_user_codes", Number, nullable=False),
    Column("n_item_codes", Number, nullable=False),
    Column("indexed_seq", Number, nullable=False),
    Column("n_erasures", Number, nullable=False),
)
"""One row: how far each numbering has come. ``indexed_seq`` is the last event found in both lookup tables below."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("source", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("position", Number, nullable=False),
)

user_codes = Table(
    "user_codes", metadata, _number_key("user_code"), Column("user_id", Text, nullable=False, unique=True)
)

item_codes = Table(
    "item_codes",
    metadata,
    _number_key("item_code"),
    Column("item_id", Text, nullable=False, unique=True),
    Column("item_row", Number, nullable=True),
)
"""Every item id that was ever named; ``item_row`` is null until the item itself arrives."""

items = Table(
    "items",
    metadata,
    _number_key("item_row"),
    Column("item_id", Text, nullable=False),
    Column("seq", Number, nullable=False, unique=True),
    Column("content_hash", LargeBinary(CONTENT_HASH_BYTES), nullable=False),
    *_content(ITEM_COLUMNS, "item_id"),
)

users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("seq", Number, nullable=False),
    Column("content_hash", LargeBinary(CONTENT_HASH_BYTES), nullable=False),
    *_content(USER_COLUMNS, "user_id"),
)

documents = Table(
    "documents",
    metadata,
    Column("document_id", Text, primary_key=True),
    Column("seq", Number, nullable=False),
    Column("content_hash", LargeBinary(CONTENT_HASH_BYTES), nullable=False),
    *_content(DOCUMENT_COLUMNS, "document_id"),
)

events = Table(
    "events",
    metadata,
    _number_key("seq"),
    Column("event_key", Number, nullable=False),
    Column("user_code", Number, nullable=False),
    Column("item_code", Number, nullable=True),
    Column("type", SmallInteger, nullable=False),
    *(
        Column(name, _sql_type(column.dtype), nullable=not column.is_required)
        for name, column in EVENT_COLUMNS.items()
        if name not in ("user_id", "item_id", "type")
    ),
)
"""``type`` is the code of ``domain.EVENT_CODE``; ``event_key`` see ``event_keys.py``."""
Index("ix_events_without_item", events.c.user_code, events.c.seq, sqlite_where=events.c.item_code.is_(None))

event_keys = Table("event_keys", metadata, _number_key("event_key"))
"""Keys of the events up to ``ledger.indexed_seq``: what makes a repeated event a duplicate."""

user_events = Table(
    "user_events",
    metadata,
    Column("user_code", Number, primary_key=True, autoincrement=False),
    Column("time_ms", Number, primary_key=True, autoincrement=False),
    Column("seq", Number, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Events with an item by user and time, up to ``ledger.indexed_seq``."""

waiting_events = Table(
    "waiting_events",
    metadata,
    Column("item_code", Number, primary_key=True, autoincrement=False),
    Column("seq", Number, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Events that came before their item; they stay listed so that reading them again is harmless."""

slates = Table(
    "slates",
    metadata,
    _number_key("seq"),
    Column("slate_id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=True),
    Column("body", LargeBinary, nullable=False),
    Column("names_hash", LargeBinary(CONTENT_HASH_BYTES), nullable=True),
    Column("features", LargeBinary, nullable=True),
)
"""``features`` and ``names_hash`` see ``slate_features.py``; null where none were written down or a user was erased."""
Index("ix_slates_user_id", slates.c.user_id)

feature_names = Table(
    "feature_names",
    metadata,
    Column("names_hash", LargeBinary(CONTENT_HASH_BYTES), primary_key=True),
    Column("names", Text, nullable=False),
)
"""Names of features as a JSON list, written once for all slates that carry them."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_ms", Number, nullable=False),
    Column("revoked_ms", Number, nullable=True),
)
"""Who may use the interface over HTTP; the token itself is kept nowhere."""

request_keys = Table(
    "request_keys",
    metadata,
    Column("key_hash", LargeBinary(CONTENT_HASH_BYTES), primary_key=True),
    Column("body_hash", LargeBinary(CONTENT_HASH_BYTES), nullable=False),
    Column("time_ms", Number, nullable=False),
    sqlite_with_rowid=False,
)
"""What was sent first under the key of a request, and when; neither key nor body is kept."""

rule_drafts = Table(
    "rule_drafts",
    metadata,
    _number_key("place"),
    Column("rule_id", Text, nullable=False, unique=True),
    Column("body", Text, nullable=False),
    Column("changed_ms", Number, nullable=False),
    Column("changed_by", Text, nullable=False),
)
"""Query rules that people work at, in order; ``body`` is JSON."""

rule_versions = Table(
    "rule_versions",
    metadata,
    _number_key("version"),
    Column("n_rules", Number, nullable=False),
    Column("published_ms", Number, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("restores", Number, nullable=True),
    Column("body", LargeBinary, nullable=False),
)
"""Published query rules; ``body`` is a deflated JSON list. Rows are never changed, and the newest counts."""

rule_proposals = Table(
    "rule_proposals",
    metadata,
    Column("proposal_id", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("strength", Double, nullable=False),
    Column("status", Text, nullable=False),
    Column("proposed_ms", Number, nullable=False),
    Column("decided_ms", Number, nullable=True),
    Column("decided_by", Text, nullable=False),
)
"""Query rules that somebody is to accept or reject; ``proposal_id`` is a hash of what they say."""

embeddings_metadata = MetaData()
"""Vectors live in a file of their own: they can be made again at any time and are not part of a backup."""

vectors = Table(
    "vectors",
    embeddings_metadata,
    Column("vector_id", Number, primary_key=True),
    Column("vector_key", LargeBinary(CONTENT_HASH_BYTES), nullable=False, unique=True),
    Column("vector", LargeBinary, nullable=False),
)
"""``vector_key`` is a hash of model fingerprint and content hash; ``vector`` little-endian float32."""

rewritings_metadata = MetaData()
"""What a chat model made of texts, in a file of its own: it can be asked again."""

rewritings = Table(
    "rewritings",
    rewritings_metadata,
    Column("rewriting_id", Number, primary_key=True),
    Column("rewriting_key", LargeBinary(CONTENT_HASH_BYTES), nullable=False, unique=True),
    Column("rewriting", Text, nullable=False),
    Column("unfit", Text, nullable=False),
)
"""``rewriting_key`` is a hash of model, instructions and text; ``unfit`` says why an answer cannot be used, "" if it
can. An unfit answer itself is not kept."""
