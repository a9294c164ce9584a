"""One good row per entity, and a row per expectation that breaks it and says which."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tieout.quality import QualitySuite, load_suite

SUITES = Path(__file__).resolve().parents[2] / "include" / "quality" / "sap_b1_to_peakflo"
Row = Mapping[str, str]

NOT_NULL = "expect_column_values_to_not_be_null"
UNIQUE = "expect_column_values_to_be_unique"
COMPOUND = "expect_compound_columns_to_be_unique"
IN_SET = "expect_column_values_to_be_in_set"
REGEX = "expect_column_values_to_match_regex"
LENGTH = "expect_column_value_lengths_to_be_between"
NOT_BEFORE = "expect_column_pair_values_a_to_be_greater_than_b"

_DOCUMENT = {
    "customerRef": "C0001", "issueDate": "2026-01-31", "dueDate": "2026-02-28", "currency": "EUR", "status": "OPEN",
    "subTotal": "100.00", "totalTaxAmount": "21.00", "totalAmount": "121.00", "amountDue": "121.00", "note": "",
    "lineNumber": "0", "itemRef": "=A-1", "description": 'Bolt, 3"\nzinc', "quantity": "2.5", "unitAmount": "40",
    "taxAmount": "21.00", "lineTotal": "100.00", "U_Region": "North", "line.U_Lot": "007",
}  # fmt: skip
GOOD: Mapping[str, Row] = {
    "customers": {
        "externalId": "C0001", "companyName": "Müller, Söhne & 株式会社", "currency": "EUR", "status": "active",
        "registrationNumber": "", "taxNumber": "BE0123456789", "email": "ar@example.com", "phone": "+32 2 555 00 00",
        "line1": "Rue 1", "city": "Liège", "postalCode": "04000", "country": "BE", "U_Tier": "gold",
    },
    "contacts": {
        "externalId": "11", "customerRef": "C0001", "firstName": "Ana", "lastName": "", "email": "ana@example.com",
        "phone": "", "position": "", "isMainContact": "true",
    },
    "invoices": {"externalId": "101", "invoiceNumber": "5001", **_DOCUMENT},
    "credit_notes": {"externalId": "101", "creditNoteNumber": "5001", **_DOCUMENT},
    "invoice_pdfs": {
        "externalId": "101", "invoiceNumber": "5001", "fileName": "5001_101.pdf", "bytes": "20480", "sha256": "ab" * 32,
    },
    "payments": {
        "externalId": "301", "customerRef": "C0001", "paymentDate": "2026-02-28", "currency": "JPY", "amount": "12100",
        "paymentMethod": "BANK_TRANSFER", "reference": "", "invoiceNumber": "", "appliedAmount": "-12100",
        "status": "ACTIVE",
    },
    "taxes": {"externalId": "S1", "name": "Standard", "rate": "21", "category": "bovcOutputTax", "active": "true"},
    "chart_of_accounts": {
        "externalId": "_SYS1", "accountCode": "400000", "name": "Trade", "accountType": "at_Other", "currency": "",
        "active": "false",
    },
    "inventory": {
        "externalId": "A-1", "name": "Bolt", "group": "", "unitPrice": "40.125", "quantityOnHand": "-3",
        "active": "true",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Defect:
    """A change to the good row that one expectation must notice."""

    entity: str
    type: str
    columns: tuple[str, ...]
    value: str

    @property
    def id(self) -> str:
        """For pytest."""
        return f"{self.entity}-{'+'.join(self.columns)}-{self.type.removeprefix('expect_')}"


def _each(entity: str, kind: str, **values: str) -> list[Defect]:
    return [Defect(entity, kind, (column,), value) for column, value in values.items()]


def _empty(entity: str, *columns: str) -> list[Defect]:
    return [Defect(entity, NOT_NULL, (column,), "") for column in columns]


def _document(entity: str, number: str) -> list[Defect]:
    return [
        *_empty(entity, "externalId", number, "customerRef", "issueDate", "dueDate", "currency", "status"),
        *_empty(entity, "subTotal", "totalTaxAmount", "totalAmount", "amountDue"),
        Defect(entity, COMPOUND, ("externalId", "lineNumber"), ""),
        Defect(entity, NOT_BEFORE, ("dueDate", "issueDate"), "2026-01-30"),
        *_each(entity, REGEX, externalId="10A", issueDate="2026-13-01", dueDate="28-02-2026", currency="eur"),
        *_each(entity, REGEX, subTotal="1,234.50", totalTaxAmount="21.", totalAmount="1e5", amountDue="nan"),
        *_each(entity, REGEX, lineNumber="one", quantity="2,5", unitAmount="40 EUR", taxAmount="€21", lineTotal="--1"),
        *_each(entity, IN_SET, status="DRAFT"),
        *_each(entity, LENGTH, **{number: "9" * 51}, itemRef="A" * 51, description="x" * 2001),
    ]


DEFECTS = [
    *_empty("customers", "externalId", "companyName", "currency", "status"),
    *_each("customers", UNIQUE, externalId=""),
    *_each("customers", LENGTH, externalId="C" * 51, companyName="x" * 201, phone="5" * 51),
    *_each("customers", REGEX, currency="##", email="ar at example.com", country="Belgium"),
    *_each("customers", IN_SET, status="Active"),
    *_empty("contacts", "externalId", "customerRef", "firstName", "email", "isMainContact"),
    *_each("contacts", UNIQUE, externalId=""),
    *_each("contacts", REGEX, email="ana@example"),
    *_each("contacts", LENGTH, phone="5" * 51),
    *_each("contacts", IN_SET, isMainContact="tYES"),
    *_document("invoices", "invoiceNumber"),
    *_document("credit_notes", "creditNoteNumber"),
    *_empty("invoice_pdfs", "externalId", "invoiceNumber", "fileName", "bytes", "sha256"),
    *_each("invoice_pdfs", UNIQUE, externalId="", fileName=""),
    *_each("invoice_pdfs", REGEX, fileName="../5001.pdf", bytes="0", sha256="AB" * 32),
    *_each("invoice_pdfs", LENGTH, fileName="5" * 200 + ".pdf"),
    *_empty("payments", "externalId", "customerRef", "paymentDate", "currency", "amount", "appliedAmount"),
    *_empty("payments", "paymentMethod", "status"),
    *_each("payments", REGEX, externalId="3-1", paymentDate="2026-02-28T00:00:00Z", currency="EURO", amount="1.23456"),
    *_each("payments", REGEX, appliedAmount="1.234,56"),
    *_each("payments", IN_SET, paymentMethod="PAYPAL", status="OPEN"),
    *_empty("taxes", "externalId", "name", "rate", "active"),
    *_each("taxes", UNIQUE, externalId=""),
    *_each("taxes", REGEX, rate="21%"),
    *_each("taxes", IN_SET, active="tYES"),
    *_empty("chart_of_accounts", "externalId", "accountCode", "name", "accountType", "active"),
    *_each("chart_of_accounts", UNIQUE, externalId=""),
    *_each("chart_of_accounts", REGEX, currency="euro"),
    *_each("chart_of_accounts", IN_SET, active="1"),
    *_empty("inventory", "externalId", "name", "active"),
    *_each("inventory", UNIQUE, externalId=""),
    *_each("inventory", LENGTH, externalId="A" * 51),
    *_each("inventory", REGEX, unitPrice="$40", quantityOnHand="three"),
    *_each("inventory", IN_SET, active="yes"),
]


def suite_of(entity: str) -> QualitySuite:
    """The project's own suite."""
    return load_suite(SUITES / f"{entity}.yaml")


def good_row(entity: str, number: int) -> dict[str, str]:
    """A good row with a key of its own, whatever must be unique made so."""
    row = dict(GOOD[entity])
    row["externalId"] = f"{number:05d}" if row["externalId"].isdecimal() else f"K{number:05d}"
    if "fileName" in row:
        row["fileName"] = f"5001_{number}.pdf"
    return row


def planted(defect: Defect, number: int) -> list[dict[str, str]]:
    """The rows that show a defect: one, or two that are alike."""
    row = good_row(defect.entity, number)
    if defect.type in (UNIQUE, COMPOUND):
        twin = good_row(defect.entity, number + 1)
        return [row, {**twin, **{name: row[name] for name in defect.columns}}]
    return [{**row, defect.columns[0]: defect.value}]


def write_csv(path: Path, rows: Iterable[Row]) -> Path:
    """A file as the mapping writes it."""
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
