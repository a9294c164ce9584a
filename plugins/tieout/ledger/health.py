"""How each connection was when it was last looked at, and what is remembered of it until the next look.

The state is one row per connection, kept in place; the audit trail gets an event where something has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from tieout.ledger.columns import plain_json
from tieout.ledger.database import Database, utc_now
from tieout.ledger.events import add_event
from tieout.ledger.models import capabilities
from tieout.ledger.rows import RunKey

CONNECTION_HEALTH = "connection health"
"""`what` of the events; their `integration` is `connection_health`, their `entity` the connection."""
_INTEGRATION = "connection_health"
_PREFIX = f"{CONNECTION_HEALTH}: "


@dataclass(frozen=True)
class ConnectionState:
    """A connection as it was last seen.

    Attributes:
        label: The connection, and the server where an instance says another one.
        row: What was found, as in a row of `bin/tieout check --json`.
        memory: What the next look needs to know.
        checked_at: When that was.
    """

    label: str
    row: Mapping[str, Any]
    memory: Mapping[str, Any]
    checked_at: datetime


class HealthStore(Database):
    """The connections' health in the ledger."""

    def connection_states(self) -> dict[str, ConnectionState]:
        """Every connection that was ever looked at, by label, sorted."""
        query = select(capabilities).where(capabilities.c.partner.startswith(_PREFIX, autoescape=True))
        with self._reading() as connection:
            rows = connection.execute(query.order_by(capabilities.c.partner)).all()
        labels = [row.partner.removeprefix(_PREFIX) for row in rows]
        return {
            label: ConnectionState(label, row.data["row"], row.data["memory"], row.updated_at)
            for label, row in zip(labels, rows, strict=True)
        }

    def note_connection(
        self,
        label: str,
        row: Mapping[str, Any],
        memory: Mapping[str, Any],
        *,
        run_id: str = "",
        event: bool,
        keep: Collection[str] = (),
    ) -> None:
        """Keep what was found of a connection, in place of what was found before.

        Args:
            label: The connection.
            row: What was found. Never a secret.
            memory: What the next look needs to know; a secret only in an encrypted form.
            run_id: The run that has looked; empty outside of one.
            event: Whether the audit trail is told too.
            keep: Names in the memory that stay as they are in the ledger now; absent where it knows nothing of them.
        """
        partner, at = _PREFIX + label, utc_now()
        fresh = {name: value for name, value in memory.items() if name not in keep}
        with self._writing() as connection:
            new = {"partner": partner, "data": plain_json({"row": row, "memory": fresh}), "updated_at": at}
            statement = self._insert(capabilities).values(new).on_conflict_do_nothing()
            if connection.execute(statement.returning(capabilities.c.partner)).first() is None:
                mine = capabilities.c.partner == partner
                # Under a lock: what somebody else is just writing is to be kept, too.
                stored = connection.execute(select(capabilities.c.data).where(mine).with_for_update()).scalar_one()
                kept = {name: value for name, value in stored["memory"].items() if name in keep}
                data = plain_json({"row": row, "memory": {**fresh, **kept}})
                connection.execute(update(capabilities).where(mine).values(data=data, updated_at=at))
            if event:
                key = RunKey(_INTEGRATION, "default", label, run_id)
                add_event(connection, key, CONNECTION_HEALTH, detail=row)

    def forget_connections(self, labels: Iterable[str]) -> None:
        """Forget connections that no instance names any more. Their events stay."""
        names = [_PREFIX + label for label in labels]
        with self._writing() as connection:
            connection.execute(delete(capabilities).where(capabilities.c.partner.in_(names)))
