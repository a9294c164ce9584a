"""What an alert is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal[
    "task_failed",
    "run_failed",
    "not_tied_out",
    "held_digest",
    "receiver_unreachable",
    "source_unreachable",
    "host_key_changed",
    "files_refused",
    "rotation_due",
    "connection_failing",
    "deadline_missed",
]
KINDS: tuple[str, ...] = get_args(Kind)

Audience = Literal["operators", "engineers", "finance"]

ENDS_WITH_A_GOOD_RUN: tuple[Kind, ...] = (
    "task_failed",
    "run_failed",
    "not_tied_out",
    "receiver_unreachable",
    "source_unreachable",
    "host_key_changed",
)
"""Alerts of these kinds that name a run are over when a whole run of the instance succeeds."""

ENDS_WITH_ITS_RUN: Kind = "deadline_missed"
"""Is about one run, and over when that run succeeds: another one does not deliver what was promised of it."""


@dataclass(frozen=True)
class MailTo:
    """Recipients that an instance's own file names, beside those of `include/alerts.yaml`.

    Attributes:
        connection: Airflow's connection to the mail server.
        to: Addresses; none where empty.
        sender: The address it comes from; by default the connection's.
    """

    connection: str
    to: tuple[str, ...]
    sender: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {"connection": self.connection, "to": list(self.to), "sender": self.sender}


@dataclass(frozen=True)
class Alert:
    """An occasion that people have to know of. None of its words may hold a secret or a record's payload.

    Attributes:
        kind: Decides which audiences are told.
        integration: Whose, such as `banqup_to_sftp`.
        instance: Whose, such as `default`.
        subject: What it is about: kind, integration, instance and subject together say whether an alert is the same.
        title: One line; the mail's subject.
        what: What happened, in sentences.
        money: What that means for the money, in sentences.
        action: What to do.
        link_path: Where on the Tieout page more is to be seen, from `/tieout/` on: `#/runs?run_id=…`.
        run_id: The run in which it happened: it is over when a later run succeeds, or that very one where it was late.
            Empty where `resolve_alert` says so.
        mail_to: Recipients of the instance's own file.
        base_url: Airflow's address for the link, where the instance's own file has one.
        back_title: The one line that says that it is over.
        back: The same in sentences.
    """

    kind: Kind
    integration: str
    instance: str
    subject: str
    title: str
    what: str
    money: str
    action: str
    link_path: str = ""
    run_id: str = ""
    mail_to: MailTo | None = None
    base_url: str | None = None
    back_title: str = ""
    back: str = ""

    def content(self) -> dict[str, Any]:
        """The words, for the ledger."""
        names = ("title", "what", "money", "action", "link_path", "base_url", "back_title", "back")
        words: dict[str, Any] = {name: getattr(self, name) for name in names}
        return {**words, "mail_to": self.mail_to.as_json() if self.mail_to else None}


@dataclass(frozen=True)
class Told:
    """What one message says, ready to be written for mail, Slack or Teams.

    Attributes:
        subject: One line.
        sections: Heading → sentences, in order; without those that are empty.
        link: Where more is to be seen.
        text: A whole body that takes the place of the sections in a mail, such as a digest with its lists.
        html: The same as HTML.
        fields: For machines: kind, integration, instance and the like.
    """

    subject: str
    sections: Mapping[str, str]
    link: str | None
    fields: Mapping[str, Any]
    text: str = ""
    html: str = ""
