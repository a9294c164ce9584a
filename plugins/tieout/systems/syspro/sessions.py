"""e.net sessions: what one consists of, and where a run's tasks share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from tieout.systems.common import sessions


@dataclass(frozen=True)
class StoredSession(sessions.Session):
    """The session of one operator and company.

    Attributes:
        token: What Logon answered, opaque; on SYSPRO 7 it ends in two spaces that belong to it. A secret.
        logged_on_at: When it was got, aware UTC: its age is watched, as SYSPRO ends sessions that are idle.
    """

    token: str = field(repr=False)
    logged_on_at: datetime

    def to_bytes(self) -> bytes:
        """For a store that encrypts it; the generation is the store's own."""
        return msgspec.json.encode({"token": self.token, "logged_on_at": self.logged_on_at.astimezone(UTC).isoformat()})

    @classmethod
    def from_bytes(cls, secret: bytes, generation: int) -> StoredSession:
        """Reads what `to_bytes` wrote."""
        values = msgspec.json.decode(secret)
        return cls(values["token"], datetime.fromisoformat(values["logged_on_at"]), generation=generation)


SessionStore = sessions.SessionStore[StoredSession]
MemorySessionStore = sessions.MemorySessionStore[StoredSession]
