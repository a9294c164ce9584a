"""XML files of the default profile and around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from xml.sax.saxutils import escape

import pytest

from tests.systems.stampli.support import INVOICE, INVOICES, VENDOR, Memory, adapted, one, read, table
from tieout.systems.stampli import Limits, SourceRecord, UnreadableFile, read_file
from tieout.systems.stampli.columns import RECORD_KINDS

NAME = "invoices_C1.xml"
LINE_COLUMNS = RECORD_KINDS["invoices"].lines


def elements(values: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


def invoice(rows: Iterable[Mapping[str, str]], *, identity: bool = True, extra: str = "") -> str:
    rows = list(rows)
    header = {name: value for name, value in rows[0].items() if name not in LINE_COLUMNS}
    key = header.pop("stampli_invoice_id")
    lines = [{name: value for name, value in row.items() if name in LINE_COLUMNS} for row in rows]
    start = f'<Invoice id="{key}">' if identity else "<Invoice>"
    body = "".join(f"<Line>{elements(line)}</Line>\n" for line in lines)
    return f"{start}<Header>{elements(header)}</Header><Lines>{body}</Lines>{extra}</Invoice>"


def document(*records: str, root: str = 'StampliExport companyId="C9" created="2026-11-21"') -> bytes:
    return f'<?xml version="1.0"?>\n<{root}>\n{chr(10).join(records)}\n</{root.split()[0]}>\n'.encode()


LINES = [INVOICE, {**INVOICE, "line_number": "2", "line_amount": "21", "gl_account": "6100"}]


def code(record: SourceRecord) -> str | None:
    return record.problem and record.problem.reason_code


def test_the_same_content_as_in_csv() -> None:
    texts = {"vendor_name": "Müller & <Söhne>", "description": "a\nb", "approvers": "x;y"}
    rows = [{**line, **texts} for line in LINES]
    xml, plain = one(document(invoice(rows)), NAME), one(table(rows))
    assert xml.problem is None
    assert (xml.header, xml.lines, xml.source_key, xml.label) == (plain.header, plain.lines, "S-1", "INV-1")


def test_bytes_and_lines() -> None:
    second = {**INVOICE, "stampli_invoice_id": "S-2", "invoice_number": "INV-2"}
    texts = [invoice(LINES), invoice([second])]
    data = document(*texts)
    first, other = read(data, NAME)
    assert [first.payload.decode(), other.payload.decode()] == texts
    assert data[first.byte_start : first.byte_end] == first.payload
    assert data[other.byte_start : other.byte_end] == other.payload
    assert (first.where, other.where) == (f"{NAME}, lines 3-5", f"{NAME}, lines 6-7")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("<!-- c -->", "<?pi x?>"),
        ("<Invoices>", "</Invoices>"),
        (" \n\t", "\n\n"),
        ("<Summary>x</Summary>", ""),
        ("<![CDATA[x]]>", "&amp;"),
    ],
)
def test_what_stands_around_a_record_is_not_its(before: str, after: str) -> None:
    text = invoice(LINES)
    record = one(document(f"{before}{text}{after}"), NAME)
    assert record.payload.decode() == text
    assert record.problem is None


def test_the_record_may_be_the_document() -> None:
    text = invoice(LINES)
    assert one(f"{text}\n<!-- end -->\n".encode(), NAME).payload == text.encode()


def test_namespaces_and_capitals_do_not_matter() -> None:
    text = (
        invoice(LINES)
        .replace("<Header>", "<s:HEADER>")
        .replace("</Header>", "</s:HEADER>")
        .replace("Invoice", "s:INVOICE")
    )
    record = one(document(text, root='s:stampliexport xmlns:s="urn:x" xmlns="urn:y"'), NAME)
    assert record.problem is None
    assert record.header["invoice_number"] == "INV-1"
    assert len(record.lines) == 2


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [(name, True) for name in ("utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252")]
    + [(name, False) for name in ("utf-8", "utf-8-sig", "utf-16")],
)
def test_encodings(encoding: str, declared: bool) -> None:
    name = encoding.removesuffix("-sig")
    text = document(invoice([{**INVOICE, "vendor_name": "Müller ½"}])).decode()
    text = text.replace('"1.0"', f'"1.0" encoding="{name}"') if declared else text
    data = text.encode(encoding)
    record = one(data, NAME)
    assert record.problem is None
    assert record.header["vendor_name"] == "Müller ½"
    assert data[record.byte_start : record.byte_end] == record.payload


def test_utf_16_without_byte_order_mark() -> None:
    text = document(invoice(LINES)).decode()
    assert one(text.encode("utf-16-be"), NAME).problem is None
    assert one(text.encode("utf-16-le"), NAME).problem is None


def test_a_configured_encoding() -> None:
    data = document(invoice([{**INVOICE, "vendor_name": "€"}])).decode().encode("windows-1252")
    with pytest.raises(UnreadableFile, match="not well-formed"):
        read(data, NAME)
    record = one(data, NAME, adapted(INVOICES, encoding="windows-1252"))
    assert record.header["vendor_name"] == "€"


def test_utf_8_that_says_it_is_utf_16() -> None:
    data = document(invoice(LINES)).replace(b'"1.0"', b'"1.0" encoding="utf-16"')
    assert one(data, NAME).problem is None


def test_approvals_and_the_companys_id_are_taken_where_the_header_lacks_them() -> None:
    bare = {name: value for name, value in INVOICE.items() if name not in ("company_id", "approved_at")}
    approvals = (
        "<Approvals><Approval><approver>ann</approver><approved_at>2026-11-20T08:00:00Z</approved_at></Approval>"
        '<Approval approver="bob" approved_at="2026-11-22T08:00:00Z"/><Approval>cy</Approval></Approvals>'
    )
    record = one(document(invoice([bare], extra=approvals)), NAME)
    assert (record.header["approvers"], record.header["approved_at"]) == ("ann;bob;cy", "2026-11-22")
    assert record.header["company_id"] == "C9"
    given = one(document(invoice([{**INVOICE, "approvers": "me"}], extra=approvals)), NAME)
    assert (given.header["approvers"], given.header["approved_at"]) == ("me", "2026-11-21")
    assert given.header["company_id"] == "C1"


def test_a_vendor_and_a_payment() -> None:
    header = {name: value for name, value in VENDOR.items() if name != "vendor_id"}
    vendor = one(document(f'<Vendor id="V1">{elements(header)}</Vendor>'), "vendors_1.xml")
    assert vendor.problem is None
    assert (vendor.source_key, vendor.label, vendor.header["active"]) == ("V1", "Acme", "true")
    header = {"payment_date": "2026-11-30", "amount": "10", "currency": "EUR", "vendor_id": "V1"}
    lines = "".join(f"<Line>{elements({'invoice_number': n, 'applied_amount': '5'})}</Line>" for n in "AB")
    payment = one(
        document(f'<Payment id="P1"><Header>{elements(header)}</Header><Lines>{lines}</Lines></Payment>'),
        "payments_1.xml",
    )
    assert payment.problem is None
    assert [(line["invoice_number"], line["applied_amount"]) for line in payment.lines] == [
        ("A", Decimal(5)),
        ("B", Decimal(5)),
    ]


def test_a_record_of_one_line_may_be_flat() -> None:
    record = one(document(f"<Invoice>{elements(INVOICE)}</Invoice>"), NAME)
    assert record.problem is None
    assert (record.source_key, record.lines[0]["gl_account"]) == ("S-1", "6000")


def test_an_id_that_stands_twice_is_one_record_that_is_held() -> None:
    other = invoice([{**INVOICE, "stampli_invoice_id": "S-2"}])
    again = invoice([{**LINES[0], "due_date": "2026-12-31"}])
    second, twice = read(document(invoice(LINES), other, again), NAME)
    assert (second.source_key, code(second)) == ("S-2", None)
    assert twice.source_key == "S-1"
    assert code(twice) == "DUPLICATE_LINE"
    assert twice.problem is not None
    assert "due_date is '2026-12-02' in line 3 and '2026-12-31' in line 8" in twice.problem.message
    assert twice.payload.decode() == invoice(LINES) + again
    assert twice.where == f"{NAME}, lines 3-5 and 8-9"


CURRENCIES = invoice(LINES).replace("<currency>", "<currency>USD</currency><currency>")
IDS = invoice(LINES).replace("<Header>", "<Header><stampli_invoice_id>Z</stampli_invoice_id>")
PROBLEMS = [
    (invoice([{**INVOICE, "stampli_invoice_id": " "}]), "MISSING_KEY", "cannot be read or is empty"),
    (invoice(LINES, identity=False), "MISSING_KEY", "stampli_invoice_id, by which"),
    (invoice([{**INVOICE, "total_amount": ""}]), "MISSING_VALUE", "total_amount is empty."),
    (invoice([{**INVOICE, "line_amount": "1,5"}]), "INVALID_AMOUNT", "line_amount is '1,5' in line 3"),
    (invoice([LINES[0], {**LINES[1], "line_amount": "x"}]), "INVALID_AMOUNT", "line_amount is 'x' in line 4"),
    (invoice([{**INVOICE, "due_date": "x"}]), "INVALID_DATE", "due_date is 'x'"),
    (invoice([INVOICE, INVOICE]), "DUPLICATE_LINE", "line number 1 stands in line 3 and in line 4"),
    (CURRENCIES, "BAD_ROW", "<currency> stands twice"),
    (IDS, "BAD_ROW", "<stampli_invoice_id> stands twice"),
]


@pytest.mark.parametrize(("text", "reason", "words"), PROBLEMS)
def test_a_record_that_is_not_right(text: str, reason: str, words: str) -> None:
    good = invoice([{**INVOICE, "stampli_invoice_id": "S-2"}])
    bad, other = read(document(text, good), NAME)
    assert code(other) is None
    assert code(bad) == reason
    assert bad.problem is not None
    assert words in bad.problem.message
    assert bad.payload.decode() == text


def test_records_without_id_in_one_line_are_kept_apart() -> None:
    text = invoice([INVOICE], identity=False).replace("\n", "")
    records = read(document(text * 3), NAME)
    assert [record.source_key for record in records] == [f"{NAME}#3", f"{NAME}#3.2", f"{NAME}#3.3"]


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>\n<StampliExport>&b;</StampliExport>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n<StampliExport>&a;</StampliExport>'
UNREADABLE: dict[str, tuple[str, str, int | None, str]] = {
    "empty": ("", "EMPTY_FILE", None, "is empty"),
    "blank": (" \n", "EMPTY_FILE", None, "is empty"),
    "entities": (ENTITIES, "UNREADABLE_FILE", 1, "document type declaration"),
    "outside entity": (OUTSIDE, "UNREADABLE_FILE", 1, "document type declaration"),
    "plain document type": ("\n<!DOCTYPE html>\n<html/>", "UNREADABLE_FILE", 2, "document type declaration"),
    "unknown entity": ("<StampliExport>&nbsp;</StampliExport>", "UNREADABLE_FILE", 1, "undefined entity"),
    "cut off": (document(invoice(LINES))[:-30].decode(), "UNREADABLE_FILE", 5, "not well-formed"),
    "wrong end": ("<StampliExport>\n<Invoice></Header></StampliExport>", "UNREADABLE_FILE", 2, "mismatched tag"),
    "bare ampersand": ("<StampliExport>\n\nA & B</StampliExport>", "UNREADABLE_FILE", 3, "not well-formed"),
    "not XML": ("stampli_invoice_id,x\n", "UNREADABLE_FILE", 1, "not well-formed"),
    "an error page": ("<html><body>502</body></html>", "UNREADABLE_FILE", 1, "the document is a <html>"),
    "no record": (
        "<StampliExport>\n<Bill/></StampliExport>",
        "UNREADABLE_FILE",
        2,
        "there is <Bill>, but no <invoice>",
    ),
    "another record": (
        "<StampliExport>\n<Vendor/></StampliExport>",
        "UNREADABLE_FILE",
        2,
        "<Vendor> is not an invoice",
    ),
    "encoding": ('<?xml version="1.0" encoding="shift_jis"?><StampliExport/>', "UNREADABLE_FILE", 1, "not supported"),
    "nested": ("<StampliExport>" + "<a>" * 60 + "</a>" * 60 + "</StampliExport>", "UNREADABLE_FILE", 1, "nested"),
    "NUL": ("<StampliExport>\0</StampliExport>", "UNREADABLE_FILE", 1, "not well-formed"),
}


@pytest.mark.parametrize(("text", "reason", "line", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read(text: str, reason: str, line: int | None, words: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read_file(Memory(text.encode()), NAME, INVOICES, Limits())  # type: ignore[arg-type]
    assert (caught.value.reason_code, caught.value.line) == (reason, line)
    assert words in str(caught.value)


def test_a_good_document_of_no_records() -> None:
    assert read(b"<StampliExport/>", NAME) == []


BIG = document(invoice([{**INVOICE, "line_number": str(n)} for n in range(5)]))


@pytest.mark.parametrize(
    ("data", "limits", "words"),
    [
        (BIG, Limits(max_bytes=100), "larger than the limit of 100 bytes"),
        (BIG, Limits(max_rows=4), "more than 4 rows"),
        (BIG, Limits(max_rows_per_record=4), "line 3: the record that begins here has more than 4 lines"),
        (BIG, Limits(max_record_bytes=100), "line 3: the record that begins here has more than .* 100 bytes"),
        (BIG, Limits(max_field_bytes=5), "a value or tag is longer than 5 bytes"),
        (
            document(f'<Invoice id="{"x" * 101}"/>'),
            Limits(max_field_bytes=100),
            "a value or tag is longer than 100 bytes",
        ),
        (b"<StampliExport><Invoice><a" + b" " * 3_000_000, Limits(), "a value or tag is longer"),
    ],
)
def test_limits(data: bytes, limits: Limits, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words):
        read(data, NAME, limits=limits)


def test_another_structure() -> None:
    structure = {
        "root": "Export",
        "record": "Bill",
        "id_attribute": "nr",
        "header": "Head",
        "lines": "Rows",
        "line": "Row",
    }
    text = invoice(LINES).replace("Invoice id", "Bill nr").replace("Invoice>", "Bill>").replace("Header>", "Head>")
    text = text.replace("Lines>", "Rows>").replace("Line>", "Row>")
    layout = adapted(INVOICES, xml=structure)
    record = one(document(text, root="Export"), NAME, layout)
    assert record.problem is None
    assert (record.source_key, len(record.lines)) == ("S-1", 2)
