"""One HTTP request to a server: limits on time and size, and failures told apart. No sessions, no repeats."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

from tieout.errors import ConfigurationInvalid, ContractBroken

Clock = Callable[[], float]
"""Seconds of a clock that never goes back."""

_CHUNK = 256 * 1024


class ServerSettings(Protocol):
    """What is asked of a system's settings."""

    @property
    def server(self) -> str:
        """The server, for messages: `SYSPRO at erp:30001`."""
        ...

    @property
    def base_url(self) -> str:
        """Scheme, host, port and perhaps a path, without a trailing slash."""
        ...

    @property
    def verify(self) -> bool | str:
        """Whether the TLS certificate is verified, or the CA file to verify it with."""
        ...

    @property
    def connect_timeout(self) -> float:
        """Seconds for the TCP and TLS handshake."""
        ...

    @property
    def read_timeout(self) -> float:
        """Seconds without a byte after which an answer counts as lost."""
        ...

    @property
    def request_timeout(self) -> float:
        """Seconds that one request may take over all."""
        ...

    @property
    def max_page_bytes(self) -> int:
        """Largest answer that is accepted."""
        ...

    @property
    def page_size(self) -> int:
        """Records per page."""
        ...


@dataclass(frozen=True)
class Reply:
    """An answer. Headers, cookies and even the body may hold a session: never log them."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    cookies: tuple[str, ...] = field(repr=False, default=())


class NotAnswered(Exception):
    """No complete answer came. Whether the request was carried out is not known, except that GETs change nothing.

    Attributes:
        timed_out: The server was silent or slow for too long: it may still be at work.
        partial: What did arrive of the answer, where its status line did.
    """

    def __init__(self, reason: str, *, timed_out: bool = False, partial: Reply | None = None) -> None:
        super().__init__(reason)
        self.timed_out = timed_out
        self.partial = partial


class NotConnected(NotAnswered):
    """There was no connection: not one byte of the request left, so it was certainly not carried out."""


class TooLarge(Exception):
    """A body is larger than was asked for."""


class Transport:
    """Connections to one server, for several threads. Keeps no cookies and follows no redirects.

    Args:
        settings: Address and limits.
        clock: Seconds of a clock that never goes back.
        connections: How many are kept open.
        hosts: With how many hosts, where not all URLs lead to the same one.
        tls: How urllib3 verifies certificates, where it is not by the settings alone.
    """

    def __init__(
        self,
        settings: ServerSettings,
        clock: Clock,
        *,
        connections: int,
        hosts: int = 1,
        tls: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        options = tls_options(settings) if tls is None else tls
        self._pool = urllib3.PoolManager(num_pools=hosts, maxsize=connections, retries=False, **options)

    def close(self) -> None:
        """Closes all connections."""
        self._pool.clear()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        read_timeout: float | None = None,
        max_bytes: int | None = None,
        sink: Callable[[bytes], object] | None = None,
    ) -> Reply:
        """Sends a request and reads the whole answer.

        Args:
            method: HTTP method.
            url: Absolute URL. Its query is never shown.
            headers: Request headers.
            body: Request body.
            read_timeout: Seconds without a byte after which the answer counts as lost.
            max_bytes: Largest body that is accepted (decoded).
            sink: Takes the body of a 2xx answer piece by piece; the reply's body is then empty.

        Raises:
            NotAnswered: No complete answer: refused, reset, broken off, too slow.
            ConfigurationInvalid: TLS does not work out, or the URL is none.
            ContractBroken: The body is larger than `max_bytes`.
        """
        since = self._clock()
        settings = self._settings
        timeout = urllib3.Timeout(
            connect=settings.connect_timeout,
            read=min(read_timeout or settings.read_timeout, settings.request_timeout),
        )
        with self._failures():
            response = self._pool.request(
                method, url, headers=dict(headers), body=body, timeout=timeout, preload_content=False, redirect=False
            )
            complete = False
            try:
                kept: list[bytes] = []
                take: Callable[[bytes], object] = (
                    sink if sink is not None and 200 <= response.status < 300 else kept.append
                )
                most = max_bytes or settings.max_page_bytes
                for chunk in pieces(response, most, self._clock, since, settings.request_timeout):
                    take(chunk)
                complete = True
            except TooLarge as error:
                path = url.partition("?")[0].removeprefix(settings.base_url)
                raise ContractBroken(
                    f"{settings.server} sends {error} for {path}; lower page_size in the connection's extra (now "
                    f"{settings.page_size})."
                ) from None
            finally:
                # A connection whose answer was not read to its end cannot carry another request.
                if complete:
                    response.release_conn()
                else:
                    response.close()
        return reply_of(response, kept)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        # urllib3's errors may hold the URL, hence its secrets: none is passed on, not even as a cause.
        try:
            yield
        except NewConnectionError as error:
            raise NotAnswered(reason_of(error)) from None
        except ConnectTimeoutError:
            raise NotAnswered(f"no connection within {self._settings.connect_timeout:g} seconds") from None
        except ReadTimeoutError:
            raise NotAnswered("the answer did not come in time", timed_out=True) from None
        except SSLError as error:
            raise tls_failure(error.args[0] if error.args else error, self._settings) from None
        except ProtocolError as error:
            raise NotAnswered(f"the connection broke off ({reason_of(error)})") from None
        except LocationParseError:
            raise ConfigurationInvalid(f"The address of {self._settings.server} is not a URL.") from None
        except (HTTPError, OSError) as error:
            raise NotAnswered(reason_of(error)) from None


def pieces(response: BaseHTTPResponse, most: int, clock: Clock, since: float, seconds: float) -> Iterator[bytes]:
    """The decoded body of an answer, piece by piece.

    Args:
        response: The answer, its head read.
        most: Largest number of bytes.
        clock: Seconds of a clock that never goes back.
        since: When the request began, by that clock.
        seconds: How long request and answer may take together.

    Raises:
        NotAnswered: The body came too slowly, or its announced length did not come.
        TooLarge: The body is larger than `most`.
        urllib3.exceptions.HTTPError: The connection failed.
    """
    size = 0
    while chunk := response.read1(_CHUNK, decode_content=True):
        size += len(chunk)
        if size > most:
            raise TooLarge(f"more than {most:,} bytes")
        if clock() > since + seconds:
            raise NotAnswered(f"the answer took longer than {seconds:g} seconds", timed_out=True)
        yield chunk
    if response.length_remaining:
        raise NotAnswered(f"the answer broke off, {response.length_remaining} bytes are missing")


def reply_of(response: BaseHTTPResponse, kept: list[bytes]) -> Reply:
    """The answer, of whose body so much was kept."""
    cookies = tuple(response.headers.getlist("Set-Cookie"))
    return Reply(response.status, response.headers, b"".join(kept), cookies)


def tls_options(settings: ServerSettings) -> dict[str, Any]:
    """How urllib3 verifies the server's certificate."""
    if settings.verify is False:
        return {"cert_reqs": ssl.CERT_NONE, "assert_hostname": False}
    if isinstance(settings.verify, str):
        return {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": settings.verify}
    return {"cert_reqs": ssl.CERT_REQUIRED}


def tls_failure(cause: BaseException, settings: ServerSettings) -> Exception:
    """What a failed TLS handshake means: a certificate or port that is wrong, or a connection that broke off."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConfigurationInvalid(
            f"The TLS certificate of {settings.server} is not trusted ({cause.verify_message}). Put the path of the "
            f"issuing CA's file into verify of the connection's extra; verify false switches the check off, for test "
            f"systems only."
        )
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return NotConnected("the TLS connection broke off")
    if isinstance(cause, ssl.SSLError):
        return ConfigurationInvalid(
            f"No TLS connection to {settings.server} ({cause.reason or 'handshake failed'}). Check that the port is "
            f"its HTTPS port, and the CA file in verify of the connection's extra."
        )
    return NotConnected("the TLS connection failed")


def reason_of(error: BaseException) -> str:
    """The operating system's word for a failed connection, else the error's name: never its text."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause or error).__name__
