"""Telling people: who is told of each notice, and handing its messages over, each of them once.

A message is taken up (in the ledger, for a while), handed over, and noted as sent. Processes that do this at the same
time take up different messages. One that dies between handing over and noting leaves a message that may have arrived:
it goes again when its time is up, with the same Message-ID. See decision 0021.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from tieout.alerts.channels import Send, airflow_base_url, send_by_airflow
from tieout.alerts.config import AlertsConfig, Recipients
from tieout.alerts.model import Kind
from tieout.alerts.writing import told
from tieout.errors import ConfigurationInvalid, CredentialsRejected, ReceiverUnavailable, TieoutError
from tieout.ledger import AlertMessage, AlertNotice, Ledger, MessageDraft

CLAIMED = timedelta(minutes=10)
"""How long a message is one process's affair: far longer than any server is waited for."""

GIVE_UP = timedelta(days=7)
"""A message that could not be handed over for so long is not tried again."""

KEPT = timedelta(days=400)
"""So long it can be looked up what people were told: a year's audit, and the weeks it takes."""

_FORGOTTEN_AT_ONCE = 500
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)
# Nobody mends a connection within minutes, and a server locks accounts after many wrong passwords.
_PAUSE_OF_A_MISTAKE = timedelta(hours=1)

log = logging.getLogger(__name__)


@dataclass
class Sent:
    """What became of the messages that were due.

    Attributes:
        sent: Subjects of those that were handed over.
        delayed: Why others could not be, and are tried again.
        failed: Why others could not be, and are not tried again.
    """

    sent: list[str] = field(default_factory=list)
    delayed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def send_due(
    ledger: Ledger,
    config: AlertsConfig,
    *,
    send: Send = send_by_airflow,
    base_url: str | None = None,
    now: datetime | None = None,
) -> Sent:
    """Tell what there is to tell and is not to wait. Then forget some of what is long over.

    Args:
        ledger: The book of record.
        config: Who is told of what.
        send: Hands one message over.
        base_url: Airflow's address, where the configuration has none; by default Airflow's own.
        now: Aware; the present moment by default.
    """
    now = now or datetime.now(UTC)
    if config.repeat_hours is not None:
        ledger.repeat_alerts(told_before=now - timedelta(hours=config.repeat_hours), now=now)
    for notice in ledger.notices(unrouted=True):
        _route(ledger, config, notice, now)
    sent = _hand_over(ledger, send, config.base_url or base_url or airflow_base_url(), now)
    ledger.forget_alerts(before=now - KEPT, at_most=_FORGOTTEN_AT_ONCE)
    return sent


# --- whom


def _route(ledger: Ledger, config: AlertsConfig, notice: AlertNotice, now: datetime) -> None:
    drafts = list(messages_for(config, notice, now))
    if notice.about == "resolved" and notice.alert_id is not None:
        # It is over: that concerns those who know that it began, and nobody else.
        due_at = min((draft.due_at for draft in drafts), default=now)
        channels = {draft.channel: draft.due_at for draft in drafts}
        drafts = [
            MessageDraft(draft.channel, draft.target, channels.get(draft.channel, due_at))
            for draft in ledger.told_of(notice.alert_id)
        ]
    routed = ledger.route_notice(notice.id, drafts, now=now)
    if routed and not drafts and notice.about != "resolved":
        log.warning(
            "Nobody is told of this, for include/alerts.yaml names no recipients for %s: %s",
            notice.kind, notice.content.get("title"),
        )  # fmt: skip


def messages_for(config: AlertsConfig, notice: AlertNotice, now: datetime) -> Iterator[MessageDraft]:
    """The messages of a notice: one mail per mail server, sender and time, with all its recipients; one per webhook.

    Who belongs to two audiences gets one mail, at the earlier of their times.
    """
    kind = cast(Kind, notice.kind)
    due: dict[tuple[str, str | None, str], datetime] = {}
    webhooks: dict[str, datetime] = {}
    for recipients in config.told(kind, notice.integration, notice.instance):
        at = _due(recipients, kind, now)
        for address in recipients.to:
            _earlier(due, (config.mail.connection, config.mail.sender, address), at)
        for name in recipients.webhooks:
            _earlier(webhooks, name, at)
    for key in _own_recipients(notice.content):
        _earlier(due, key, _due(Recipients(quiet_hours=config.quiet_hours), kind, now))
    yield from _mails(due)
    for name, at in webhooks.items():
        hook = config.webhooks[name]
        yield MessageDraft(
            f"webhook {name}", {"way": "webhook", "connection": hook.connection, "style": hook.style}, at
        )


def _due(recipients: Recipients, kind: Kind, now: datetime) -> datetime:
    return recipients.quiet_hours.end_of(now, kind) if recipients.quiet_hours else now


def _earlier(due: dict[Any, datetime], key: object, at: datetime) -> None:
    due[key] = min(at, due.get(key, at))


def _own_recipients(content: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str]]:
    """Recipients that the instance's own file names."""
    own = content.get("mail_to")
    if own:
        yield from ((own["connection"], own["sender"], address) for address in own["to"])


def _mails(due: Mapping[tuple[str, str | None, str], datetime]) -> Iterator[MessageDraft]:
    groups: dict[tuple[str, str | None, datetime], list[str]] = {}
    told: dict[str, datetime] = {}
    for (connection, sender, address), at in sorted(due.items(), key=lambda item: item[1]):
        # Known by another mail server or sender, too: one mail is enough.
        if address.lower() not in told:
            told[address.lower()] = at
            groups.setdefault((connection, sender, at), []).append(address)
    for (connection, sender, at), to in groups.items():
        target = {"way": "mail", "connection": connection, "sender": sender, "to": to}
        yield MessageDraft(f"mail {connection} {', '.join(to)}", target, at)


# --- handing over


def _hand_over(ledger: Ledger, send: Send, base_url: str | None, now: datetime) -> Sent:
    """One message after the other, none of them twice. Of a server that does not answer, the others wait, too."""
    sent = Sent()
    out_of_order: set[str] = set()
    begun, last = datetime.now(UTC), 0
    while True:
        passed = datetime.now(UTC) - begun
        message = ledger.claim_message(
            now=now + passed, until=now + passed + CLAIMED, after_id=last, without_connections=sorted(out_of_order)
        )
        if message is None:
            return sent
        last = message.id
        words = told(message.notice, base_url)
        try:
            send(message, words)
        except TieoutError as error:
            out_of_order |= _put_off(ledger, message, error, now + passed, sent)
        except Exception as error:
            # A message that cannot even be written must not stand in the way of the others.
            log.exception("The message %s could not be sent", message.id)
            ledger.message_failed(message, type(error).__name__)
            sent.failed.append(f"{words.subject}: {type(error).__name__}, see the log")
        else:
            ledger.message_sent(message, now=now + passed)
            sent.sent.append(words.subject)


def _put_off(ledger: Ledger, message: AlertMessage, error: TieoutError, now: datetime, sent: Sent) -> set[str]:
    """Note that a message could not be handed over; returns the connection if others need not be tried by it now."""
    passing = isinstance(error, ReceiverUnavailable)
    mistake = isinstance(error, CredentialsRejected | ConfigurationInvalid)
    if not (passing or mistake) or now - message.created_at > GIVE_UP:
        ledger.message_failed(message, str(error))
        sent.failed.append(str(error))
        log.error("This message is not tried again: %s", error)
        return set()
    pause = min(_FIRST_PAUSE * 2 ** min(message.attempts - 1, 10), _LONGEST_PAUSE)
    ledger.message_delayed(message, str(error), due_at=now + (pause if passing else _PAUSE_OF_A_MISTAKE))
    sent.delayed.append(str(error))
    log.warning("A message waits: %s", error)
    return {str(message.target["connection"])}
