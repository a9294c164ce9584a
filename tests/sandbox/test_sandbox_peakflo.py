"""Peakflo's inbox: what it takes, what it refuses and says why, what it makes of payments."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from sandbox.peakflo import FileResult, PaymentEditingDisabled, PeakfloInbox
from sandbox.peakflo_columns import COLUMNS

Row = dict[str, str]
CUSTOMER = {"externalId": "C1", "companyName": 'Müller, "Söhne"', "currency": "EUR", "status": "active"}
INVOICE = {
    "externalId": "11", "invoiceNumber": "1001", "customerRef": "C1", "issueDate": "2025-01-31", "currency": "EUR",
    "status": "OPEN", "subTotal": "100.00", "totalTaxAmount": "21.00", "totalAmount": "121.00", "amountDue": "121.00",
    "lineNumber": "0",
    "description": "Line", "quantity": "1", "unitAmount": "100", "taxAmount": "21.00", "lineTotal": "100.00",
}  # fmt: skip
PAYMENT = {
    "externalId": "7", "customerRef": "C1", "paymentDate": "2025-02-01", "currency": "EUR", "amount": "121.00",
    "invoiceNumber": "1001", "appliedAmount": "121.00", "status": "ACTIVE",
}  # fmt: skip
TAX = {"externalId": "O1", "name": "21 %", "rate": "21", "category": "output", "active": "true"}


@pytest.fixture(params=["watch", "sweep"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> PeakfloInbox:
    made = PeakfloInbox(tmp_path, mode=request.param)
    made.start()
    return made


def write(
    inbox: PeakfloInbox, entity: str, rows: list[Row], name: str | None = None, extra: tuple[str, ...] = ()
) -> str:
    """Delivers a file as an integration does: complete, under its final name."""
    columns = [column.name for column in COLUMNS[entity]] + list(extra)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    name = name or f"{entity}_default_20250201T000000Z_0001.csv"
    (inbox.root / "inbound" / entity / name).write_bytes(text.getvalue().encode())
    return name


def only(results: list[FileResult]) -> FileResult:
    assert len(results) == 1
    return results[0]


def codes(result: FileResult) -> list[tuple[int, str, str]]:
    return [(refusal.row, refusal.column, refusal.code) for refusal in result.refusals]


def test_load_order_does_not_depend_on_arrival(inbox: PeakfloInbox) -> None:
    pdf = b"%PDF-1.4 x"
    (inbox.root / "inbound" / "invoice_pdfs" / "1001_11.pdf").write_bytes(pdf)
    manifest = {"externalId": "11", "invoiceNumber": "1001", "fileName": "1001_11.pdf", "bytes": str(len(pdf))}
    write(inbox, "invoice_pdfs", [{**manifest, "sha256": hashlib.sha256(pdf).hexdigest()}])
    write(inbox, "payments", [PAYMENT])
    write(inbox, "invoices", [{**INVOICE, "U_Region": "東"}], extra=("U_Region", "line.U_Lot"))
    write(inbox, "customers", [CUSTOMER])
    results = inbox.load()
    assert [result.entity for result in results] == [
        "customers",
        "invoices",
        "invoice_pdfs",
        "invoice_pdfs",
        "payments",
    ]
    assert {result.status for result in results} == {"accepted"}
    summary = inbox.summary()
    assert (summary["counts"]["invoices"], summary["counts"]["invoice_pdfs"]) == (1, 1)
    assert summary["totals"] == {"invoices": {"EUR": "121.00"}, "credit_notes": {}, "payments": {"EUR": "121.00"}}
    assert inbox.applied == {"1001": 121}
    assert inbox.load() == []
    processed = sorted(path.name for path in (inbox.root / "processed").iterdir())
    left = [path for path in (inbox.root / "inbound").rglob("*") if path.is_file()]
    assert (len(processed), len(left)) == ((5, 0) if inbox.mode == "sweep" else (0, 5))


def test_unfinished_files_are_not_touched(inbox: PeakfloInbox) -> None:
    (inbox.root / "inbound" / "customers" / ".customers.csv.part").write_bytes(b"half")
    assert inbox.load() == []


BAD: list[tuple[str, str, list[Row], tuple[int, str, str]]] = [
    ("missing value", "customers", [{**CUSTOMER, "companyName": ""}], (2, "companyName", "MISSING_VALUE")),
    ("currency", "customers", [{**CUSTOMER, "currency": "XQX"}], (2, "currency", "UNKNOWN_CURRENCY")),
    ("status", "customers", [{**CUSTOMER, "status": "Active"}], (2, "status", "BAD_VALUE")),
    ("twice", "customers", [CUSTOMER, CUSTOMER], (3, "externalId", "DUPLICATE_KEY")),
    ("date", "invoices", [{**INVOICE, "issueDate": "31-01-2025"}], (2, "issueDate", "BAD_DATE")),
    ("time in date", "invoices", [{**INVOICE, "issueDate": "2025-01-31T00:00:00Z"}], (2, "issueDate", "BAD_DATE")),
    ("decimals", "invoices", [{**INVOICE, "lineTotal": "100.0"}], (2, "lineTotal", "BAD_AMOUNT")),
    ("float noise", "invoices", [{**INVOICE, "lineTotal": "1234.3700000000001"}], (2, "lineTotal", "BAD_AMOUNT")),
    ("yen", "invoices", [{**INVOICE, "currency": "JPY"}], (2, "subTotal", "BAD_AMOUNT")),
    ("total", "invoices", [{**INVOICE, "totalAmount": "121.01"}], (2, "totalAmount", "TOTAL_MISMATCH")),
    ("header", "invoices", [INVOICE, {**INVOICE, "lineNumber": "1", "note": "x"}], (3, "note", "HEADER_DIFFERS")),
    ("line twice", "invoices", [INVOICE, INVOICE], (2, "lineNumber", "DUPLICATE_LINE")),
    ("customer", "invoices", [{**INVOICE, "customerRef": "C9"}], (2, "customerRef", "UNKNOWN_CUSTOMER")),
    ("sum of rows", "payments", [{**PAYMENT, "amount": "122.00"}], (2, "appliedAmount", "AMOUNT_MISMATCH")),
]


@pytest.mark.parametrize(("entity", "rows", "refusal"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_refused_rows(inbox: PeakfloInbox, entity: str, rows: list[Row], refusal: tuple[int, str, str]) -> None:
    if entity != "customers":
        write(inbox, "customers", [CUSTOMER])
        inbox.load()
    name = write(inbox, entity, rows)
    result = only(inbox.load())
    assert refusal in codes(result)
    assert (result.status, result.records) == ("rejected", 0)
    errors = list(csv.reader((inbox.root / "error" / f"{name}.errors.csv").open(encoding="utf-8", newline="")))
    assert errors[0] == ["row", "column", "code", "message"]
    assert [str(refusal[0]), *refusal[1:]] in [line[:3] for line in errors[1:]]
    assert (inbox.root / "error" / name).exists() == (inbox.mode == "sweep")


def test_good_records_of_a_file_are_taken_and_bad_ones_told(inbox: PeakfloInbox) -> None:
    write(inbox, "customers", [CUSTOMER, {**CUSTOMER, "externalId": "C2", "status": "?"}])
    result = only(inbox.load())
    assert (result.status, result.records, list(inbox.customers)) == ("partly_accepted", 1, ["C1"])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "UNREADABLE"),
        (b"\xff\xfe", "UNREADABLE"),
        (b'externalId,"companyName\r\n', "UNREADABLE"),
        (b"externalId,companyName\r\nC1,x\r\n", "MISSING_COLUMN"),
        (",".join([c.name for c in COLUMNS["customers"]] + ["surprise"]).encode() + b"\r\n", "UNKNOWN_COLUMN"),
        (",".join([c.name for c in COLUMNS["customers"]] + ["U_A", "U_A"]).encode() + b"\r\n", "DUPLICATE_COLUMN"),
        (",".join([c.name for c in COLUMNS["customers"]]).encode() + b"\r\nC1,x\r\n", "RAGGED_ROW"),
    ],
    ids=["empty", "encoding", "quote", "missing", "unknown", "duplicate", "ragged"],
)
def test_refused_files(inbox: PeakfloInbox, content: bytes, code: str) -> None:
    (inbox.root / "inbound" / "customers" / "c.csv").write_bytes(content)
    result = only(inbox.load())
    assert result.status == "rejected"
    assert code in {refusal.code for refusal in result.refusals}


def test_duplicate_number_is_an_update_only_for_the_same_document(inbox: PeakfloInbox) -> None:
    write(inbox, "customers", [CUSTOMER])
    write(inbox, "invoices", [INVOICE], "invoices_1.csv")
    inbox.load()
    write(inbox, "invoices", [{**INVOICE, "status": "PAID", "amountDue": "0.00"}], "invoices_2.csv")
    assert only(inbox.load()).status == "accepted"
    assert inbox.invoices["11"].header["status"] == "PAID"
    write(inbox, "invoices", [{**INVOICE, "externalId": "12"}], "invoices_3.csv")
    assert codes(only(inbox.load())) == [(2, "invoiceNumber", "DUPLICATE_NUMBER")]
    assert list(inbox.invoices) == ["11"]


def test_a_pdf_waits_for_its_invoice(inbox: PeakfloInbox) -> None:
    (inbox.root / "inbound" / "invoice_pdfs" / "1001_11.pdf").write_bytes(b"%PDF-1.4")
    assert only(inbox.load()).status == "parked"
    assert inbox.summary()["parked"] == ["1001_11.pdf"]
    write(inbox, "customers", [CUSTOMER])
    write(inbox, "invoices", [INVOICE])
    assert [result.status for result in inbox.load()] == ["accepted"] * 3
    assert (inbox.parked, list(inbox.pdfs)) == ({}, ["11"])


@pytest.mark.parametrize(
    ("content", "row", "code"),
    [
        (b"%PDF-1.4", {"bytes": "9"}, "FILE_DIFFERS"),
        (b"%PDF-1.4", {"fileName": "x.pdf"}, "FILE_MISSING"),
        (b"PK", {}, "NOT_A_PDF"),
    ],
)
def test_pdfs_are_checked(inbox: PeakfloInbox, content: bytes, row: Row, code: str) -> None:
    (inbox.root / "inbound" / "invoice_pdfs" / "1001_11.pdf").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    whole = {"externalId": "11", "invoiceNumber": "1001", "fileName": "1001_11.pdf", "bytes": "8", "sha256": digest}
    write(inbox, "invoice_pdfs", [{**whole, **row}])
    assert code in {refusal.code for result in inbox.load() for refusal in result.refusals}


def test_one_time_entities_come_once(inbox: PeakfloInbox) -> None:
    write(inbox, "taxes", [TAX], "taxes_default_20250201T000000Z_0001.csv")
    write(inbox, "taxes", [{**TAX, "externalId": "O2"}], "taxes_default_20250201T000000Z_0002.csv")
    assert [result.status for result in inbox.load()] == ["accepted", "accepted"]
    write(inbox, "taxes", [TAX], "taxes_default_20250301T000000Z_0003.csv")
    assert [refusal.code for refusal in only(inbox.load()).refusals] == ["ALREADY_UPLOADED"]
    inbox.allow_again("taxes")
    write(inbox, "taxes", [TAX], "taxes_default_20250401T000000Z_0004.csv")
    assert only(inbox.load()).status == "accepted"


def with_invoices(inbox: PeakfloInbox, *numbers_and_totals: tuple[str, str]) -> None:
    write(inbox, "customers", [CUSTOMER])
    rows = [
        {
            **INVOICE,
            "externalId": number,
            "invoiceNumber": number,
            "subTotal": total,
            "totalTaxAmount": "0.00",
            "totalAmount": total,
        }
        for number, total in numbers_and_totals
    ]
    write(inbox, "invoices", rows)
    inbox.load()


@pytest.mark.parametrize(
    ("totals", "part", "changes", "applied"),
    [
        (("50.00", "60.00"), "60.00", {}, "B"),
        (("50.00", "60.00"), "55.00", {}, None),
        (("60.00", "60.00"), "60.00", {}, None),
        (("50.00", "60.00"), "60.00", {"currency": "USD"}, None),
        (("50.00", "60.00"), "60.00", {"status": "CANCELLED"}, None),
    ],
    ids=["one equal", "none equal", "two equal", "other currency", "cancelled"],
)
def test_unapplied_amounts_go_to_the_one_equal_balance(
    inbox: PeakfloInbox, totals: tuple[str, str], part: str, changes: Row, applied: str | None
) -> None:
    with_invoices(inbox, ("A", totals[0]), ("B", totals[1]))
    write(inbox, "payments", [{**PAYMENT, "invoiceNumber": "", "amount": part, "appliedAmount": part, **changes}])
    assert only(inbox.load()).status == "accepted"
    assert dict(inbox.applied) == ({applied: 60} if applied else {})
    assert bool(inbox.unapplied) == (applied is None and changes.get("status") != "CANCELLED")


def test_payment_rows_replace_the_payment(inbox: PeakfloInbox) -> None:
    with_invoices(inbox, ("A", "50.00"), ("B", "60.00"))
    part: dict[str, Any] = {**PAYMENT, "amount": "70.00"}
    rows = [
        {**part, "invoiceNumber": "A", "appliedAmount": "50.00"},
        {**part, "invoiceNumber": "B", "appliedAmount": "20.00"},
    ]
    write(inbox, "payments", rows, "payments_1.csv")
    inbox.load()
    assert dict(inbox.applied) == {"A": 50, "B": 20}
    write(inbox, "payments", [{**row, "status": "CANCELLED"} for row in rows], "payments_2.csv")
    inbox.load()
    assert dict(inbox.applied) == {}
    assert inbox.payments["7"].header["status"] == "CANCELLED"


def test_payments_cannot_be_edited_once_they_came_by_sftp(inbox: PeakfloInbox) -> None:
    with pytest.raises(KeyError):
        inbox.edit_payment("7")
    with_invoices(inbox, ("1001", "121.00"))
    write(inbox, "payments", [PAYMENT])
    inbox.load()
    with pytest.raises(PaymentEditingDisabled):
        inbox.edit_payment("7")
