"""The one session that a run's tasks share: got when it is needed, replaced when it has ended.

Log-ins are made one at a time, since Service Layer fails some of those that come together (500/299).
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace

from tieout.errors import SourceUnavailable
from tieout.systems.common.backoff import Backoff
from tieout.systems.common.transport import Reply, Transport
from tieout.systems.sap_b1.login import LoginPostponed, log_in, log_out, route_of
from tieout.systems.sap_b1.sessions import SessionStore, StoredSession
from tieout.systems.sap_b1.settings import SapB1Settings

log = logging.getLogger(__name__)

_SESSIONS_PER_REQUEST = 5


@dataclass
class Losses:
    """Sessions that one request has lost; `fresh` is whether the newest came from a log-in of our own."""

    count: int = 0
    fresh: bool = False


class SessionKeeper:
    """The session of one client, for several threads.

    Args:
        settings: Address, company and limits.
        sessions: Where the session is shared.
        transport: For log-ins and log-outs.
    """

    def __init__(self, settings: SapB1Settings, sessions: SessionStore, transport: Transport) -> None:
        self._settings = settings
        self._sessions = sessions
        self._transport = transport
        self._renewing = threading.Lock()
        self._state = threading.Lock()
        self._session: StoredSession | None = None
        self._proved = 0
        self._abandoned: int | None = None

    def current(self, backoff: Backoff) -> StoredSession:
        """The session to use now; logs in if there is none.

        Raises:
            CredentialsRejected: User, password or company refused.
            SourceUnavailable: The server does not answer within the budget.
        """
        with self._state:
            session, abandoned = self._session, self._abandoned
        if session is not None and session.generation != abandoned:
            return session
        return self.renew(session, backoff)[0]

    def renew(self, stale: StoredSession | None, backoff: Backoff) -> tuple[StoredSession, bool]:
        """A session newer than `stale`: that of another worker if there is one, else (then True) by a log-in.

        Raises:
            CredentialsRejected: User, password or company refused.
            SourceUnavailable: The server does not answer within the budget.
        """
        with self._renewing:
            with self._state:
                session = self._session
            if session is not None and _newer(session, stale):
                return session, False
            with self._sessions.lock():
                stored = self._sessions.load()
                adopted = stored is not None and _newer(stored, stale)
                session = stored if stored is not None and adopted else self._log_in(stored, backoff)
            with self._state:
                self._session = session
            return session, not adopted

    def replace_lost(self, session: StoredSession, losses: Losses, path: str, backoff: Backoff, given_up: str) -> None:
        """Gets another session for one that a request has found ended.

        Args:
            session: The session that ended.
            losses: What the request has lost so far; counted here.
            path: The request, for the message.
            backoff: The request's patience.
            given_up: What giving up means for the caller's work, for the message.

        Raises:
            SourceUnavailable: Log-ins do not help, or the server does not answer within the budget.
            CredentialsRejected: User, password or company refused.
        """
        # A session that never worked is not one that expired: log-ins do not help.
        if (losses.fresh and not self._served(session)) or losses.count >= _SESSIONS_PER_REQUEST:
            raise SourceUnavailable(
                f"SAP Business One at {self._settings.host} drops the session straight after the log-in ({path}). "
                f"Check the session limits and the load balancer of Service Layer. {given_up}"
            )
        losses.count += 1
        log.info("The session at SAP Business One, %s, has ended; a new one is needed", self._settings.host)
        losses.fresh = self.renew(session, backoff)[1]

    def abandon(self, session: StoredSession) -> None:
        """The next request shall have another session than this one, and with it another node."""
        with self._state:
            self._abandoned = session.generation

    def note_success(self, session: StoredSession, reply: Reply) -> None:
        """Remembers that a session works, and the node that the balancer pinned."""
        route = route_of(reply)
        with self._state:
            self._proved = max(self._proved, session.generation)
            if route and self._session is not None and self._session.generation == session.generation:
                self._session = replace(self._session, route_id=route)

    def end(self) -> None:
        """Ends the shared session on the server and in the store. Best effort: never raises."""
        try:
            session = self._sessions.load()
            if session is not None:
                log_out(self._transport, self._settings, session)
                log.info("Logged out of SAP Business One at %s", self._settings.host)
        except Exception as error:
            log.warning("No log-out from SAP Business One at %s (%s); its session expires by itself",
                        self._settings.host, type(error).__name__)  # fmt: skip
        try:
            self._sessions.close()
        except Exception as error:
            log.warning("The stored session could not be closed (%s)", type(error).__name__)
        with self._state:
            self._session = None

    def _log_in(self, old: StoredSession | None, backoff: Backoff) -> StoredSession:
        while True:
            try:
                session = log_in(self._transport, self._settings)
                break
            except LoginPostponed as error:
                backoff.pause(f"no log-in, {error}")
        if old is not None:
            session = replace(session, started_at=min(session.started_at, old.started_at))
        generation = self._sessions.save(session, old.generation if old is not None else 0)
        return replace(session, generation=generation)

    def _served(self, session: StoredSession) -> bool:
        with self._state:
            return self._proved >= session.generation


def _newer(session: StoredSession, stale: StoredSession | None) -> bool:
    return stale is None or session.generation > stale.generation
