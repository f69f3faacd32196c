"""Keys of requests that may be sent again, with what was sent under each first and when.

Revision: 0003, from 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "request_keys",
        sa.Column("key_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("time_ms", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="pk_request_keys"),
        sqlite_with_rowid=False,
    )
