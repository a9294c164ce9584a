"""A log-in that a run's tasks share: what every system's session has, and where it is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, Self, TypeVar

from tieout.errors import Superseded


@dataclass(frozen=True)
class Session:
    """A log-in as a system's client keeps it; each system adds its own secrets.

    Attributes:
        generation: Number of the session in its store; a newer one replaces it.
    """

    generation: int = field(default=0, kw_only=True)

    def to_bytes(self) -> bytes:
        """For a store that encrypts it; the generation is the store's own."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, secret: bytes, generation: int) -> Self:
        """Reads what `to_bytes` wrote."""
        raise NotImplementedError


S = TypeVar("S", bound=Session)


class SessionStore(Protocol[S]):
    """Where the tasks of a run share one session."""

    def load(self) -> S | None:
        """The open session, or None when there is none or it was closed."""
        ...

    def save(self, session: S, expected_generation: int) -> int:
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
        """Held while logging in: one log-in at a time over all workers. Need not be reentrant."""
        ...


class MemorySessionStore(Generic[S]):
    """Shares a session between the threads of one process."""

    def __init__(self) -> None:
        self._login = threading.Lock()
        self._state = threading.Lock()
        self._session: S | None = None
        self._generation = 0

    def load(self) -> S | None:
        """The open session, if any."""
        with self._state:
            return self._session

    def save(self, session: S, expected_generation: int) -> int:
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
        """One log-in at a time."""
        with self._login:
            yield
