"""Records as the readers of Stampli's files make them, and what SAP has that they refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tieout.config import StampliToSapB1
from tieout.integrations.stampli_to_sap_b1.accounting import Accounting
from tieout.integrations.stampli_to_sap_b1.drafts import EntryDraft, Hold
from tieout.integrations.stampli_to_sap_b1.references import Account, CostCentre, Project, References, TaxCode
from tieout.systems.stampli.records import RecordProblem, SourceRecord

MAPPINGS = Path(__file__).parents[3] / "include/mappings/stampli_to_sap_b1"

REFERENCES = References(
    local_currency="EUR",
    accounts=(
        *(Account(code) for code in ("600000", "610000", "411000", "411001", "580100", "580900", "658000")),
        Account("_SYS0001", format_code="7000001", external_code="EXT-1"),
        Account("6", postable=False),
        Account("699000", frozen=True),
        Account("698000", frozen=True, frozen_from="2026-01-01", frozen_to="2026-03-31"),
    ),
    cost_centres={
        code: CostCentre(code, dimension, active)
        for code, dimension, active in (("CC1", 1, True), ("CC9", 1, False), ("DEP", 2, True), ("ANY", 0, True))
    },
    projects={
        "P1": Project("P1"),
        "OLD": Project("OLD", valid_to="2026-06-30"),
        "NEW": Project("NEW", valid_from="2027-01-01"),
        "OFF": Project("OFF", active=False),
    },
    tax_codes={
        "I1": TaxCode("I1", "411000", (("2000-01-01", Decimal("21")),)),
        "I2": TaxCode("I2", "411001", (("2000-01-01", Decimal("5")), ("2020-01-01", Decimal("6")))),
        "I0": TaxCode("I0", "411000", (("2000-01-01", Decimal("0")),)),
        "NOACC": TaxCode("NOACC", "", (("2000-01-01", Decimal("21")),)),
        "IX": TaxCode("IX", "411000", (), active=False),
    },
    suppliers={
        "V1": {"CardCode": "V1", "CardType": "cSupplier"},
        "C1": {"CardCode": "C1", "CardType": "cCustomer"},
    },
)


def accounting(folder: Path = MAPPINGS, **config: Any) -> Accounting:
    """The mapping files of a folder, by default the project's."""
    return Accounting(folder, StampliToSapB1(**config))


def line(amount: str = "100.00", **more: Any) -> dict[str, Any]:
    """An invoice line with account and tax code."""
    return {"line_number": 1, "gl_account": "600000", "line_amount": Decimal(amount), "tax_code": "I1", **more}


def invoice(lines: Sequence[Mapping[str, Any]] | None = None, **more: Any) -> SourceRecord:
    """An approved invoice of 100 + 21 EUR that adds up; without `total_amount` the total is what the lines say."""
    rows = [line()] if lines is None else list(lines)
    numbered = tuple({**row, "line_number": position} for position, row in enumerate(rows, 1))
    net = sum((Decimal(row["line_amount"]) for row in rows if row.get("line_amount") is not None), Decimal(0))
    tax = more.get("tax_amount", Decimal("21.00") if lines is None else Decimal(0))
    header = {
        "stampli_invoice_id": "S-1",
        "company_id": "C1",
        "invoice_number": "INV-7",
        "vendor_id": "V1",
        "vendor_erp_id": None,
        "vendor_name": "Müller & Söhne",
        "invoice_date": "2026-11-03",
        "due_date": "2026-12-03",
        "posting_date": "2026-11-10",
        "currency": "EUR",
        "tax_amount": tax,
        "total_amount": net + (tax or 0),
        "invoice_type": "INVOICE",
        "status": "APPROVED",
        **more,
    }
    label = str(header["invoice_number"] or "")
    return _record("invoices", str(header["stampli_invoice_id"]), label, header, numbered)


def vendor(**more: Any) -> SourceRecord:
    """A new vendor."""
    header = {
        "vendor_id": "N1",
        "erp_vendor_id": None,
        "name": "Łódź Textiles",
        "tax_id": "PL123",
        "email": "ap@textiles.example.test",
        "phone": "+48 42 1",
        "address_line1": "ul. Piotrkowska 1",
        "city": "Łódź",
        "postal_code": "90-001",
        "country": "PL",
        "currency": "EUR",
        "active": "true",
        **more,
    }
    return _record("vendors", str(header["vendor_id"]), str(header["name"]), header, ())


def payment(applied: Sequence[tuple[str, str]] = (("INV-7", "121.00"),), **more: Any) -> SourceRecord:
    """A payment of 121 EUR by ACH for one invoice."""
    header = {
        "payment_id": "PAY-1",
        "payment_date": "2026-11-20",
        "method": "ACH",
        "amount": Decimal("121.00"),
        "currency": "EUR",
        "vendor_id": "V1",
        "status": "PAID",
        "reference": "TRX 9",
        **more,
    }
    lines = tuple({"invoice_number": number, "applied_amount": Decimal(amount)} for number, amount in applied)
    return _record("payments", str(header["payment_id"]), str(header["reference"] or ""), header, lines)


def _record(
    entity: str, key: str, label: str, header: Mapping[str, Any], lines: tuple[Mapping[str, Any], ...]
) -> SourceRecord:
    return SourceRecord(entity, key, label, b"", "text/csv", header, lines, f"{entity}.csv, line 2", 0, 0)


def with_problem(record: SourceRecord, owner: str = "finance") -> SourceRecord:
    """The record as one that its reader found wrong."""
    return replace(record, problem=RecordProblem("HEADER_MISMATCH", "They differ.", "Mend it.", owner))


def entry(draft: Any) -> EntryDraft:
    """A draft that must be an entry."""
    assert isinstance(draft, EntryDraft), draft
    return draft


def codes(draft: Any) -> list[str]:
    """The reason codes of a draft that must be held."""
    assert isinstance(draft, Hold), draft
    return [reason.reason_code for reason in draft.reasons]


def amounts(draft: EntryDraft, side: str) -> list[tuple[str, Decimal]]:
    """Account or partner with the amount on one side, such as `Debit` or `FCCredit`."""
    assert draft.body is not None
    return [
        (row.get("ShortName") or row["AccountCode"], row[side])
        for row in draft.body["JournalEntryLines"]
        if side in row
    ]
