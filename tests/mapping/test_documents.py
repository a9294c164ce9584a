"""Invoices and credit notes: amounts, status, checks, custom fields."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.mapping.support import CUSTOM, cells, codes, document, foreign, line, run

D = Decimal


@pytest.mark.parametrize("entity", ["invoices", "credit_notes"])
def test_columns_are_the_contracts(entity: str) -> None:
    number = "invoiceNumber" if entity == "invoices" else "creditNoteNumber"
    compiled, _ = run(entity, [document()], custom=CUSTOM)
    assert compiled.header == [
        *("externalId", number, "customerRef", "issueDate", "dueDate", "currency", "status", "subTotal"),
        *("totalTaxAmount", "totalAmount", "amountDue", "note", "lineNumber", "itemRef", "description", "quantity"),
        *("unitAmount", "taxAmount", "lineTotal", "U_Note", "U_Region", "line.U_Lot"),
    ]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(
            document(), {"subTotal": "100.00", "totalTaxAmount": "21.00", "totalAmount": "121.00"}, id="local"
        ),
        pytest.param(document(PaidToDate=D("20.5")), {"amountDue": "100.50"}, id="partly paid"),
        pytest.param(
            foreign(),
            {
                "subTotal": "200.00",
                "totalTaxAmount": "42.00",
                "amountDue": "240.00",
                "lineTotal": "200.00",
                "taxAmount": "42.00",
            },
            id="foreign",
        ),
        pytest.param(
            document(DocCurrency="JPY", DocTotal=D("121.5"), DocumentLines=[line(total="100.5")]),
            {"totalAmount": "122", "lineTotal": "101", "unitAmount": "100.5"},
            id="yen round half up",
        ),
        pytest.param(document(DocCurrency="KWD"), {"totalAmount": "121.000"}, id="dinar has three decimals"),
        pytest.param(
            document(DocTotal=D("-121"), VatSum=D("-21"), DocumentLines=[line(total="-100")]),
            {"totalAmount": "-121.00", "subTotal": "-100.00"},
            id="negative",
        ),
        pytest.param(
            document(DocumentLines=[line(Price=None, UnitPrice=D("12.3456"))]),
            {"unitAmount": "12.3456"},
            id="unit price",
        ),
        pytest.param(document(Comments='a "b", c\r\nd'), {"note": 'a "b", c\r\nd'}, id="ugly text"),
        pytest.param(document(Comments="=1+1"), {"note": "=1+1"}, id="formula stays"),
        pytest.param(document(Cancelled="tYES", DocumentStatus="bost_Close"), {"status": "CANCELLED"}, id="cancelled"),
        pytest.param(document(DocumentStatus="bost_Close"), {"status": "PAID"}, id="closed"),
        pytest.param(document(DocumentStatus="bost_Paid"), {"status": "PAID"}, id="paid"),
        pytest.param(document(), {"status": "OPEN"}, id="open"),
    ],
)
def test_cells(record: dict[str, Any], expected: dict[str, str]) -> None:
    compiled, mapped = run("invoices", [record])
    row = cells(compiled, mapped)[0]
    assert {name: row[name] for name in expected} == expected
    assert mapped.held == {}


@pytest.mark.parametrize(
    ("tax", "expected"),
    [
        pytest.param({"TaxTotalFC": D("42.01"), "NetTaxAmountFC": D(7)}, "42.01", id="own property first"),
        pytest.param({"NetTaxAmountFC": D(42)}, "42.00", id="net tax"),
        pytest.param({}, "42.00", id="by the document's ratio"),
        pytest.param({"TaxTotalFC": D(0)}, "42.00", id="zero next to a local tax is no tax"),
        pytest.param({"TaxTotal": D(0)}, "0.00", id="no tax"),
    ],
)
def test_tax_of_a_foreign_line(tax: dict[str, Any], expected: str) -> None:
    lines = [line(RowTotalFC=D(200), **{"TaxTotal": D(21), **tax})]
    compiled, mapped = run("invoices", [foreign(DocumentLines=lines)])
    assert cells(compiled, mapped)[0]["taxAmount"] == expected


def test_header_is_repeated_for_each_line() -> None:
    lines = [line(0, "60"), line(7, "40")]
    compiled, mapped = run("invoices", [document(1, DocumentLines=lines), document(2)])
    rows = cells(compiled, mapped)
    assert [(row["externalId"], row["lineNumber"]) for row in rows] == [("1", "0"), ("1", "7"), ("2", "0")]
    assert mapped.row_offsets.tolist() == [0, 2, 3]
    assert mapped.row_bytes.sum() == len(mapped.csv_bytes())


@pytest.mark.parametrize("lines", [[], None], ids=["empty", "absent"])
def test_document_without_lines_is_one_row(lines: list[Any] | None) -> None:
    nothing = {"DocTotal": D(0), "VatSum": D(0)}
    records = [document(1), document(2, DocumentLines=lines, **nothing), document(3)]
    compiled, mapped = run("invoices", records)
    rows = cells(compiled, mapped)
    assert [row["lineTotal"] for row in rows] == ["100.00", "", "100.00"]
    assert mapped.held == {}


FREIGHT = [{"LineTotal": D("5"), "LineTotalFC": D("10")}, {"LineTotal": D("2.5"), "LineTotalFC": D(5)}]


@pytest.mark.parametrize(
    ("record", "held"),
    [
        pytest.param(document(), False, id="adds up"),
        pytest.param(document(DocTotal=D("121.01")), True, id="a cent too much"),
        pytest.param(document(DocTotal=D("121.004")), False, id="less than half a cent"),
        pytest.param(document(TotalDiscount=D(10), DocTotal=D(111)), False, id="discount"),
        pytest.param(document(TotalDiscount=D(10)), True, id="discount forgotten"),
        pytest.param(document(DocumentAdditionalExpenses=FREIGHT, DocTotal=D("128.5")), False, id="freight"),
        pytest.param(document(DocumentAdditionalExpenses=FREIGHT), True, id="freight forgotten"),
        pytest.param(document(RoundingDiffAmount=D("-0.5"), DocTotal=D("120.5")), False, id="rounding"),
        pytest.param(document(DocumentLines=[]), True, id="no lines"),
        pytest.param(foreign(), False, id="foreign"),
        pytest.param(foreign(DocTotalFc=D(243)), True, id="foreign total wrong"),
        pytest.param(foreign(DocTotal=D(500)), False, id="local total does not matter"),
        pytest.param(
            foreign(TotalDiscount=D(5), TotalDiscountFC=D(10), DocTotalFc=D(232)), False, id="foreign discount"
        ),
        pytest.param(
            foreign(TotalDiscount=D(5), DocTotalFc=D(232), DocTotal=D(116)), False, id="discount in local currency only"
        ),
        pytest.param(
            foreign(TotalDiscount=D(5), DocTotalFc=D(232), DocTotal=D(121)), True, id="wrong in local currency too"
        ),
    ],
)
def test_line_sum(record: dict[str, Any], held: bool) -> None:
    _, mapped = run("invoices", [document(7), record, document(9)])
    assert codes(mapped) == ({1: ["LINE_SUM_MISMATCH"]} if held else {})


def test_line_sum_message_shows_the_sum() -> None:
    _, mapped = run("invoices", [document(TotalDiscount=D("1.5"))])
    reason = mapped.held[0][0]
    assert "invoice 1001 does not add up: lines 100.00" in reason.message
    assert "- discount 1.50 = 119.50, but its total is 121.00" in reason.message
    assert "SAP Business One" in reason.fix_hint
    assert reason.owner == "finance"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"CardCode": None}, "MISSING_VALUE", id="no customer"),
        pytest.param({"CardCode": "  "}, "MISSING_VALUE", id="blank customer"),
        pytest.param({"DocNum": None}, "MISSING_VALUE", id="no number"),
        pytest.param({"DocDate": None}, "MISSING_VALUE", id="no date"),
        pytest.param({"DocDate": "2026-13-01"}, "INVALID_DATE", id="month 13"),
        pytest.param({"DocCurrency": "XQX"}, "UNKNOWN_CURRENCY", id="unknown currency"),
        pytest.param({"DocCurrency": "eur"}, "UNKNOWN_CURRENCY", id="small letters"),
        pytest.param({"Comments": "cut\x00off"}, "INVALID_CHARACTER", id="NUL"),
        pytest.param({"Comments": "cut\x1aoff"}, "INVALID_CHARACTER", id="Ctrl-Z"),
        pytest.param({"U_Note": "cut\x00off"}, "INVALID_CHARACTER", id="NUL in a custom field"),
    ],
)
def test_single_bad_record_is_held(change: dict[str, Any], code: str) -> None:
    _, mapped = run("invoices", [document(1), document(2, **change), document(3)], custom=CUSTOM)
    assert codes(mapped) == {1: [code]}
    assert mapped.ok().tolist() == [True, False, True]


def test_other_control_characters_pass_unchanged() -> None:
    compiled, mapped = run("invoices", [document(Comments="a\x0bb\tc")])
    assert mapped.held == {}
    assert cells(compiled, mapped)[0]["note"] == "a\x0bb\tc"


def test_cancellation_mirror_is_excluded_even_when_bad() -> None:
    _, mapped = run("invoices", [document(CancelStatus="csCancellation", CardCode=None), document(2)])
    assert mapped.excluded == {0: "cancellation document"}
    assert mapped.held == {}
    assert mapped.ok().tolist() == [False, True]
    assert mapped.amount.to_pylist() == [D(121), D(121)]


def test_money_of_every_record_is_told() -> None:
    _, mapped = run("invoices", [document(1), foreign(2), document(3, DocCurrency="JPY", DocTotal=D("120.5"))])
    assert mapped.currency.to_pylist() == ["EUR", "USD", "JPY"]
    assert mapped.amount.to_pylist() == [D(121), D(242), D(121)]
    assert mapped.labels.to_pylist() == ["1001", "1002", "1003"]
    assert mapped.keys.to_pylist() == ["1", "2", "3"]


def test_custom_fields_follow_the_named_columns() -> None:
    record = document(U_Region="Süd", DocumentLines=[line(0, "60", U_Lot="L,1"), line(1, "40")])
    compiled, mapped = run("invoices", [record], custom=CUSTOM)
    rows = cells(compiled, mapped)
    assert [(row["U_Note"], row["U_Region"], row["line.U_Lot"]) for row in rows] == [
        ("", "Süd", "L,1"),
        ("", "Süd", ""),
    ]
