"""How to reach Banqup: what an Airflow connection says, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from tieout.systems.banqup import surface
from tieout.systems.common.connection_fields import ExtraFields, base_url, needed

_MEGABYTE = 1_000_000
_SPACE = "{space}"


@dataclass(frozen=True)
class BanqupSettings:
    """Address, application and limits of Banqup's API.

    Attributes:
        base_url: Scheme, host, port and perhaps a path, without a trailing slash.
        client_id: The application's id, which businesses whitelist.
        client_secret: The application's secret.
        scope: Of the token; none is asked for where it is empty.
        token_path: Where tokens are got.
        spaces_path: Where spaces are listed.
        documents_path: Where a space's documents are listed, with `{space}`.
        files_path: Where a space's files are, with `{space}`.
        page_size: Rows per page; the service gives 50 at most.
        verify: Whether TLS certificates are verified, or a CA file to trust besides the usual ones.
        connect_timeout: Seconds for the TCP and TLS handshake.
        read_timeout: Seconds without a byte after which an answer counts as lost.
        request_timeout: Seconds that one request may take over all.
        retry_seconds: How long a request is repeated while the service cannot serve, over all attempts.
        max_retry_after: Seconds that one request waits, over all its attempts, where the service says when to come
            back (`Retry-After`).
        max_page_bytes: Largest answer that is accepted.
        max_file_bytes: Largest file that is accepted.
    """

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    token_path: str = surface.TOKEN_PATH
    spaces_path: str = surface.SPACES_PATH
    documents_path: str = surface.DOCUMENTS_PATH
    files_path: str = surface.FILES_PATH
    page_size: int = surface.LARGEST_PAGE
    verify: bool | str = True
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    request_timeout: float = 300.0
    retry_seconds: float = 30.0
    max_retry_after: float = 120.0
    max_page_bytes: int = 16 * _MEGABYTE
    max_file_bytes: int = 100 * _MEGABYTE

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.base_url).netloc

    @property
    def server(self) -> str:
        """The server, for messages."""
        return f"Banqup at {self.host}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may hold, percent-encoded forms included."""
        secret = self.client_secret
        return tuple(dict.fromkeys([secret, quote(secret, safe=""), quote(secret), quote_plus(secret)]))

    def documents_of(self, space_id: str, document_id: str = "") -> str:
        """Path of a space's documents, or of one of them."""
        return _below(self.documents_path, space_id, document_id)

    def file_of(self, space_id: str, file_id: str) -> str:
        """Path of a file."""
        return _below(self.files_path, space_id, file_id)

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
        name: str = "banqup",
    ) -> BanqupSettings:
        """Reads the fields of an Airflow connection.

        Args:
            host: Base URL with scheme, or the bare host with `schema` and `port` apart.
            port: Port, where `host` has none.
            schema: `http` or `https`, where `host` has no scheme; `https` by default.
            login: The application's client id.
            password: The application's client secret.
            extra: The further attributes above, as a mapping or as JSON text. Values may be strings, as they are in a
                connection's URI.
            name: The connection's id, for messages.

        Raises:
            ConfigurationInvalid: Something is missing or makes no sense; the message says what to put where.
        """
        fields = ExtraFields.read(extra, name)
        return cls(
            base_url=base_url(host, port, schema, name, example="https://api.btx.eu.banqup.com"),
            client_id=needed(login, name, "login", "the application's client id"),
            client_secret=needed(password, name, "password", "the application's client secret"),
            scope=fields.optional("scope").strip(),
            token_path=fields.path("token_path", surface.TOKEN_PATH),
            spaces_path=fields.path("spaces_path", surface.SPACES_PATH),
            documents_path=_with_space(fields, "documents_path", surface.DOCUMENTS_PATH),
            files_path=_with_space(fields, "files_path", surface.FILES_PATH),
            page_size=_page_size(fields),
            verify=fields.verify(),
            connect_timeout=fields.number("connect_timeout", cls.connect_timeout),
            read_timeout=fields.number("read_timeout", cls.read_timeout),
            request_timeout=fields.number("request_timeout", cls.request_timeout),
            retry_seconds=fields.number("retry_seconds", cls.retry_seconds),
            max_retry_after=fields.number("max_retry_after", cls.max_retry_after),
            max_page_bytes=int(fields.number("max_page_bytes", cls.max_page_bytes, least=1)),
            max_file_bytes=int(fields.number("max_file_bytes", cls.max_file_bytes, least=1)),
        )


def _below(template: str, space_id: str, thing_id: str) -> str:
    path = template.replace(_SPACE, quote(space_id, safe=""))
    return f"{path}/{quote(thing_id, safe='')}" if thing_id else path


def _with_space(fields: ExtraFields, key: str, default: str) -> str:
    value = fields.path(key, default)
    if _SPACE not in value:
        raise fields.wrong(key, value, f"a path with {_SPACE} in it, such as {default}")
    return value


def _page_size(fields: ExtraFields) -> int:
    value = fields.number("page_size", surface.LARGEST_PAGE)
    if value != int(value) or not 1 <= value <= surface.LARGEST_PAGE:
        raise fields.wrong("page_size", fields.optional("page_size"), f"from 1 to {surface.LARGEST_PAGE}")
    return int(value)
