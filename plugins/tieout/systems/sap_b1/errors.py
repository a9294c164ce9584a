"""Errors as Service Layer reports them: reading both body shapes, and what they mean for the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tieout.errors import ContractBroken

LOGIN_REFUSED = frozenset({"-304", "-306", "100000027"})
"""Codes of a refused log-in: wrong password or user, unknown company, and the same on older builds."""

SESSION_LOST = frozenset({"301", "-5002", ""})
"""Codes that mean a lost session, but only with HTTP 401; `-5002` with 400 is an ordinary business error."""

UNKNOWN_PROPERTY = "201"

NOT_FOUND = "-2028"
"""No such record; in answer to a POST also: an approval procedure took the object in as a draft."""

CHANGED_MEANWHILE = "-2039"
"""The record was changed since it was read: `If-Match` does not hold (HTTP 412)."""

_NODE_FAULTS = {(500, "305"), (500, "407")}
_COME_BACK_LATER = frozenset({408, 429})
_LONGEST_MESSAGE = 300


class SapError(ContractBroken):
    """Service Layer refuses a request for a reason of its own.

    Attributes:
        status: HTTP status.
        code: Service Layer's code as text, such as `-5002`; empty if the body has none.
        message: Service Layer's message, in the language of the session.
    """

    def __init__(self, status: int, code: str, message: str, request: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.request = request
        shown = f" {code}" if code else ""
        super().__init__(f"SAP Business One refuses {request} (HTTP {status}{shown}): {message or 'no reason given'}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Picklable, with its attributes."""
        return type(self), (self.status, self.code, self.message, self.request)


@dataclass(frozen=True)
class Problem:
    """An answer other than 2xx. `code` is empty when the body is not Service Layer's (HTML of a proxy, nothing)."""

    status: int
    code: str
    message: str

    @property
    def session_lost(self) -> bool:
        """Whether the session is gone; holds for any path but Login."""
        return self.status == 401 and self.code in SESSION_LOST

    @property
    def transient(self) -> bool:
        """Whether the same read may well succeed a little later: 500/299 (log-ins that collided), 500/305, 500/407,
        empty 500, and what proxies say.
        """
        return self.status >= 500 or self.status in _COME_BACK_LATER

    @property
    def node_fault(self) -> bool:
        """Whether the node that the session sticks to is at fault, so that another one is worth a log-in."""
        return self.status in (502, 503) or (self.status, self.code) in _NODE_FAULTS

    @property
    def login_collided(self) -> bool:
        """Whether the log-in behind the session failed on the node, as it does when several come together."""
        return (self.status, self.code) == (500, "299")

    def __str__(self) -> str:
        """Short, for messages."""
        code = f" code {self.code}" if self.code else ""
        return f"HTTP {self.status}{code}" + (f" {self.message}" if self.message else "")


def read_problem(status: int, body: bytes) -> Problem:
    """Reads an error body of either root: code as number or text, message as text or as an object with `value`."""
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem(status, "", "")
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if not isinstance(error, dict):
        message = parsed.get("message") if isinstance(parsed, dict) else None
        return Problem(status, "", _text(message))
    message = error.get("message")
    if isinstance(message, dict):
        message = message.get("value")
    code = error.get("code")
    return Problem(status, "" if code is None else str(code).strip(), _text(message))


def _text(message: Any) -> str:
    text = " ".join(message.split()) if isinstance(message, str) else ""
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 3] + "..."
