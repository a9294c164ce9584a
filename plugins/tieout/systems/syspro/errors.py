"""Errors of SYSPRO's own, and what HTTP answers of its services mean for the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tieout.errors import ContractBroken

_COME_BACK_LATER = frozenset({408, 425, 429})
_LONGEST_MESSAGE = 300


class SysproError(ContractBroken):
    """SYSPRO refuses a request for a reason of its own.

    Attributes:
        status: HTTP status; 200 for e.net's `ERROR:` bodies.
        message: SYSPRO's message.
        request: What was asked for, without its query.
    """

    def __init__(self, status: int, message: str, request: str) -> None:
        self.status = status
        self.message = message
        self.request = request
        super().__init__(f"SYSPRO refuses {request} (HTTP {status}): {message or 'no reason given'}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Picklable, with its attributes."""
        return type(self), (self.status, self.message, self.request)


class Unreadable(Exception):
    """An answer that is not whole or not what was asked for; it is worth asking again."""


@dataclass(frozen=True)
class Problem:
    """An answer other than 2xx; the message is empty where the body is HTML or nothing."""

    status: int
    message: str

    @property
    def transient(self) -> bool:
        """Whether the same read may well succeed a little later."""
        return (self.status >= 500 and self.status != 501) or self.status in _COME_BACK_LATER

    def __str__(self) -> str:
        return f"HTTP {self.status}" + (f" {self.message}" if self.message else "")


def read_problem(status: int, body: bytes) -> Problem:
    """Reads an error body: `{"error": {"code": …, "message": …}}` of OData, or anything else."""
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem(status, "")
    error = parsed.get("error") if isinstance(parsed, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, dict):
        message = message.get("value")
    text = " ".join(message.split()) if isinstance(message, str) else ""
    return Problem(status, text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 3] + "...")
