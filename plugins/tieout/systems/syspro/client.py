"""SYSPRO for reading: one session per operator that a run's tasks share, and tables by OData or COMFND.

A session that has ended (e.net says so in an `ERROR:` body, with HTTP 200) leads to another one and one repetition; a
server that cannot serve now, or whose answer is cut short, is asked again within a budget; everything else is an error
at once. e.net's URLs carry passwords and tokens, so that no URL is ever part of a message.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import pyarrow as pa

from tieout.errors import ConfigurationInvalid, CredentialsRejected
from tieout.systems.common.backoff import Backoff
from tieout.systems.common.transport import Clock, NotAnswered, Reply
from tieout.systems.syspro.answers import EnetError, Kind, find_error
from tieout.systems.syspro.comfnd_reader import ComfndReader
from tieout.systems.syspro.credentials import TOKEN_PARAMETER, basic_headers, token_headers, token_params
from tieout.systems.syspro.errors import Problem, SysproError, Unreadable, read_problem
from tieout.systems.syspro.logon import logon_profile
from tieout.systems.syspro.odata_reader import ODataReader
from tieout.systems.syspro.redaction import redact
from tieout.systems.syspro.session_keeper import SessionKeeper, utc_now
from tieout.systems.syspro.sessions import MemorySessionStore, SessionStore, StoredSession
from tieout.systems.syspro.settings import SysproSettings
from tieout.systems.syspro.tables import Table, TableRead
from tieout.systems.syspro.transport import Target, Transport

log = logging.getLogger(__name__)

T = TypeVar("T")

_SECONDS = re.compile(r"^\d{1,4}$")


class SysproClient:
    """A SYSPRO server, read only. A context manager that logs off at its end, whatever happened.

    Args:
        settings: Address, operator, company and limits.
        sessions: Where the session is shared; by default among this client's threads only.
        clock: Seconds of a clock that never goes back.
        sleep: Waits for so many seconds.
        jitter: A random number in [0, 1), for pauses.
        now: The present moment, aware UTC.
    """

    def __init__(
        self,
        settings: SysproSettings,
        sessions: SessionStore | None = None,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._transport = Transport(settings, clock)
        self._keeper = SessionKeeper(settings, sessions or MemorySessionStore(), self._transport, clock, now)
        self._query_paths = settings.query_paths
        self._token_taken = False
        self._odata = ODataReader(self.fetch, settings)
        self._comfnd = ComfndReader(self.query, settings)

    def __enter__(self) -> SysproClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.logout()

    # -- sessions -------------------------------------------------------------------------------------------------

    def login(self) -> None:
        """Makes sure that there is a session; logs on only if the store has none. Nothing to do with `basic`.

        Raises:
            CredentialsRejected: Operator, password or company refused.
            SourceUnavailable: The server does not answer within the budget, or has no licence free.
        """
        if self.settings.needs_token:
            self._keeper.current(self._backoff(self.settings.logon_path))

    def logged_on_at(self) -> datetime | None:
        """When the session was got, aware UTC; logs on if need be. None with `basic`, which has no session."""
        if not self.settings.needs_token:
            return None
        return self._keeper.current(self._backoff(self.settings.logon_path)).logged_on_at

    def profile(self) -> dict[str, str]:
        """What SYSPRO says of the session, such as `CompanyName`; empty with `basic`, and where it says nothing.

        Raises:
            CredentialsRejected: A log-on was needed and refused.
            SourceUnavailable: It was needed, and the server does not answer within the budget.
        """
        if not self.settings.needs_token:
            return {}
        session = self._keeper.current(self._backoff(self.settings.profile_path))
        return logon_profile(self._transport, self.settings, session.token) or {}

    def logout(self) -> None:
        """Ends the shared session on the server and in the store, and closes the connections. Never raises."""
        if self.settings.needs_token:
            self._keeper.end()
        self.close()

    def close(self) -> None:
        """Closes the connections; the session stays open for others."""
        self._transport.close()

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, read: TableRead) -> Iterator[pa.RecordBatch]:
        """A table's records in key order, by the reader that the settings name.

        Each batch is a page in the layout of `tieout.systems.syspro.columns.batch_schema`: memory holds two pages,
        whatever the size of the table. Nothing may be used before the last batch has come: only then it is known that
        all of them are complete.

        Raises:
            SysproError: SYSPRO refuses the request.
            ContractBroken: The server contradicts itself, or a value is not of its column's type.
            SourceUnavailable: The server does not answer within the budget.
            CredentialsRejected: The server does not accept the credentials.
        """
        return self._comfnd.read(read) if self.settings.reader == "comfnd" else self._odata.read(read)

    def count(self, read: TableRead) -> int | None:
        """How many rows the server counts, where it does; conditions on dates are a day wider. Errors as `read`."""
        return None if self.settings.reader == "comfnd" else self._odata.count(read)

    def probe(self, table: Table) -> int:
        """Reads one record of a table, to see whether reading works; how many there were, 0 or 1. Errors as `read`."""
        read = TableRead(table, raw=False)
        return self._comfnd.probe(read) if self.settings.reader == "comfnd" else self._odata.probe(read)

    def fetch(self, path: str, params: Mapping[str, str], parse: Callable[[bytes], T]) -> T:
        """Reads a document of the OData service.

        Args:
            path: Below the base URL.
            params: Query options, not yet encoded.
            parse: Makes a value of the body; `Unreadable` has it asked for again.

        Raises:
            SysproError: Refused.
            SourceUnavailable: No whole answer within the budget.
            CredentialsRejected: The credentials are not accepted.
        """
        return self._ask(path, params, parse, enet=False)

    def query(self, business_object: str, xml_in: str, parse: Callable[[bytes], T]) -> T:
        """Calls an e.net query object, such as `COMFND`; errors as `fetch`.

        Args:
            business_object: Its name; an object of the class Query, which can change nothing.
            xml_in: Its parameters.
            parse: Makes a value of the body; `Unreadable` has it asked for again.
        """
        params = {"BusinessObject": business_object, "XmlIn": xml_in}
        while True:
            path = self._query_paths[0]
            try:
                return self._ask(path, params, parse, enet=True)
            except SysproError as error:
                if error.status != 404 or len(self._query_paths) == 1:
                    raise
                self._query_paths = self._query_paths[1:]

    def _ask(self, path: str, params: Mapping[str, str], parse: Callable[[bytes], T], *, enet: bool) -> T:
        backoff = self._backoff(path)
        losses = 0
        while True:
            session = self._keeper.current(backoff) if self.settings.needs_token else None
            try:
                reply = self._transport.get(self._target(path, params, session, enet=enet))
            except NotAnswered as error:
                backoff.pause(str(error))
                continue
            error_text = find_error(reply.body, reply.headers.get("Content-Type") or "")
            ended = error_text is not None and error_text.kind is Kind.SESSION_LOST
            # Whether a 401 means the session or the credentials, only another session tells, or an earlier answer.
            if session is not None and (ended or (reply.status == 401 and (self._token_taken or not losses))):
                losses += 1
                self._keeper.replace_lost(session, losses, path, backoff)
                continue
            if error_text is not None:
                self._enet_refusal(error_text, reply.status, path, backoff)
                continue
            if reply.status != 200:
                self._http_refusal(reply, path, backoff)
                continue
            if session is not None:
                self._keeper.note_use(session)
                self._token_taken = self._token_taken or not enet
            try:
                return parse(reply.body)
            except Unreadable as error:
                backoff.pause(str(error))

    def _target(self, path: str, params: Mapping[str, str], session: StoredSession | None, *, enet: bool) -> Target:
        accept = "*/*" if enet else "application/json"
        headers = {"Accept": accept, "Accept-Encoding": "gzip", **basic_headers(self.settings)}
        if session is None:
            return Target(path, params, headers)
        headers |= token_headers(self.settings, session.token)
        token = {TOKEN_PARAMETER: session.token} if enet else token_params(self.settings, session.token)
        return Target(path, {**token, **params}, headers)

    def _enet_refusal(self, error: EnetError, status: int, path: str, backoff: Backoff) -> None:
        """Waits, or raises what an `ERROR:` means."""
        words = redact(error.message, self.settings.secrets)
        if error.kind is Kind.LICENCES_USED_UP:
            backoff.pause(f"no e.net licence is free: {words}")
            return
        if error.kind is Kind.NOT_INSTALLED:
            raise ConfigurationInvalid(
                f"SYSPRO at {self.settings.host} has no licence for, or no installation of, what {path} needs "
                f"({words}). Operator {self.settings.operator!r} needs e.net access to it."
            )
        if error.kind is Kind.BAD_INSTANCE:
            raise ConfigurationInvalid(
                f"SYSPRO at {self.settings.host} does not recognise its own session token ({words}). If strip_token is "
                f"set in the connection's extra, remove it; else its administrator must check the e.net service."
            )
        raise SysproError(status, words, path)

    def _http_refusal(self, reply: Reply, path: str, backoff: Backoff) -> None:
        """Waits, or raises what an HTTP status means."""
        problem = read_problem(reply.status, reply.body)
        words = redact(problem.message, self.settings.secrets)
        if problem.transient:
            backoff.pause(f"HTTP {problem.status}" + (f" {words}" if words else ""), _retry_after(reply))
            return
        if problem.status in (401, 403):
            raise self._rejected(problem, path)
        if problem.status == 404:
            words = words or "there is nothing; check odata_path, logon_path and company_id of the connection's extra"
        raise SysproError(problem.status, words, path)

    def _rejected(self, problem: Problem, path: str) -> CredentialsRejected:
        settings = self.settings
        hint = {
            "session_token": "It may not take session tokens at all: set auth in the connection's extra to basic or "
            "token_and_basic, token_in to another place, or reader to comfnd.",
            "basic": "Check login and password, and that the operator is enabled for OData: the service reads who is "
            "only when it starts.",
            "token_and_basic": "Check basic_login and basic_password in the connection's extra, and that the operator "
            "is enabled for OData: the service reads who is only when it starts.",
        }[settings.auth]
        return CredentialsRejected(
            f"SYSPRO at {settings.host} does not let operator {settings.operator!r} read {path} (HTTP "
            f"{problem.status}). {hint}"
        )

    def _backoff(self, what: str) -> Backoff:
        return Backoff(
            what,
            self.settings.server,
            budget=self.settings.retry_seconds,
            clock=self._clock,
            sleep=self._sleep,
            jitter=self._jitter,
        )


def _retry_after(reply: Reply) -> float:
    header = (reply.headers.get("Retry-After") or "").strip()
    return float(header) if _SECONDS.match(header) else 0.0
