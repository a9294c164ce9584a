"""Whom a finding concerns: alerts about connections, raised once and ended when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from tieout.alerts import Alert, Kind, raise_alert, resolve_alert
from tieout.alerts.occasions import HOST_KEY_ACTION
from tieout.config import split_dag_id
from tieout.health.memory import Memory, Told, is_a_date, is_another_host_key
from tieout.health.model import CERTIFICATE, Check, ConnectionHealth, Status
from tieout.health.rotation import SPOKEN

if TYPE_CHECKING:
    from tieout.health.rounds import Finding
    from tieout.ledger import ConnectionState, Ledger

_ONCE: Kind = "rotation_due"
"""A due date is told once; what is wrong is said at every look, so that reminders can be given while it lasts."""


def tell(ledger: Ledger, finding: Finding) -> Finding:
    """Raise the alerts that a finding calls for, and end those that are over.

    Args:
        ledger: Where alerts are raised.
        finding: What a look has found.

    Returns:
        The finding, which now remembers the alerts that are open.
    """
    wanted = {_told(alert): alert for alert in alerts_of(finding)}
    before = finding.memory.told
    for told, alert in wanted.items():
        if told not in before or told.kind != _ONCE:
            raise_alert(ledger, alert)
    _end(ledger, (told for told in before if told not in wanted))
    return replace(finding, memory=replace(finding.memory, told=tuple(wanted)))


def forget(ledger: Ledger, states: Iterable[ConnectionState]) -> None:
    """End the alerts of connections that no instance names any more, and forget the connections."""
    gone = list(states)
    for state in gone:
        _end(ledger, Memory.from_json(state.memory).told)
    ledger.forget_connections(state.label for state in gone)


def alerts_of(finding: Finding) -> Iterator[Alert]:
    """The alerts that should be open."""
    health = finding.health
    other_key = [check for check in finding.acute if is_another_host_key(check)]
    failing = [check for check in finding.acute if not is_another_host_key(check) and not is_a_date(check)]
    if other_key:
        yield _other_host_key(health, other_key)
    if failing:
        yield _failing(health, failing, finding.memory)
    due = [check for check in health.checks if is_a_date(check) and check.status in (Status.WARNING, Status.FAILED)]
    for day in sorted({check.due for check in due if check.due}):
        yield _due(health, [check for check in due if check.due == day])


def _end(ledger: Ledger, over: Iterable[Told]) -> None:
    for told in over:
        resolve_alert(ledger, cast(Kind, told.kind), told.integration, told.instance, told.subject)


def _told(alert: Alert) -> Told:
    return Told(alert.kind, alert.integration, alert.instance, alert.subject)


def _whose(health: ConnectionHealth) -> tuple[str, str]:
    """The first of the instances that use the connection: who must know is who is told of that one."""
    return split_dag_id(health.used_by[0]) if health.used_by else ("connection_health", "default")


def _other_host_key(health: ConnectionHealth, checks: list[Check]) -> Alert:
    integration, instance = _whose(health)
    return Alert(
        kind="host_key_changed",
        integration=integration,
        instance=instance,
        subject=f"connection {health.label}",
        title=f"{health.label}: the server shows another host key",
        what=_sentences(checks),
        money=f"Nothing was sent, and nothing is lost: {_users(health)} until this is settled.",
        action=HOST_KEY_ACTION,
        back_title=f"{health.label}: the server shows a pinned host key again",
        back="The host key is one of the pinned ones. What waited goes with the next run.",
    )


def _failing(health: ConnectionHealth, checks: list[Check], memory: Memory) -> Alert:
    integration, instance = _whose(health)
    since = f" It has not been well since {memory.failing_since:%Y-%m-%d %H:%M} UTC." if memory.failing_since else ""
    return Alert(
        kind="connection_failing",
        integration=integration,
        instance=instance,
        subject=f"connection {health.label}",
        title=f"{health.label}: {', '.join(check.name.replace('_', ' ') for check in checks)} failed",
        what=_sentences(checks) + since,
        money=f"Nothing is lost: {_users(health)} and goes by itself once the connection is well.",
        action="Do what the sentences above say, then run `bin/tieout check`, or trigger connection_health.",
        back_title=f"{health.label}: the connection is well again",
        back="A check has found it well. What waited goes with the next run.",
    )


def _due(health: ConnectionHealth, checks: list[Check]) -> Alert:
    """One alert for everything of a connection that is due on the same day."""
    integration, instance = _whose(health)
    day = checks[0].due
    things = " and ".join(_thing(check) for check in checks)
    return Alert(
        kind=_ONCE,
        integration=integration,
        instance=instance,
        subject=f"connection {health.label}, {things}, {day}",
        title=f"{health.label}: {things} due on {day}",
        what=_sentences(checks),
        money=f"None yet. Where it is left to expire, {_users(health, 'what goes through it waits')}.",
        action="Change it without an outage as docs/health.md says, and write the new date into the extra.",
        back_title=f"{health.label}: {things} changed",
        back="The connection no longer holds anything that was due on that day.",
    )


def _thing(check: Check) -> str:
    return "certificate" if check.name == CERTIFICATE else SPOKEN[check.name]


def _users(health: ConnectionHealth, what: str = "what goes through it waits") -> str:
    return f"{what} ({', '.join(health.used_by)})" if health.used_by else what


def _sentences(checks: list[Check]) -> str:
    return " ".join(check.message or f"{check.name.replace('_', ' ').capitalize()} failed." for check in checks)
