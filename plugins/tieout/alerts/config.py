"""`include/alerts.yaml`: who is told of what, by which way, and when not.

Light: the standard library, pydantic and PyYAML, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import time
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from tieout.alerts.model import Audience, Kind
from tieout.alerts.quiet_hours import QuietHours, clock_time
from tieout.config import Strict, TimeZone, include_folder
from tieout.errors import ConfigurationInvalid
from tieout.yaml_file import load_yaml

_INSTANCE = re.compile(r"[a-z0-9_]+/[a-z0-9_]+")


def _address(text: str) -> str:
    if not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+", text):
        raise ValueError(f"{text!r} is no mail address; write one such as finance@example.com")
    return text


Address = Annotated[str, AfterValidator(_address)]

KIND_AUDIENCES: Mapping[Kind, tuple[Audience, ...]] = {
    "task_failed": ("operators", "engineers"),
    "run_failed": ("operators", "engineers"),
    "not_tied_out": ("operators", "engineers", "finance"),
    "held_digest": ("finance",),
    "receiver_unreachable": ("operators",),
    "source_unreachable": ("operators",),
    "host_key_changed": ("operators", "engineers"),
    "files_refused": ("operators", "finance"),
    "rotation_due": ("operators",),
    "connection_failing": ("operators",),
    "deadline_missed": ("operators", "finance"),
}
"""Who is told of what, where the file says nothing."""


class MailServer(Strict):
    """Attributes:
    connection: Airflow's connection to the mail server.
    sender: The address that mails come from; by default the connection's.
    """

    connection: str = "smtp_default"
    sender: str | None = None


class Webhook(Strict):
    """Attributes:
    connection: Airflow's connection, of type `http`; its password is the secret part of the URL, or all of it.
    style: Whose form the message has.
    """

    connection: str
    style: Literal["slack", "teams", "json"] = "json"


class Recipients(Strict):
    """Attributes:
    to: Mail addresses.
    webhooks: Names of `webhooks`.
    quiet_hours: This audience's own, instead of everybody's.
    """

    to: tuple[Address, ...] = ()
    webhooks: tuple[str, ...] = ()
    quiet_hours: QuietHours | None = None


class InstanceRecipients(Strict):
    """What differs for one instance: an audience named here replaces that audience, a kind that kind."""

    audiences: dict[Audience, Recipients] = Field(default_factory=dict)
    kinds: dict[Kind, tuple[Audience, ...]] = Field(default_factory=dict)


class HeldDigest(Strict):
    """Attributes:
    at: Time of day of the digest; null for none.
    timezone: Whose clock.
    """

    at: time | None = time(7, 30)
    timezone: TimeZone = "UTC"

    @field_validator("at", mode="before")
    @classmethod
    def _read_time(cls, value: object) -> object:
        return None if value is None else clock_time(value)


class AlertsConfig(Strict):
    """The whole file.

    Attributes:
        mail: The mail server.
        webhooks: By name.
        audiences: Who they are.
        kinds: Which audiences are told of a kind; those not named are as in `KIND_AUDIENCES`.
        instances: By `<integration>/<instance>`, what differs there.
        quiet_hours: Of everybody; none where it is missing.
        repeat_hours: An alert that goes on is told of again after so long; null for never.
        held_digest: When the daily digest of held records is written.
        base_url: Airflow's address as people reach it, for links; by default Airflow's own `[api] base_url`.
    """

    mail: MailServer = MailServer()
    webhooks: dict[str, Webhook] = Field(default_factory=dict)
    audiences: dict[Audience, Recipients] = Field(default_factory=dict)
    kinds: dict[Kind, tuple[Audience, ...]] = Field(default_factory=dict)
    instances: dict[str, InstanceRecipients] = Field(default_factory=dict)
    quiet_hours: QuietHours | None = None
    repeat_hours: float | None = Field(default=24, gt=0, le=8760)
    held_digest: HeldDigest = HeldDigest()
    base_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")

    @model_validator(mode="after")
    def _names_exist(self) -> AlertsConfig:
        for place, recipients in self._all_recipients():
            for name in recipients.webhooks:
                if name not in self.webhooks:
                    known = ", ".join(self.webhooks) or "none"
                    raise ValueError(f"{place} names the webhook {name!r}, which `webhooks` does not have ({known})")
        for name in self.instances:
            if not _INSTANCE.fullmatch(name):
                raise ValueError(
                    f"instances: {name!r} is no <integration>/<instance>; write it as stampli_to_sap_b1/default"
                )
        return self

    def _all_recipients(self) -> Iterator[tuple[str, Recipients]]:
        yield from ((f"audiences.{name}", each) for name, each in self.audiences.items())
        for instance, own in self.instances.items():
            yield from ((f"instances.{instance}.audiences.{name}", each) for name, each in own.audiences.items())

    def told(self, kind: Kind, integration: str, instance: str) -> list[Recipients]:
        """Who is told of this kind at this instance; those without quiet hours of their own have everybody's."""
        own = self.instances.get(f"{integration}/{instance}", InstanceRecipients())
        names = own.kinds.get(kind, self.kinds.get(kind, KIND_AUDIENCES[kind]))
        found = [own.audiences.get(name, self.audiences.get(name, Recipients())) for name in names]
        return [
            each if each.quiet_hours else each.model_copy(update={"quiet_hours": self.quiet_hours}) for each in found
        ]


def load_alerts_config() -> AlertsConfig:
    """Read `include/alerts.yaml`; where there is none, nobody is told of anything.

    Raises:
        ConfigurationInvalid: The file is wrong; says line and key.
    """
    path = include_folder() / "alerts.yaml"
    if not path.exists():
        return AlertsConfig()
    file = load_yaml(path)
    if file.content is None:
        return AlertsConfig()
    if not isinstance(file.content, dict):
        raise ConfigurationInvalid(f"{file.name}: the file has to be a list of keys with values, such as `audiences:`.")
    return file.validate(AlertsConfig)
