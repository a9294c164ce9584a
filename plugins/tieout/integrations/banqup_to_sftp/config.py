"""`include/integrations/banqup_to_sftp/<instance>.yaml`, typed: a partner, and its clients one by one.

DAG files import this module, so it stays light: the standard library and pydantic, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from tieout.config import FinanceDigest, HeldRetry, IntegrationConfig, Placing, Strict

DocumentKind = Literal["purchases", "sales", "statements"]
"""Purchase invoices, sales invoices (credit notes by direction with them), Enriched Movement Reports."""


@dataclass(frozen=True)
class PathVariable:
    """A `[variable]` of a client's path.

    Attributes:
        kinds: In whose paths it may stand.
        meaning: What it stands for, for messages.
    """

    kinds: tuple[DocumentKind, ...]
    meaning: str


_ALL_KINDS: tuple[DocumentKind, ...] = ("purchases", "sales", "statements")

PATH_VARIABLES: dict[str, PathVariable] = {
    "external_id": PathVariable(_ALL_KINDS, "the partner's own number of the client"),
    "uen_number": PathVariable(_ALL_KINDS, "the client's enterprise number"),
    "invoice_type": PathVariable(_ALL_KINDS, "AP for purchases, AR for sales, or what invoice_types says"),
    "file_type": PathVariable(_ALL_KINDS, "xml for invoices, cod for statements, or what file_types says"),
    "year": PathVariable(_ALL_KINDS, "the year of the run, by the instance's time zone"),
}
"""The variables of path templates; whoever learns of a further one adds its line, and its value in `naming`."""

_VARIABLE = re.compile(r"\[([^\[\]/]*)\]")


def _path_template(template: str) -> str:
    for name in _VARIABLE.findall(template):
        if name not in PATH_VARIABLES:
            known = ", ".join(f"[{each}]" for each in PATH_VARIABLES)
            raise ValueError(f"[{name}] is no variable of a path; known are {known}")
    if not template.startswith("/"):
        raise ValueError("a path begins with /, such as /invoice_import/[external_id]_[uen_number]/[invoice_type]")
    plain = _VARIABLE.sub("x", template)
    if "[" in plain or "]" in plain:
        raise ValueError("a variable is written [name], with both brackets and no / between them")
    plain, template = (text.removesuffix("/") for text in (plain, template))
    for part in plain.split("/")[1:]:
        if part in ("", ".", ".."):
            raise ValueError("a path may not hold an empty part, '.' or '..': spell the folders out")
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in part):
            raise ValueError("a path may not hold control characters")
    return template or "/"


def expand_path(template: str, values: Mapping[str, str]) -> str:
    """A path with its variables filled in; values are one path component each, or a part of one."""
    return _VARIABLE.sub(lambda found: values[found.group(1)], template)


def _moment(value: object) -> object:
    """`2026-01-01` is its midnight; without a zone, the instance's."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return f"{value}T00:00:00"
    if isinstance(value, str) and re.match(r"\d{4}-\d{2}-\d{2}[T ]", value):
        return value
    raise ValueError("a moment is written such as 2026-01-01T00:00:00Z, or as a date, which is its midnight")


def _code(value: object) -> object:
    """Codes of digits need no quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


PathTemplate = Annotated[str, AfterValidator(_path_template)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Code = Annotated[str, BeforeValidator(_code)]


class ClientSettings(Strict):
    """What can be said once for all clients of a partner, and again for one of them.

    Attributes:
        conn_id: The Airflow connection to the SFTP server.
        host: Instead of the connection's host.
        port: Instead of the connection's port.
        user: Instead of the connection's login.
        activated_at: Documents approved or sent after this moment are delivered, none before.
        invoice_path: Folder of invoices and credit notes, with `[variables]`.
        statement_path: Folder of Enriched Movement Reports.
        invoice_types: What `[invoice_type]` is by kind of document.
        file_types: What `[file_type]` is by kind of document; of statements it is also the files' ending.
        uen_format: `[uen_number]` as ten digits, or as `BE` and ten digits.
        invalid: Documents that break a rule: hold them, or deliver them with a warning.
        concurrency: Files on their way at once to one client.
    """

    conn_id: str | None = Field(default=None, min_length=1)
    host: str | None = Field(default=None, min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str | None = Field(default=None, min_length=1)
    activated_at: Moment | None = None
    invoice_path: PathTemplate | None = None
    statement_path: PathTemplate | None = None
    invoice_types: dict[DocumentKind, Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,39}$")]] = Field(
        default_factory=dict
    )
    file_types: dict[DocumentKind, Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,12}$")]] = Field(default_factory=dict)
    uen_format: Literal["digits", "vat"] | None = None
    invalid: Literal["hold", "deliver"] | None = None
    concurrency: int | None = Field(default=None, ge=1, le=128)


class ClientEntry(ClientSettings):
    """One client: a line of the partner's list."""

    external_id: Annotated[Code, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]
    uen_number: Annotated[Code, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .-]{0,39}$")]
    space_id: Annotated[Code, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
    name: str = ""
    enabled: bool = True


@dataclass(frozen=True)
class BanqupClientConfig:
    """A client with everything that holds for it; see `ClientSettings`.

    Attributes:
        uen_number: As paths have it.
        activated_at: Aware.
    """

    external_id: str
    name: str
    uen_number: str
    space_id: str
    conn_id: str
    host: str | None
    port: int | None
    user: str | None
    activated_at: datetime
    invoice_path: str
    statement_path: str
    invoice_types: Mapping[DocumentKind, str]
    file_types: Mapping[DocumentKind, str]
    invalid: Literal["hold", "deliver"]
    concurrency: int

    @property
    def title(self) -> str:
        """Number and name, for people."""
        return f"{self.external_id} {self.name}".strip()

    def folder(self, kind: DocumentKind, year: str) -> str:
        """Where documents of a kind are put."""
        template = self.statement_path if kind == "statements" else self.invoice_path
        values = {
            "external_id": self.external_id,
            "uen_number": self.uen_number,
            "invoice_type": self.invoice_types[kind],
            "file_type": self.file_types[kind],
            "year": year,
        }
        return expand_path(template, values)


_INVOICE_TYPES: dict[DocumentKind, str] = {"purchases": "AP", "sales": "AR", "statements": "BANK"}
_FILE_TYPES: dict[DocumentKind, str] = {"purchases": "xml", "sales": "xml", "statements": "cod"}


class BanqupSource(Strict):
    """How much of Banqup a run reads.

    Attributes:
        lookback_minutes: Documents changed so long before the newest one seen are listed again.
        parallel: Clients read at once.
        max_documents: Documents of one client in one run; what is beyond comes with the next one.
        max_file_bytes: A larger document is held.
    """

    lookback_minutes: float = Field(default=15, ge=0, le=44640)
    parallel: int = Field(default=8, ge=1, le=64)
    max_documents: int = Field(default=5000, ge=1)
    max_file_bytes: int = Field(default=100_000_000, gt=0)


class BanqupValidation(Strict):
    """How documents are checked.

    Attributes:
        workers: Validating processes.
        profile: `auto` takes a document that declares plain EN 16931 with a warning, `peppol` calls it invalid.
    """

    workers: int = Field(default=2, ge=1, le=32)
    profile: Literal["auto", "peppol"] = "auto"


class BanqupDelivery(Placing):
    """How documents are put in place at the clients' servers.

    Attributes:
        tasks: Most clients with an Airflow task each; where more get something in a run, they share fewer tasks.
        shared_tasks: How many tasks they share: about as many as Airflow runs at once.
        parallel: Clients that one task serves at once.
        connect_seconds: How long to wait for a server's answer; less than the connection's own where that is shorter.
        eager_attempts: After so many failures in a row scheduled runs try a client's server ever more rarely.
        first_delay_minutes: The first pause then.
        max_delay_minutes: The longest pause.
    """

    tasks: int = Field(default=20, ge=1, le=500)
    shared_tasks: int = Field(default=4, ge=1, le=500)
    parallel: int = Field(default=8, ge=1, le=64)
    connect_seconds: float = Field(default=15, gt=0, le=600)
    eager_attempts: int = Field(default=4, ge=0)
    first_delay_minutes: float = Field(default=30, gt=0)
    max_delay_minutes: float = Field(default=240, gt=0)


class ReceiverAlerts(FinanceDigest):
    """Who is told when a client's server cannot be delivered to, and when it can again.

    Attributes:
        unreachable_minutes: How long documents wait before somebody is told.
    """

    unreachable_minutes: float = Field(default=60, ge=0)


class BanqupConnections(Strict):
    """Airflow connection ids."""

    source: str = "banqup"


class BanqupToSftp(IntegrationConfig):
    """`include/integrations/banqup_to_sftp/<instance>.yaml`: one partner and its clients."""

    schedule: str | None = "*/30 * * * *"
    connections: BanqupConnections = BanqupConnections()
    source: BanqupSource = BanqupSource()
    validation: BanqupValidation = BanqupValidation()
    delivery: BanqupDelivery = BanqupDelivery()
    held: HeldRetry = HeldRetry()
    alerts: ReceiverAlerts = ReceiverAlerts()
    defaults: ClientSettings = ClientSettings()
    clients: tuple[ClientEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_client_has_a_place_of_its_own(self) -> BanqupToSftp:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        seen: dict[tuple[str, object], int] = {}
        for index, entry in enumerate(self.clients):
            for name in ("conn_id", "activated_at", "invoice_path"):
                if getattr(entry, name) is None and getattr(self.defaults, name) is None:
                    problems.append((("clients", index), f"{name} is missing. Give it here or under defaults."))
            for what, key, value in self._must_be_unique(entry):
                first = seen.setdefault((what, value), index)
                if first != index:
                    other = self.clients[first].external_id
                    problems.append((("clients", index, key), f"client {other} has the same {what}. {_APART[what]}"))
        if problems:
            raise _errors_at(problems)
        return self

    def _must_be_unique(self, entry: ClientEntry) -> Iterator[tuple[str, str, object]]:
        """What it is, the key to correct, and the value."""
        yield "external_id", "external_id", entry.external_id.casefold()
        yield "space_id", "space_id", entry.space_id.casefold()
        both = {**self.defaults.model_dump(), **entry.model_dump(exclude_none=True)}
        server = tuple(both[name] for name in ("conn_id", "host", "port", "user"))
        invoice_types = _filled(_INVOICE_TYPES, self.defaults.invoice_types, entry.invoice_types)
        file_types = _filled(_FILE_TYPES, self.defaults.file_types, entry.file_types)
        for kind in _ALL_KINDS:
            key = "statement_path" if kind == "statements" and both["statement_path"] else "invoice_path"
            if both[key] is not None:
                values = {
                    "external_id": entry.external_id,
                    "uen_number": _digits(entry.uen_number),
                    "invoice_type": invoice_types[kind],
                    "file_type": file_types[kind],
                    "year": "[year]",
                }
                yield "folder", key, (server, expand_path(both[key], values))

    def client(self, entry: ClientEntry) -> BanqupClientConfig:
        """A client with the partner's defaults."""
        both = {**self.defaults.model_dump(exclude_none=True), **entry.model_dump(exclude_none=True)}
        activated = both["activated_at"]
        if activated.tzinfo is None:
            activated = activated.replace(tzinfo=ZoneInfo(self.timezone))
        digits = _digits(entry.uen_number)
        return BanqupClientConfig(
            external_id=entry.external_id,
            name=entry.name,
            uen_number=f"BE{digits}" if both.get("uen_format") == "vat" else digits,
            space_id=entry.space_id,
            conn_id=both["conn_id"],
            host=both.get("host"),
            port=both.get("port"),
            user=both.get("user"),
            activated_at=activated,
            invoice_path=both["invoice_path"],
            statement_path=both.get("statement_path") or both["invoice_path"],
            invoice_types=_filled(_INVOICE_TYPES, self.defaults.invoice_types, entry.invoice_types),
            file_types=_filled(_FILE_TYPES, self.defaults.file_types, entry.file_types),
            invalid=both.get("invalid", "hold"),
            concurrency=both.get("concurrency", 128),
        )

    def enabled_clients(self) -> dict[str, BanqupClientConfig]:
        """The clients to serve, by their external id, in the file's order."""
        return {entry.external_id: self.client(entry) for entry in self.clients if entry.enabled}


_APART = {
    "external_id": "Give each client a number of its own.",
    "space_id": "Each client has a space of its own in Banqup.",
    "folder": "Put [external_id] or [uen_number] into the path, so that no client gets another's files.",
}


def _digits(uen_number: str) -> str:
    """An enterprise number without `BE`, dots and blanks; a foreign one keeps its letters."""
    return re.sub(r"^BE(?=[ 01])|[ .]", "", uen_number.upper())


def _filled(*layers: Mapping[DocumentKind, str]) -> dict[DocumentKind, str]:
    """The layers in one, the last one's word first."""
    return {kind: word for layer in layers for kind, word in layer.items()}


def _errors_at(problems: Iterable[tuple[tuple[str | int, ...], str]]) -> ValidationError:
    """Errors of a whole model, each at the key it is about."""
    return ValidationError.from_exception_data(
        "configuration",
        [
            InitErrorDetails(type=PydanticCustomError("value_error", "{text}", {"text": text}), loc=where, input=None)
            for where, text in problems
        ],
    )
