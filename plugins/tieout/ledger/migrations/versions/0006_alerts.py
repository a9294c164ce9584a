"""What people were told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# A migration stays as it is for ever, so it names the plain types, not the code's own.
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _alerts()
    _notices()
    _messages()


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("occurrences", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("opened_at", UTC, nullable=False),
        sa.Column("last_seen_at", UTC, nullable=False),
        sa.Column("told_at", UTC, nullable=False),
        sa.Column("closed_at", UTC, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "ix_alerts_open",
        "alerts",
        ["kind", "integration", "instance", "subject"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("ix_alerts_run", "alerts", ["integration", "instance", "run_id"])


def _notices() -> None:
    op.create_table(
        "alert_notices",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("alert_id", IDENTITY, nullable=True),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("routed_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_alert_notices_alert_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_notices"),
        sa.UniqueConstraint("key", name="uq_alert_notices_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alert_notices_alert", "alert_notices", ["alert_id"])
    unrouted = sa.text("routed_at IS NULL")
    op.create_index(
        "ix_alert_notices_unrouted", "alert_notices", ["id"], sqlite_where=unrouted, postgresql_where=unrouted
    )


def _messages() -> None:
    op.create_table(
        "alert_messages",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("notice_id", IDENTITY, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("target", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", UTC, nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("claimed_until", UTC, nullable=True),
        sa.Column("last_error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("sent_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["alert_notices.id"], name="fk_alert_messages_notice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_messages"),
        sa.UniqueConstraint("notice_id", "channel", name="uq_alert_messages_notice_id_channel"),
        sqlite_autoincrement=True,
    )
    undone = sa.text("state IN ('waiting', 'sending')")
    op.create_index(
        "ix_alert_messages_open", "alert_messages", ["due_at", "id"], sqlite_where=undone, postgresql_where=undone
    )
