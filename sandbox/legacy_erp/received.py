"""What a file brought, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.legacy_erp.findings import Findings
from sandbox.legacy_erp.money import to_minor_units
from sandbox.legacy_erp.postings import LineBuilder, PostingBlock, Texts
from sandbox.legacy_erp.settings import DocumentRules, Settings
from sandbox.legacy_erp.x12.interchange import Interchange

Row = dict[str, str]


@dataclass(frozen=True)
class Document:
    """An invoice, purchase order, supplier or item: its rows, the document's own values repeated on each."""

    key: str
    file: str
    rows: list[Row]

    def total(self, rules: DocumentRules) -> tuple[str, Decimal] | None:
        """Currency and amount by the rules of its entity; None where it has none, or no number in its place.

        An amount of lines is rounded per line to the currency's decimals.
        """
        currency = self.rows[0].get("currency", "")
        try:
            if rules.total:
                return currency, Decimal(self.rows[0][rules.total])
            if rules.factors:
                quantity, price = rules.factors
                lines = [row for row in self.rows if row[quantity] or row[price]]
                products = (Decimal(row[quantity] or "0") * Decimal(row[price] or "0") for row in lines)
                return currency, sum((to_minor_units(product, currency) for product in products), Decimal(0))
        except (InvalidOperation, KeyError):
            return None
        return None


@dataclass
class Reading:
    """A reader's work on one file.

    Attributes:
        file: The file's name.
        entity: What its records are; None when the file could not be told.
        lines: G/L lines found.
        documents: Other records found.
        detail: What the file says of itself: batch, purpose, header and trailer values.
        interchange: Of an X12 file: its envelope, and what is wrong set by set.
        is_readable: Whether its records could be taken.
        block: The G/L lines, where a reader made the block itself.
    """

    file: str
    settings: Settings
    lines: LineBuilder
    findings: Findings = field(default_factory=Findings)
    entity: str | None = None
    documents: list[Document] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    interchange: Interchange | None = None
    is_readable: bool = True
    block: PostingBlock | None = None
    _rows: int = 0
    _keys: set[str] = field(default_factory=set)
    _is_closed: bool = True

    @classmethod
    def begin(cls, file: str, settings: Settings, texts: Texts | None = None, entity: str | None = None) -> Reading:
        """A reading of which nothing is known but the name, and perhaps what it tells."""
        return cls(file, settings, LineBuilder(texts or Texts()), entity=entity)

    def unreadable(self, sentence: str) -> None:
        """Gives up on the file."""
        self.findings.add(sentence)
        self.is_readable = False

    def take_documents(self, rows: Iterable[Row]) -> None:
        """Gathers rows into documents by their entity's key; a document's rows must follow one another."""
        rules = self.settings.documents.get(self.entity or "", DocumentRules())
        key_columns = rules.key
        for row in rows:
            self._rows += 1
            is_keyed = any(column in row for column in key_columns)
            key = "|".join(row.get(column, "") for column in key_columns) if is_keyed else f"row {self._rows}"
            if rules.has_lines and self.documents and self.documents[-1].key == key and not self._is_closed:
                self._continue_document(self.documents[-1], row, rules)
                continue
            if key in self._keys:
                self.findings.add(f"Record {self._rows}: {key!r} came before in this file.")
            self._keys.add(key)
            self._is_closed = False
            self.documents.append(Document(key, self.file, [row]))
        self._is_closed = True

    def _continue_document(self, document: Document, row: Row, rules: DocumentRules) -> None:
        for column in ("currency", rules.total):
            if column is not None and row.get(column) != document.rows[0].get(column):
                self.findings.add(f"Record {self._rows}: {column} differs from an earlier row of {document.key!r}.")
        document.rows.append(row)

    def amounts(self) -> dict[str, Decimal]:
        """Total per currency of the documents; says which could not be summed."""
        rules = self.settings.documents.get(self.entity or "", DocumentRules())
        totals: dict[str, Decimal] = {}
        for document in self.documents:
            found = document.total(rules)
            if found is not None:
                currency, value = found
                totals[currency] = totals.get(currency, Decimal(0)) + value
            elif rules.has_amounts:
                self.findings.unchecked.append(f"{document.key}: no amount could be made of its columns.")
        return totals


@dataclass
class ReceivedFile:
    """One file that arrived.

    Attributes:
        status: `read`, `resent` (bytes that came before), or `unreadable`.
        records: Documents, or G/L lines.
        totals: What the reader itself found, in the form of a manifest's `control_totals`.
        of: Of a file that was sent again: the name under which its bytes came first.
    """

    name: str
    entity: str | None
    format: str
    status: str
    bytes: int
    sha256: str
    records: int = 0
    totals: dict[str, Any] = field(default_factory=dict)
    company: str | None = None
    period: str | None = None
    sequence: int | None = None
    periods: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    interchange: Interchange | None = None
    of: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        values = {name: value for name, value in vars(self).items() if name != "interchange"}
        return {**values, "interchange": self.interchange.as_dict() if self.interchange else None}
