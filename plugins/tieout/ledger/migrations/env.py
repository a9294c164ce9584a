"""Alembic's entry: runs on the connection, and in the transaction, that `tieout.ledger.schema` hands over."""

from __future__ import annotations

from alembic import context

from tieout.ledger.models import metadata
from tieout.ledger.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite rolls back tables too, once BEGIN is said by ourselves: all of a migration or nothing.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
