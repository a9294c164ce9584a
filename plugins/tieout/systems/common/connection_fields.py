"""The fields of an Airflow connection to a system behind HTTP, read with clear complaints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tieout.errors import ConfigurationInvalid

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def needed(value: str | None, name: str, where: str, what: str) -> str:
    """A field that must not be empty.

    Args:
        value: What it holds.
        name: The connection's id.
        where: The field's name.
        what: What belongs there.

    Raises:
        ConfigurationInvalid: It is empty.
    """
    if not value:
        raise ConfigurationInvalid(f"Connection {name}: {where} is missing; put {what} there.")
    return value


def base_url(
    host: str | None, port: int | None, schema: str | None, name: str, *, example: str, schema_hint: str = ""
) -> str:
    """Scheme, host, port and path of a server, without a trailing slash.

    Args:
        host: Base URL, or the bare host with `schema` and `port` apart.
        port: Port, where `host` has none.
        schema: `http` or `https`, where `host` has no scheme; `https` by default.
        name: The connection's id.
        example: A base URL, for complaints.
        schema_hint: What somebody may have meant who wrote something else into `schema`.

    Raises:
        ConfigurationInvalid: This is no base URL. It is not quoted, since it may hold a secret.
    """
    host = (host or "").strip()
    if not host:
        raise ConfigurationInvalid(f"Connection {name}: host is missing; put the base URL there, such as {example}.")
    if "://" not in host:
        host = f"{(schema or 'https').lower()}://{host}"
    try:
        parts = urlsplit(host)
        own_port = parts.port
    except ValueError:
        raise ConfigurationInvalid(
            f"Connection {name}: host is not a URL; put the base URL there, such as {example}."
        ) from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationInvalid(
            f"Connection {name}: host holds a user or password; put them into login and password."
        )
    if parts.scheme not in ("http", "https"):
        raise ConfigurationInvalid(
            f"Connection {name}: the scheme is {parts.scheme!r}; use http or https{schema_hint}."
        )
    if not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationInvalid(f"Connection {name}: host is not a base URL; write it such as {example}.")
    netloc = parts.netloc if own_port is not None or port is None else f"{parts.netloc}:{port}"
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}"


@dataclass(frozen=True)
class ExtraFields:
    """The `extra` of a connection. Values may be texts, as they are in a connection's URI.

    Attributes:
        name: The connection's id.
        values: The fields.
    """

    name: str
    values: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, extra: Mapping[str, Any] | str | None, name: str) -> ExtraFields:
        """Takes a mapping or JSON text.

        Raises:
            ConfigurationInvalid: It is no JSON object.
        """
        if isinstance(extra, str) and extra:
            try:
                extra = json.loads(extra)
            except ValueError:
                raise ConfigurationInvalid(f"Connection {name}: the field extra is not valid JSON.") from None
        elif not extra and not isinstance(extra, Mapping):
            extra = {}
        if not isinstance(extra, Mapping):
            raise ConfigurationInvalid(f"Connection {name}: the field extra must be a JSON object, such as {{...}}.")
        return cls(name, extra)

    def optional(self, key: str) -> str:
        """A text, empty where there is none."""
        value = self.values.get(key)
        return "" if value is None else str(value)

    def text(self, key: str, what: str) -> str:
        """A text that must be there; `what` says what belongs there."""
        return needed(self.optional(key).strip(), self.name, f"{key} in extra", what)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of several words, the first by default."""
        value = str(self.values.get(key) or choices[0]).strip().lower()
        if value not in choices:
            raise self.wrong(key, value, f"one of {', '.join(choices)}")
        return value

    def number(self, key: str, default: float, least: float = 0.001) -> float:
        """A finite number of at least so much."""
        value = self.values.get(key)
        if value is None or value == "":
            return default
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise self.wrong(key, value, "a number") from None
        if not least <= number < float("inf"):
            raise self.wrong(key, value, "a number greater than zero")
        return number

    def optional_integer(self, key: str) -> int | None:
        """An integer, or None."""
        value = self.values.get(key)
        if value is None or value == "":
            return None
        try:
            return int(str(value))
        except ValueError:
            raise self.wrong(key, value, "an integer") from None

    def boolean(self, key: str) -> bool:
        """True or false, false by default."""
        text = str(self.values.get(key) or "false").strip().lower()
        if text not in _TRUE | _FALSE:
            raise self.wrong(key, text, "true or false")
        return text in _TRUE

    def path(self, key: str, default: str) -> str:
        """A path below the base URL, with one slash before it and none after it."""
        value = self.optional(key).strip() or default
        if "?" in value or "#" in value or "://" in value:
            raise ConfigurationInvalid(f"Connection {self.name}: {key} in extra must be a path, without host or query.")
        return f"/{value.strip('/')}" if value else ""

    def verify(self) -> bool | str:
        """Whether a TLS certificate is verified, or the CA file to verify it with; true by default."""
        value = self.values.get("verify", True)
        if value is None or isinstance(value, bool):
            return True if value is None else value
        text = str(value).strip()
        if text.lower() in _TRUE or not text:
            return True
        if text.lower() in _FALSE:
            return False
        if not Path(text).is_file():
            raise self.wrong("verify", text, "true, false or the path of a CA file that exists")
        return text

    def wrong(self, key: str, value: Any, wanted: str) -> ConfigurationInvalid:
        """The complaint about a field; never for one that may hold a secret."""
        return ConfigurationInvalid(f"Connection {self.name}: {key} in extra is {value!r}; it must be {wanted}.")
