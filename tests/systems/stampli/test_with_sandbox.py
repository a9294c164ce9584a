"""Files of the sandbox's exporter, which knows nothing of the reader: what went in comes out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from sandbox.stampli.books import Books, Supplier, TaxCode
from sandbox.stampli.broken import BROKEN_CSV, BROKEN_XML, ONE_RECORD, REASONS
from sandbox.stampli.csv_files import CsvStyle, csv_file
from sandbox.stampli.exports import StampliExports
from sandbox.stampli.spoil import INVOICE_DEFECTS, PAYMENT_DEFECTS, VENDOR_DEFECTS, Defect
from sandbox.stampli.text_records import TextRecord, text_record
from sandbox.stampli.xml_files import XmlStyle, xml_file
from tests.systems.stampli.support import LAYOUTS, adapted, read
from tieout.systems.stampli import SourceRecord, UnreadableFile
from tieout.systems.stampli import assembling as codes
from tieout.systems.stampli.columns import Kind
from tieout.systems.stampli.values import BLANKS

BOOKS = Books(
    tax_codes=(TaxCode("I1", Decimal(21), "411000"),),
    cost_centres=("CC-1",),
    projects=("P-1",),
    suppliers=(Supplier("V1", "Nordlys\tFisk; Käse", "EUR"), Supplier("V2", '山田 "商事"', "##")),
)
READERS_OWN = {
    codes.MISSING_KEY,
    codes.BAD_ROW,
    codes.INVALID_AMOUNT,
    codes.INVALID_DATE,
    codes.MISSING_VALUE,
    codes.DUPLICATE_LINE,
    codes.HEADER_MISMATCH,
}


def some(count: int = 12) -> dict[str, list[TextRecord]]:
    exports = StampliExports(BOOKS, seed=7)
    vendors = [exports.new_vendor() for _ in range(3)]
    invoices = [exports.invoice(credit=number % 5 == 0) for number in range(count)]
    payments = [exports.payment([invoice]) for invoice in invoices[:4] if invoice.total > 0]
    records = {"vendors": vendors, "invoices": invoices, "payments": payments}
    return {entity: [text_record(record) for record in found] for entity, found in records.items()}  # type: ignore[attr-defined]


def check(record: SourceRecord, text: TextRecord) -> None:
    """Every value of the file, and no other."""
    assert record.problem is None
    kinds = LAYOUTS.for_entity(record.entity).kind.columns
    assert record.source_key == text.key
    for values, texts in ((record.header, text.header), *zip(record.lines, text.lines, strict=True)):
        for column, value in values.items():
            assert plain(value) == expected(texts.get(column, ""), kinds[column]), column


def plain(value: object) -> str:
    return "" if value is None else str(value)


def expected(text: str, kind: Kind) -> str:
    if kind is Kind.FLAG:
        return text.lower()
    return text[:10] if kind is Kind.TIMESTAMP else text.strip(BLANKS)


CSV_STYLES = [
    CsvStyle(),
    CsvStyle(delimiter=";", bom=True, newline="\n", quote_all=True),
    CsvStyle(delimiter="\t", encoding="utf-16-le", bom=True),
    CsvStyle(delimiter="|", encoding="utf-16-be", bom=True, extra_columns=(("Höhe", "1\n2"),)),
    CsvStyle(delimiter=";", date_format="%d.%m.%Y", decimal_mark=","),
]
XML_STYLES = [
    XmlStyle(),
    XmlStyle(indent=False, omit_empty=True),
    XmlStyle(encoding="utf-16"),
    XmlStyle(encoding="us-ascii", namespace="urn:x"),
]


@pytest.mark.parametrize("style", CSV_STYLES, ids=str)
@pytest.mark.parametrize("entity", ["vendors", "invoices", "payments"])
def test_csv(entity: str, style: CsvStyle) -> None:
    texts = some()[entity]
    layout = LAYOUTS.for_entity(entity)
    if style.decimal_mark == ",":
        layout = adapted(layout, dates=(style.date_format,), amounts={"decimal_mark": ","})
    records = read(csv_file(entity, texts, style), f"{entity}_C1.csv", layout)
    for record, text in zip(records, texts, strict=True):
        check(record, text)


@pytest.mark.parametrize("style", XML_STYLES, ids=str)
@pytest.mark.parametrize("entity", ["vendors", "invoices", "payments"])
def test_xml(entity: str, style: XmlStyle) -> None:
    texts = some()[entity]
    records = read(xml_file(entity, texts, style), f"{entity}_C1.xml")
    for record, text in zip(records, texts, strict=True):
        check(record, text)


DEFECTS = [
    pytest.param(entity, defect, id=f"{entity}-{name}")
    for entity, defects in (("invoices", INVOICE_DEFECTS), ("vendors", VENDOR_DEFECTS), ("payments", PAYMENT_DEFECTS))
    for name, defect in defects.items()
    if defect.reason in READERS_OWN
]


@pytest.mark.parametrize(("entity", "defect"), DEFECTS)
def test_a_bad_record_among_good_ones(entity: str, defect: Defect) -> None:
    texts = some(40)[entity]
    position = next(n for n, text in enumerate(texts) if defect.lines is None or len(text.lines) >= defect.lines)
    bad = defect.apply(texts[position])
    texts[position] = bad
    names = [f"{entity}_C1.csv"] if defect.csv_only else [f"{entity}_C1.csv", f"{entity}_C1.xml"]
    for name in names:
        data = csv_file(entity, texts) if name.endswith(".csv") else xml_file(entity, texts)
        problems = [record.problem for record in read(data, name)]
        # An id that is missing leaves each of the record's rows alone in a CSV file.
        found = [problem.reason_code for problem in problems if problem]
        assert set(found) == {defect.reason}
        assert len([problem for problem in problems if problem is None]) == len(texts) - 1


BROKEN = [(kind, f"{kind}.csv", spoil) for kind, spoil in BROKEN_CSV.items()]
BROKEN += [(kind, f"{kind}.xml", spoil) for kind, spoil in BROKEN_XML.items()]


@pytest.mark.parametrize(("kind", "name", "spoil"), BROKEN, ids=[name for _, name, _ in BROKEN])
def test_a_broken_file(kind: str, name: str, spoil: object) -> None:
    texts = [replace(text, header={**text.header, "document_url": "https://x"}) for text in some()["invoices"]]
    sound = csv_file("invoices", texts) if name.endswith(".csv") else xml_file("invoices", texts)
    reason = REASONS.get(kind, "UNREADABLE_FILE")
    data = spoil(sound)  # type: ignore[operator]
    if kind in ONE_RECORD:
        problems = [record.problem.reason_code for record in read(data, f"invoices_{name}") if record.problem]
        # The byte is in one row, so that row also differs from the others of its record.
        assert problems == [reason]
        return
    with pytest.raises(UnreadableFile) as caught:
        read(data, f"invoices_{name}")
    assert caught.value.reason_code == reason
