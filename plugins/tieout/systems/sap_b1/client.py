"""Reading from SAP Business One through Service Layer, on one session that a run's tasks share.

A session error (HTTP 401) leads to one new log-in under a lock and one repetition; a server that cannot serve now is
waited for within a budget; everything else is an error at once. Only reads are ever repeated.
"""

from __future__ import annotations

import logging
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import IO, Any

import msgspec

from tieout.errors import ContractBroken, SourceUnavailable
from tieout.odata.query import query_string
from tieout.systems.sap_b1.backoff import Backoff
from tieout.systems.sap_b1.errors import Problem, SapError, read_problem
from tieout.systems.sap_b1.login import JSON_HEADERS, LoginPostponed, log_in, log_out, route_of
from tieout.systems.sap_b1.sessions import SessionStore, StoredSession
from tieout.systems.sap_b1.settings import SapB1Settings
from tieout.systems.sap_b1.transport import Clock, NotAnswered, Reply, Transport

log = logging.getLogger(__name__)

_SESSIONS_PER_REQUEST = 5
_SPOOL_BYTES = 1024 * 1024
_CHUNK = 256 * 1024


class SapB1Client:
    """A Service Layer, for several threads.

    Args:
        settings: Address, company and limits.
        sessions: Where the session is shared.
        clock: Seconds of a clock that never goes back.
        sleep: Waits for so many seconds.
        jitter: A random number in [0, 1), for pauses.
    """

    def __init__(
        self,
        settings: SapB1Settings,
        sessions: SessionStore,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._sessions = sessions
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._transport = Transport(settings, clock)
        self._renewing = threading.Lock()
        self._state = threading.Lock()
        self._session: StoredSession | None = None
        self._proved = 0

    # -- sessions -------------------------------------------------------------------------------------------------

    def login(self) -> None:
        """Makes sure that there is a session; logs in only if the store has none.

        Raises:
            CredentialsRejected: User, password or company refused.
            SourceUnavailable: The server does not answer within the budget.
        """
        self._current(self._backoff("session"))

    def server_time(self) -> datetime:
        """The server's clock when the run's first session began, aware UTC; logs in if need be.

        No watermark may move beyond it.
        """
        return self._current(self._backoff("session")).started_at

    def logout(self) -> None:
        """Ends the shared session on the server and in the store. Best effort: never raises."""
        try:
            session = self._sessions.load()
            if session is not None:
                log_out(self._transport, self.settings, session)
                log.info("Logged out of SAP Business One at %s", self.settings.host)
        except Exception as error:
            log.warning("No log-out from SAP Business One at %s (%s); its session expires by itself",
                        self.settings.host, type(error).__name__)  # fmt: skip
        try:
            self._sessions.close()
        except Exception as error:
            log.warning("The stored session could not be closed (%s)", type(error).__name__)
        with self._state:
            self._session = None
        self._transport.close()

    def close(self) -> None:
        """Closes the connections; the session stays open for others."""
        self._transport.close()

    def _current(self, backoff: Backoff) -> StoredSession:
        with self._state:
            session = self._session
        return session if session is not None else self._renew(None, backoff)[0]

    def _renew(self, stale: StoredSession | None, backoff: Backoff) -> tuple[StoredSession, bool]:
        """A session newer than `stale`: that of another worker if there is one, else (then True) by a log-in.

        Log-ins are made one at a time, since Service Layer fails some of those that come together (500/299).
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

    def _log_in(self, old: StoredSession | None, backoff: Backoff) -> StoredSession:
        while True:
            try:
                session = log_in(self._transport, self.settings)
                break
            except LoginPostponed as error:
                backoff.pause(f"no log-in, {error}")
        if old is not None:
            session = replace(session, started_at=min(session.started_at, old.started_at))
        generation = self._sessions.save(session, old.generation if old is not None else 0)
        return replace(session, generation=generation)

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Reads a JSON document, such as `Invoices(1)`.

        Args:
            path: Relative to the service root.
            params: Query options, not yet encoded.

        Raises:
            SapError: Refused, for instance 404/-2028 for a key that does not exist.
            SourceUnavailable: No answer within the budget.
            CredentialsRejected: A new log-in was needed and refused.
            ContractBroken: The answer is larger than allowed.
        """
        return self._read(path, params, whole=_looks_complete).body

    def get_page(self, entity_set: str, params: Mapping[str, str]) -> bytes:
        """Reads a page of a collection, of at most `page_size` records; errors as `get`."""
        headers = {"Prefer": f"odata.maxpagesize={self.settings.page_size}"}
        return self._read(entity_set, params, headers=headers, whole=_looks_complete).body

    def count(self, entity_set: str, filter: str | None = None) -> int:
        """How many records meet a filter; errors as `get`.

        Raises:
            ContractBroken: The answer is not a number.
        """
        path = f"{entity_set}/$count"
        headers = {"Accept": "text/plain, application/json"}
        body = self._read(path, {"$filter": filter} if filter else None, headers=headers).body
        number = _number(body)
        if number is None:
            shown = body[:60].decode("utf-8", "replace")
            raise ContractBroken(
                f"SAP Business One at {self.settings.host} answers {path} with {shown!r}, not a number."
            )
        return number

    def download(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[bytes]:
        """Reads a binary document, such as `Attachments2(3)/$value`, in pieces; errors as `get`.

        Nothing is handed out before all of it has arrived, so a broken connection can be repeated; large documents wait
        on disk.
        """
        with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as file:
            headers = {"Accept": "*/*"}
            self._read(path, params, headers=headers, into=file, max_bytes=self.settings.max_attachment_bytes)
            file.seek(0)
            while chunk := file.read(_CHUNK):
                yield chunk

    def _read(
        self,
        path: str,
        params: Mapping[str, str] | None,
        *,
        headers: Mapping[str, str] | None = None,
        whole: Callable[[bytes], bool] | None = None,
        into: IO[bytes] | None = None,
        max_bytes: int | None = None,
    ) -> Reply:
        options = query_string(params) if params else ""
        url = f"{self.settings.root}/{path}" + (f"?{options}" if options else "")
        backoff = self._backoff(path)
        lost = 0
        fresh = False
        while True:
            session = self._current(backoff)
            sent = {**JSON_HEADERS, **(headers or {}), "Cookie": session.cookie}
            if into is not None:
                into.seek(0)
                into.truncate()
            try:
                sink = into.write if into is not None else None
                reply = self._transport.send("GET", url, headers=sent, max_bytes=max_bytes, sink=sink)
            except NotAnswered as error:
                backoff.pause(str(error))
                continue
            if reply.status == 200:
                self._note_success(session, reply)
                if whole is None or whole(reply.body):
                    return reply
                backoff.pause("a web page instead of data" if _is_html(reply.body) else "the answer broke off")
                continue
            problem = read_problem(reply.status, reply.body)
            if problem.session_lost:
                if (fresh and not self._served(session)) or lost >= _SESSIONS_PER_REQUEST:
                    raise self._drops_sessions(path)
                lost += 1
                log.info("The session at SAP Business One, %s, has ended; a new one is needed", self.settings.host)
                fresh = self._renew(session, backoff)[1]
            elif problem.transient:
                self._be_patient(session, problem, backoff)
            else:
                raise SapError(problem.status, problem.code, problem.message, path)

    def _served(self, session: StoredSession) -> bool:
        """Whether a session ever worked. One that did not is not one that expired: log-ins do not help."""
        with self._state:
            return self._proved >= session.generation

    def _drops_sessions(self, path: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"SAP Business One at {self.settings.host} drops the session straight after the log-in ({path}). Check "
            f"the session limits and the load balancer of Service Layer. Nothing of this read is used; the next run "
            f"catches up."
        )

    def _be_patient(self, session: StoredSession, problem: Problem, backoff: Backoff) -> None:
        log.info("SAP Business One at %s cannot serve now: %s", self.settings.host, problem)
        backoff.pause(str(problem))
        if problem.node_fault:
            self._renew(session, backoff)

    def _note_success(self, session: StoredSession, reply: Reply) -> None:
        route = route_of(reply)
        with self._state:
            self._proved = max(self._proved, session.generation)
            if route and self._session is not None and self._session.generation == session.generation:
                self._session = replace(self._session, route_id=route)

    def _backoff(self, what: str) -> Backoff:
        return Backoff(
            what,
            self.settings.host,
            budget=self.settings.retry_seconds,
            clock=self._clock,
            sleep=self._sleep,
            jitter=self._jitter,
        )


def _newer(session: StoredSession, stale: StoredSession | None) -> bool:
    return stale is None or session.generation > stale.generation


def _looks_complete(body: bytes) -> bool:
    """Whether a JSON body was not cut short, where the server does not say how long it is."""
    return body[-64:].rstrip()[-1:] in (b"}", b"]")


def _is_html(body: bytes) -> bool:
    """Whether a body is a page of some proxy or portal in between."""
    return body[:64].lstrip().startswith(b"<")


def _number(body: bytes) -> int | None:
    try:
        value: Any = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf").strip())
        if isinstance(value, dict):
            value = next((value[name] for name in ("value", "@odata.count", "odata.count") if name in value), None)
        return int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
