"""Indexes for the Tieout page: of each list, one index tells which rows are on a page and how many there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCOPE = ["integration", "instance", "entity"]


def upgrade() -> None:
    """Make the indexes, in place of those they do the work of."""
    _runs()
    _files()
    # Without keys and labels: those come from outside and may be longer than what PostgreSQL takes into an index.
    op.create_index("ix_held_page", "held", ["id", "status", *SCOPE, "run_id", "last_seen"])
    _found_by_beginning("files", "file_name")
    _found_by_beginning("files", "remote_path")
    _found_by_beginning("held", "source_key")
    _found_by_beginning("held", "label")


def _runs() -> None:
    for name in ("ix_runs_scope_started", "ix_runs_started", "ix_runs_status", "ix_runs_run_id"):
        op.drop_index(name, "runs")
    newest, verdict = ["started_at", "id"], ["mode", "ties_out"]
    op.create_index("ix_runs_page", "runs", [*newest, "status", *SCOPE, *verdict])
    op.create_index("ix_runs_instance", "runs", [*SCOPE[:2], *newest, "entity", "status", *verdict])
    op.create_index("ix_runs_scope", "runs", [*SCOPE, *newest, "status", *verdict])
    op.create_index("ix_runs_status", "runs", ["status", *newest, *SCOPE, *verdict])
    op.create_index("ix_runs_run_id", "runs", ["run_id", *SCOPE[:2]])
    sent = sa.text("delivered > 0 OR posted > 0")
    op.create_index("ix_runs_sent", "runs", ["started_at"], sqlite_where=sent, postgresql_where=sent)


def _files() -> None:
    for name in ("ix_files_scope", "ix_files_state", "ix_files_created", "ix_files_run"):
        op.drop_index(name, "files")
    op.create_index("ix_files_page", "files", ["id", "state", *SCOPE, "created_at"])
    op.create_index("ix_files_instance", "files", [*SCOPE[:2], "id", "state", "entity", "created_at"])
    op.create_index("ix_files_scope", "files", [*SCOPE, "id", "state", "created_at"])
    op.create_index("ix_files_state", "files", ["state", "id", *SCOPE, "created_at"])
    op.create_index("ix_files_run", "files", ["run_id", *SCOPE, "id"])


def _found_by_beginning(table: str, column: str) -> None:
    """PostgreSQL finds what begins with a text by an index of bytes only; SQLite's indexes are such already."""
    if op.get_bind().dialect.name == "postgresql":
        name = f"ix_{table}_{column}"
        op.drop_index(name, table)
        op.create_index(name, table, [column], postgresql_ops={column: "text_pattern_ops"})
