"""What was looked at of a connection, and how it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
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
"""What a table shows of every connection."""

PASSWORD_AGE = "password_age"
KEY_AGE = "key_age"
PASSPHRASE_AGE = "passphrase_age"
KEY_STRENGTH = "key_strength"
HOST_KEY_ROTATION = "host_key_rotation"
CERTIFICATE = "certificate"
SESSION = "session_life"
AGES = (PASSWORD_AGE, KEY_AGE, PASSPHRASE_AGE)
DETAILS = (*AGES, KEY_STRENGTH, HOST_KEY_ROTATION, CERTIFICATE, SESSION)
"""What is looked at besides, where there is such a thing at all."""


class Status(StrEnum):
    """The outcome of one check. Only `failed` needs somebody to act now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: One of `CHECKS` or `DETAILS`.
        status: How it was.
        message: A sentence for people, where there is something to say.
        cause: The class of the error that it was found by, such as `CredentialsRejected`.
        due: When a secret is to be changed.
    """

    name: str
    status: Status
    message: str = ""
    cause: str = ""
    due: date | None = None


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
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return self.of_status(Status.FAILED)

    @property
    def label(self) -> str:
        """The connection, for people."""
        return label_of(self.conn_id, self.server)

    def of_status(self, status: Status) -> tuple[Check, ...]:
        """The checks with this outcome."""
        return tuple(check for check in self.checks if check.status is status)

    def as_json(self) -> dict[str, Any]:
        """One row: each check's status under its name, and the sentences there are."""
        found = {check.name: check for check in self.checks}
        statuses = {name: found[name].status.value if name in found else Status.UNKNOWN.value for name in CHECKS}
        details = {name: found[name].status.value if name in found else Status.NOT_APPLICABLE.value for name in DETAILS}
        messages = {check.name: check.message for check in self.checks if check.message}
        return {
            "connection": self.conn_id,
            "server": self.server,
            "type": self.conn_type,
            "used_by": list(self.used_by),
            **statuses,
            **details,
            "ok": self.ok,
            "messages": messages,
        }


def label_of(conn_id: str, server: str) -> str:
    """A connection, and the server it leads to where an instance says another one."""
    return f"{conn_id} ({server})" if server else conn_id


def unknown(*names: str) -> list[Check]:
    """Checks that could not be made."""
    return [Check(name, Status.UNKNOWN) for name in names]


def not_applicable(*names: str) -> list[Check]:
    """Checks that mean nothing for this kind of system."""
    return [Check(name, Status.NOT_APPLICABLE) for name in names]


def failed_unforeseen(error: Exception) -> Check:
    """A look that broke off. Of the error only its class: nobody knows what a message may quote."""
    name = type(error).__name__
    return Check(REACHABLE, Status.FAILED, f"The look broke off with an error that nobody had foreseen ({name}).", name)


def failed_by(name: str, error: Exception) -> Check:
    """A check that an error of ours has decided."""
    return Check(name, Status.FAILED, str(error), cause=type(error).__name__)
