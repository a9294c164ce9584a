"""An alert to raise, a configuration to raise it with, and a way to send that only notes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tieout.alerts import Alert
from tieout.alerts.config import AlertsConfig
from tieout.alerts.model import Told
from tieout.alerts.sending import Sent, send_due
from tieout.errors import TieoutError
from tieout.ledger import AlertMessage, Ledger
from tieout.yaml_file import parse_yaml

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
ALERT = Alert(
    kind="receiver_unreachable",
    integration="sap_b1_to_peakflo",
    instance="default",
    subject="receiver_unreachable",
    title="sap_b1_to_peakflo: the receiver cannot be reached",
    what="sftp.example.com:22 refuses connections.",
    money="Not delivered yet: invoices (3 records, EUR 12.50).",
    action="Ask Peakflo whether the server is up.",
    link_path="#/runs?run_id=r%2B1",
    run_id="r+1",
)
TO_OPERATORS = """
mail: {connection: ops_mail, sender: tieout@example.com}
audiences:
  operators: {to: [ops@example.com]}
"""


def config(text: str = TO_OPERATORS) -> AlertsConfig:
    return parse_yaml(text, "alerts.yaml").validate(AlertsConfig)


def alert(**changes: Any) -> Alert:
    return replace(ALERT, **changes)


@dataclass
class Post:
    """Notes what is handed over; fails as long as it is told to."""

    handed: list[tuple[AlertMessage, Told]] = field(default_factory=list)
    failure: TieoutError | None = None
    tried: int = 0

    def __call__(self, message: AlertMessage, told: Told) -> None:
        self.tried += 1
        if self.failure:
            raise self.failure
        self.handed.append((message, told))

    @property
    def subjects(self) -> list[str]:
        return [told.subject for _, told in self.handed]

    @property
    def recipients(self) -> list[list[str]]:
        return [message.target.get("to", [message.channel]) for message, _ in self.handed]

    def go(self, ledger: Ledger, settings: AlertsConfig | None = None, *, now: datetime = NOON) -> Sent:
        return send_due(ledger, settings or config(), send=self, base_url="https://airflow.example.com/", now=now)
