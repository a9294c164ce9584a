"""Airflow's local settings where its metadata is in SQLite (bin/_env.sh puts this folder on the path, then only).

`backfill create` and the scheduler open a savepoint, read, then write. In SQLite that savepoint begins a deferred
transaction: its first write fails at once with "database is locked" when another process has written since the read,
whatever the busy timeout says, because the snapshot that was read is stale. A transaction that begins by taking the
write lock waits for its turn instead.
"""

from __future__ import annotations

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

__all__: list[str] = []  # Airflow takes these names as its settings; there are none


@event.listens_for(Engine, "savepoint")
def take_the_write_lock_first(connection: Connection, _name: str) -> None:
    """Begin the transaction of an outermost savepoint by taking SQLite's write lock, within the busy timeout."""
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql("BEGIN IMMEDIATE")
