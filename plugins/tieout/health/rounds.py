"""A look at all connections at once, and what it changes in what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tieout.health.memory import Memory, Opens, acute
from tieout.health.model import (
    AUTHENTICATED,
    CLOCK,
    HOST_KEY,
    REACHABLE,
    READABLE,
    WRITABLE,
    Check,
    ConnectionHealth,
    Status,
    failed_unforeseen,
    label_of,
    unknown,
)

if TYPE_CHECKING:
    from tieout.ledger import ConnectionState, Ledger

AT_ONCE = 16
_EVENT_AT_LEAST = timedelta(days=1)


@dataclass(frozen=True)
class Probe:
    """A connection that can be looked at, from any thread.

    Attributes:
        server: `user@host:port`, where an instance says another one than the connection; else empty.
        own: What is seen without a log-in: ages and strength of the secrets, the end of a certificate.
        talk: Log in, look, log out.
        fingerprint: Of all that a log-in needs: another one means that the connection has changed.
    """

    conn_id: str
    conn_type: str
    used_by: tuple[str, ...]
    server: str
    own: Callable[[], Sequence[Check]]
    talk: Callable[[], Sequence[Check]]
    fingerprint: str = ""

    @property
    def label(self) -> str:
        """The connection, for people."""
        return label_of(self.conn_id, self.server)

    def look(self) -> ConnectionHealth:
        """Everything about it."""
        return self._with(_unharmed(self.talk))

    def leave_alone(self, why: str) -> ConnectionHealth:
        """What can be said without a log-in, which was refused before."""
        refused = Check(AUTHENTICATED, Status.FAILED, why)
        return self._with([refused, *unknown(REACHABLE, READABLE, HOST_KEY, WRITABLE, CLOCK)])

    def _with(self, checks: Sequence[Check]) -> ConnectionHealth:
        own = _unharmed(self.own)
        if any(check.name == REACHABLE for check in own):
            checks = [check for check in checks if check.name != REACHABLE or check.status is Status.FAILED]
        return ConnectionHealth(self.conn_id, self.conn_type, self.used_by, (*checks, *own), self.server)


@dataclass(frozen=True)
class Finding:
    """What a look has found, and what to remember.

    Attributes:
        memory: For the next look.
        tried: False where a log-in was left alone.
        changed: Whether the audit trail is to be told.
    """

    health: ConnectionHealth
    memory: Memory
    tried: bool
    changed: bool

    @property
    def acute(self) -> tuple[Check, ...]:
        """The failed checks that somebody must act on now."""
        return acute(self.health, self.memory.failures)


@dataclass(frozen=True)
class Looking:
    """How to look.

    Attributes:
        now: The present moment, aware UTC.
        retry_refused: After so long a refused log-in is tried again.
        seal: Encrypts a fingerprint for the ledger; empty where that cannot be done.
        opens: The opposite.
        also_refused: Try refused log-ins all the same, since a person asks for it.
    """

    now: datetime
    retry_refused: timedelta
    seal: Callable[[str], str]
    opens: Opens
    also_refused: bool = False


def look_at_all(probes: Sequence[Probe], known: Mapping[str, ConnectionState], looking: Looking) -> list[Finding]:
    """Look at all connections side by side, each on its own thread; in the order of the probes.

    Args:
        probes: The connections.
        known: How they were, by label.
        looking: How to look.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda probe: _look(probe, known.get(probe.label), looking), probes))


def note(ledger: Ledger, findings: Sequence[Finding], *, run_id: str = "", told: bool = True) -> None:
    """Keep what was found.

    Args:
        ledger: The book of record.
        findings: Of one look.
        run_id: The run that has looked; empty outside of one.
        told: Also which alerts are open. Who raises and ends none leaves that as it is in the ledger by now: somebody
            else may have raised one meanwhile, and must not forget to end it.
    """
    for finding in findings:
        ledger.note_connection(
            finding.health.label,
            finding.health.as_json(),
            finding.memory.as_json(),
            run_id=run_id,
            event=finding.changed,
            keep=() if told else ("told",),
        )


def _unharmed(look: Callable[[], Sequence[Check]]) -> Sequence[Check]:
    """What breaks one look must not cost the findings of the others."""
    try:
        return look()
    except Exception as error:
        return [failed_unforeseen(error)]


def _look(probe: Probe, before: ConnectionState | None, looking: Looking) -> Finding:
    memory = Memory.from_json(before.memory) if before is not None else Memory()
    tried = looking.also_refused or not memory.forbids(
        probe.fingerprint, looking.opens, looking.now, looking.retry_refused
    )
    if tried:
        health = probe.look()
        memory = memory.after(health, looking.now, lambda: looking.seal(probe.fingerprint))
    else:
        health = probe.leave_alone(_why(memory, looking.retry_refused))
        memory = memory.left_alone()
    changed = (
        before is None
        or memory.noted_at is None
        or looking.now - memory.noted_at >= _EVENT_AT_LEAST
        or _told(before.row) != _told(health.as_json())
    )
    return Finding(health, replace(memory, noted_at=looking.now) if changed else memory, tried, changed)


def _why(memory: Memory, retry_refused: timedelta) -> str:
    if memory.refused_at is None:
        return memory.refusal
    again = memory.refused_at + retry_refused
    return (
        f"{memory.refusal} The log-in was refused on {memory.refused_at:%Y-%m-%d %H:%M} UTC and is not tried before "
        f"{again:%Y-%m-%d %H:%M} UTC unless the connection changes; `bin/tieout check` tries it at once."
    )


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row makes it another one: the outcomes, not the ages and seconds in the sentences."""
    return {name: value for name, value in row.items() if name != "messages"}
