"""Query rules: the draft, the published versions, and proposals.

Revision: 0004, from 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add three tables."""
    op.create_table(
        "rule_drafts",
        sa.Column("place", _NUMBER, nullable=False, autoincrement=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("changed_ms", _NUMBER, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_rule_drafts"),
        sa.UniqueConstraint("rule_id", name="uq_rule_drafts_rule_id"),
    )
    op.create_table(
        "rule_versions",
        sa.Column("version", _NUMBER, nullable=False, autoincrement=False),
        sa.Column("n_rules", _NUMBER, nullable=False),
        sa.Column("published_ms", _NUMBER, nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("restores", _NUMBER, nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_rule_versions"),
    )
    op.create_table(
        "rule_proposals",
        sa.Column("proposal_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("strength", sa.Double(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("proposed_ms", _NUMBER, nullable=False),
        sa.Column("decided_ms", _NUMBER, nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("proposal_id", name="pk_rule_proposals"),
    )
