"""What a drop holds, and what must become of every record in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox.stampli.exports import StampliExports
from sandbox.stampli.model import Invoice, Vendor
from sandbox.stampli.text_records import TextRecord
from sandbox.stampli.truth import ExpectedEntry


@dataclass(frozen=True)
class DropSizes:
    """How much of what a mixed drop holds.

    Attributes:
        invoices: Sound ones, credits among them.
        credit_share: Share of credits; every third of them with negative amounts.
        files: Files over which the sound invoices are spread.
        max_lines: Lines of the longest invoice.
        new_vendors: Vendors that SAP does not know.
        changed_vendors: Suppliers of SAP's with a new name, mailbox and telephone.
        unchanged_vendors: Suppliers of SAP's as they are.
        payments: Of one or two sound invoices each.
        repeated: Sound invoices that come once more, unchanged, in a later file.
        same_bytes: The first invoice file comes once more under another name.
        defects: One bad record of each kind, a void invoice and a payment that has not happened.
        broken: Kinds of broken files (`BROKEN_CSV` and `BROKEN_XML`), one of each.
    """

    invoices: int = 40
    credit_share: float = 0.15
    files: int = 4
    max_lines: int = 40
    new_vendors: int = 3
    changed_vendors: int = 2
    unchanged_vendors: int = 2
    payments: int = 6
    repeated: int = 3
    same_bytes: bool = True
    defects: bool = True
    broken: tuple[str, ...] = ("unterminated_quote",)


@dataclass
class Expected:
    """What must become of the records of one entity.

    Attributes:
        posted: Records that reach the books: entries posted, partners created or changed.
        held: Reason code → records; a broken file counts as one. Where one defect leads to another, the first counts.
        duplicate: Records that change nothing, because they or their like were there before.
        excluded: Reason → records that are none of the books' business.
        money: `posted`, `duplicate`, `excluded` → currency → total as the files state it. What is held is left out:
            a bad record need not have a readable amount.
    """

    posted: int = 0
    held: Counter[str] = field(default_factory=Counter)
    duplicate: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    money: dict[str, dict[str, Decimal]] = field(default_factory=dict)

    @property
    def extracted(self) -> int:
        """All of them."""
        return self.posted + self.held.total() + self.duplicate + self.excluded.total()

    def add_money(self, place: str, record: TextRecord) -> None:
        """Adds a record's total to a place; vendors have none."""
        text = record.header.get("total_amount") or record.header.get("amount")
        if text is not None:
            totals = self.money.setdefault(place, {})
            currency = record.header["currency"]
            totals[currency] = totals.get(currency, Decimal(0)) + Decimal(text)

    def as_dict(self) -> dict[str, Any]:
        """As JSON: amounts as decimal text."""
        money = {
            place: {currency: str(total) for currency, total in sorted(totals.items())}
            for place, totals in self.money.items()
        }
        return {
            "extracted": self.extracted, "posted": self.posted, "held": dict(self.held), "duplicate": self.duplicate,
            "excluded": dict(self.excluded), "money": money,
        }  # fmt: skip


@dataclass(frozen=True)
class DroppedFile:
    """A file that was put: how many records a reader finds in it. A broken file counts as one."""

    name: str
    entity: str
    records: int
    bytes: int
    note: str


@dataclass
class Scenario:
    """What was put and what must come of it.

    Attributes:
        entries: Stampli's id → journal entry that must be posted, of invoices and payments.
        partners: CardCode → vendor that must be in SAP as it says here; new and changed ones.
        held: Stampli's id → reason code; broken files by their name, records without an id by `<entity>#<kind>`.
        invoices: The sound invoices that are posted, to change, void or pay later.
    """

    exports: StampliExports
    files: list[DroppedFile] = field(default_factory=list)
    expected: dict[str, Expected] = field(default_factory=dict)
    entries: dict[str, ExpectedEntry] = field(default_factory=dict)
    partners: dict[str, Vendor] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    invoices: list[Invoice] = field(default_factory=list)

    def of(self, entity: str) -> Expected:
        """What is expected of an entity; made when first asked for."""
        return self.expected.setdefault(entity, Expected())

    def as_dict(self) -> dict[str, Any]:
        """As JSON: files, counts, totals, and what is held why."""
        return {
            "files": [vars(file) for file in self.files],
            "expected": {entity: expected.as_dict() for entity, expected in self.expected.items()},
            "held": self.held,
            "entries": sorted(self.entries),
            "months": dict(sorted(Counter(f"{entry.reference_date:%Y-%m}" for entry in self.entries.values()).items())),
            "partners": sorted(self.partners),
        }
