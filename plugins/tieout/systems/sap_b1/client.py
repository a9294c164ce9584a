"""SAP Business One through Service Layer, on one session that a run's tasks share.

A session error (HTTP 401) leads to one new log-in under a lock and one repetition; a server that cannot serve now is
waited for within a budget; everything else is an error at once. Only reads are repeated, and of writes only those of
which it is certain that they were not carried out: no connection, no session.
"""

from __future__ import annotations

import logging
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import IO, Any

import msgspec
from urllib3.util import parse_url

from tieout.errors import ContractBroken
from tieout.odata.query import query_string
from tieout.systems.common.backoff import NOTHING_READ, NOTHING_SENT, Backoff
from tieout.systems.common.transport import Clock, NotAnswered, NotConnected, Reply, Transport
from tieout.systems.sap_b1.batch import encode_batch, read_batch
from tieout.systems.sap_b1.errors import Problem, SapError, read_problem
from tieout.systems.sap_b1.login import JSON_HEADERS
from tieout.systems.sap_b1.session_keeper import Losses, SessionKeeper
from tieout.systems.sap_b1.sessions import SessionStore, StoredSession
from tieout.systems.sap_b1.settings import SapB1Settings
from tieout.systems.sap_b1.write_connections import WriteConnections
from tieout.systems.sap_b1.writing import Effect, Write, Written, lost, read_written

log = logging.getLogger(__name__)

_SPOOL_BYTES = 1024 * 1024
_CHUNK = 256 * 1024
_CONNECTIONS = 16
_PROXY_SUFFIX = re.compile(r'-+gzip"$')


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
        self._transport = Transport(settings, clock, connections=_CONNECTIONS)
        self._writes = WriteConnections(settings, clock)
        self._keeper = SessionKeeper(settings, sessions, self._transport)

    # -- sessions -------------------------------------------------------------------------------------------------

    def login(self) -> None:
        """Makes sure that there is a session; logs in only if the store has none.

        Raises:
            CredentialsRejected: User, password or company refused.
            SourceUnavailable: The server does not answer within the budget.
        """
        self._keeper.current(self._backoff("session"))

    def server_time(self) -> datetime:
        """The server's clock when the run's first session began, aware UTC; logs in if need be.

        No watermark may move beyond it.
        """
        return self._keeper.current(self._backoff("session")).started_at

    def idle_time(self) -> timedelta | None:
        """How long the server lets the session be without a request; None where it does not say; logs in if need be."""
        return self._keeper.current(self._backoff("session")).idle_time

    def logout(self) -> None:
        """Ends the shared session on the server and in the store. Best effort: never raises."""
        self._keeper.end()
        self.close()

    def close(self) -> None:
        """Closes the connections; the session stays open for others."""
        self._transport.close()
        self._writes.close()

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

    def get_tagged(self, path: str, params: Mapping[str, str] | None = None) -> tuple[bytes, str]:
        """Reads a JSON document and its ETag, for a change that must not overwrite another's; errors as `get`.

        The ETag is empty where the server gives none, and where it would be that of another version: with a `$select`
        that lacks `DataVersion`, Service Layer computes it as of version 1.
        """
        reply = self._read(path, params, whole=_looks_complete)
        selected = (params or {}).get("$select")
        if selected is not None and "DataVersion" not in selected:
            return reply.body, ""
        # Apache marks the ETag of an answer that it compresses, and then does not recognise its own mark.
        tag = _PROXY_SUFFIX.sub('"', reply.headers.get("ETag") or "")
        return reply.body, tag or _inline_tag(reply.body)

    def action(self, name: str, body: bytes | None = None) -> bytes:
        """Calls a function of Service Layer that only reads, such as `CompanyService_GetAdminInfo`.

        It is repeated as reads are: never use it for what changes anything. Errors as `get`.

        Args:
            name: Name of the function, below the service root.
            body: Its parameters as JSON.
        """
        return self._read(name, None, method="POST", content=body or b"", whole=_is_json).body

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
        method: str = "GET",
        content: bytes | None = None,
    ) -> Reply:
        options = query_string(params) if params else ""
        url = f"{self.settings.root}/{path}" + (f"?{options}" if options else "")
        backoff = self._backoff(path)
        losses = Losses()
        while True:
            session = self._keeper.current(backoff)
            sent = {**JSON_HEADERS, **(headers or {}), "Cookie": session.cookie}
            if content:
                sent["Content-Type"] = "application/json"
            if into is not None:
                into.seek(0)
                into.truncate()
            try:
                sink = into.write if into is not None else None
                reply = self._transport.send(method, url, headers=sent, body=content, max_bytes=max_bytes, sink=sink)
            except NotAnswered as error:
                backoff.pause(str(error))
                continue
            if reply.status == 200 or (reply.status == 204 and method == "POST"):
                self._keeper.note_success(session, reply)
                if whole is None or whole(reply.body):
                    return reply
                backoff.pause("a web page instead of data" if _is_html(reply.body) else "the answer broke off")
                continue
            problem = read_problem(reply.status, reply.body)
            if problem.session_lost:
                self._keeper.replace_lost(session, losses, path, backoff, NOTHING_READ)
            elif problem.transient:
                self._be_patient(session, problem, backoff)
            else:
                raise SapError(problem.status, problem.code, problem.message, path)

    # -- writing --------------------------------------------------------------------------------------------------

    def write(self, write: Write, *, before_send: Callable[[], None] | None = None) -> Written:
        """Sends a write, and says what became of it. Never sent again once it may have been carried out.

        Whatever is raised here, nothing was carried out.

        Args:
            write: The write.
            before_send: Called each time just before its bytes leave; what it raises passes through, unsent.

        Returns:
            `DONE`, `REFUSED` or `UNKNOWN`.

        Raises:
            SourceUnavailable: No connection or no session within the budget.
            CredentialsRejected: A new log-in was needed and refused.
            ConfigurationInvalid: TLS does not work out.
        """
        headers = {"If-Match": write.if_match} if write.if_match is not None else {}
        if write.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            reply, _ = self._send(
                write.method, write.path, headers, write.body, self.settings.read_timeout, before_send
            )
        except NotAnswered as error:
            return lost(error)
        return read_written(write, reply.status, reply.headers, reply.body)

    def write_batch(self, writes: Sequence[Write], *, before_send: Callable[[], None] | None = None) -> list[Written]:
        """Sends several writes in one request, each in a change set of its own; SAP stops at the first that fails.

        Whatever is raised here, nothing was carried out.

        Args:
            writes: The writes, none with `if_match`. Fewer than 100: the size that a server takes is not documented.
            before_send: As in `write`.

        Returns:
            What became of each, in their order. `NOT_SENT` were those after a failed one.

        Raises:
            SapError: The request as a whole is refused: this server takes no batches, or not this one. The caller may
                send the writes one by one.
            SourceUnavailable: No connection or no session within the budget.
            CredentialsRejected: A new log-in was needed and refused.
            ConfigurationInvalid: TLS does not work out.
            ValueError: A write has `if_match`, which SAP ignores within a batch.
        """
        if not writes:
            return []
        target = self._target("")
        encoded = [replace(write, path=self._target(write.path).removeprefix(target)) for write in writes]
        kind, body = encode_batch(encoded, root=target.rstrip("/"), host=self.settings.host)
        headers = {"Content-Type": kind, "Accept": "multipart/mixed, application/json"}
        try:
            reply, session = self._send("POST", "$batch", headers, body, self.settings.request_timeout, before_send)
        except NotAnswered as error:
            if error.partial is None:
                return [lost(error)] * len(writes)
            return read_batch(writes, error.partial, timed_out=error.timed_out)
        results = read_batch(writes, reply)
        if any(result.effect is Effect.NOT_SENT and result.status == 401 for result in results):
            self._keeper.abandon(session)
        return results

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        read_timeout: float,
        before_send: Callable[[], None] | None,
    ) -> tuple[Reply, StoredSession]:
        """Sends a write until it has left on a session that is alive.

        Returns:
            The answer, whatever else it says, and the session.

        Raises:
            NotAnswered: It has left, and no whole answer came.
        """
        backoff = self._backoff(path, NOTHING_SENT)
        losses = Losses()
        while True:
            session = self._keeper.current(backoff)
            try:
                reply = self._writes.send(
                    method,
                    self._target(path),
                    headers={**JSON_HEADERS, **headers, "Cookie": session.cookie},
                    body=body if body is not None else b"",
                    read_timeout=read_timeout,
                    before_send=before_send,
                )
            except NotConnected as error:
                backoff.pause(str(error))
                continue
            if 200 <= reply.status < 300:
                self._keeper.note_success(session, reply)
                return reply, session
            problem = read_problem(reply.status, reply.body)
            if not problem.session_lost:
                if problem.node_fault or problem.login_collided:
                    self._keeper.abandon(session)
                return reply, session
            self._keeper.replace_lost(session, losses, path, backoff, NOTHING_SENT)

    def _target(self, path: str) -> str:
        """Path of a request, percent-encoded as in reads."""
        return parse_url(f"{self.settings.root}/{path}").request_uri

    def _be_patient(self, session: StoredSession, problem: Problem, backoff: Backoff) -> None:
        log.info("SAP Business One at %s cannot serve now: %s", self.settings.host, problem)
        backoff.pause(str(problem))
        if problem.node_fault:
            self._keeper.renew(session, backoff)

    def _backoff(self, what: str, given_up: str = NOTHING_READ) -> Backoff:
        return Backoff(
            what,
            self.settings.server,
            budget=self.settings.retry_seconds,
            clock=self._clock,
            sleep=self._sleep,
            jitter=self._jitter,
            given_up=given_up,
        )


def _looks_complete(body: bytes) -> bool:
    """Whether a JSON body was not cut short, where the server does not say how long it is."""
    return body[-64:].rstrip()[-1:] in (b"}", b"]")


def _is_json(body: bytes) -> bool:
    """Whether a body is a whole JSON value, also a bare number; or nothing, as a function answers that has no value."""
    try:
        msgspec.json.decode(body or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _inline_tag(body: bytes) -> str:
    try:
        entity = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    if not isinstance(entity, dict):
        return ""
    tag = entity.get("@odata.etag") or entity.get("odata.etag")
    return tag if isinstance(tag, str) else ""


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
