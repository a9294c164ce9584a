"""One mail when documents of a client wait longer than is good, and one when its server takes them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from tieout.integrations.banqup_to_sftp.config import BanqupToSftp
from tieout.integrations.run import Run
from tieout.ledger import Ledger, ReceiverRow

Send = Callable[[str, str, str], None]
"""Sends a mail: subject, text, HTML."""


@dataclass(frozen=True)
class Alert:
    """What is to be told about one client's server."""

    subject: str
    lines: Sequence[str]

    @property
    def text(self) -> str:
        """As plain text."""
        return "\n".join(self.lines) + "\n"

    @property
    def html(self) -> str:
        """The same as HTML."""
        return "".join(f"<p>{escape(line)}</p>" for line in self.lines)


def tell(run: Run, config: BanqupToSftp, ledger: Ledger, send: Send, *, now: datetime | None = None) -> list[str]:
    """Tell of each client's server once that it is out of reach too long, and once that it is back.

    Args:
        run: The run that tells.
        config: Says how long is too long.
        ledger: Knows who was told what. It is noted after the mail has gone: one that could not be sent goes again.
        send: Sends a mail.
        now: Aware; the present moment by default.

    Returns:
        The subjects of what was told.
    """
    now = now or datetime.now(UTC)
    clients = config.enabled_clients()
    long_ago = now - timedelta(minutes=config.alerts.unreachable_minutes)
    told = []
    for row in ledger.receivers_to_alert(run.integration, run.instance, down_since_before=long_ago):
        if row.entity in clients:
            alert = _down(run, clients[row.entity].title, row, config, now)
            send(alert.subject, alert.text, alert.html)
            ledger.note_receiver_alert(run.scope(row.entity), "down")
            told.append(alert.subject)
    for row in ledger.receivers_to_recover(run.integration, run.instance):
        if row.entity in clients:
            alert = _back(clients[row.entity].title, row, config)
            send(alert.subject, alert.text, alert.html)
            ledger.note_receiver_alert(run.scope(row.entity), "up")
            told.append(alert.subject)
    return told


def _down(run: Run, title: str, row: ReceiverRow, config: BanqupToSftp, now: datetime) -> Alert:
    page = f"{config.alerts.base_url.rstrip('/')}/tieout/" if config.alerts.base_url else None
    command = f"bin/tieout runs --integration {run.integration} --instance {run.instance} --entity {row.entity}"
    return Alert(
        f"Tieout: {title}: the server takes no documents since {_time(row.down_since, config)}",
        [
            f"{row.waiting} documents of client {title} wait. Nothing is lost: they stay in Banqup and go, oldest "
            "first, as soon as the server takes them.",
            f"What happens: {row.last_error}",
            f"It was tried {row.failures} times; next at {_time(row.next_try_at or now, config)} or with the run "
            "after it.",
            "What to do: ask the client whether the server is up, and whether its address, account, host key or "
            "firewall has changed; then correct the connection.",
            f"More: {page or command}",
        ],
    )


def _back(title: str, row: ReceiverRow, config: BanqupToSftp) -> Alert:
    return Alert(
        f"Tieout: {title}: the server is back",
        [
            f"The server of client {title} takes documents again since {_time(row.up_since, config)}; it had not since "
            f"{_time(row.down_since, config)}. What waited has been delivered, oldest first. Nothing is to be done.",
        ],
    )


def _time(moment: datetime | None, config: BanqupToSftp) -> str:
    if moment is None:
        return "an unknown time"
    return f"{moment.astimezone(ZoneInfo(config.timezone)):%Y-%m-%d %H:%M} ({config.timezone})"
