"""The first tables.

Revision: 0001, from nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table of revision 0001."""
    op.create_table(
        "ledger",
        sa.Column("ledger_id", sa.Integer(), nullable=False, autoincrement=False),
        *(_required(name) for name in ("seq", "n_items", "n_events", "n_suspect")),
        *(_required(name) for name in ("n_user_codes", "n_item_codes", "indexed_seq", "n_erasures")),
        sa.PrimaryKeyConstraint("ledger_id", name="pk_ledger"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        _required("position"),
        sa.PrimaryKeyConstraint("source", "fingerprint", name="pk_checkpoints"),
    )
    _create_codes()
    _create_contents()
    _create_events()
    op.create_table(
        "slates",
        _key("seq"),
        sa.Column("slate_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_slates"),
        sa.UniqueConstraint("slate_id", name="uq_slates_slate_id"),
    )
    op.create_index("ix_slates_user_id", "slates", ["user_id"])


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, _NUMBER, nullable=False, autoincrement=False)


def _required(name: str) -> sa.Column[int]:
    return sa.Column(name, _NUMBER, nullable=False)


def _texts(*names: str, nullable: bool = True) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, _NUMBER, nullable=True) for name in names]


def _create_codes() -> None:
    op.create_table(
        "user_codes",
        _key("user_code"),
        *_texts("user_id", nullable=False),
        sa.PrimaryKeyConstraint("user_code", name="pk_user_codes"),
        sa.UniqueConstraint("user_id", name="uq_user_codes_user_id"),
    )
    op.create_table(
        "item_codes",
        _key("item_code"),
        *_texts("item_id", nullable=False),
        *_numbers("item_row"),
        sa.PrimaryKeyConstraint("item_code", name="pk_item_codes"),
        sa.UniqueConstraint("item_id", name="uq_item_codes_item_id"),
    )


def _create_contents() -> None:
    op.create_table(
        "items",
        _key("item_row"),
        *_texts("item_id", nullable=False),
        _required("seq"),
        sa.Column("content_hash", sa.LargeBinary(16), nullable=False),
        *_texts("kind", "texts", nullable=False),
        *_texts("brand"),
        *_texts("category", "attributes", nullable=False),
        *_numbers("price_minor"),
        *_texts("currency"),
        *_numbers("cost_minor", "stock"),
        *_texts("seller", "image"),
        *_numbers("created_ms", "starts_ms", "ends_ms"),
        sa.Column("is_available", sa.Boolean(create_constraint=False), nullable=False),
        sa.PrimaryKeyConstraint("item_row", name="pk_items"),
        sa.UniqueConstraint("seq", name="uq_items_seq"),
    )
    op.create_table(
        "users",
        *_texts("user_id", nullable=False),
        _required("seq"),
        sa.Column("content_hash", sa.LargeBinary(16), nullable=False),
        *_texts("gender", "age_band", "region", "language"),
        *_texts("platforms", "attributes", nullable=False),
        *_numbers("created_ms"),
        sa.PrimaryKeyConstraint("user_id", name="pk_users"),
    )
    op.create_table(
        "documents",
        *_texts("document_id", nullable=False),
        _required("seq"),
        sa.Column("content_hash", sa.LargeBinary(16), nullable=False),
        *_texts("title", "text", "kind", "language", nullable=False),
        *_texts("url"),
        *_numbers("updated_ms"),
        sa.PrimaryKeyConstraint("document_id", name="pk_documents"),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        _key("seq"),
        _required("event_key"),
        _required("user_code"),
        *_numbers("item_code"),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        *_texts("event_id"),
        _required("time_ms"),
        _required("quantity"),
        *_numbers("price_minor"),
        *_texts("currency"),
        sa.Column("rating", sa.Double(), nullable=True),
        *_texts("text", "query", "session_id", "basket_id", "slate_id"),
        sa.Column("slot", sa.Integer(), nullable=True),
        *_texts("placement", "platform", "device", "region"),
        sa.Column("is_suspect", sa.Boolean(create_constraint=False), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
    )
    op.create_table("event_keys", _key("event_key"), sa.PrimaryKeyConstraint("event_key", name="pk_event_keys"))
    op.create_table(
        "user_events",
        *(_key(name) for name in ("user_code", "time_ms", "seq")),
        sa.PrimaryKeyConstraint("user_code", "time_ms", "seq", name="pk_user_events"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "waiting_events",
        *(_key(name) for name in ("item_code", "seq")),
        sa.PrimaryKeyConstraint("item_code", "seq", name="pk_waiting_events"),
        sqlite_with_rowid=False,
    )
