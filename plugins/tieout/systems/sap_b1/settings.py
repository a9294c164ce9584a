"""How to reach a Service Layer: what an Airflow connection says, checked and typed."""

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
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class SapB1Settings:
    """Address, company and limits of a Service Layer.

    Attributes:
        base_url: Scheme, host and port, such as `https://b1:50000`, without a trailing slash.
        company_db: The company's database.
        user_name: Log-in name.
        password: Log-in password.
        api_version: `v2` (OData V4) or `v1` (OData V3).
        verify: Whether the TLS certificate is verified, or the CA file to verify it with.
        page_size: Records per page.
        language: Code of `UserLanguages` for error texts, or None for the user's own.
        connect_timeout: Seconds for the TCP and TLS handshake.
        read_timeout: Seconds without a byte after which an answer counts as lost.
        login_timeout: The same for a log-in, which is heavy work for the server.
        request_timeout: Seconds that one request may take over all.
        retry_seconds: How long a request is repeated while the server cannot serve, over all attempts.
        max_page_bytes: Largest page that is accepted.
        max_attachment_bytes: Largest attachment that is accepted.
    """

    base_url: str
    company_db: str
    user_name: str
    password: str = field(repr=False)
    api_version: str = "v2"
    verify: bool | str = True
    page_size: int = 500
    language: int | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    login_timeout: float = 60.0
    request_timeout: float = 300.0
    retry_seconds: float = 30.0
    max_page_bytes: int = 64 * _MEGABYTE
    max_attachment_bytes: int = 100 * _MEGABYTE

    @property
    def root(self) -> str:
        """The service root, such as `https://b1:50000/b1s/v2`."""
        return f"{self.base_url}/b1s/{self.api_version}"

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.base_url).netloc

    @classmethod
    def from_connection(
        cls,
        *,
        host: str | None,
        port: int | None = None,
        schema: str | None = None,
        login: str | None = None,
        password: str | None = None,
        extra: Mapping[str, Any] | str | None = None,
        name: str = "sap_b1",
    ) -> SapB1Settings:
        """Reads the fields of an Airflow connection.

        Args:
            host: Base URL with scheme and port, or the bare host with `schema` and `port` apart.
            port: Port, where `host` has none.
            schema: `http` or `https`, where `host` has no scheme; `https` by default.
            login: User name.
            password: Password.
            extra: `company_db`, `api_version`, `verify`, `page_size`, `language` and the limits above, as a mapping or
                as JSON text. Values may be strings, as they are in a connection's URI.
            name: The connection's id, for messages.

        Raises:
            ConfigurationInvalid: Something is missing or makes no sense; the message says what to put where.
        """
        fields = _Fields(name, _extra(extra, name))
        settings = cls(
            base_url=_base_url(host, port, schema, name),
            company_db=fields.text("company_db", "the company's database, such as SBODEMOUS"),
            user_name=_needed(login, name, "login", "the Service Layer user"),
            password=_needed(password, name, "password", "the Service Layer user's password"),
            api_version=fields.choice("api_version", ("v2", "v1")),
            verify=fields.verify(),
            page_size=int(fields.number("page_size", cls.page_size, least=1)),
            language=fields.optional_integer("language"),
            connect_timeout=fields.number("connect_timeout", cls.connect_timeout),
            read_timeout=fields.number("read_timeout", cls.read_timeout),
            login_timeout=fields.number("login_timeout", cls.login_timeout),
            request_timeout=fields.number("request_timeout", cls.request_timeout),
            retry_seconds=fields.number("retry_seconds", cls.retry_seconds),
            max_page_bytes=int(fields.number("max_page_bytes", cls.max_page_bytes, least=1)),
            max_attachment_bytes=int(fields.number("max_attachment_bytes", cls.max_attachment_bytes, least=1)),
        )
        return settings


def _extra(extra: Mapping[str, Any] | str | None, name: str) -> Mapping[str, Any]:
    if extra is None or extra == "":
        return {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError:
            raise ConfigurationInvalid(f"Connection {name}: the field extra is not valid JSON.") from None
    if not isinstance(extra, Mapping):
        raise ConfigurationInvalid(f"Connection {name}: the field extra must be a JSON object, such as {{...}}.")
    return extra


def _needed(value: str | None, name: str, where: str, what: str) -> str:
    if not value:
        raise ConfigurationInvalid(f"Connection {name}: {where} is missing; put {what} there.")
    return value


def _base_url(host: str | None, port: int | None, schema: str | None, name: str) -> str:
    example = "such as https://b1.example.com:50000"
    host = (host or "").strip()
    if not host:
        raise ConfigurationInvalid(f"Connection {name}: host is missing; put the base URL there, {example}.")
    if "://" not in host:
        host = f"{(schema or 'https').lower()}://{host}"
    try:
        parts = urlsplit(host)
        own_port = parts.port
    except ValueError:
        raise ConfigurationInvalid(
            f"Connection {name}: host is not a URL; put the base URL there, {example}."
        ) from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationInvalid(
            f"Connection {name}: host holds a user or password; put them into login and password."
        )
    if parts.scheme not in ("http", "https"):
        raise ConfigurationInvalid(
            f"Connection {name}: the scheme is {parts.scheme!r}; use http or https "
            f"(the company's database belongs into extra as company_db)."
        )
    if not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationInvalid(f"Connection {name}: host {host!r} is not a base URL; write it {example}.")
    path = parts.path.rstrip("/")
    if "/b1s" in path:
        path = path[: path.index("/b1s")]
    netloc = parts.netloc if own_port is not None or port is None else f"{parts.netloc}:{port}"
    return f"{parts.scheme}://{netloc}{path}"


@dataclass(frozen=True)
class _Fields:
    """The `extra` of a connection, read with clear complaints."""

    name: str
    values: Mapping[str, Any]

    def text(self, key: str, what: str) -> str:
        value = self.values.get(key)
        return _needed(str(value).strip() if value is not None else None, self.name, f"{key} in extra", what)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = str(self.values.get(key) or choices[0]).strip().lower()
        if value not in choices:
            raise self._wrong(key, value, f"one of {', '.join(choices)}")
        return value

    def number(self, key: str, default: float, least: float = 0.001) -> float:
        value = self.values.get(key)
        if value is None or value == "":
            return default
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise self._wrong(key, value, "a number") from None
        if not least <= number < float("inf"):
            raise self._wrong(key, value, "a number greater than zero")
        return number

    def optional_integer(self, key: str) -> int | None:
        value = self.values.get(key)
        if value is None or value == "":
            return None
        try:
            return int(str(value))
        except ValueError:
            raise self._wrong(key, value, "an integer") from None

    def verify(self) -> bool | str:
        value = self.values.get("verify", True)
        if value is None or isinstance(value, bool):
            return True if value is None else value
        text = str(value).strip()
        if text.lower() in _TRUE or not text:
            return True
        if text.lower() in _FALSE:
            return False
        if not Path(text).is_file():
            raise self._wrong("verify", text, "true, false or the path of a CA file that exists")
        return text

    def _wrong(self, key: str, value: Any, wanted: str) -> ConfigurationInvalid:
        return ConfigurationInvalid(f"Connection {self.name}: {key} in extra is {value!r}; it must be {wanted}.")
