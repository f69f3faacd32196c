"""What serving needs: features of slates, keys of the interface, what a user did without an item.

Revision: 0002, from 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add two columns, two tables and an index."""
    op.add_column("slates", sa.Column("names_hash", sa.LargeBinary(16), nullable=True))
    op.add_column("slates", sa.Column("features", sa.LargeBinary(), nullable=True))
    op.create_table(
        "feature_names",
        sa.Column("names_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("names_hash", name="pk_feature_names"),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", _NUMBER, nullable=False),
        sa.Column("revoked_ms", _NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
        sa.UniqueConstraint("token_hash", name="uq_api_keys_token_hash"),
    )
    op.create_index("ix_events_without_item", "events", ["user_code", "seq"], sqlite_where=sa.text("item_code IS NULL"))
