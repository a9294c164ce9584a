"""Where and how to log in: one SFTP server, what it must prove, and what we may show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tieout.errors import ConfigurationInvalid

_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off", ""}


@dataclass(frozen=True)
class SftpTarget:
    """An SFTP server and our account on it. Nothing else is consulted: no agent, no ~/.ssh, no known_hosts.

    Attributes:
        host: Host name or address.
        port: TCP port.
        username: Account name.
        password: Sent at most once per connection, by `password` or in answer to a single interactive prompt.
        private_key: Private key as text (OpenSSH or PEM).
        key_file: Path of a private key; used when `private_key` is absent.
        passphrase: Of the private key.
        host_keys: Pinned public host keys: `ssh-ed25519 AAAA…`, the bare base64, or either with a comment.
        no_host_key_check: Accept any host key when none is pinned; a pinned key is always enforced.
        keyboard_interactive: Answers to the server's prompts, in their order.
        exec_allowed: The server may be asked to run `sha256sum`.
        production: A missing host key is an error; otherwise it is accepted with a warning in the log.
        connect_timeout: Seconds until connection and log-in must be done.
    """

    host: str
    port: int = 22
    username: str = ""
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    key_file: str | None = None
    passphrase: str | None = field(default=None, repr=False)
    host_keys: tuple[str, ...] = ()
    no_host_key_check: bool = False
    keyboard_interactive: tuple[str, ...] = field(default=(), repr=False)
    exec_allowed: bool = False
    production: bool = True
    connect_timeout: float = 20.0

    @property
    def label(self) -> str:
        """`user@host:port`, for messages."""
        return f"{self.username}@{self.host}:{self.port}"

    @classmethod
    def from_connection(
        cls,
        host: str | None,
        port: int | None,
        login: str | None,
        password: str | None,
        extra: Mapping[str, object],
        *,
        production: bool,
    ) -> SftpTarget:
        """Read the fields of an Airflow `sftp` connection; extras that are not ours are ignored.

        Args:
            host: The connection's host.
            port: Its port; 22 when absent.
            login: Its user name.
            password: Its password.
            extra: `private_key`, `key_file`, `private_key_passphrase`, `host_key` (several with commas),
                `no_host_key_check`, `keyboard_interactive` (a list, or lines of text), `exec_allowed`,
                `conn_timeout`. Booleans may be texts, as Airflow's forms and URIs give them.
            production: Whether this deployment insists on a pinned host key.

        Raises:
            ConfigurationInvalid: No host or user, or a value that cannot be read.
        """
        if not host:
            raise ConfigurationInvalid("The SFTP connection has no host: fill in the host name of the server.")
        if not login:
            raise ConfigurationInvalid(f"The SFTP connection to {host} has no login: fill in the user name.")
        return cls(
            host=host,
            port=port or 22,
            username=login,
            password=password or None,
            private_key=_key_text(extra.get("private_key")),
            key_file=_text(extra.get("key_file")),
            passphrase=_text(extra.get("private_key_passphrase")),
            host_keys=_host_keys(extra.get("host_key")),
            no_host_key_check=_boolean(extra, "no_host_key_check"),
            keyboard_interactive=_answers(extra.get("keyboard_interactive")),
            exec_allowed=_boolean(extra, "exec_allowed"),
            production=production,
            connect_timeout=_seconds(extra),
        )


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None


def _key_text(value: object) -> str | None:
    """Keys that came through an environment variable often have their line breaks spelled out."""
    text = _text(value)
    if text is not None and "\n" not in text.strip():
        text = text.replace("\\n", "\n")
    return text


def _host_keys(value: object) -> tuple[str, ...]:
    entries = value if isinstance(value, (list, tuple)) else str(value or "").split(",")
    return tuple(text for entry in entries if (text := str(entry).strip()))


def _answers(value: object) -> tuple[str, ...]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise ConfigurationInvalid(
                "The SFTP connection's extra 'keyboard_interactive' is no JSON list: give a list of answers."
            ) from None
    if isinstance(value, (list, tuple)):
        return tuple(str(answer) for answer in value)
    return tuple(str(value or "").splitlines())


def _boolean(extra: Mapping[str, object], name: str) -> bool:
    text = str(extra.get(name) if extra.get(name) is not None else "").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ConfigurationInvalid(f"The SFTP connection's extra '{name}' must be true or false, not {text!r}.")


def _seconds(extra: Mapping[str, object]) -> float:
    value = extra.get("conn_timeout")
    if value in (None, ""):
        return 20.0
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 3600:
        raise ConfigurationInvalid(
            f"The SFTP connection's extra 'conn_timeout' must be a number of seconds, not {value!r}."
        )
    return seconds
