"""Sessions of the simulated Service Layer: one store for both roots, sliding idle time-out, sticky nodes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.clock import SandboxClock


@dataclass
class Session:
    """One login. `id` is a secret of its client."""

    id: str = field(repr=False)
    database: str
    user: str
    last_used: datetime
    requests: int = 0


class Sessions:
    """Open sessions, by id."""

    def __init__(self, clock: SandboxClock, timeout_minutes: int) -> None:
        self.timeout_minutes = timeout_minutes
        self._clock = clock
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        self._drop_expired()
        return len(self._open)

    def open(self, database: str, user: str) -> Session:
        """Starts a session."""
        session = Session(str(uuid.uuid4()), database, user, self._clock.now())
        self._open[session.id] = session
        return session

    def use(self, session_id: str | None) -> Session | None:
        """The live session with this id, its idle time started again; None when there is none or it expired."""
        session = self._open.get(session_id or "")
        if session is None:
            return None
        now = self._clock.now()
        if now - session.last_used > timedelta(minutes=self.timeout_minutes):
            del self._open[session.id]
            return None
        session.last_used = now
        session.requests += 1
        return session

    def close(self, session_id: str) -> None:
        """Ends a session; harmless when it is gone."""
        self._open.pop(session_id, None)

    def close_all(self) -> int:
        """Ends every session, as a restart does, and returns how many there were."""
        count = len(self._open)
        self._open.clear()
        return count

    def _drop_expired(self) -> None:
        limit = self._clock.now() - timedelta(minutes=self.timeout_minutes)
        self._open = {key: session for key, session in self._open.items() if session.last_used >= limit}
