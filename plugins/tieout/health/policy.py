"""`include/health.yaml`: when connections are looked at, and how old their secrets may become.

The DAG file imports this module, so it stays light.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tieout.config import Strict, TimeZone, include_folder
from tieout.yaml_file import load_yaml

FILE_NAME = "health.yaml"

Days = Annotated[int, Field(ge=1, le=3660)]


class Rotation(Strict):
    """How old the secrets of a connection may become, and who changes them.

    Attributes:
        password_days: Days after which a password or client secret is changed; null for never.
        key_days: The same for a private key.
        passphrase_days: The same for a private key's passphrase.
        notice_days: Days before that day from which people are told.
        duty: Whose duty it is, for the messages.
        passphrase_required: A private key without a passphrase is worth a warning.
    """

    password_days: Days | None = 365
    key_days: Days | None = 365
    passphrase_days: Days | None = 365
    notice_days: int = Field(default=14, ge=0, le=366)
    duty: str = ""
    passphrase_required: bool = False


class RotationPolicy(Strict):
    """The rules for all connections; those of a type, and then those of a connection, say only what is different.

    Attributes:
        default: For every connection.
        types: By connection type, such as `sftp`.
        connections: By connection id.
    """

    default: Rotation = Rotation()
    types: dict[str, Rotation] = Field(default_factory=dict)
    connections: dict[str, Rotation] = Field(default_factory=dict)

    def of(self, conn_id: str, conn_type: str) -> Rotation:
        """What holds for one connection."""
        given = [
            rules.model_dump(exclude_unset=True)
            for rules in (self.types.get(conn_type), self.connections.get(conn_id))
            if rules is not None
        ]
        merged = self.default
        for each in given:
            merged = merged.model_copy(update=each)
        return merged


class HealthConfig(Strict):
    """`include/health.yaml`.

    Attributes:
        schedule: When `connection_health` runs, as a cron expression; null for only by hand.
        timezone: Whose clock the schedule follows.
        retry_refused_hours: A log-in that was refused is tried again after so long, or when the connection changes.
        certificate_notice_days: Days before the end of a server's certificate from which people are told.
        rotation: How old secrets may become.
    """

    schedule: str | None = "7 * * * *"
    timezone: TimeZone = "UTC"
    retry_refused_hours: float = Field(default=24, ge=1, le=8760)
    certificate_notice_days: int = Field(default=30, ge=0, le=366)
    rotation: RotationPolicy = RotationPolicy()


def load_health() -> HealthConfig:
    """The file in the include folder; what stands in `HealthConfig` where there is none.

    Raises:
        ConfigurationInvalid: The file is wrong; says file, line and key.
    """
    path = include_folder() / FILE_NAME
    return load_yaml(path).validate(HealthConfig) if path.exists() else HealthConfig()
