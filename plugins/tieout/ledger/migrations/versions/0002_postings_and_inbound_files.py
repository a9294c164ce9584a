"""Postings, the files that were collected from a source, and codes that were learnt from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A migration stays as it is for ever, so it names the plain types, not the code's own.
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite")


def upgrade() -> None:
    """Make the table of postings, and room in `files` for what was collected."""
    op.add_column("files", sa.Column("source_mtime", sa.BigInteger(), nullable=True))
    op.add_column("files", sa.Column("archive_path", sa.Text(), nullable=True))
    _partial_index("ix_files_archive_path", "files", ["archive_path"], "archive_path IS NOT NULL")
    _partial_index("ix_files_inbound_digest", "files", ["sha256"], "kind = 'inbound'")
    _partial_index(
        "ix_files_inbound_open",
        "files",
        ["integration", "instance"],
        "kind = 'inbound' AND state IN ('collected', 'settled')",
    )
    op.create_table(
        "postings",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("posting_key", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("amount", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=True),
        sa.Column("target_number", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("high_water", sa.BigInteger(), nullable=True),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("updated_at", UTC, nullable=False),
        sa.Column("sent_at", UTC, nullable=True),
        sa.Column("sent_under", sa.Text(), nullable=True),
        sa.Column("settled_at", UTC, nullable=True),
        sa.Column("settled_run_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_postings")),
        sa.UniqueConstraint(
            "posting_key",
            "kind",
            "integration",
            "instance",
            name=op.f("uq_postings_posting_key_kind_integration_instance"),
        ),
        sqlite_autoincrement=True,
    )
    scope = ["integration", "instance", "entity"]
    op.create_index("ix_postings_scope", "postings", [*scope, "id"], unique=False)
    op.create_index("ix_postings_run", "postings", ["run_id", "entity", "id"], unique=False)
    op.create_index("ix_postings_state", "postings", ["state", "id"], unique=False)
    op.create_index("ix_postings_updated", "postings", ["updated_at", "id"], unique=False)
    op.create_index("ix_postings_source_key", "postings", ["source_key", *scope, "id"], unique=False)
    op.create_index("ix_postings_identity", "postings", ["identity", *scope, "id"], unique=False)
    op.create_index("ix_postings_label", "postings", ["label"], unique=False)
    _partial_index("ix_postings_target_key", "postings", ["target_key"], "target_key IS NOT NULL")
    _partial_index("ix_postings_target_number", "postings", ["target_number"], "target_number IS NOT NULL")
    _partial_index(
        "ix_postings_settled_run", "postings", ["settled_run_id", "entity", "id"], "settled_run_id IS NOT NULL"
    )
    _partial_index("ix_postings_unsettled", "postings", scope, "state = 'sending'")
    op.create_table(
        "codes",
        sa.Column("scope_id", IDENTITY, nullable=False),
        sa.Column("source_key", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name="fk_codes_scope_id"),
        sa.PrimaryKeyConstraint("scope_id", "source_key", name="pk_codes"),
        sqlite_with_rowid=False,
    )


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
