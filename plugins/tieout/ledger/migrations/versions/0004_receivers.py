"""Whether receivers can be reached."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A migration stays as it is for ever, so it names the plain types, not the code's own.
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "receivers",
        sa.Column("scope_id", IDENTITY, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("error_kind", sa.Text(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("last_tried_at", UTC, nullable=False),
        sa.Column("next_try_at", UTC, nullable=True),
        sa.Column("down_since", UTC, nullable=True),
        sa.Column("alerted_at", UTC, nullable=True),
        sa.Column("up_since", UTC, nullable=True),
        sa.Column("recovered_alerted_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name="fk_receivers_scope_id"),
        sa.PrimaryKeyConstraint("scope_id", name="pk_receivers"),
    )
