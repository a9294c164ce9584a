"""Who may use the API: applications, the spaces that let them in, and their tokens."""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.banqup.faults import Settings
from sandbox.clock import SandboxClock


@dataclass(frozen=True)
class Application:
    """A registered application."""

    client_id: str = "tieout-partner"
    client_secret: str = field(default="Banqup & Co 1", repr=False)


@dataclass
class Token:
    """A live token."""

    client_id: str
    expires_at: datetime
    requests: int = 0


class Access:
    """Applications, whitelists and tokens. Thread-safe.

    Args:
        applications: Those that are registered.
        clock: The sandbox's clock, by which tokens expire.
    """

    def __init__(self, applications: tuple[Application, ...], clock: SandboxClock) -> None:
        self.applications = {application.client_id: application for application in applications}
        self.issued = 0
        self.refused = 0
        self._clock = clock
        self._key = secrets.token_hex(16)
        self._live: dict[str, Token] = {}
        self._closed: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def is_known(self, client_id: str, client_secret: str) -> bool:
        """Whether an application has this secret; a wrong one is counted."""
        application = self.applications.get(client_id)
        known = application is not None and secrets.compare_digest(
            application.client_secret.encode(), client_secret.encode()
        )
        self.refused += not known
        return known

    def issue(self, client_id: str, settings: Settings) -> str:
        """A new token, good for as long as the settings say."""
        with self._lock:
            self.issued += 1
            value = hashlib.sha256(f"{self._key} {self.issued}".encode()).hexdigest()
            expires_at = self._clock.now() + timedelta(seconds=settings.token_seconds)
            self._live[value] = Token(client_id, expires_at)
        return value

    def use(self, value: str, settings: Settings) -> str | None:
        """The application of a token that is still good, for one more request; None otherwise."""
        with self._lock:
            token = self._live.get(value)
            if token is None or token.expires_at <= self._clock.now():
                return None
            token.requests += 1
            if settings.token_requests is not None and token.requests > settings.token_requests:
                return None
            return token.client_id

    def forget(self, value: str | None = None) -> int:
        """One token, or all of them, are dead. Returns how many were alive."""
        with self._lock:
            if value is not None:
                return int(self._live.pop(value, None) is not None)
            count = len(self._live)
            self._live.clear()
            return count

    def may(self, client_id: str, space_id: str) -> bool:
        """Whether the business lets the application in."""
        return (client_id, space_id) not in self._closed

    def withdraw(self, client_id: str, space_id: str) -> None:
        """The business takes the application off its whitelist."""
        self._closed.add((client_id, space_id))

    def whitelist(self, client_id: str, space_id: str) -> None:
        """The business lets the application in again."""
        self._closed.discard((client_id, space_id))
