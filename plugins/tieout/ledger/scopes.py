"""Scopes: how often an entity was committed, and up to where its source was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from tieout.errors import Superseded
from tieout.ledger.columns import plain_json
from tieout.ledger.database import Database, utc_now
from tieout.ledger.filters import by_scope
from tieout.ledger.models import scopes
from tieout.ledger.rows import RunKey, Scope


class ScopeStore(Database):
    """Versions and watermarks in the ledger."""

    def entity_version(self, scope: Scope) -> int:
        """How many commits the scope has seen; 0 at first."""
        with self._reading() as connection:
            query = select(scopes.c.version).where(*by_scope(scopes, scope))
            return connection.execute(query).scalar_one_or_none() or 0

    def watermark(self, scope: Scope) -> dict[str, Any] | None:
        """Up to where the source was read and delivered; None before the first commit that moved it."""
        with self._reading() as connection:
            query = select(scopes.c.watermark).where(*by_scope(scopes, scope))
            return connection.execute(query).scalar_one_or_none()

    def watermarks(self, integration: str, instance: str) -> dict[str, dict[str, Any]]:
        """The watermarks of all scopes of an instance that have one, by entity."""
        query = select(scopes.c.entity, scopes.c.watermark)
        with self._reading() as connection:
            rows = connection.execute(query.where(*_of(integration, instance), scopes.c.watermark.is_not(None)))
            return {row.entity: row.watermark for row in rows}

    def versions(self, integration: str, instance: str) -> dict[str, int]:
        """How many commits each scope of an instance has seen, by entity; without those that the ledger never met."""
        with self._reading() as connection:
            rows = connection.execute(select(scopes.c.entity, scopes.c.version).where(*_of(integration, instance)))
            return {row.entity: row.version for row in rows}

    def _scope_id(self, connection: Connection, scope: Scope) -> int:
        """The scope's row in a writing transaction; made where there is none, locked until the commit."""
        values = {"integration": scope.integration, "instance": scope.instance, "entity": scope.entity, "version": 0}
        connection.execute(self._insert(scopes).values(values).on_conflict_do_nothing())
        query = select(scopes.c.id).where(*by_scope(scopes, scope)).with_for_update()
        return connection.execute(query).scalar_one()


def bump_version(connection: Connection, scope: Scope, scope_id: int, base_version: int | None = None) -> int:
    """Count one more commit inside the caller's transaction; returns the new version.

    Raises:
        Superseded: The version is no longer `base_version`, the one that the caller's work is based on.
    """
    statement = update(scopes).where(scopes.c.id == scope_id).values(version=scopes.c.version + 1)
    if base_version is not None:
        statement = statement.where(scopes.c.version == base_version)
    version = connection.execute(statement.returning(scopes.c.version)).scalar_one_or_none()
    if version is None:
        raise Superseded(
            f"Another run has delivered {scope} meanwhile; run again. What this run prepared is based on an older "
            "state, and nothing of it was committed."
        )
    return version


def move_watermark(connection: Connection, scope_id: int, key: RunKey, watermark: Mapping[str, Any]) -> None:
    """Set the scope's watermark inside the caller's transaction."""
    values = {"watermark": plain_json(watermark), "watermark_run_id": key.run_id, "watermark_at": utc_now()}
    connection.execute(update(scopes).where(scopes.c.id == scope_id).values(values))


def _of(integration: str, instance: str) -> tuple[ColumnElement[bool], ...]:
    return (scopes.c.integration == integration, scopes.c.instance == instance)
