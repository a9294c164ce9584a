"""Alerts: people are told once what happened, what it means for the money, and what to do.

Raise one with `raise_alert`, end it with `resolve_alert`; both only write to the ledger. `include/alerts.yaml` says who
is told by which mail server and webhook, and when not to be disturbed. The DAG `alerts` sends what is due.
"""

from tieout.alerts.model import KINDS, Alert, Audience, Kind, MailTo
from tieout.alerts.raising import announce, raise_alert, resolve_after_good_run, resolve_alert

__all__ = [
    "KINDS",
    "Alert",
    "Audience",
    "Kind",
    "MailTo",
    "announce",
    "raise_alert",
    "resolve_after_good_run",
    "resolve_alert",
]
