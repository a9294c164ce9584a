"""What was looked at of a connection, and how it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

REACHABLE = "reachable"
AUTHENTICATED = "authenticated"
READABLE = "readable"
HOST_KEY = "host_key_pinned"
WRITABLE = "writable"
CLOCK = "clock_skew"
SECRET = "secret_age"
CHECKS = (REACHABLE, AUTHENTICATED, READABLE, HOST_KEY, WRITABLE, CLOCK, SECRET)


class Status(StrEnum):
    """The outcome of one check. Only `failed` needs somebody to act now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    message: str = ""


@dataclass(frozen=True)
class ConnectionHealth:
    """All checks of one connection.

    Attributes:
        server: `user@host:port`, where an instance says another one than the connection; else empty.
    """

    conn_id: str
    conn_type: str
    used_by: tuple[str, ...]
    checks: tuple[Check, ...]
    server: str = ""

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return all(check.status is not Status.FAILED for check in self.checks)

    @property
    def label(self) -> str:
        """The connection, for people."""
        return f"{self.conn_id} ({self.server})" if self.server else self.conn_id

    def as_json(self) -> dict[str, Any]:
        """One row: each check's status under its name, and the sentences there are."""
        found = {check.name: check for check in self.checks}
        statuses = {name: found[name].status.value if name in found else Status.UNKNOWN.value for name in CHECKS}
        messages = {check.name: check.message for check in self.checks if check.message}
        return {
            "connection": self.conn_id,
            "server": self.server,
            "type": self.conn_type,
            "used_by": list(self.used_by),
            **statuses,
            "ok": self.ok,
            "messages": messages,
        }


def unknown(*names: str) -> list[Check]:
    """Checks that could not be made."""
    return [Check(name, Status.UNKNOWN) for name in names]


def not_applicable(*names: str) -> list[Check]:
    """Checks that mean nothing for this kind of system."""
    return [Check(name, Status.NOT_APPLICABLE) for name in names]
