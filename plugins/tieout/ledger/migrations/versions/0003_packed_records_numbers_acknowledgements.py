"""Records of very large files, the partners' numbers, and what partners say of the files they got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A migration stays as it is for ever, so it names the plain types, not the code's own.
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _packed_records()
    _numbers()
    _acknowledgements()


def _packed_records() -> None:
    op.create_table(
        "packed_records",
        sa.Column("file_id", IDENTITY, nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("scope_id", IDENTITY, nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprints", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_packed_records_file_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name="fk_packed_records_scope_id"),
        sa.PrimaryKeyConstraint("file_id", "chunk", name="pk_packed_records"),
    )
    place = ["file_id", "chunk"]
    op.create_index("ix_packed_records_partition", "packed_records", ["partition", "scope_id", *place], unique=False)
    op.create_index("ix_packed_records_scope", "packed_records", ["scope_id", "partition", *place], unique=False)


def _numbers() -> None:
    op.create_table(
        "numbers",
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("scope_id", IDENTITY, nullable=False),
        sa.Column("counter", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("file_id", IDENTITY, nullable=True),
        sa.Column("allocated_at", UTC, nullable=False),
        sa.Column("void_at", UTC, nullable=True),
        sa.Column("void_why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name="fk_numbers_scope_id"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_numbers_file_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_numbers"),
        sa.UniqueConstraint("scope_id", "counter", "serial", name="uq_numbers_scope_id_counter_serial"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_numbers_number", "numbers", ["scope_id", "counter", "number"], unique=False)
    op.create_index("ix_numbers_owner", "numbers", ["scope_id", "owner"], unique=False)
    _partial_index("ix_numbers_file", "numbers", ["file_id"], "file_id IS NOT NULL")


def _acknowledgements() -> None:
    op.create_table(
        "acknowledgements",
        sa.Column("file_id", IDENTITY, nullable=False),
        sa.Column("scope_id", IDENTITY, nullable=False),
        sa.Column("interchange", sa.BigInteger(), nullable=False),
        sa.Column("group_control", sa.BigInteger(), nullable=False),
        sa.Column("functional_id", sa.Text(), nullable=False),
        sa.Column("sets", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", UTC, nullable=False),
        sa.Column("answered_at", UTC, nullable=True),
        sa.Column("ack_file", sa.Text(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_acknowledgements_file_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name="fk_acknowledgements_scope_id"),
        sa.PrimaryKeyConstraint("file_id", name="pk_acknowledgements"),
    )
    op.create_index("ix_acknowledgements_group", "acknowledgements", ["scope_id", "group_control"], unique=False)
    op.create_index("ix_acknowledgements_interchange", "acknowledgements", ["scope_id", "interchange"], unique=False)
    _partial_index(
        "ix_acknowledgements_open", "acknowledgements", ["scope_id", "due_at"], "state IN ('sent', 'overdue')"
    )
    op.create_table(
        "acknowledgement_files",
        sa.Column("scope_id", IDENTITY, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("remote_path", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("source_mtime", sa.BigInteger(), nullable=False),
        sa.Column("archive_path", sa.Text(), nullable=True),
        sa.Column("read_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["scope_id"], ["scopes.id"], name="fk_acknowledgement_files_scope_id"),
        sa.PrimaryKeyConstraint("scope_id", "sha256", name="pk_acknowledgement_files"),
    )
    op.create_index("ix_acknowledgement_files_path", "acknowledgement_files", ["scope_id", "remote_path"], unique=False)


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
