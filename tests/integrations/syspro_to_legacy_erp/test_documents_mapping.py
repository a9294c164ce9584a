"""What the mappings of documents make of SYSPRO's records."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations.syspro_to_legacy_erp.documents_support import ENTITIES, Rows, mapped, project
from tieout.cli import main
from tieout.integrations.syspro_to_legacy_erp.documents import DocumentWindow, read_documents
from tieout.mapping.compiler import compile_mapping
from tieout.mapping.frame import MapContext
from tieout.staging import read_parts

D = Decimal
INVOICE = {"Supplier": "S1", "Invoice": "I1", "InvoiceDate": "2026-03-05", "OrigInvValue": D("10.5"), "Currency": "EUR"}
LINE = {"Line": 1, "MStockCode": "A", "MOrderQty": D(3), "MOrderUom": "EA", "MPrice": D("1.005")}
ORDER = {
    "PurchaseOrder": "P1", "Supplier": "S1", "OrderEntryDate": "2026-03-05", "OrderStatus": "1", "Currency": "EUR",
    "PorMasterDetail": [LINE],
}  # fmt: skip
SUPPLIER = {"Supplier": "S1", "SupplierName": "Acme", "OnHold": "Y"}
ITEM = {"StockCode": "A", "Description": "Nut"}
RECORDS: dict[str, dict[str, Any]] = {
    "invoices": INVOICE, "purchase_orders": ORDER, "suppliers": SUPPLIER, "items": ITEM,
}  # fmt: skip


def rows(entity: str, record: dict[str, Any], sent_before: tuple[str, ...] = ()) -> list[dict[str, str]]:
    compiled, batch = mapped(project(entity), [record], sent_before=sent_before)
    text = bytes(compiled.header_line()) + b"".join(row.encode() for row in batch.rows.to_pylist())
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def one(entity: str, **changes: Any) -> dict[str, str]:
    return rows(entity, {**RECORDS[entity], **changes})[0]


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_file_is_valid(entity: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[3] / f"include/mappings/syspro_to_legacy_erp/{entity}.yaml"
    assert main(["mapping", "validate", str(path)]) == 0, capsys.readouterr()


@pytest.mark.parametrize(
    ("entity", "changes", "column", "expected"),
    [
        ("invoices", {}, "invoice_key", "S1|I1"),
        ("invoices", {}, "total_amount", "10.50"),
        ("invoices", {}, "invoice_type", "DI"),
        ("invoices", {"OrigInvValue": D(-3)}, "invoice_type", "CR"),
        ("invoices", {"OrigInvValue": D(-3)}, "total_amount", "-3.00"),
        ("invoices", {"OrigInvValue": D(0)}, "invoice_type", "DI"),
        ("invoices", {"Currency": None}, "currency", "USD"),
        ("invoices", {"OrigInvValue": D("10.5"), "Currency": "JPY"}, "total_amount", "11"),
        ("purchase_orders", {}, "total_amount", "3.02"),
        ("purchase_orders", {}, "unit_price", "1.005"),
        ("purchase_orders", {}, "line_amount", "3.02"),
        ("purchase_orders", {"PorMasterDetail": [{**LINE, "MForeignPrice": D("2")}]}, "line_amount", "6.00"),
        ("purchase_orders", {"PorMasterDetail": [{**LINE, "MForeignPrice": D("0")}]}, "line_amount", "3.02"),
        ("purchase_orders", {"PorMasterDetail": []}, "total_amount", "0.00"),
        ("purchase_orders", {"PorMasterDetail": []}, "line_number", ""),
        ("purchase_orders", {"Currency": None}, "currency", "USD"),
        *(("purchase_orders", {"OrderStatus": code}, "status", "OPEN") for code in "014"),
        ("purchase_orders", {"OrderStatus": "9"}, "status", "COMPLETE"),
        ("purchase_orders", {"OrderStatus": "*"}, "status", "CANCELLED"),
        ("purchase_orders", {"OrderStatus": "4", "CancelledFlag": "Y"}, "status", "CANCELLED"),
        ("purchase_orders", {}, "purpose", "00"),
        ("purchase_orders", {"OrderStatus": "*"}, "purpose", "01"),
        ("purchase_orders", {"PorMasterDetail": [{**LINE, "MCompleteFlag": "Y"}]}, "line_status", "COMPLETE"),
        ("suppliers", {}, "on_hold", "Y"),
        ("suppliers", {"OnHold": None}, "on_hold", "N"),
        ("suppliers", {}, "currency", "USD"),
        ("items", {"Mass": D("0.125000")}, "mass", "0.125"),
    ],
)
def test_columns(entity: str, changes: dict[str, Any], column: str, expected: str) -> None:
    assert one(entity, **changes)[column] == expected


@pytest.mark.parametrize(("entity", "key"), [("invoices", "S1|I1"), ("purchase_orders", "P1")])
def test_what_was_sent_before_is_replaced_but_is_no_other_content(entity: str, key: str) -> None:
    record = RECORDS[entity]
    assert [row["purpose"] for row in rows(entity, record, (key,))] == ["05"]
    first, second = (mapped(project(entity), [record], sent_before=sent)[1] for sent in ((), (key,)))
    assert first.fingerprints == second.fingerprints
    other = mapped(project(entity), [{**record, "Supplier": "S1", "Currency": "CHF"}])[1]
    assert other.fingerprints != first.fingerprints


@pytest.mark.parametrize(
    ("entity", "changes", "code"),
    [
        ("invoices", {"InvoiceDate": None}, "MISSING_VALUE"),
        ("invoices", {"OrigInvValue": None}, "MISSING_VALUE"),
        ("invoices", {"Currency": "$"}, "UNKNOWN_CURRENCY"),
        ("purchase_orders", {"OrderEntryDate": None}, "MISSING_VALUE"),
        ("purchase_orders", {"Supplier": None}, "MISSING_VALUE"),
        ("purchase_orders", {"OrderStatus": "7"}, "MAPPING_MISSING"),
        ("suppliers", {"SupplierName": None}, "MISSING_VALUE"),
        ("items", {"Description": None}, "MISSING_VALUE"),
    ],
)
def test_what_is_held(entity: str, changes: dict[str, Any], code: str) -> None:
    _, batch = mapped(project(entity), [{**RECORDS[entity], **changes}])
    assert [reason.reason_code for reason in batch.held[0]] == [code]


AMOUNTS = st.one_of(st.none(), st.decimals(-9999, 9999, places=5, allow_nan=False).map(str))
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", " ", "EUR"])
LINES = st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), max_size=5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(CURRENCIES, LINES, AMOUNTS), max_size=6))
def test_the_mapping_and_the_sources_money_agree(tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]) -> None:
    """Both sides of the tie-out, computed apart from each other."""
    tables: dict[str, list[dict[str, Any]]] = {"PorMasterHdr": [], "PorMasterDetail": [], "ApInvoice": []}
    for number, (currency, lines, value) in enumerate(drawn):
        head = {"Supplier": "S", "Currency": currency}
        tables["PorMasterHdr"].append({**head, "PurchaseOrder": f"P{number}", "OrderStatus": "1"})
        tables["ApInvoice"].append({**head, "Invoice": f"I{number}", "OrigInvValue": value})
        for at, (quantity, price, foreign) in enumerate(lines):
            amounts = {"MOrderQty": quantity, "MPrice": price, "MForeignPrice": foreign}
            tables["PorMasterDetail"].append({"PurchaseOrder": f"P{number}", "Line": at, **amounts})
    context = MapContext({"delivered_before": {}}, {"currency": "CHF"})
    for entity in ("invoices", "purchase_orders"):
        folder = tmp_path_factory.mktemp(entity)
        found = read_documents(Rows(tables).client, project(entity), DocumentWindow(), folder, local_currency="CHF")
        totals: dict[str, Decimal] = {}
        for batch in read_parts(folder, names=found.part_names):
            result = compile_mapping(project(entity)).map_batch(batch, context)
            for currency, amount in zip(result.currency.to_pylist(), result.amount.to_pylist(), strict=True):
                totals[currency] = totals.get(currency, D(0)) + amount
        assert totals == found.money
