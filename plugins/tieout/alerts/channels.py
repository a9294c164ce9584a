"""The ways by which people are told: Airflow's connections to mail servers and webhooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tieout.alerts.model import Told
from tieout.alerts.writing import mail_html, mail_text, plain_json, slack, teams
from tieout.ledger import AlertMessage

Send = Callable[[AlertMessage, Told], None]
"""Hands a message over; raises an error of `tieout.errors` when it cannot."""

_FORMS: Mapping[str, Callable[[Told], dict[str, Any]]] = {"slack": slack, "teams": teams, "json": plain_json}


def send_by_airflow(message: AlertMessage, told: Told) -> None:
    """Hand a message over by the connection that its target names.

    Raises:
        ConfigurationInvalid: There is no such connection, or it is wrong.
        CredentialsRejected: The server refused the log-in.
        ReceiverUnavailable: The server does not answer, or not now.
        ReceiverRefused: The server will not take this message.
    """
    target = message.target
    if target["way"] == "webhook":
        from tieout.hooks import webhook

        webhook.post(target["connection"], _FORMS[target["style"]](told))
        return
    from tieout.hooks import mail

    mail.send(
        target["connection"],
        target["sender"],
        target["to"],
        told.subject,
        mail_text(told),
        mail_html(told),
        message_id=f"{message.notice_id}.{message.id}.{int(message.created_at.timestamp() * 1_000_000)}",
    )


def airflow_base_url() -> str | None:
    """Airflow's address as its own configuration has it, `[api] base_url`."""
    from airflow.sdk.configuration import conf

    return conf.get("api", "base_url", fallback=None) or None
