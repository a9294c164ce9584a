"""Connections and transactions: SQLite (one file, WAL) and PostgreSQL behind the same few calls."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Table,
    bindparam,
    create_engine,
    event,
    literal,
    literal_column,
    make_url,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import Pool

from tieout.errors import ConfigurationInvalid
from tieout.ledger import schema

T = TypeVar("T")

BUSY_SECONDS = 60
"""How long a statement waits for another writer of a SQLite ledger."""

SYNCHRONOUS = "FULL"
"""How a SQLite ledger waits for the disk: a commit survives a power cut, because it stands for a delivery."""

KEYS_PER_QUERY = 900
"""Values in one IN list: older SQLite libraries take 999 parameters in a statement."""

ROWS_PER_INSERT = 5_000
"""Rows sent to the database at a time, so that memory stays flat."""


class Database:
    """A ledger's database. Safe to share between threads, and to hold across a fork."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = _create_engine(url)
        self._writer = self._engine.execution_options(tieout_write=True)
        self._turn = threading.Lock()
        self._checked = False
        _open_databases.add(self)

    @classmethod
    def open(cls, url: str, *, migrate: bool = False) -> Self:
        """Open a ledger.

        Args:
            url: A SQLAlchemy URL: `sqlite:////path/ledger.db` or `postgresql://user:password@host/database`.
            migrate: Bring the tables up to date first, creating them where there are none.

        Raises:
            ConfigurationInvalid: The URL is none, names another kind of database, or SQLite without a file;
                with `migrate`, also when the ledger was written by a newer version.
        """
        database = cls(_parse(url))
        if migrate:
            database.migrate()
        return database

    def migrate(self) -> None:
        """Bring the tables up to date. Any number of processes may do this at once: one works, the rest wait.

        Raises:
            ConfigurationInvalid: The ledger was written by a newer version of Tieout.
        """
        if self._url.get_backend_name() == "sqlite" and self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        with self._engine.connect() as connection:
            current = schema.current_revision(connection)
        if current != schema.HEAD:
            with self._writer.begin() as connection:
                schema.upgrade(connection)
        self._checked = True

    def close(self) -> None:
        """Close all connections. The object opens new ones if it is used again."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url.render_as_string(hide_password=True)}>"

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._engine.connect() as connection:
            self._check_schema(connection)
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that writes: commits at the end, leaves nothing behind when an exception passes.

        SQLite takes one writer at a time and lets the others look again and again. Threads of one process wait for
        each other here instead, which wakes the next one at once.
        """
        with nullcontext() if self._is_postgres else self._turn, self._writer.begin() as connection:
            self._check_schema(connection)
            yield connection

    def _check_schema(self, connection: Connection) -> None:
        if not self._checked:
            schema.require_current(connection)
            self._checked = True

    @property
    def _is_postgres(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    @property
    def _keys_per_lookup(self) -> int:
        """Values in an IN list of a mere look-up. PostgreSQL has no limit of its own, and fewer queries are faster."""
        return 10_000 if self._is_postgres else KEYS_PER_QUERY

    def _insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT; both databases write it alike."""
        return postgresql.insert(table) if self._is_postgres else sqlite.insert(table)

    def _clock(self) -> ColumnElement[float]:
        """Seconds since 1970 by the clock that judges leases.

        That is PostgreSQL's own, since several machines with clocks of their own may share it; the users of a
        SQLite file share one machine.
        """
        if self._is_postgres:
            return literal_column("extract(epoch from clock_timestamp())::float8")
        return literal(time.time())

    def _leave_to_parent(self) -> None:
        """In a forked child: never touch, nor close, the connections that the parent still uses."""
        _parents_pools.append(self._engine.pool)
        self._turn = threading.Lock()
        self._engine.dispose(close=False)


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_parents_pools: list[Pool] = []


def _after_fork_in_child() -> None:
    for database in list(_open_databases):
        database._leave_to_parent()


os.register_at_fork(after_in_child=_after_fork_in_child)


def chunks(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Cut an iterable into lists of at most `size`, without holding more than one of them."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def update_rows(
    connection: Connection, table: Table, common: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]
) -> None:
    """Change many rows of a table that has an `id`.

    Args:
        connection: The caller's transaction.
        table: The table.
        common: The values that all rows get.
        changes: For each row its `id` and the values of its own; the same columns in all of them.
    """
    if not changes:
        return
    # The parameters need names of their own: `id` and the columns are names in the statement already.
    own = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in changes[0] if name != "id"}
    statement = update(table).where(table.c.id == bindparam("new_id")).values({**common, **own})
    connection.execute(statement, [{f"new_{name}": value for name, value in change.items()} for change in changes])


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


def _parse(text: str) -> URL:
    if text.startswith("postgres://"):
        text = "postgresql" + text.removeprefix("postgres")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text itself may hold a password, so it is not quoted, nor chained as a cause.
        raise ConfigurationInvalid(
            "The ledger's address is not a database URL. Write it as sqlite:////path/to/ledger.db or "
            "postgresql://user:password@host:5432/database (special characters in the password percent-encoded)."
        ) from None
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg2")
    if backend == "sqlite":
        return _file_url(url)
    raise ConfigurationInvalid(
        f"The ledger's address names a {backend} database; the ledger works on SQLite and PostgreSQL."
    )


def _file_url(url: URL) -> URL:
    name = url.database or ""
    if name in ("", ":memory:") or "mode=memory" in name or url.query.get("mode") == "memory":
        raise ConfigurationInvalid(
            "The ledger's address names a SQLite database in memory, which would forget what was sent. "
            "Give it a file: sqlite:////path/to/ledger.db."
        )
    return url.set(drivername="sqlite+pysqlite")


def _create_engine(url: URL) -> Engine:
    # hide_parameters: an SQL error must not print what it was about to store (payloads, tokens).
    if url.get_backend_name() == "postgresql":
        connect_args = {} if "connect_timeout" in url.query else {"connect_timeout": 20}
        return create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            max_overflow=20,
            pool_timeout=BUSY_SECONDS,
            executemany_mode="values_plus_batch",
            connect_args={"application_name": "tieout", **connect_args},
        )
    engine = create_engine(url, hide_parameters=True, max_overflow=20, pool_timeout=BUSY_SECONDS)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transactions begin too late and as readers; _begin_sqlite says BEGIN itself.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
    _switch_to_wal(connection)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Choose the write-ahead log. SQLite does not wait for a lock here, whatever its busy timeout says."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once: a reader that turns writer half-way fails instead of waiting.
    write = connection.get_execution_options().get("tieout_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
