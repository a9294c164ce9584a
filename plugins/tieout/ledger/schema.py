"""The version of the ledger's tables, and how they are brought up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tieout.errors import ConfigurationInvalid

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""All versions of the tables, oldest first, as in `migrations/versions`."""

HEAD = REVISIONS[-1]

VERSION_TABLE = "ledger_version"
"""Not Alembic's default name: the ledger may share a database with Airflow, which uses that one."""

_ADVISORY_LOCK = 7_489_201_554_163_002


def current_revision(connection: Connection) -> str | None:
    """The version that the tables have now; None where there are no tables yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return revision


def require_current(connection: Connection) -> None:
    """Check that the tables are the ones this code knows.

    Raises:
        ConfigurationInvalid: They are older, newer or missing; the sentence says what to do.
    """
    current = current_revision(connection)
    _refuse_newer(connection, current)
    if current != HEAD:
        state = "has no tables yet" if current is None else f"is at version {current}, this code needs {HEAD}"
        raise ConfigurationInvalid(
            f"The ledger {_place(connection)} {state}. Run any command of `bin/airflow`, which migrates it, or "
            "`python -m tieout.ledger migrate` where there is no checkout; then try again."
        )


def upgrade(connection: Connection) -> None:
    """Bring the tables up to date inside the caller's transaction, which must be a writing one.

    Raises:
        ConfigurationInvalid: The ledger was written by a newer version of Tieout.
    """
    # SQLite's writing transactions exclude each other by themselves.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
    current = current_revision(connection)
    _refuse_newer(connection, current)
    if current == HEAD:
        return
    # Only here: Alembic takes a while to import, and is needed once per version.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _refuse_newer(connection: Connection, current: str | None) -> None:
    if current is not None and current not in REVISIONS:
        raise ConfigurationInvalid(
            f"The ledger {_place(connection)} is at version {current}, which this code does not know "
            f"(it knows up to {HEAD}): a newer Tieout has written to it. Update this installation; nothing was changed."
        )


def _place(connection: Connection) -> str:
    return connection.engine.url.render_as_string(hide_password=True)
