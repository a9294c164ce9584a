"""Fetching a file by its signed address, which is as good as a password: it is never shown, nor sent a token."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urljoin, urlsplit

from urllib3.util.ssl_ import create_urllib3_context

from tieout.errors import ConfigurationInvalid, ContractBroken
from tieout.systems.banqup.patience import Patience, Timing, transient
from tieout.systems.banqup.settings import BanqupSettings
from tieout.systems.common.secret_address import secret_address
from tieout.systems.common.transport import NotAnswered, Reply, Transport

_CONNECTIONS = 64
_HOSTS = 16
_REDIRECTS = 3
_BREAKS = 3
_REDIRECTING = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}


class Outcome(StrEnum):
    """What became of fetching a file."""

    FETCHED = "fetched"
    REFUSED = "refused"
    MISSING = "missing"
    BROKEN_OFF = "broken off"
    TOO_LARGE = "too large"
    NO_ADDRESS = "no address"


@dataclass(frozen=True)
class Fetched:
    """How fetching a file ended.

    Attributes:
        outcome: What became of it.
        data: The bytes, where they were fetched.
        status: HTTP status of the last answer; 0 where there was none.
    """

    outcome: Outcome
    data: bytes = field(repr=False, default=b"")
    status: int = 0


@dataclass(frozen=True)
class _StorageLimits:
    """`ServerSettings` of hosts that are not known beforehand."""

    verify: bool | str
    connect_timeout: float
    read_timeout: float
    request_timeout: float
    max_page_bytes: int
    page_size: int
    server: str = "the storage of Banqup's files"
    base_url: str = ""


class _TooLarge(Exception):
    """More bytes than are accepted."""


class _Sink:
    """Keeps the bytes of one attempt."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()

    def __call__(self, piece: bytes) -> None:
        if len(self._kept) + len(piece) > self._most:
            raise _TooLarge
        self._kept += piece

    @property
    def data(self) -> bytes:
        """What has come."""
        return bytes(self._kept)


class Storage:
    """Fetches files from wherever Banqup keeps them, from several threads.

    Args:
        settings: Banqup's address, and limits.
        timing: How time passes.

    Raises:
        ConfigurationInvalid: The CA file cannot be read.
    """

    def __init__(self, settings: BanqupSettings, timing: Timing) -> None:
        self._settings = settings
        self._timing = timing
        limits = _StorageLimits(
            verify=settings.verify,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            request_timeout=settings.request_timeout,
            max_page_bytes=settings.max_page_bytes,
            page_size=settings.page_size,
        )
        self._transport = Transport(
            limits, timing.clock, connections=_CONNECTIONS, hosts=_HOSTS, tls=_trusting_both(settings.verify)
        )

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def fetch(self, address: str, what: str, max_bytes: int) -> Fetched:
        """Fetches a file; redirects are followed, three at most.

        Args:
            address: Signed; absolute, or relative to Banqup's base URL.
            what: The file, for messages.
            max_bytes: Largest size.

        Raises:
            SourceUnavailable: The storage does not answer within the budget.
            ConfigurationInvalid: Its TLS certificate is not trusted.
        """
        patience = Patience(what, self._settings, self._timing)
        url = self._usable(f"{self._settings.base_url}/", address)
        breaks = redirects = 0
        while url:
            sink = _Sink(max_bytes)
            reply = self._attempt(url, sink)
            if isinstance(reply, Outcome):
                return Fetched(reply)
            if isinstance(reply, NotAnswered):
                # Nothing at all is an outage; a file that breaks off each time is that file's trouble.
                breaks += bool(sink.data) and not reply.timed_out
                if breaks == _BREAKS:
                    return Fetched(Outcome.BROKEN_OFF)
                patience.after_failure(str(reply))
            elif transient(reply.status):
                patience.after_answer(reply, f"HTTP {reply.status}")
            elif reply.status in _REDIRECTING and redirects < _REDIRECTS:
                redirects += 1
                url = self._usable(url, reply.headers.get("Location") or "")
            else:
                return Fetched(_outcome(reply.status), sink.data, reply.status)
        return Fetched(Outcome.NO_ADDRESS)

    def _attempt(self, url: str, sink: _Sink) -> Reply | NotAnswered | Outcome:
        """An answer, or why there is none. Errors of HTTP libraries know the address: nothing is raised from one."""
        with secret_address():
            try:
                # An error's page may be large as well; what is beyond tells nothing.
                return self._transport.send("GET", url, headers=_HEADERS, sink=sink)
            except NotAnswered as error:
                return error
            except (_TooLarge, ContractBroken):
                return Outcome.TOO_LARGE
            except ConfigurationInvalid as error:
                why = str(error)
        raise ConfigurationInvalid(why)

    def _usable(self, base: str, address: str) -> str:
        """The absolute address; empty where it leads nowhere, or out of TLS."""
        if not address:
            return ""
        try:
            url = urljoin(base, address)
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            return ""
        leaves_tls = self._settings.base_url.startswith("https:") and parts.scheme != "https"
        return url if usable and not leaves_tls else ""


def _outcome(status: int) -> Outcome:
    if status == 200:
        return Outcome.FETCHED
    return Outcome.MISSING if status in (404, 410) else Outcome.REFUSED


def _trusting_both(verify: bool | str) -> Mapping[str, Any] | None:
    """A CA file is for a server of one's own; the storage may be a public one with a public certificate."""
    if not isinstance(verify, str):
        return None
    context = create_urllib3_context()
    context.load_default_certs()
    try:
        context.load_verify_locations(verify)
    except (ssl.SSLError, OSError):
        raise ConfigurationInvalid(
            f"The CA file {verify!r} (verify in the connection's extra) cannot be read as certificates in PEM form."
        ) from None
    return {"ssl_context": context}
