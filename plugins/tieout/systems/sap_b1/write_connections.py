"""One write to a Service Layer, sent once at most: what certainly did not leave is told apart from all other failures.

Writes have connections of their own. urllib3's pool connects and sends in one step, so that a caller can neither learn
which of the two failed nor do anything between them; here a connection is there before the caller says that it sends.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPException
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util.ssl_match_hostname import CertificateError

from tieout.systems.common.transport import (
    Clock,
    NotAnswered,
    NotConnected,
    Reply,
    TooLarge,
    pieces,
    reason_of,
    reply_of,
    tls_failure,
    tls_options,
)
from tieout.systems.sap_b1.settings import SapB1Settings

_LONGEST_IDLE = 2.0
"""Seconds after which an idle connection is not used again. Balancers close theirs after a few (Apache: 5); a write on
a connection that is just being closed ends as unknown, and has to be looked up."""


class WriteConnections:
    """Connections for writes to one Service Layer, for several threads. Keeps no cookies, follows no redirects."""

    def __init__(self, settings: SapB1Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[tuple[HTTPConnection, float]] = []

    def close(self) -> None:
        """Closes the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        read_timeout: float,
        before_send: Callable[[], None] | None = None,
    ) -> Reply:
        """Sends a request, never twice, and reads the whole answer.

        Args:
            method: HTTP method.
            target: Path and query, percent-encoded.
            headers: Request headers.
            body: Request body.
            read_timeout: Seconds without a byte after which the answer counts as lost.
            before_send: Called when a connection is there and the next thing is that bytes leave; what it raises
                passes through, and nothing is sent then.

        Raises:
            NotConnected: No connection; nothing left, and `before_send` was not followed by any byte.
            NotAnswered: Something left, and no complete answer came; `partial` holds what came.
            ConfigurationInvalid: TLS does not work out; nothing left.
        """
        connection, used_before = self._connected()
        try:
            if before_send is not None:
                before_send()
        except BaseException:
            self._keep(connection)
            raise
        # The server may have closed it while `before_send` was at work. Not asked of a new one: TLS makes those
        # readable straight after the handshake.
        if used_before and not connection.is_connected:
            connection.close()
            raise NotConnected("the server closed the idle connection")
        since = self._clock()
        reusable = False
        try:
            response = self._exchange(connection, method, target, headers, body, read_timeout)
            reply = self._whole(response, since)
            reusable = not connection.is_closed
            return reply
        finally:
            if reusable:
                self._keep(connection)
            else:
                connection.close()

    def _connected(self) -> tuple[HTTPConnection, bool]:
        """A connection, and whether it has carried a request before."""
        with self._lock:
            idle, self._idle = self._idle, []
        kept: HTTPConnection | None = None
        for connection, since in idle:
            usable = self._clock() - since <= _LONGEST_IDLE and connection.is_connected
            if kept is None and usable:
                kept = connection
            elif usable:
                with self._lock:
                    self._idle.append((connection, since))
            else:
                connection.close()
        return (kept, True) if kept is not None else (self._connect(), False)

    def _keep(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._idle.append((connection, self._clock()))

    def _connect(self) -> HTTPConnection:
        connection = self._new()
        try:
            connection.connect()
        except NewConnectionError as error:
            raise NotConnected(reason_of(error)) from None
        except ConnectTimeoutError:
            raise NotConnected(f"no connection within {self._settings.connect_timeout:g} seconds") from None
        except (ssl.SSLError, CertificateError) as error:
            connection.close()
            raise tls_failure(error, self._settings) from None
        except (HTTPError, OSError) as error:
            connection.close()
            raise NotConnected(_why(error)) from None
        # On a connection that is gone, http.client would quietly connect again and send.
        connection.auto_open = 0
        return connection

    def _new(self) -> HTTPConnection:
        parts = urlsplit(self._settings.base_url)
        timeout = self._settings.connect_timeout
        if parts.scheme == "https":
            return HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, **tls_options(self._settings))
        return HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        read_timeout: float,
    ) -> BaseHTTPResponse:
        connection.timeout = min(read_timeout, self._settings.request_timeout)
        try:
            # A server that refuses a large body may answer and close before it has read it all: the answer counts.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body=body, headers=dict(headers), preload_content=False)
            return connection.getresponse()
        except TimeoutError:
            raise NotAnswered("the answer did not come in time", timed_out=True) from None
        except (HTTPException, HTTPError, OSError) as error:
            raise NotAnswered(f"the connection broke off ({_why(error)})") from None

    def _whole(self, response: BaseHTTPResponse, since: float) -> Reply:
        settings = self._settings
        kept: list[bytes] = []
        try:
            for chunk in pieces(response, settings.max_page_bytes, self._clock, since, settings.request_timeout):
                kept.append(chunk)
        except NotAnswered as error:
            raise NotAnswered(str(error), timed_out=error.timed_out, partial=reply_of(response, kept)) from None
        except (TooLarge, HTTPException, HTTPError, OSError) as error:
            timed_out = isinstance(error, ReadTimeoutError | TimeoutError)
            reason = f"the answer has {error}" if isinstance(error, TooLarge) else f"it broke off ({_why(error)})"
            raise NotAnswered(reason, timed_out=timed_out, partial=reply_of(response, kept)) from None
        return reply_of(response, kept)


def _why(error: BaseException) -> str:
    """The operating system's word where there is one; never the text, which may quote what was sent."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return reason_of(error)
