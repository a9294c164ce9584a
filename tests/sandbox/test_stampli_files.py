"""Stampli's files, read by other parsers than wrote them: every style says the same, and what is broken is broken."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from xml.dom import minidom
from xml.parsers import expat

import pytest
from stampli_books import BOOKS

from sandbox.stampli.broken import BROKEN_CSV, BROKEN_XML, REASONS
from sandbox.stampli.columns import HEADER_COLUMNS, LINE_COLUMNS
from sandbox.stampli.csv_files import CsvStyle, csv_file
from sandbox.stampli.exports import StampliExports
from sandbox.stampli.spoil import INVOICE_DEFECTS, PAYMENT_DEFECTS, VENDOR_DEFECTS, Defect
from sandbox.stampli.text_records import TextRecord, text_record
from sandbox.stampli.xml_files import XmlStyle, xml_file


def records_of(entity: str, seed: int = 1) -> list[TextRecord]:
    exports = StampliExports(BOOKS, seed)
    invoices = [exports.invoice(credit=n == 7) for n in range(30)]
    made = {
        "invoices": invoices,
        "vendors": [exports.new_vendor() for _ in range(14)] + [exports.known_vendor(BOOKS.suppliers[0])],
        "payments": [exports.payment([invoice]) for invoice in invoices],
    }
    return [text_record(record) for record in made[entity]]


@pytest.mark.parametrize("entity", ["invoices", "vendors", "payments"])
@pytest.mark.parametrize(
    "style",
    [
        CsvStyle(),
        CsvStyle(delimiter=";", bom=True, newline="\n"),
        CsvStyle(delimiter="\t", encoding="utf-16-le", bom=True),
        CsvStyle(delimiter="|", quote_all=True, extra_columns=(("more", "a|b"),)),
    ],
    ids=["comma", "semicolon with BOM", "tab, UTF-16", "all quoted"],
)
def test_csv_says_what_the_records_say(entity: str, style: CsvStyle) -> None:
    records = records_of(entity)
    content = csv_file(entity, records, style)
    text = content.decode({"utf-8": "utf-8-sig", "utf-16-le": "utf-16"}[style.encoding])
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=style.delimiter, strict=True))
    for row in rows:
        assert [row.pop(name) for name, _ in style.extra_columns] == [value for _, value in style.extra_columns]
    assert rows == [row for record in records for row in record.rows()]
    assert list(rows[0]) == [*HEADER_COLUMNS[entity], *LINE_COLUMNS[entity]]


def test_csv_with_dates_and_amounts_of_another_country() -> None:
    [record] = records_of("payments")[:1]
    style = CsvStyle(delimiter=";", date_format="%d.%m.%Y", decimal_mark=",", encoding="cp1252")
    [row] = csv.DictReader(io.StringIO(csv_file("payments", [record], style).decode("cp1252")), delimiter=";")
    assert row["payment_date"] == "30.06.2025"
    assert row["amount"] == record.header["amount"].replace(".", ",")


def test_text_that_the_encoding_lacks_is_not_replaced() -> None:
    record = TextRecord("vendors", "N1", {"name": "山田商事"})
    with pytest.raises(UnicodeEncodeError):
        csv_file("vendors", [record], CsvStyle(encoding="cp1252"))


def fields(element: minidom.Element) -> dict[str, str]:
    return {
        child.localName: "".join(node.data for node in child.childNodes)
        for child in element.childNodes
        if isinstance(child, minidom.Element)
    }


@pytest.mark.parametrize(("entity", "name"), [("invoices", "Invoice"), ("vendors", "Vendor"), ("payments", "Payment")])
@pytest.mark.parametrize(
    "style",
    [XmlStyle(), XmlStyle(indent=False, omit_empty=True), XmlStyle(encoding="utf-16", namespace="urn:stampli")],
    ids=["indented", "terse", "UTF-16 with namespace"],
)
def test_xml_says_what_the_records_say(entity: str, name: str, style: XmlStyle) -> None:
    records = records_of(entity)
    root = minidom.parseString(xml_file(entity, records, style, company_id="C7")).documentElement
    assert (root.localName, root.getAttribute("companyId")) == ("StampliExport", "C7")
    elements = root.getElementsByTagName(name)
    assert [element.getAttribute("id") for element in elements] == [record.key for record in records]
    for element, record in zip(elements, records, strict=True):
        [header] = element.getElementsByTagName("Header")
        wanted = {key: text for key, text in record.header.items() if text or not style.omit_empty}
        assert fields(header) == wanted
        lines = [fields(found) for found in element.getElementsByTagName("Line")]
        assert lines == [
            {key: text for key, text in row.items() if text or not style.omit_empty} for row in record.lines
        ]
        assert len(element.getElementsByTagName("Approval")) == len(record.approvals)


def csv_is_readable(content: bytes) -> bool:
    """Whether a strict reader gets rows of the header's length under the columns of the profile."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return False
    return bool(rows) and rows[0][0] == "stampli_invoice_id" and b"\x00" not in content


def xml_is_readable(content: bytes) -> bool:
    """Whether a parser without DTDs gets to the end."""

    def refuse(*_: object) -> None:
        raise ValueError("a DTD")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError):
        return False
    return True


@pytest.mark.parametrize(
    ("kinds", "content", "is_readable"),
    [
        (BROKEN_CSV, csv_file("invoices", records_of("invoices")), csv_is_readable),
        (BROKEN_XML, xml_file("invoices", records_of("invoices")), xml_is_readable),
    ],
    ids=["CSV", "XML"],
)
def test_broken_files_cannot_be_read(
    kinds: dict[str, Callable[[bytes], bytes]], content: bytes, is_readable: Callable[[bytes], bool]
) -> None:
    assert is_readable(content)
    assert [kind for kind, spoil in kinds.items() if is_readable(spoil(content))] == []
    assert set(REASONS) <= {*BROKEN_CSV, *BROKEN_XML}


def test_entities_would_expand() -> None:
    """The danger is real: a parser that allows DTDs would follow the reference."""
    content = BROKEN_XML["billion_laughs"](xml_file("vendors", records_of("vendors")[:1]))
    declared: list[str] = []
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = lambda name, *_: declared.append(name)
    parser.DefaultHandler = lambda data: None  # keeps expat from expanding
    parser.Parse(content, True)
    assert declared == [f"e{level}" for level in range(10)]
    assert re.search(rb"<note>&e9;</note>", content)


def test_wrong_column_count_is_in_the_last_row_only() -> None:
    record = records_of("invoices")[0]
    for extra, difference in ((1, 1), (-2, -2)):
        changed = TextRecord("invoices", "1", record.header, record.lines[:2] or record.lines * 2, extra_cells=extra)
        rows = list(csv.reader(io.StringIO(csv_file("invoices", [changed]).decode(), newline="")))
        assert [len(row) - len(rows[0]) for row in rows] == [0] * (len(rows) - 1) + [difference]


@pytest.mark.parametrize(
    ("entity", "defect"),
    [
        pytest.param(entity, defect, id=f"{entity}: {name}")
        for entity, defects in (
            ("invoices", INVOICE_DEFECTS), ("vendors", VENDOR_DEFECTS), ("payments", PAYMENT_DEFECTS)
        )
        for name, defect in defects.items()
    ],
)  # fmt: skip
def test_a_defect_changes_one_thing(entity: str, defect: Defect) -> None:
    exports = StampliExports(BOOKS)
    invoice = exports.invoice(lines=defect.lines or 2)
    sound = text_record(
        {"invoices": invoice, "vendors": exports.new_vendor(), "payments": exports.payment([invoice])}[entity]
    )
    bad = defect.apply(sound)
    differing = [
        name
        for before, after in zip(sound.rows(), bad.rows(), strict=True)
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    ]
    assert bad != sound
    assert len(set(differing)) <= 2
    if not defect.csv_only:
        assert differing
        assert xml_file(entity, [bad]) != xml_file(entity, [sound])
