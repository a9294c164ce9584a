"""e.net sessions: what one consists of, and where a run's tasks share it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from tieout.errors import Superseded


@dataclass(frozen=True)
class StoredSession:
    """The session of one operator and company.

    Attributes:
        token: What Logon answered, opaque; on SYSPRO 7 it ends in two spaces that belong to it. A secret.
        logged_on_at: When it was got, aware UTC: its age is watched, as SYSPRO ends sessions that are idle.
        generation: Number of the session in its store; a newer one replaces it.
    """

    token: str = field(repr=False)
    logged_on_at: datetime
    generation: int = 0

    def to_bytes(self) -> bytes:
        """For a store that encrypts it; the generation is the store's own."""
        return msgspec.json.encode({"token": self.token, "logged_on_at": self.logged_on_at.astimezone(UTC).isoformat()})

    @classmethod
    def from_bytes(cls, secret: bytes, generation: int) -> StoredSession:
        """Reads what `to_bytes` wrote."""
        values = msgspec.json.decode(secret)
        return cls(values["token"], datetime.fromisoformat(values["logged_on_at"]), generation)


class SessionStore(Protocol):
    """Where the tasks of a run share one session."""

    def load(self) -> StoredSession | None:
        """The open session, or None when there is none or it was closed."""
        ...

    def save(self, session: StoredSession, expected_generation: int) -> int:
        """Stores a new session; returns its generation.

        Args:
            session: The new session.
            expected_generation: Generation of the session it replaces; 0 when `load` gave none.

        Raises:
            tieout.errors.Superseded: Somebody else stored another one meanwhile.
        """
        ...

    def close(self) -> None:
        """Marks the session as closed: `load` gives none until the next `save`."""
        ...

    def lock(self) -> AbstractContextManager[object]:
        """Held while logging on: one log-on at a time over all workers. Need not be reentrant."""
        ...


class MemorySessionStore:
    """Shares a session between the threads of one process."""

    def __init__(self) -> None:
        self._logon = threading.Lock()
        self._state = threading.Lock()
        self._session: StoredSession | None = None
        self._generation = 0

    def load(self) -> StoredSession | None:
        """The open session, if any."""
        with self._state:
            return self._session

    def save(self, session: StoredSession, expected_generation: int) -> int:
        """Stores a new session; see `SessionStore`."""
        with self._state:
            current = self._session.generation if self._session else 0
            if current != expected_generation:
                raise Superseded("Another session was stored meanwhile.")
            self._generation += 1
            self._session = replace(session, generation=self._generation)
            return self._generation

    def close(self) -> None:
        """Forgets the session."""
        with self._state:
            self._session = None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One log-on at a time."""
        with self._logon:
            yield
