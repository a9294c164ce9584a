"""One HTTP request to a SYSPRO server: limits on time and size, and failures told apart. No sessions, no repeats."""

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
from tieout.odata.query import query_string
from tieout.systems.syspro.redaction import redact_http_logs
from tieout.systems.syspro.settings import SysproSettings

Clock = Callable[[], float]
"""Seconds of a clock that never goes back."""

_CHUNK = 256 * 1024
_CONNECTIONS = 8


@dataclass(frozen=True)
class Target:
    """What is asked for. The query may hold a password or a token: it is never shown.

    Attributes:
        path: Below the base URL, percent-encoded.
        params: Query parameters, not yet encoded.
        headers: Request headers.
    """

    path: str
    params: Mapping[str, str] = field(repr=False, default_factory=dict)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)

    def url(self, base_url: str) -> str:
        """The URL; for the connection's eyes only."""
        options = query_string(self.params) if self.params else ""
        return f"{base_url}{self.path}" + (f"?{options}" if options else "")


@dataclass(frozen=True)
class Reply:
    """An answer. Its body may be a token: it is never shown."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class NotAnswered(Exception):
    """No complete answer came."""


class Transport:
    """Connections to one SYSPRO server, for several threads. Reads only, keeps no cookies, follows no redirects."""

    def __init__(self, settings: SysproSettings, clock: Clock) -> None:
        redact_http_logs()
        self._settings = settings
        self._clock = clock
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=_CONNECTIONS, retries=False, **_tls_options(settings))

    def close(self) -> None:
        """Closes all connections."""
        self._pool.clear()

    def get(self, target: Target) -> Reply:
        """Sends a GET and reads the whole answer.

        Raises:
            NotAnswered: No complete answer: refused, reset, broken off, too slow.
            ConfigurationInvalid: TLS does not work out, or the address is none.
            ContractBroken: The body is larger than `max_page_bytes`.
        """
        since = self._clock()
        settings = self._settings
        timeout = urllib3.Timeout(
            connect=settings.connect_timeout, read=min(settings.read_timeout, settings.request_timeout)
        )
        with self._failures():
            response = self._pool.request(
                "GET", target.url(settings.base_url), headers=dict(target.headers), timeout=timeout,
                preload_content=False, redirect=False,
            )  # fmt: skip
            complete = False
            try:
                body = b"".join(self._pieces(response, since, target.path))
                complete = True
            finally:
                # A connection whose answer was not read to its end cannot carry another request.
                if complete:
                    response.release_conn()
                else:
                    response.close()
        return Reply(response.status, response.headers, body)

    def _pieces(self, response: BaseHTTPResponse, since: float, path: str) -> Iterator[bytes]:
        size = 0
        while chunk := response.read1(_CHUNK, decode_content=True):
            size += len(chunk)
            if size > self._settings.max_page_bytes:
                raise ContractBroken(
                    f"SYSPRO at {self._settings.host} sends more than {self._settings.max_page_bytes:,} bytes for "
                    f"{path}; lower page_size in the connection's extra (now {self._settings.page_size})."
                )
            if self._clock() > since + self._settings.request_timeout:
                raise NotAnswered(f"the answer took longer than {self._settings.request_timeout:g} seconds")
            yield chunk
        if response.length_remaining:
            raise NotAnswered(f"the answer broke off, {response.length_remaining} bytes are missing")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        # urllib3's errors may hold the URL, hence its secrets: none is passed on, not even as a cause.
        host = self._settings.host
        try:
            yield
        except NewConnectionError as error:
            raise NotAnswered(_reason_of(error)) from None
        except ConnectTimeoutError:
            raise NotAnswered(f"no connection within {self._settings.connect_timeout:g} seconds") from None
        except ReadTimeoutError:
            raise NotAnswered("the answer did not come in time") from None
        except SSLError as error:
            raise _tls_failure(error.args[0] if error.args else error, host) from None
        except ProtocolError as error:
            raise NotAnswered(f"the connection broke off ({_reason_of(error)})") from None
        except LocationParseError:
            raise ConfigurationInvalid(f"The address of SYSPRO, {host!r}, is not a URL.") from None
        except (HTTPError, OSError) as error:
            raise NotAnswered(_reason_of(error)) from None


def _tls_options(settings: SysproSettings) -> dict[str, Any]:
    if settings.verify is False:
        return {"cert_reqs": ssl.CERT_NONE, "assert_hostname": False}
    if isinstance(settings.verify, str):
        return {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": settings.verify}
    return {"cert_reqs": ssl.CERT_REQUIRED}


def _tls_failure(cause: BaseException, host: str) -> Exception:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConfigurationInvalid(
            f"The TLS certificate of SYSPRO at {host} is not trusted ({cause.verify_message}). Put the path of the "
            f"issuing CA's file into verify of the connection's extra; verify false switches the check off, for test "
            f"systems only."
        )
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConfigurationInvalid(
            f"No TLS connection to SYSPRO at {host} ({cause.reason or 'handshake failed'}). Check that the port is an "
            f"HTTPS port, and the CA file in verify of the connection's extra."
        )
    return NotAnswered("the TLS connection broke off")


def _reason_of(error: BaseException) -> str:
    """The operating system's word for a failed connection, else the error's name: never its text."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause or error).__name__
