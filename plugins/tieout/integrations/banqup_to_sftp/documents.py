"""The documents of one client in staging: what Banqup says of each, its bytes, and what becomes of it.

::

    <client>/documents.jsonl       one line per document, in the order in which Banqup gave them
    <client>/files/<name>          the bytes of those that were fetched, as they came
    <client>/verdicts.jsonl        what the checks found, one line per fetched document
    <client>/prepared.json         where every document goes
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal, Inexact
from typing import Any, Literal

from tieout.formats.coda import Statement
from tieout.formats.findings import Finding
from tieout.integrations.banqup_to_sftp.config import DocumentKind
from tieout.integrations.sorting import in_currency
from tieout.staging import Folder, StagedPath, write_bytes_atomically

DOCUMENTS = "documents.jsonl"
VERDICTS = "verdicts.jsonl"
FILES = "files"

State = Literal["fetched", "known", "excluded", "unfetchable"]


@dataclass(frozen=True)
class Reason:
    """Why a document is held.

    Attributes:
        code: The rule's official id, or a name of ours.
    """

    code: str
    message: str
    fix_hint: str
    owner: str = "finance"


@dataclass(frozen=True)
class Document:
    """A document that Banqup listed.

    Attributes:
        key: Banqup's id of the document.
        number: Its number, as people know it.
        status_at: When it was approved or sent, ISO 8601; None where Banqup does not say.
        file_id: Banqup's id of its file; another one means other bytes.
        state: `fetched`; `known`, whose file was delivered before; `excluded`, which is not to be delivered;
            `unfetchable`, whose file cannot be had.
        why: Of an excluded one, why.
        reason: Of an unfetchable one, why it is held.
        sha256: Of the bytes.
        money: What it is worth by the first reading, per currency.
    """

    key: str
    kind: DocumentKind
    category: str
    number: str
    issue_date: str | None
    status_at: str | None
    updated_at: str
    file_id: str
    state: State
    why: str = ""
    reason: Reason | None = None
    bytes: int = 0
    sha256: str = ""
    money: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def staged_name(self) -> str:
        """The name of its bytes in staging, whatever characters its id has."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]

    @property
    def fingerprint(self) -> str:
        """What the ledger remembers of a delivered document: its file, and the file's bytes."""
        return f"{self.file_id}|{self.sha256}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "money": {currency: str(amount) for currency, amount in self.money.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Document:
        """The inverse of `to_json`."""
        reason = data.get("reason")
        return cls(
            **{
                **data,
                "reason": Reason(**reason) if reason else None,
                "money": {currency: Decimal(amount) for currency, amount in data["money"].items()},
            }
        )


@dataclass(frozen=True)
class Judged:
    """What the checks found in a document, and what a second reading says it is.

    Attributes:
        findings: Every rule that it does not keep.
        facts: For the index that Great Expectations looks at, and for the audit trail; texts.
        money: What it is worth by the second reading.
        failed: Why it could not be checked, which says nothing about the document; empty when it was.
    """

    key: str
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    money: Mapping[str, Decimal] = field(default_factory=dict)
    failed: str = ""

    @property
    def invalid(self) -> bool:
        """Whether a rule that must be kept is not."""
        return any(finding.fatal for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "key": self.key,
            "findings": [finding.to_json() for finding in self.findings],
            "facts": dict(self.facts),
            "money": {currency: str(amount) for currency, amount in self.money.items()},
            "failed": self.failed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Judged:
        """The inverse of `to_json`."""
        return cls(
            data["key"],
            tuple(Finding.from_json(each) for each in data["findings"]),
            data["facts"],
            {currency: Decimal(amount) for currency, amount in data["money"].items()},
            data["failed"],
        )


def with_minor_units(totals: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """CODA's three decimals as the currency has them, where nothing is lost by it."""
    told = {}
    for currency, amount in totals.items():
        try:
            told[currency] = in_currency(currency, amount)
        except Inexact:
            told[currency] = amount
    return told


def statement_to_json(statement: Statement) -> dict[str, Any]:
    """A statement as plain values."""
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(statement).items()}


def statement_from_json(row: Mapping[str, Any]) -> Statement:
    """The inverse of `statement_to_json`."""
    money = ("old_balance", "new_balance", "debit", "credit")
    values: dict[str, Any] = {name: Decimal(value) if name in money else value for name, value in row.items()}
    return Statement(**values)


def statements_of(judged: Judged | None) -> list[Statement]:
    """The statements that a document holds."""
    rows: list[dict[str, Any]] = json.loads(judged.facts.get("statements", "[]")) if judged else []
    return [statement_from_json(row) for row in rows]


def statement_rank(statement: Statement) -> tuple[str, str, str, int, str]:
    """Orders statements by account, year and number."""
    year = (statement.new_date or statement.old_date or statement.creation_date)[:4]
    return (
        statement.account,
        statement.separate_application,
        year,
        statement.coda_sequence,
        statement.new_date or statement.creation_date,
    )


def fingerprint_parts(fingerprint: str) -> tuple[str, str]:
    """The file's id and the digest of its bytes."""
    file_id, _, sha256 = fingerprint.rpartition("|")
    return file_id, sha256


def write_lines(path: StagedPath, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object per line; nobody sees a half file."""
    write_bytes_atomically(path, (json.dumps(row).encode() + b"\n" for row in rows))


def read_lines(path: StagedPath) -> Iterator[dict[str, Any]]:
    """The objects of such a file; none where there is no file."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def read_documents(folder: Folder) -> Iterator[Document]:
    """A client's documents."""
    return (Document.from_json(row) for row in read_lines(folder / DOCUMENTS))


def read_judged(folder: Folder) -> dict[str, Judged]:
    """What the checks found, by document."""
    return {row["key"]: Judged.from_json(row) for row in read_lines(folder / VERDICTS)}


def bytes_of(folder: Folder, document: Document) -> bytes:
    """A fetched document as it came."""
    with (folder / FILES / document.staged_name).open("rb") as file:
        data: bytes = file.read()
    return data
