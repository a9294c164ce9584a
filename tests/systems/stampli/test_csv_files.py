"""CSV files as customers send them, and what is made of each."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.systems.stampli.support import (
    COLUMNS,
    INVOICE,
    INVOICES,
    PAYMENT,
    VENDOR,
    Memory,
    adapted,
    one,
    read,
    table,
)
from tieout.systems.stampli import Limits, UnreadableFile, read_file

LINES = [INVOICE, {**INVOICE, "line_number": "2", "line_amount": "21", "gl_account": "6100"}]


def row(**values: str) -> dict[str, str]:
    return {**INVOICE, **values}


def test_an_invoice_of_two_lines(tmp_path: Path) -> None:
    data = table([*LINES, row(stampli_invoice_id="S-2", invoice_number="INV-2")])
    path = tmp_path / "staged"
    path.write_bytes(data)
    first, second = read_file(path, "invoices_C1.csv", INVOICES, Limits())
    rows = data.splitlines(keepends=True)
    assert first.entity == "invoices"
    assert first.source_key == "S-1"
    assert first.label == "INV-1"
    assert first.problem is None
    assert first.payload == b"".join(rows[:3])
    assert data[first.byte_start : first.byte_end] == rows[1] + rows[2]
    assert first.where == "invoices_C1.csv, lines 2-3"
    assert first.header["total_amount"] == Decimal("121.00")
    assert first.header["invoice_date"] == "2026-11-02"
    assert first.header["terms"] is None
    assert set(first.header) | set(first.lines[0]) == set(COLUMNS["invoices"])
    assert [(line["line_number"], line["line_amount"], line["gl_account"]) for line in first.lines] == [
        (1, Decimal("100.00"), "6000"),
        (2, Decimal("21"), "6100"),
    ]
    assert second.payload == rows[0] + rows[3]
    assert second.where == "invoices_C1.csv, line 4"


def test_a_vendor_and_a_payment() -> None:
    vendor = one(table([VENDOR], COLUMNS["vendors"]), "vendors_1.csv")
    assert (vendor.source_key, vendor.label, vendor.lines) == ("V1", "Acme", ())
    assert (vendor.header["active"], vendor.header["updated_at"]) == ("true", "2026-11-02")
    rows = [
        PAYMENT,
        {**PAYMENT, "invoice_number": "INV-2", "applied_amount": "50"},
        {**PAYMENT, "invoice_number": "", "applied_amount": ""},
    ]
    payment = one(table(rows, COLUMNS["payments"]), "payments_1.csv")
    assert (payment.source_key, payment.label, payment.header["amount"]) == ("P1", "REF-1", Decimal("300.00"))
    # The row without invoice is the payment's part on account: no line.
    assert [dict(line) for line in payment.lines] == [
        {"invoice_number": "INV-1", "stampli_invoice_id": None, "applied_amount": Decimal("100.00")},
        {"invoice_number": "INV-2", "stampli_invoice_id": None, "applied_amount": Decimal("50")},
    ]


def test_a_vendor_that_stands_twice_alike_is_one() -> None:
    assert one(table([VENDOR, VENDOR], COLUMNS["vendors"]), "vendors_1.csv").problem is None


def test_rows_of_an_invoice_need_not_be_next_to_each_other() -> None:
    other = row(stampli_invoice_id="S-2", invoice_number="INV-2", description="two\r\nlines")
    third = row(stampli_invoice_id="S-3", invoice_number="INV-3")
    data = table([LINES[0], other, LINES[1], third])
    records = read(data)
    assert [record.source_key for record in records] == ["S-2", "S-1", "S-3"]
    scattered = records[1]
    assert scattered.where == "invoices_C1.csv, lines 2 and 5"
    assert len(scattered.lines) == 2
    assert scattered.problem is None
    assert list(csv.DictReader(scattered.payload.decode().splitlines()))[1]["gl_account"] == "6100"
    assert data[scattered.byte_start : scattered.byte_end].startswith(b"S-1,")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_delimiters_line_ends_and_encodings(delimiter: str, line_end: str, encoding: str) -> None:
    texts = {"vendor_name": "Müller & Söhne;\t|,GmbH", "description": 'a "quoted"\r\nnote', "line_description": "ü"}
    rows = [{**line, **texts} for line in LINES]
    data = table(rows, encoding=encoding, delimiter=delimiter, lineterminator=line_end)
    if encoding == "utf-16-be":
        data = b"\xfe\xff" + data
    record = one(data)
    assert record.problem is None
    assert {name: record.header[name] for name in ("vendor_name", "description")} == {
        name: texts[name] for name in ("vendor_name", "description")
    }
    assert [line["line_description"] for line in record.lines] == ["ü", "ü"]
    assert record.payload == data.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    assert data[record.byte_start : record.byte_end] == record.payload[-(record.byte_end - record.byte_start) :]
    assert record.byte_end == len(data)


def shouted(data: bytes) -> bytes:
    header, line_end, rows = data.partition(b"\r\n")
    return b" , ".join(header.upper().split(b",")) + line_end + rows


UGLY = [
    ("blank lines", lambda data: data.replace(b"\r\n", b"\r\n\r\n") + b"\r\n\r\n"),
    ("rows of delimiters only", lambda data: data + b"," * 33 + b"\r\n"),
    ("no line end at the end", lambda data: data.removesuffix(b"\r\n")),
    ("header in capitals, with blanks", shouted),
    ("an unknown column", lambda data: data.replace(b"\r\n", b",x\r\n")),
    ("a spreadsheet's separator line", lambda data: b"sep=,\r\n" + data),
    ("blank lines before the header", lambda data: b"\n\r\n" + data),
    ("too many delimiters", lambda data: data.replace(b",100.00,,\r\n", b",100.00,,,,\r\n")),
]


@pytest.mark.parametrize(("change"), [pytest.param(change, id=name) for name, change in UGLY])
def test_ugly_but_right(change: Any) -> None:
    plain, ugly = one(table(LINES)), one(change(table(LINES)))
    assert ugly.problem is None
    assert (ugly.header, ugly.lines) == (plain.header, plain.lines)


SECOND = LINES[1]
PROBLEMS: dict[str, tuple[list[dict[str, str]], str, list[str]]] = {
    "header values differ": (
        [LINES[0], {**SECOND, "due_date": "2026-12-31", "currency": "USD"}],
        "HEADER_MISMATCH",
        [
            "invoices_C1.csv, lines 2-3, invoice INV-1: ",
            "due_date is '2026-12-02' in line 2 and '2026-12-31' in line 3",
            "currency is 'EUR' in line 2 and 'USD' in line 3",
        ],
    ),
    "amount": ([row(total_amount="1e3")], "INVALID_AMOUNT", ["total_amount is '1e3' in line 2, which is not"]),
    "line's amount": ([row(line_amount="NaN")], "INVALID_AMOUNT", ["line_amount is 'NaN' in line 2"]),
    "decimals": ([row(quantity="1.1234567")], "INVALID_AMOUNT", ["more than 6 decimals"]),
    "date": ([row(invoice_date="02.11.2026")], "INVALID_DATE", ["which is not a date written YYYY-MM-DD"]),
    "line number": ([row(line_number="one")], "INVALID_VALUE", ["line_number is 'one'"]),
    "required value": ([row(currency=" ")], "MISSING_VALUE", ["currency is empty"]),
    "required in a line": (
        [LINES[0], {**SECOND, "line_amount": ""}],
        "MISSING_VALUE",
        ["line_amount is empty in line 3"],
    ),
    "line twice": (
        [LINES[0], {**SECOND, "line_number": "1"}],
        "DUPLICATE_LINE",
        ["line number 1 stands in line 2 and in line 3"],
    ),
    "all of them are told": (
        [row(total_amount="x", invoice_date="y", status="")],
        "INVALID_AMOUNT",
        ["total_amount is 'x'", "invoice_date is 'y'", "status is empty"],
    ),
}


@pytest.mark.parametrize(("rows", "code", "messages"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_record_that_is_not_right(rows: list[dict[str, str]], code: str, messages: list[str]) -> None:
    good = row(stampli_invoice_id="S-2", invoice_number="INV-2")
    bad, other = read(table([*rows, good]))
    assert other.problem is None
    assert bad.problem is not None
    assert bad.problem.reason_code == code
    for message in messages:
        assert message in bad.problem.message
    assert "Stampli" in bad.problem.fix_hint
    assert "{" not in bad.problem.fix_hint
    assert (bad.source_key, bad.label) == ("S-1", "INV-1")


def test_equal_values_written_differently_agree() -> None:
    rows = [LINES[0], {**LINES[1], "total_amount": "121", "tax_amount": "+21.0", "due_date": "2026-12-2", "terms": " "}]
    assert one(table(rows)).problem is None


def test_values_that_cannot_be_read_are_none_and_the_others_are_there() -> None:
    record = one(table([row(total_amount="x", line_amount="y")]))
    assert (record.header["total_amount"], record.header["tax_amount"]) == (None, Decimal("21.00"))
    assert (record.lines[0]["line_amount"], record.lines[0]["gl_account"]) == (None, "6000")


def test_records_without_id_are_kept_apart() -> None:
    rows = [row(stampli_invoice_id="", invoice_number=f"N{n}") for n in range(2)]
    records = read(table([*rows, *LINES]))
    assert [record.source_key for record in records] == ["invoices_C1.csv#2", "invoices_C1.csv#3", "S-1"]
    assert [record.problem and record.problem.reason_code for record in records] == ["MISSING_KEY", "MISSING_KEY", None]
    problem = records[0].problem
    assert problem is not None
    assert problem.message.startswith(
        "invoices_C1.csv, line 2, an invoice: stampli_invoice_id, by which an invoice is known"
    )
    assert records[0].label == "N0"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"S-1,C1,INV-1,V1", "line 3 has 4 values where the header row has 34 columns"),
        (b"S-1" + b",x" * 40, "line 3 has 41 values"),
        (b'S-1,C1,"INV"-1' + b"," * 31, "line 3 has text behind a closing quote"),
    ],
)
def test_a_row_that_is_not_right_holds_its_record_alone(bad: bytes, words: str) -> None:
    data = table([LINES[0]]) + bad + b"\r\n" + table([row(stampli_invoice_id="S-2")]).partition(b"\r\n")[2]
    record, other = read(data)
    assert other.problem is None
    assert record.problem is not None
    assert record.problem.reason_code == "BAD_ROW"
    assert words in record.problem.message
    assert record.source_key == "S-1"
    assert bad in record.payload
    # What the good row says is still there.
    assert record.header["total_amount"] == Decimal("121.00")


def test_a_bad_row_alone_has_its_key() -> None:
    record, _ = read(table([]) + b"S-1,C1\r\n" + table(LINES).replace(b"S-1", b"S-2").partition(b"\r\n")[2])
    assert record.source_key == "S-1"
    assert record.header["invoice_number"] is None
    assert record.problem is not None
    assert record.problem.reason_code == "BAD_ROW"
    assert "is empty" not in record.problem.message


def test_a_bad_row_without_a_key_is_kept_too() -> None:
    columns = list(reversed(COLUMNS["invoices"]))
    bad, good = read(table([], columns) + b"x,y\r\n" + table(LINES, columns).partition(b"\r\n")[2])
    assert (bad.source_key, good.source_key) == ("invoices_C1.csv#2", "S-1")
    assert bad.problem is not None
    assert bad.problem.reason_code == "MISSING_KEY"
    assert good.problem is None


def test_each_record_by_itself_is_utf_8_or_windows_1252() -> None:
    utf_8 = table([row(vendor_name="Müller")])
    windows = table([row(stampli_invoice_id="S-2", vendor_name="Söhne €")], encoding="cp1252").partition(b"\r\n")[2]
    neither = table([row(stampli_invoice_id="S-3")]).partition(b"\r\n")[2].replace(b"Acme", b"A\x81")
    first, second, third = read(utf_8 + windows + neither)
    assert [first.header["vendor_name"], second.header["vendor_name"]] == ["Müller", "Söhne €"]
    assert ["charset=utf-8" in first.content_type, "charset=windows-1252" in second.content_type] == [True, True]
    assert first.problem is second.problem is None
    assert third.problem is not None
    assert third.problem.reason_code == "INVALID_ENCODING"
    assert third.payload.endswith(neither)


@pytest.mark.parametrize(("encoding", "right"), [("utf-8", False), ("windows-1252", True), ("iso-8859-1", True)])
def test_a_configured_encoding(encoding: str, right: bool) -> None:
    record = one(table([row(vendor_name="Müller")], encoding="latin-1"), layout=adapted(INVOICES, encoding=encoding))
    assert (record.problem is None) is right
    if right:
        assert record.header["vendor_name"] == "Müller"


def test_utf_16_without_byte_order_mark_is_read_where_configured() -> None:
    data = table(LINES, encoding="utf-16-le")
    with pytest.raises(UnreadableFile, match="NUL byte"):
        read(data)
    assert one(data, layout=adapted(INVOICES, encoding="utf-16")).problem is None


MARK = "\ufeff".encode("utf-16-le")
NO_AMOUNTS = table(LINES, [name for name in COLUMNS["invoices"] if name != "line_amount"], extrasaction="ignore")
UNREADABLE: dict[str, tuple[bytes, str, int | None, str]] = {
    "no byte": (b"", "EMPTY_FILE", None, "is empty"),
    "byte order mark only": (b"\xef\xbb\xbf", "EMPTY_FILE", None, "has no header row"),
    "blank": (b"\r\n \r\n,,\r\n", "EMPTY_FILE", None, "has no header row"),
    "no header row": (b"a,b\n1,2\n", "MISSING_COLUMN", 1, "lacks 'stampli_invoice_id', 'invoice_number'"),
    "column": (NO_AMOUNTS, "MISSING_COLUMN", 1, "lacks 'line_amount'. It has: stampli_invoice_id, company_id, "),
    "column twice": (
        b"status," + table(LINES),
        "MISSING_COLUMN",
        1,
        "'status' of the header row both stand for",
    ),
    "quote": (table(LINES) + b'S-2,"oops\r\n', "UNREADABLE_FILE", 4, "a quote is opened here"),
    "NUL": (table(LINES) + b"\0", "UNREADABLE_FILE", 4, "NUL byte"),
    "half a character": (MARK + b"a\0\xd8", "UNREADABLE_FILE", 1, "not text in the encoding utf-16-le"),
    "half a pair": (MARK + b"\x00\xd8a\0", "UNREADABLE_FILE", 1, "not text in the encoding"),
}


@pytest.mark.parametrize(("data", "code", "line", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read(data: bytes, code: str, line: int | None, words: str) -> None:
    # By the call itself: nothing of the file has been used when it is refused.
    with pytest.raises(UnreadableFile) as caught:
        read_file(Memory(data), "invoices_C1.csv", INVOICES, Limits())  # type: ignore[arg-type]
    error = caught.value
    assert (error.reason_code, error.line) == (code, line)
    assert words in str(error)
    assert str(error).startswith("invoices_C1.csv" + (f", line {line}: " if line and code != "UNREADABLE_FILE" else ""))
    assert error.fix_hint


def test_a_header_row_alone_is_an_export_of_nothing() -> None:
    assert read(table([])) == []


MINE = [{**INVOICE, "line_number": str(n)} for n in range(5)]
OTHER = row(stampli_invoice_id="S-0")


@pytest.mark.parametrize(
    ("rows", "limits", "words"),
    [
        ([OTHER, *MINE], Limits(max_bytes=100), "larger than the limit of 100 bytes"),
        ([OTHER, *MINE], Limits(max_rows=3), "more than 3 rows"),
        ([OTHER, {}, {}, OTHER], Limits(max_rows=3), "more than 3 rows"),
        ([OTHER, *MINE], Limits(max_rows_per_record=3), "line 3: the record that begins here has more than 3 lines"),
        ([OTHER, *MINE], Limits(max_record_bytes=400), "line 3: the record that begins here .* 400 bytes"),
        ([*MINE[:2], OTHER, *MINE[2:4]], Limits(max_record_bytes=400), "line 5: the record .* 400 bytes"),
        ([OTHER, *MINE], Limits(max_field_bytes=10), "line 1: a value that begins here is longer than 10 bytes"),
    ],
)
def test_limits(rows: list[dict[str, str]], limits: Limits, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words) as caught:
        read(table(rows), limits=limits)
    assert caught.value.reason_code == "FILE_TOO_LARGE"


def test_a_long_list_of_problems_is_cut_short() -> None:
    record = one(table([{**INVOICE, "line_number": str(n), "line_amount": "x"} for n in range(100)]))
    assert record.problem is not None
    assert record.problem.message.endswith("There are 80 more problems.")
    assert len(record.problem.message) < 3000


def test_a_record_does_not_show_its_bytes() -> None:
    assert "payload" not in repr(one(table(LINES)))
