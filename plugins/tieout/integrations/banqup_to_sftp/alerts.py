"""One alert when documents of a client wait longer than is good, and one when its server takes them again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tieout.alerts import Alert, Kind, MailTo, raise_alert, resolve_alert
from tieout.alerts.money import amounts
from tieout.alerts.occasions import HOST_KEY_ACTION
from tieout.alerts.writing import link_path
from tieout.integrations.banqup_to_sftp.config import BanqupToSftp
from tieout.integrations.run import Run
from tieout.ledger import Ledger, ReceiverRow

_KINDS: tuple[Kind, ...] = ("receiver_unreachable", "host_key_changed")


def tell(run: Run, config: BanqupToSftp, ledger: Ledger, *, now: datetime | None = None) -> list[str]:
    """Raise of each client's server once that it is out of reach too long, and once that it is back.

    A server with another host key is nothing that passes: it is told at once.

    Args:
        run: The run that tells.
        config: Says how long is too long.
        ledger: Knows who was told what. It is noted after the alert was raised: one that was not is raised again.
        now: Aware; the present moment by default.

    Returns:
        The titles of what was raised or ended.
    """
    now = now or datetime.now(UTC)
    clients = config.enabled_clients()
    long_ago = now - timedelta(minutes=config.alerts.unreachable_minutes)
    told = []
    for row in ledger.receivers_to_alert(run.integration, run.instance, down_since_before=now):
        patient = _kind(row) == "receiver_unreachable" and row.down_since is not None and row.down_since > long_ago
        if row.entity in clients and not patient:
            alert = _down(run, clients[row.entity].title, row, config, ledger, now)
            raise_alert(ledger, alert, now=now)
            ledger.note_receiver_alert(run.scope(row.entity), "down")
            told.append(alert.title)
    for row in ledger.receivers_to_recover(run.integration, run.instance):
        if row.entity in clients:
            told.append(_back(run, clients[row.entity].title, row, config, ledger))
            ledger.note_receiver_alert(run.scope(row.entity), "up")
    return told


def _kind(row: ReceiverRow) -> Kind:
    return "host_key_changed" if row.error_kind == "HostKeyMismatch" else "receiver_unreachable"


def _down(run: Run, title: str, row: ReceiverRow, config: BanqupToSftp, ledger: Ledger, now: datetime) -> Alert:
    command = f"bin/tieout runs --integration {run.integration} --instance {run.instance} --entity {row.entity}"
    kind = _kind(row)
    ask = (
        "Ask the client whether the server is up, and whether its address, account, host key or firewall has changed; "
        "then correct the connection."
    )
    return Alert(
        kind=kind,
        integration=run.integration,
        instance=run.instance,
        subject=row.entity,
        title=f"{title}: the server takes no documents since {_time(row.down_since, config)}",
        what=f"{row.last_error}\nIt was tried {row.failures} times; next at {_time(row.next_try_at or now, config)} or "
        "with the run after it.",
        money=f"{row.waiting} documents of client {title} wait{_worth(run, row, ledger)}. Nothing is lost: they "
        "stay in Banqup and go, oldest first, as soon as the server takes them.",
        action=f"{HOST_KEY_ACTION if kind == 'host_key_changed' else ask} On the command line: {command}",
        link_path=link_path("runs", integration=run.integration, instance=run.instance, entity=row.entity),
        mail_to=MailTo(config.alerts.connection, config.alerts.to, config.alerts.sender),
        base_url=config.alerts.base_url,
    )


def _worth(run: Run, row: ReceiverRow, ledger: Ledger) -> str:
    """Their money, where this run has read them."""
    of_run = ledger.get_run(run.key(row.entity))
    if of_run is None or of_run.to_send != row.waiting or not of_run.to_send_totals:
        return ""
    return f" ({amounts(of_run.to_send_totals)})"


def _back(run: Run, title: str, row: ReceiverRow, config: BanqupToSftp, ledger: Ledger) -> str:
    headline = f"{title}: the server is back"
    what = (
        f"The server of client {title} takes documents again since {_time(row.up_since, config)}; it had not since "
        f"{_time(row.down_since, config)}. What waited has been delivered, oldest first. Nothing is to be done."
    )
    for kind in _KINDS:
        resolve_alert(ledger, kind, run.integration, run.instance, row.entity, title=headline, what=what)
    return headline


def _time(moment: datetime | None, config: BanqupToSftp) -> str:
    if moment is None:
        return "an unknown time"
    return f"{moment.astimezone(ZoneInfo(config.timezone)):%Y-%m-%d %H:%M} ({config.timezone})"
