"""The one session of an operator that a run's tasks share: got when it is needed, replaced when it has ended.

A log-on ends any other session of the same operator. So nobody logs on who can take over the session that another
task stored, and no more often than a bound: two programs with one operator would throw each other out for ever, use up
licences and lock the operator.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from tieout.errors import SourceUnavailable
from tieout.systems.common.backoff import Backoff
from tieout.systems.common.transport import Clock
from tieout.systems.syspro.logon import LogonPostponed, is_alive, log_off, log_on
from tieout.systems.syspro.sessions import SessionStore, StoredSession
from tieout.systems.syspro.settings import SysproSettings
from tieout.systems.syspro.transport import Transport

log = logging.getLogger(__name__)

RELOGONS_PER_REQUEST = 3


def utc_now() -> datetime:
    """The present moment, aware UTC."""
    return datetime.now(UTC)


class SessionKeeper:
    """The session of one client, for several threads.

    Args:
        settings: Address, operator and limits.
        sessions: Where the session is shared.
        transport: For log-ons and log-offs.
        clock: Seconds of a clock that never goes back.
        now: The present moment, aware UTC, for the age of sessions from the store.
    """

    def __init__(
        self,
        settings: SysproSettings,
        sessions: SessionStore,
        transport: Transport,
        clock: Clock,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._transport = transport
        self._clock = clock
        self._now = now
        self._renewing = threading.Lock()
        self._session: StoredSession | None = None
        self._used_at = 0.0
        self._relogons = 0

    def current(self, backoff: Backoff) -> StoredSession:
        """The session to use now; logs on if there is none that lives.

        Raises:
            CredentialsRejected: Operator, password or company refused.
            SourceUnavailable: The server does not answer within the budget, or gives no licence.
        """
        with self._renewing:
            session = self._session
            if session is not None and self._clock() - self._used_at <= self._settings.validate_after:
                return session
            return self._take(self._get(session, backoff, lost=False))

    def replace_lost(self, lost: StoredSession, losses: int, path: str, backoff: Backoff) -> StoredSession:
        """Another session for one that a request has found ended.

        Args:
            lost: The session that ended.
            losses: How many the request has lost, this one included.
            path: The request without its query, for the message.
            backoff: The request's patience.

        Raises:
            SourceUnavailable: Log-ons do not help, or the server does not answer within the budget.
            CredentialsRejected: Operator, password or company refused.
        """
        with self._renewing:
            if self._session is not None and self._session.generation > lost.generation:
                return self._session
            if losses > RELOGONS_PER_REQUEST or self._relogons >= self._settings.max_relogons:
                raise SourceUnavailable(
                    f"SYSPRO at {self._settings.host} keeps ending the session of operator {self._settings.operator!r} "
                    f"({path}; {self._relogons} log-ons did not help). SYSPRO allows one session per operator: give "
                    f"this connection an operator of its own that no person and no other program uses."
                )
            log.info(
                "The session of operator %s at SYSPRO, %s, has ended", self._settings.operator, self._settings.host
            )
            # Whoever took the session away may be logging on and off right now.
            backoff.pause("the session has ended")
            return self._take(self._get(lost, backoff, lost=True))

    def note_use(self, session: StoredSession) -> None:
        """The server took the session: its idle time starts anew."""
        if self._session is not None and self._session.generation == session.generation:
            self._used_at = self._clock()

    def end(self) -> None:
        """Ends the shared session on the server and in the store. Best effort: never raises."""
        try:
            session = self._sessions.load()
            if session is not None:
                done = log_off(self._transport, self._settings, session.token)
                log.info("Logged off SYSPRO at %s%s", self._settings.host, "" if done else " (the session was over)")
        except Exception as error:
            # Only the error's kind: its text may hold the URL, and that the token.
            log.warning("No log-off from SYSPRO at %s (%s); its session expires by itself",
                        self._settings.host, type(error).__name__)  # fmt: skip
        try:
            self._sessions.close()
        except Exception as error:
            log.warning("The stored session could not be closed (%s)", type(error).__name__)
        with self._renewing:
            self._session = None

    def _take(self, session: StoredSession) -> StoredSession:
        self._session = session
        self._used_at = self._clock()
        return session

    def _get(self, old: StoredSession | None, backoff: Backoff, *, lost: bool) -> StoredSession:
        """The stored session if it is a newer one, or the same one and alive; else one by a log-on."""
        with self._sessions.lock():
            stored = self._sessions.load()
            if stored is not None:
                newer = old is None or stored.generation > old.generation
                idle = (self._now() - stored.logged_on_at).total_seconds() if newer else self._clock() - self._used_at
                if (newer or not lost) and self._is_alive(stored, idle):
                    return stored
            return self._log_on(stored, backoff, again=lost)

    def _is_alive(self, session: StoredSession, idle: float) -> bool:
        """Whether a session may be used. `idle` is its age where nothing else is known of it."""
        if idle <= self._settings.validate_after:
            return True
        return is_alive(self._transport, self._settings, session.token)

    def _log_on(self, old: StoredSession | None, backoff: Backoff, *, again: bool) -> StoredSession:
        while True:
            try:
                session = log_on(self._transport, self._settings, self._now())
                break
            except LogonPostponed as error:
                backoff.pause(f"no log-on, {error}")
        self._relogons += again
        generation = self._sessions.save(session, old.generation if old is not None else 0)
        log.info("Logged on to SYSPRO at %s, company %s, as operator %s",
                 self._settings.host, self._settings.company_id, self._settings.operator)  # fmt: skip
        return replace(session, generation=generation)
