"""Log-ins that a run's tasks share, and what is known of a partner's server.

A secret arrives already encrypted; the ledger never sees a password or a token in the clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from tieout.errors import Superseded
from tieout.ledger.columns import plain_json
from tieout.ledger.database import Database, utc_now
from tieout.ledger.models import capabilities, sessions
from tieout.ledger.rows import SessionRow


class SessionStore(Database):
    """The sessions in the ledger."""

    def load_session(self, name: str) -> SessionRow | None:
        """The session of that name, also when it was closed; None if there never was one."""
        columns = (sessions.c.name, sessions.c.generation, sessions.c.secret, sessions.c.closed)
        with self._reading() as connection:
            row = connection.execute(select(*columns).where(sessions.c.name == name)).one_or_none()
        return None if row is None else SessionRow(**row._mapping)

    def save_session(self, name: str, secret: bytes, *, expected_generation: int) -> int:
        """Save a new log-in, provided nobody else did meanwhile.

        Args:
            name: The session.
            secret: The encrypted token.
            expected_generation: The generation the new one follows; 0 where there was none.

        Returns:
            The new generation.

        Raises:
            Superseded: Somebody else was faster; load theirs.
        """
        generation = expected_generation + 1
        values = {"generation": generation, "secret": secret, "closed": False, "updated_at": utc_now()}
        with self._writing() as connection:
            if expected_generation == 0:
                statement = self._insert(sessions).values(name=name, **values).on_conflict_do_nothing()
            else:
                old = (sessions.c.name == name, sessions.c.generation == expected_generation)
                statement = update(sessions).where(*old).values(values)
            if connection.execute(statement).rowcount != 1:
                raise Superseded(f"Somebody else has logged in as {name} meanwhile; use that session instead.")
        return generation

    def close_session(self, name: str) -> None:
        """Forget a session's secret. A save that is based on it is refused from now on."""
        values = {"generation": sessions.c.generation + 1, "secret": b"", "closed": True, "updated_at": utc_now()}
        with self._writing() as connection:
            open_one = (sessions.c.name == name, sessions.c.closed.is_(False))
            connection.execute(update(sessions).where(*open_one).values(values))


class CapabilityStore(Database):
    """What was found out about partners' servers, so that it need not be probed at every delivery."""

    def load_capabilities(self, partner: str) -> dict[str, Any] | None:
        """What was saved for a partner; None if nothing was."""
        with self._reading() as connection:
            return connection.execute(
                select(capabilities.c.data).where(capabilities.c.partner == partner)
            ).scalar_one_or_none()

    def save_capabilities(self, partner: str, data: Mapping[str, Any]) -> None:
        """Save what is known of a partner's server, in place of what was known."""
        values = {"data": plain_json(data), "updated_at": utc_now()}
        with self._writing() as connection:
            statement = self._insert(capabilities).values(partner=partner, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["partner"], set_=values))
