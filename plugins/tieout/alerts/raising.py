"""Raising and ending alerts: one short transaction in the ledger each. Telling people is `sending`'s work."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tieout.alerts.model import ENDS_WITH_A_GOOD_RUN, ENDS_WITH_ITS_RUN, Alert, Kind, MailTo
from tieout.ledger import Ledger


def raise_alert(ledger: Ledger, alert: Alert, *, now: datetime | None = None) -> bool:
    """Say that something has happened, as often as it is seen: people are told once until it is over.

    Args:
        ledger: The book of record.
        alert: What has happened.
        now: Aware; the present moment by default.

    Returns:
        Whether it is new.
    """
    return ledger.raise_alert(
        alert.kind, alert.integration, alert.instance, alert.subject, alert.content(), run_id=alert.run_id, now=now
    )


def resolve_alert(
    ledger: Ledger,
    kind: Kind,
    integration: str,
    instance: str,
    subject: str,
    *,
    title: str = "",
    what: str = "",
    now: datetime | None = None,
) -> bool:
    """Say that something is over. Those who were told of it are told; harmless where nothing is open.

    Args:
        ledger: The book of record.
        kind: As it was raised, like the three that follow.
        integration: Whose.
        instance: Whose.
        subject: What it was about.
        title: One line that says so; by default the alert's `back_title`, or its title.
        what: The same in sentences.
        now: Aware; the present moment by default.

    Returns:
        Whether there was something to end.
    """
    words = {name: value for name, value in (("back_title", title), ("back", what)) if value}
    return ledger.resolve_alert(kind, integration, instance, subject, words, now=now)


def resolve_after_good_run(ledger: Ledger, integration: str, instance: str, run_id: str, *, whole: bool = True) -> int:
    """End the alerts that are over because a run succeeded.

    Args:
        ledger: The book of record.
        integration: Whose run.
        instance: Whose run.
        run_id: The run.
        whole: It did all there is to do, so that things are proved to work again. Else only that it was late is over.

    Returns:
        How many.
    """
    ended = 0
    for row in ledger.open_alerts(integration, instance):
        works_again = whole and row.run_id and row.kind in ENDS_WITH_A_GOOD_RUN
        done_at_last = row.kind == ENDS_WITH_ITS_RUN and row.subject == run_id
        if works_again or done_at_last:
            words: dict[str, Any] = {} if row.content.get("back") else {"back": f"The run {run_id} succeeded."}
            ended += ledger.resolve_alert(row.kind, integration, instance, row.subject, words)
    return ended


def announce(
    ledger: Ledger,
    key: str,
    kind: Kind,
    integration: str,
    instance: str,
    *,
    title: str,
    what: str,
    money: str = "",
    action: str = "",
    text: str = "",
    html: str = "",
    link_path: str = "",
    mail_to: MailTo | None = None,
    base_url: str | None = None,
    now: datetime | None = None,
) -> bool:
    """Tell something that is no occasion with a beginning and an end, such as a digest.

    Args:
        ledger: The book of record.
        key: What was told under a key is not told under it again.
        kind: Decides which audiences are told.
        integration: Whose.
        instance: Whose.
        title: One line.
        what: What there is to tell, in sentences.
        money: As of `Alert`.
        action: As of `Alert`.
        text: The mail's whole body, where that is longer than these sentences.
        html: The same as HTML.
        link_path: As of `Alert`.
        mail_to: As of `Alert`.
        base_url: As of `Alert`.
        now: Aware; the present moment by default.

    Returns:
        Whether the key is new.
    """
    content = {
        "title": title,
        "what": what,
        "money": money,
        "action": action,
        "text": text,
        "html": html,
        "link_path": link_path,
        "base_url": base_url,
        "mail_to": mail_to.as_json() if mail_to else None,
    }
    return ledger.note_digest(key, kind, integration, instance, content, now=now or datetime.now(UTC))
