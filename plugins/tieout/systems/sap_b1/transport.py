"""One HTTP request to a Service Layer: limits on time and size, and failures told apart. No sessions, no repeats."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

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
from tieout.systems.sap_b1.settings import SapB1Settings

Clock = Callable[[], float]
"""Seconds of a clock that never goes back."""

_CHUNK = 256 * 1024
_CONNECTIONS = 16


@dataclass(frozen=True)
class Reply:
    """An answer. Its headers hold the session's cookies: never log them."""

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
    """Connections to one Service Layer, for several threads. Keeps no cookies and follows no redirects."""

    def __init__(self, settings: SapB1Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=_CONNECTIONS,
            retries=False,
            **tls_options(settings),
        )

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
            url: Absolute URL.
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
        most = max_bytes or self._settings.max_page_bytes
        timeout = urllib3.Timeout(
            connect=self._settings.connect_timeout,
            read=min(read_timeout or self._settings.read_timeout, self._settings.request_timeout),
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
                for chunk in pieces(response, most, self._clock, since, self._settings.request_timeout):
                    take(chunk)
                complete = True
            except TooLarge as error:
                raise ContractBroken(
                    f"SAP Business One at {self._settings.host} sends {error} for {_path(url)}; lower page_size in "
                    f"the connection's extra (now {self._settings.page_size})."
                ) from None
            finally:
                # A connection whose answer was not read to its end cannot carry another request.
                if complete:
                    response.release_conn()
                else:
                    response.close()
        cookies = tuple(response.headers.getlist("Set-Cookie"))
        return Reply(response.status, response.headers, b"".join(kept), cookies)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        host = self._settings.host
        try:
            yield
        except NewConnectionError as error:
            raise NotAnswered(reason_of(error)) from None
        except ConnectTimeoutError:
            raise NotAnswered(f"no connection within {self._settings.connect_timeout:g} seconds") from None
        except ReadTimeoutError:
            raise NotAnswered("the answer did not come in time", timed_out=True) from None
        except SSLError as error:
            raise tls_failure(error.args[0] if error.args else error, host) from None
        except ProtocolError as error:
            raise NotAnswered(f"the connection broke off ({reason_of(error)})") from None
        except LocationParseError:
            raise ConfigurationInvalid(f"The address of SAP Business One, {host!r}, is not a URL.") from None
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


def tls_options(settings: SapB1Settings) -> dict[str, Any]:
    """How urllib3 verifies the server's certificate."""
    if settings.verify is False:
        return {"cert_reqs": ssl.CERT_NONE, "assert_hostname": False}
    if isinstance(settings.verify, str):
        return {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": settings.verify}
    return {"cert_reqs": ssl.CERT_REQUIRED}


def tls_failure(cause: BaseException, host: str) -> Exception:
    """What a failed TLS handshake means: a certificate or port that is wrong, or a connection that broke off."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConfigurationInvalid(
            f"The TLS certificate of SAP Business One at {host} is not trusted ({cause.verify_message}). Put the "
            f"path of the issuing CA's file into verify of the connection's extra; verify false switches the check "
            f"off, for test systems only."
        )
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return NotConnected("the TLS connection broke off")
    if isinstance(cause, ssl.SSLError):
        return ConfigurationInvalid(
            f"No TLS connection to SAP Business One at {host} ({cause.reason or 'handshake failed'}). Check that the "
            f"port is Service Layer's HTTPS port, and the CA file in verify of the connection's extra."
        )
    return NotConnected("the TLS connection failed")


def reason_of(error: BaseException) -> str:
    """The operating system's word for a failed connection, else the error's name."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause or error).__name__


def _path(url: str) -> str:
    return url.split("?", 1)[0].split("/b1s/", 1)[-1]
