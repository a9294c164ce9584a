"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A migration stays as it is for ever, so it names the plain types, not the code's own.
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "capabilities",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("updated_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("partner", name=op.f("pk_capabilities")),
    )
    op.create_table(
        "events",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=True),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("held_id", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_events_file",
        "events",
        ["file_id"],
        unique=False,
        sqlite_where=sa.text("file_id IS NOT NULL"),
        postgresql_where=sa.text("file_id IS NOT NULL"),
    )
    op.create_index(
        "ix_events_held",
        "events",
        ["held_id"],
        unique=False,
        sqlite_where=sa.text("held_id IS NOT NULL"),
        postgresql_where=sa.text("held_id IS NOT NULL"),
    )
    op.create_index("ix_events_run", "events", ["integration", "instance", "entity", "run_id", "id"], unique=False)
    op.create_index(
        "ix_events_source_key",
        "events",
        ["source_key"],
        unique=False,
        sqlite_where=sa.text("source_key IS NOT NULL"),
        postgresql_where=sa.text("source_key IS NOT NULL"),
    )
    op.create_table(
        "files",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("remote_path", sa.Text(), nullable=False),
        sa.Column("temp_path", sa.Text(), nullable=True),
        sa.Column("local_uri", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("control_totals", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("verification", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("updated_at", UTC, nullable=False),
        sa.Column("delivered_at", UTC, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_files_created", "files", ["created_at", "id"], unique=False)
    op.create_index("ix_files_file_name", "files", ["file_name"], unique=False)
    op.create_index("ix_files_remote_path", "files", ["remote_path"], unique=False)
    op.create_index("ix_files_run", "files", ["run_id", "entity", "id"], unique=False)
    op.create_index("ix_files_scope", "files", ["integration", "instance", "entity", "id"], unique=False)
    op.create_index("ix_files_state", "files", ["state", "id"], unique=False)
    op.create_index(
        "ix_files_unsettled",
        "files",
        ["integration", "instance", "entity"],
        unique=False,
        sqlite_where=sa.text("state IN ('sending', 'verified')"),
        postgresql_where=sa.text("state IN ('sending', 'verified')"),
    )
    op.create_table(
        "held",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("first_run_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("fix_hint", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("payload_sha256", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("amount", sa.Text(), nullable=True),
        sa.Column("first_seen", UTC, nullable=False),
        sa.Column("last_seen", UTC, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("closed_at", UTC, nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("closed_why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_held_label", "held", ["label"], unique=False)
    op.create_index("ix_held_scope", "held", ["integration", "instance", "entity", "id"], unique=False)
    op.create_index("ix_held_source_key", "held", ["source_key"], unique=False)
    op.create_index("ix_held_status", "held", ["status", "id"], unique=False)
    op.create_index(
        "uq_held_open",
        "held",
        ["integration", "instance", "entity", "source_key"],
        unique=True,
        sqlite_where=sa.text("status = 'held'"),
        postgresql_where=sa.text("status = 'held'"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "runs",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("interval_start", UTC, nullable=True),
        sa.Column("interval_end", UTC, nullable=True),
        sa.Column("window", sa.JSON(), nullable=False),
        sa.Column("mapping_version", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("extracted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("source_totals", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("to_send", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("to_send_totals", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("delivered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("posted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("target_totals", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("held", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("held_totals", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("duplicate_totals", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("excluded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("excluded_totals", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("ties_out", sa.Boolean(), nullable=True),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("ended_at", UTC, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint(
            "integration", "instance", "entity", "run_id", name=op.f("uq_runs_integration_instance_entity_run_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_run_id", "runs", ["run_id"], unique=False)
    op.create_index(
        "ix_runs_scope_started", "runs", ["integration", "instance", "entity", "started_at", "id"], unique=False
    )
    op.create_index("ix_runs_started", "runs", ["started_at", "id"], unique=False)
    op.create_index("ix_runs_status", "runs", ["status", "started_at", "id"], unique=False)
    op.create_table(
        "scopes",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("watermark", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("watermark_run_id", sa.Text(), nullable=True),
        sa.Column("watermark_at", UTC, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scopes")),
        sa.UniqueConstraint("integration", "instance", "entity", name=op.f("uq_scopes_integration_instance_entity")),
    )
    op.create_table(
        "sessions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("updated_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sessions")),
    )
    op.create_table(
        "file_records",
        sa.Column("file_id", IDENTITY, nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("byte_start", sa.BigInteger(), nullable=False),
        sa.Column("byte_end", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_file_records_file_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "source_key", name=op.f("pk_file_records")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_file_records_source_key", "file_records", ["source_key"], unique=False)
    op.create_table(
        "records",
        sa.Column("scope_id", IDENTITY, nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("delivered_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name=op.f("fk_records_scope_id")),
        sa.PrimaryKeyConstraint("scope_id", "source_key", name=op.f("pk_records")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_records_label", "records", ["label"], unique=False)
    op.create_table(
        "sequences",
        sa.Column("scope_id", IDENTITY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name=op.f("fk_sequences_scope_id")),
        sa.PrimaryKeyConstraint("scope_id", "name", name=op.f("pk_sequences")),
    )
