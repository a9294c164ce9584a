"""How to reach a Service Layer: what an Airflow connection says, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tieout.systems.common.connection_fields import ExtraFields, base_url, needed

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

    @property
    def server(self) -> str:
        """The server, for messages."""
        return f"SAP Business One at {self.host}"

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
        fields = ExtraFields.read(extra, name)
        return cls(
            base_url=_above_service_root(
                base_url(
                    host,
                    port,
                    schema,
                    name,
                    example="https://b1.example.com:50000",
                    schema_hint=" (the company's database belongs into extra as company_db)",
                )
            ),
            company_db=fields.text("company_db", "the company's database, such as SBODEMOUS"),
            user_name=needed(login, name, "login", "the Service Layer user"),
            password=needed(password, name, "password", "the Service Layer user's password"),
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


def _above_service_root(url: str) -> str:
    """The base URL, also where somebody put the service root into the connection."""
    return url.partition("/b1s")[0]
