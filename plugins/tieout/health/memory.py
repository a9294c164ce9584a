"""What is remembered of a connection from one look to the next: since when it fails, whether it was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tieout.health.model import AUTHENTICATED, HOST_KEY, REACHABLE, READABLE, SECRET, Check, ConnectionHealth, Status

Opens = Callable[[str], str]
"""A sealed fingerprint in the clear; empty where its key is gone."""

_REFUSED, _OTHER_KEY = "CredentialsRejected", "HostKeyMismatch"
# An outage often passes by itself; whatever else is wrong waits for a person.
_MAY_PASS = frozenset({REACHABLE, READABLE})


@dataclass(frozen=True)
class Told:
    """An alert that was raised and is not resolved."""

    kind: str
    integration: str
    instance: str
    subject: str


@dataclass(frozen=True)
class Memory:
    """What is remembered of a connection.

    Attributes:
        failures: Looks in a row in which something failed that is no matter of dates.
        failing_since: When the first of them was.
        refused_at: When its log-in was refused.
        refused_with: The fingerprint of the connection that was refused, sealed; empty where none could be kept.
        refusal: Why, in the server's words.
        noted_at: When the audit trail was last told of it.
        told: Alerts that are open.
    """

    failures: int = 0
    failing_since: datetime | None = None
    refused_at: datetime | None = None
    refused_with: str = ""
    refusal: str = ""
    noted_at: datetime | None = None
    told: tuple[Told, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the ledger."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Memory:
        """Reads what `as_json` gave."""
        moments = {name: _moment(saved.get(name)) for name in ("failing_since", "refused_at", "noted_at")}
        return cls(
            failures=int(saved.get("failures") or 0),
            refused_with=str(saved.get("refused_with") or ""),
            refusal=str(saved.get("refusal") or ""),
            told=tuple(Told(**each) for each in saved.get("told") or ()),
            **moments,
        )

    def forbids(self, fingerprint: str, opens: Opens, now: datetime, retry_after: timedelta) -> bool:
        """Whether a log-in must not be tried: it was refused, and neither the connection nor the day has changed.

        Args:
            fingerprint: Of the connection as it is now.
            opens: Opens a sealed one.
            now: The present moment.
            retry_after: After so long it is tried again anyway.
        """
        if self.refused_at is None or now - self.refused_at >= retry_after:
            return False
        return not self.refused_with or opens(self.refused_with) in ("", fingerprint)

    def after(self, health: ConnectionHealth, now: datetime, sealed: Callable[[], str]) -> Memory:
        """What to remember after another look.

        Args:
            health: What was found.
            now: The present moment.
            sealed: Seals the fingerprint of the connection, where it is needed.
        """
        failing = any(not is_a_date(check) for check in health.failed)
        memory = replace(
            self,
            failures=self.failures + 1 if failing else 0,
            failing_since=(self.failing_since or now) if failing else None,
        )
        log_in = next((check for check in health.checks if check.name == AUTHENTICATED), None)
        if log_in is None:
            return memory
        if log_in.cause == _REFUSED:
            return replace(memory, refused_at=now, refused_with=sealed(), refusal=log_in.message)
        if log_in.status in (Status.OK, Status.FAILED):
            return replace(memory, refused_at=None, refused_with="", refusal="")
        return memory

    def left_alone(self) -> Memory:
        """What to remember after a look at which the log-in was not tried."""
        return replace(self, failures=self.failures + 1)


def acute(health: ConnectionHealth, failures: int) -> tuple[Check, ...]:
    """The failed checks that somebody must act on: an outage only when it is found the second time in a row."""
    return tuple(check for check in health.failed if failures > 1 or check.name not in _MAY_PASS)


def is_a_date(check: Check) -> bool:
    """Whether a check is about something that is due on a day, and not about the connection at this moment."""
    return check.due is not None or check.name == SECRET


def is_another_host_key(check: Check) -> bool:
    """Whether the server has shown a host key that is not pinned."""
    return check.name == HOST_KEY and check.cause == _OTHER_KEY


def _moment(saved: Any) -> datetime | None:
    return datetime.fromisoformat(saved) if saved else None
