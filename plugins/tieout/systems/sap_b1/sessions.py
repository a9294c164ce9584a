"""Service Layer sessions: what one consists of, and where a run's tasks share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from tieout.systems.common import sessions


@dataclass(frozen=True)
class StoredSession(sessions.Session):
    """A session of one company and user.

    Attributes:
        session_id: Value of the cookie `B1SESSION`; a secret.
        route_id: Value of the cookie `ROUTEID`, which pins a node; None lets the balancer choose.
        started_at: The server's clock when the first of these sessions began, aware UTC.
        idle_time: How long the server lets it be without a request; None where the log-in did not say.
    """

    session_id: str = field(repr=False)
    route_id: str | None = field(repr=False)
    started_at: datetime
    idle_time: timedelta | None = None

    @property
    def cookie(self) -> str:
        """The `Cookie` header. Built by hand: the server's cookies carry no usable path."""
        route = f"; ROUTEID={self.route_id}" if self.route_id else ""
        return f"B1SESSION={self.session_id}{route}"

    def to_bytes(self) -> bytes:
        """For a store that encrypts it; the generation is the store's own."""
        return msgspec.json.encode(
            {
                "session_id": self.session_id,
                "route_id": self.route_id,
                "started_at": self.started_at.astimezone(UTC).isoformat(),
                "idle_seconds": self.idle_time.total_seconds() if self.idle_time is not None else None,
            }
        )

    @classmethod
    def from_bytes(cls, secret: bytes, generation: int) -> StoredSession:
        """Reads what `to_bytes` wrote."""
        values = msgspec.json.decode(secret)
        idle_seconds = values.get("idle_seconds")
        return cls(
            session_id=values["session_id"],
            route_id=values["route_id"],
            started_at=datetime.fromisoformat(values["started_at"]),
            idle_time=None if idle_seconds is None else timedelta(seconds=idle_seconds),
            generation=generation,
        )


SessionStore = sessions.SessionStore[StoredSession]
MemorySessionStore = sessions.MemorySessionStore[StoredSession]
