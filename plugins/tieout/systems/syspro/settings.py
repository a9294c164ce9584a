"""How to reach a SYSPRO server: what an Airflow connection says, checked and typed."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from tieout.errors import ConfigurationInvalid
from tieout.systems.common.connection_fields import ExtraFields, base_url, needed

_MEGABYTE = 1024 * 1024

LOGON_PATH = "/Utilities/Logon"
ODATA_PATH = "/SYSPRO8Odata/SYSPROOData/{company}/{table}"
REST_QUERY = "/SYSPROWCFService/Rest/Query/Query"

AUTH = ("session_token", "basic", "token_and_basic")
TOKEN_IN = ("query", "header", "bearer")
READERS = ("odata", "comfnd")
PAGING = ("keyset", "skip")
PAGE_SIZES = {"odata": 5_000, "comfnd": 2_000}
"""Rows asked for at once; SYSPRO's OData service gives 5000 at most, whatever it is asked for."""


@dataclass(frozen=True)
class SysproSettings:
    """Address, company, credentials and limits of a SYSPRO server.

    Attributes:
        base_url: Scheme, host, port and perhaps a path, without a trailing slash.
        operator: The SYSPRO operator; one session per operator, so it must not be a person's.
        password: The operator's password; may be empty, as SYSPRO allows.
        company_id: The company, such as `EDU1`.
        company_password: The company's password, if it has one.
        auth: `session_token`, `basic` or `token_and_basic`: what the OData service asks for.
        token_in: How the token travels to the OData service: `query` (UserId=), `header` (UserId) or `bearer`.
            e.net's own calls always have it in the query, since its protocol knows no other place.
        basic_login: Login for basic authentication, where it is not the operator's.
        basic_password: Password that goes with it.
        reader: `odata` or `comfnd`.
        logon_path: Path of e.net's Logon.
        logoff_path: Path of e.net's Logoff; beside Logon by default.
        profile_path: Path of e.net's GetLogonProfile; beside Logon by default.
        query_paths: Paths of e.net's Query, tried in this order while the server says 404.
        odata_path: Path of a table, with `{company}` and `{table}`.
        strip_token: Whether spaces around the token are taken off. They belong to it on SYSPRO 7.
        paging: `keyset` or `skip`; a server that refuses the former's filters is paged by the latter anyway.
        page_size: Rows per request.
        verify: Whether the TLS certificate is verified, or the CA file to verify it with.
        connect_timeout: Seconds for the TCP and TLS handshake.
        read_timeout: Seconds without a byte after which an answer counts as lost.
        request_timeout: Seconds that one request may take over all.
        retry_seconds: How long a request is repeated while the server cannot serve, over all attempts.
        max_page_bytes: Largest answer that is accepted.
        validate_after: Seconds unused after which a session is checked (GetLogonProfile) before it is used.
        max_relogons: Log-ons that may replace lost sessions in the life of one client.
    """

    base_url: str
    operator: str
    password: str = field(repr=False)
    company_id: str
    company_password: str = field(repr=False, default="")
    auth: str = "session_token"
    token_in: str = "query"
    basic_login: str = ""
    basic_password: str = field(repr=False, default="")
    reader: str = "odata"
    logon_path: str = LOGON_PATH
    logoff_path: str = "/Utilities/Logoff"
    profile_path: str = "/Utilities/GetLogonProfile"
    query_paths: tuple[str, ...] = (REST_QUERY, "/Query/Query")
    odata_path: str = ODATA_PATH
    strip_token: bool = False
    paging: str = "keyset"
    page_size: int = PAGE_SIZES["odata"]
    verify: bool | str = True
    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    request_timeout: float = 300.0
    retry_seconds: float = 30.0
    max_page_bytes: int = 64 * _MEGABYTE
    validate_after: float = 60.0
    max_relogons: int = 25

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.base_url).netloc

    @property
    def server(self) -> str:
        """The server, for messages."""
        return f"SYSPRO at {self.host}"

    @property
    def needs_token(self) -> bool:
        """Whether there is a log-on at all."""
        return self.auth != "basic"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may hold, percent-encoded forms included."""
        plain = [text for text in (self.password, self.company_password, self.basic_password) if text]
        return tuple(dict.fromkeys([*plain, *(quote(text, safe="") for text in plain)]))

    def table_path(self, table: str) -> str:
        """The OData path of a table."""
        values = {"{company}": quote(self.company_id, safe=""), "{table}": quote(table, safe="")}
        path = self.odata_path
        for place, value in values.items():
            path = path.replace(place, value)
        return path

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
        name: str = "syspro",
    ) -> SysproSettings:
        """Reads the fields of an Airflow connection.

        Args:
            host: Base URL with scheme and port, or the bare host with `schema` and `port` apart.
            port: Port, where `host` has none.
            schema: `http` or `https`, where `host` has no scheme; `https` by default.
            login: The operator.
            password: The operator's password; empty where the operator has none.
            extra: `company_id`, `company_password`, `auth`, `token_in`, `logon_path`, `logoff_path`, `odata_path`,
                `reader` and the further attributes above (`query_path` for one e.net Query path), as a mapping or as
                JSON text. Values may be strings, as they are in a connection's URI.
            name: The connection's id, for messages.

        Raises:
            ConfigurationInvalid: Something is missing or makes no sense; the message says what to put where.
        """
        fields = ExtraFields.read(extra, name)
        operator = needed(login, name, "login", "the SYSPRO operator")
        reader = fields.choice("reader", READERS)
        logon = fields.path("logon_path", LOGON_PATH)
        query = fields.path("query_path", "")
        settings = cls(
            base_url=base_url(host, port, schema, name, example="https://syspro.example.com:30001"),
            operator=operator,
            password=password or "",
            company_id=fields.text("company_id", "the SYSPRO company, such as EDU1"),
            company_password=fields.optional("company_password"),
            auth=fields.choice("auth", AUTH),
            token_in=fields.choice("token_in", TOKEN_IN),
            basic_login=fields.optional("basic_login") or operator,
            basic_password=fields.optional("basic_password") or password or "",
            reader=reader,
            logon_path=logon,
            logoff_path=fields.path("logoff_path", _beside(logon, "Logoff")),
            profile_path=fields.path("profile_path", _beside(logon, "GetLogonProfile")),
            query_paths=(query,) if query else _query_paths(logon),
            odata_path=_table_template(fields),
            strip_token=fields.boolean("strip_token"),
            paging=fields.choice("paging", PAGING),
            page_size=int(fields.number("page_size", PAGE_SIZES[reader], least=1)),
            verify=fields.verify(),
            connect_timeout=fields.number("connect_timeout", cls.connect_timeout),
            read_timeout=fields.number("read_timeout", cls.read_timeout),
            request_timeout=fields.number("request_timeout", cls.request_timeout),
            retry_seconds=fields.number("retry_seconds", cls.retry_seconds),
            max_page_bytes=int(fields.number("max_page_bytes", cls.max_page_bytes, least=1)),
            validate_after=fields.number("validate_after", cls.validate_after),
            max_relogons=int(fields.number("max_relogons", cls.max_relogons, least=1)),
        )
        settings._check(name)
        return settings

    def _check(self, name: str) -> None:
        if self.reader == "comfnd" and not self.needs_token:
            raise ConfigurationInvalid(
                f"Connection {name}: reader comfnd works with a session token, which auth basic has none of. Set auth "
                f"in extra to session_token, or reader to odata."
            )
        if self.auth == "token_and_basic" and self.token_in == "bearer":
            raise ConfigurationInvalid(
                f"Connection {name}: a bearer token and basic authentication use the same header. Set token_in in "
                f"extra to query or header, or auth to session_token."
            )


def _beside(logon_path: str, method: str) -> str:
    """The path of another method of the same e.net class."""
    return posixpath.join(posixpath.dirname(logon_path), method)


def _query_paths(logon_path: str) -> tuple[str, ...]:
    """Where e.net's `Query` may be, by where its `Logon` is.

    The REST service has `Rest/Logon` and `Rest/Query/Query`; `Utilities/Logon` names the class as COM and SOAP do.
    """
    parent = posixpath.dirname(logon_path)
    if parent.lower().endswith("/utilities"):
        sibling = posixpath.join(posixpath.dirname(parent), "Query/Query")
        return (REST_QUERY, sibling)
    return (posixpath.join(parent, "Query/Query"),)


def _table_template(fields: ExtraFields) -> str:
    value = fields.path("odata_path", ODATA_PATH)
    if "{table}" not in value:
        raise fields.wrong("odata_path", value, f"a path with {{table}} in it, such as {ODATA_PATH}")
    return value
