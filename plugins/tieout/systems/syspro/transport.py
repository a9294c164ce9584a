"""One GET to a SYSPRO server, whose query may hold secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tieout.odata.query import query_string
from tieout.systems.common import transport
from tieout.systems.syspro.redaction import redact_http_logs
from tieout.systems.syspro.settings import SysproSettings

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


class Transport(transport.Transport):
    """Connections to one SYSPRO server, for several threads. Reads only."""

    def __init__(self, settings: SysproSettings, clock: transport.Clock) -> None:
        redact_http_logs()
        super().__init__(settings, clock, connections=_CONNECTIONS)

    def get(self, target: Target) -> transport.Reply:
        """Sends a GET and reads the whole answer; errors as `send`."""
        return self.send("GET", target.url(self._settings.base_url), headers=target.headers)
