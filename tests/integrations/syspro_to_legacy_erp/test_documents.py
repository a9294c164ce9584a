"""Reading documents: windows, lines, names, money; against rows in memory and the simulated SYSPRO."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.syspro import Books, SysproServer, generate_books
from tests.integrations.syspro_to_legacy_erp.documents_support import ENTITIES, Rows, project, staged
from tests.systems.syspro.conftest import SIZES, settings_for
from tieout.errors import ConfigurationInvalid, ContractBroken
from tieout.integrations.syspro_to_legacy_erp import document_lines
from tieout.integrations.syspro_to_legacy_erp.documents import DocumentWindow, Extracted, read_documents
from tieout.mapping.model import EntityMapping
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.errors import SysproError

D = Decimal
ALL = DocumentWindow()
MARCH = DocumentWindow(date(2026, 3, 1), date(2026, 4, 1))


def invoice(number: str, day: str | None = "2026-03-05", value: str = "10", **more: Any) -> dict[str, Any]:
    return {"Supplier": "S1", "Invoice": number, "InvoiceDate": day, "OrigInvValue": value, "Currency": "USD", **more}


def order(number: str, day: str | None = "2026-03-05", currency: str | None = "USD") -> dict[str, Any]:
    return {"PurchaseOrder": number, "OrderEntryDate": day, "Currency": currency, "Supplier": "S1", "OrderStatus": "1"}


def line(number: str, at: int, quantity: str = "2", price: str = "1.25", **more: Any) -> dict[str, Any]:
    return {"PurchaseOrder": number, "Line": at, "MOrderQty": quantity, "MPrice": price, **more}


def read(
    rows: Rows, entity: str | EntityMapping, folder: Path, window: DocumentWindow = ALL, **more: Any
) -> tuple[Extracted, list[dict[str, Any]]]:
    mapping = project(entity) if isinstance(entity, str) else entity
    found = read_documents(rows.client, mapping, window, folder, **more)
    records = staged(folder, found.part_names)
    assert found.records == len(records)
    return found, records


def keys(records: list[dict[str, Any]]) -> list[str]:
    return [record["_key"] for record in records]


# --- windows

DATED = [
    invoice("A", "2026-02-28"),
    invoice("B", "2026-03-01"),
    invoice("C", None),
    invoice("D", "2026-03-31"),
    invoice("E", "2026-04-01"),
]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        pytest.param(ALL, "ABCDE", id="all"),
        pytest.param(MARCH, "BCD", id="a month, and what has no date"),
        pytest.param(DocumentWindow(since=date(2026, 3, 31)), "CDE", id="since"),
        pytest.param(DocumentWindow(until=date(2026, 3, 31)), "ABC", id="until"),
        pytest.param(DocumentWindow(since=date(2027, 1, 1)), "C", id="after all"),
        pytest.param(DocumentWindow(MARCH.since, MARCH.until, also=frozenset({"S1|A", "S1|B"})), "ABCD", id="also"),
        pytest.param(DocumentWindow(MARCH.since, only=frozenset({"S1|A", "S1|C"})), "AC", id="only"),
        pytest.param(DocumentWindow(only=frozenset()), "", id="only none"),
    ],
)
def test_windows(tmp_path: Path, window: DocumentWindow, expected: str) -> None:
    found, records = read(Rows({"ApInvoice": DATED}), "invoices", tmp_path, window)
    assert sorted(keys(records)) == [f"S1|{letter}" for letter in expected]
    dates = [record["InvoiceDate"] for record in records if record["InvoiceDate"]]
    assert found.max_date == max(dates, default=None)


def test_a_window_reads_the_whole_table_only_where_something_has_no_date(tmp_path: Path) -> None:
    rows = Rows({"ApInvoice": [row for row in DATED if row["InvoiceDate"]], "ApSupplier": []})
    assert sorted(keys(read(rows, "invoices", tmp_path, MARCH)[1])) == ["S1|B", "S1|D"]
    invoices = [asked for asked in rows.reads if asked.table.name == "ApInvoice"]
    assert [(len(asked.where), asked.raw) for asked in invoices] == [(2, True), (0, False)]
    assert invoices[1].names == ("Supplier", "Invoice", "InvoiceDate")


def test_a_mapping_without_change_columns_reads_all(tmp_path: Path) -> None:
    rows = Rows({"ApSupplier": [{"Supplier": "S1"}, {"Supplier": "S2"}]})
    found, records = read(rows, "suppliers", tmp_path, MARCH)
    assert keys(records) == ["S1", "S2"]
    assert (found.max_date, found.money) == (None, {})
    only = DocumentWindow(only=frozenset({"S2"}))
    assert keys(read(rows, "suppliers", tmp_path, only)[1]) == ["S2"]


def test_parts_of_an_earlier_attempt_are_gone(tmp_path: Path) -> None:
    read(Rows({"ApInvoice": DATED}), "invoices", tmp_path)
    read(Rows({"ApInvoice": []}), "invoices", tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- lines


def orders_read(
    folder: Path, headers: list[dict[str, Any]], lines: list[dict[str, Any]] | None, page: int = 2, **more: Any
) -> tuple[Extracted, dict[str, list[int]]]:
    tables = {"PorMasterHdr": headers, **({} if lines is None else {"PorMasterDetail": lines})}
    found, records = read(Rows(tables, page), "purchase_orders", folder, **more)
    return found, {record["_key"]: [each["Line"] for each in record["PorMasterDetail"]] for record in records}


def test_lines_find_their_orders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [line("1", 1), line("1", 2), line("2", 1), line("2", 2), line("2", 3), line("5", 1)]
    found, nested = orders_read(tmp_path, [order("1"), order("2"), order("3")], lines)
    assert nested == {"1": [1, 2], "2": [1, 2, 3], "3": []}
    assert found.orphan_lines == 1
    assert "1 rows of PorMasterDetail belong to no row of PorMasterHdr" in caplog.text


def test_lines_outside_of_the_window_are_no_orphans(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [line("1", 1), line("2", 1)]
    found, nested = orders_read(tmp_path, [order("1"), order("2", "2026-02-01")], lines, window=MARCH)
    assert (nested, found.orphan_lines) == ({"1": [1]}, 0)
    assert "belong to no row" not in caplog.text


def test_without_a_line_table_orders_have_no_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found, nested = orders_read(tmp_path, [order("1"), order("2")], None)
    assert nested == {"1": [], "2": []}
    assert found.money == {"USD": D("0.00")}
    about_lines = [each for each in caplog.records if "PorMasterDetail" in each.getMessage()]
    assert [each.levelno for each in about_lines] == [logging.WARNING]


def test_a_line_table_that_breaks_off_is_no_missing_one(tmp_path: Path) -> None:
    class BreaksOff(Rows):
        def read(self, read: Any) -> Iterator[Any]:
            yield from super().read(read)
            if read.table.name == "PorMasterDetail":
                raise SysproError(404, "gone", "PorMasterDetail")

    tables = {"PorMasterHdr": [order("1")], "PorMasterDetail": [line("1", 1)], "ApSupplier": []}
    with pytest.raises(SysproError, match="gone"):
        read_documents(BreaksOff(tables).client, project("purchase_orders"), ALL, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".parquet"] == []


def test_an_order_twice_is_the_servers_mistake(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="twice in one read"):
        orders_read(tmp_path, [order("1"), order("1")], [])


def test_the_original_bytes_have_the_lines_in_them(tmp_path: Path) -> None:
    rows = Rows({"PorMasterHdr": [order("1"), order("2")], "PorMasterDetail": [line("1", 1), line("1", 2)]})
    _, records = read(rows, "purchase_orders", tmp_path)
    expected = {**order("1"), "PorMasterDetail": [line("1", 1), line("1", 2)]}
    assert [json.loads(record["_raw"]) for record in records] == [expected, order("2")]


# Few numbers, so that lines and orders do meet; the last one is nobody's order.
NUMBERS = st.lists(st.sampled_from("ABCDEF"), unique=True, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.data(), NUMBERS, st.integers(1, 7), st.integers(1, 6))
def test_whatever_the_order_every_line_finds_its_document(
    tmp_path_factory: pytest.TempPathFactory, data: Any, numbers: list[str], page: int, chunk: int
) -> None:
    pairs = st.tuples(st.sampled_from("ABCDEFG"), st.integers(1, 4))
    lines = data.draw(st.lists(pairs, unique=True, max_size=28))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document_lines, "CHUNK", chunk)
        found, nested = orders_read(
            tmp_path_factory.mktemp("orders"), [order(n) for n in numbers], [line(*pair) for pair in lines], page
        )
    assert list(nested) == numbers
    assert nested == {number: sorted(at for owner, at in lines if owner == number) for number in numbers}
    assert found.orphan_lines == sum(owner not in numbers for owner, _ in lines)


# --- names


def test_suppliers_names_come_along(tmp_path: Path) -> None:
    suppliers = [{"Supplier": "S1", "SupplierName": "Ünal & Söhne"}, {"Supplier": "S2", "SupplierName": " "}]
    invoices = [invoice("A"), invoice("B", Supplier="S2"), invoice("C", Supplier="S9"), invoice("D", Supplier=" ")]
    _, records = read(Rows({"ApInvoice": invoices, "ApSupplier": suppliers}), "invoices", tmp_path)
    assert [record["SupplierName"] for record in records] == ["Ünal & Söhne", None, None, None]
    assert keys(records)[-1] == "|D"


def test_without_suppliers_names_are_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, records = read(Rows({"ApInvoice": [invoice("A")]}), "invoices", tmp_path)
    assert records[0]["SupplierName"] is None
    assert caplog.text.count("SYSPRO has no table ApSupplier") == 1


# --- money


def test_invoices_are_worth_what_syspro_says(tmp_path: Path) -> None:
    invoices = [
        invoice("A", value="10.005"),
        invoice("B", value="-3.10"),
        invoice("C", value="7.5", Currency="JPY"),
        invoice("D", value="2", Currency="   "),
        invoice("E", OrigInvValue=None),
    ]
    found, _ = read(Rows({"ApInvoice": invoices}), "invoices", tmp_path, local_currency="EUR")
    assert found.money == {"EUR": D("2.00"), "JPY": D(8), "USD": D("6.91")}
    assert Extracted.from_json(found.to_json()) == found


def test_orders_are_worth_their_lines_each_rounded(tmp_path: Path) -> None:
    headers = [order("1"), order("2", currency="EUR"), order("3", currency=None)]
    lines = [
        line("1", 1, "3", "0.335"),
        line("1", 2, "3", "0.335", MForeignPrice="0"),
        line("1", 3, "0.5", "0.01"),
        line("2", 1, "10", "9", MForeignPrice="8"),
        line("3", 1, "1", "4"),
        line("9", 1, "1000", "1000"),
    ]
    found, _ = orders_read(tmp_path, headers, lines, local_currency="GBP")
    assert found.money == {"EUR": D("80.00"), "GBP": D("4.00"), "USD": D("2.03")}


def test_currencies_are_called_what_the_mapping_calls_them(tmp_path: Path) -> None:
    mapping = project("invoices")
    columns = tuple(
        column.model_copy(update={"lookup": column.lookup.model_copy(update={"entries": {"$": "USD", "L": local}})})
        if column.name == "currency" and column.lookup
        else column
        for column in mapping.columns
        for local in ["${currency}"]
    )
    translated = mapping.model_copy(update={"columns": columns})
    invoices = [invoice("A", Currency="$"), invoice("B", Currency="L"), invoice("C", Currency="CHF")]
    found, _ = read(Rows({"ApInvoice": invoices}), translated, tmp_path, local_currency="ZAR")
    assert sorted(found.money) == ["CHF", "USD", "ZAR"]


# --- mappings that cannot be read


@pytest.mark.parametrize(
    ("entity", "changes", "words"),
    [
        ("items", {"entity_set": "InvWarehouse"}, "reads InvWarehouse, whose key is not known"),
        ("invoices", {"fields": {"Supplier": "number"}}, "declares ApInvoice.Supplier as number, but it is part of"),
        ("invoices", {"change_columns": ["Changed"]}, "has the change column Changed, which is not among its fields"),
        ("invoices", {"filter": "Currency eq 'USD'"}, "has `source.filter`, which does not work with SYSPRO"),
        (
            "invoices",
            {"collections": {"PorMasterDetail": {"Line": "integer"}}, "lines": "PorMasterDetail"},
            "whose key PurchaseOrder, Line does not begin with that of ApInvoice",
        ),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, entity: str, changes: dict[str, Any], words: str) -> None:
    plain = project(entity).model_dump(mode="json", by_alias=True)
    mapping = EntityMapping.model_validate({**plain, "source": {**plain["source"], **changes}})
    with pytest.raises(ConfigurationInvalid, match=words):
        read_documents(Rows({}).client, mapping, ALL, tmp_path)


def test_a_column_of_the_sites_own_is_read_as_declared(tmp_path: Path) -> None:
    plain = project("items").model_dump(mode="json", by_alias=True)
    plain["source"]["fields"]["UsrWeightLimit"] = "number"
    rows = Rows({"InvMaster": [{"StockCode": "A", "UsrWeightLimit": "1.5"}]})
    _, records = read(rows, EntityMapping.model_validate(plain), tmp_path)
    assert records[0]["UsrWeightLimit"] == D("1.5")


# --- the simulated SYSPRO


@pytest.fixture(scope="module")
def books() -> Books:
    return generate_books(5, SIZES)


@pytest.fixture(scope="module")
def server(books: Books) -> Iterator[SysproServer]:
    with SysproServer(books) as running:
        yield running
        assert running.failures == []
        assert running.statistics()["writes_tried"] == 0


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(D("0.01"), ROUND_HALF_UP)


def expected_money(books: Books, entity: str) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    if entity == "invoices":
        table = books.table("ApInvoice")
        for row in (table.row(position) for position in range(len(table))):
            totals[row["Currency"]] = totals.get(row["Currency"], D(0)) + row["OrigInvValue"]
    if entity == "purchase_orders":
        table = books.table("PorMasterDetail")
        rows = [table.row(position) for position in range(len(table))]
        totals["USD"] = sum((rounded(row["MOrderQty"] * row["MPrice"]) for row in rows), D(0))
    return totals


@pytest.mark.parametrize("reader", ["odata", "comfnd"])
@pytest.mark.parametrize("entity", ENTITIES)
def test_every_entity_as_in_the_books(
    server: SysproServer, books: Books, tmp_path: Path, entity: str, reader: str
) -> None:
    mapping = project(entity)
    with SysproClient(settings_for(server, reader=reader, page_size=17)) as client:
        found = read_documents(client, mapping, ALL, tmp_path, local_currency="USD")
    records = staged(tmp_path, found.part_names)
    table = books.table(mapping.source.entity_set)
    assert len(records) == found.records == len(table)
    assert found.money == expected_money(books, entity)
    for position in range(0, len(table), 7):
        row = table.row(position)
        shared = set(row) & set(mapping.source.fields)
        assert {name: records[position][name] for name in shared} == {name: row[name] or None for name in shared}
    if entity == "purchase_orders":
        assert {len(record["PorMasterDetail"]) for record in records} == {3}
        for record in records:
            raw = record["_raw"].decode()
            lines = json.loads(raw)["PorMasterDetail"] if reader == "odata" else ElementTree.fromstring(raw)[-1]
            assert len(lines) == 3
    if entity in ("invoices", "purchase_orders"):
        assert all(record["SupplierName"].startswith("Fournisseur Né") for record in records)


def test_a_window_is_asked_of_the_server(server: SysproServer, books: Books, tmp_path: Path) -> None:
    window = DocumentWindow(date(2026, 2, 1), date(2026, 5, 1))
    with SysproClient(settings_for(server, page_size=500)) as client:
        found = read_documents(client, project("invoices"), window, tmp_path)
    table = books.table("ApInvoice")
    inside = [row for row in map(table.row, range(len(table))) if "2026-02-01" <= row["InvoiceDate"] < "2026-05-01"]
    assert 0 < len(inside) == found.records < len(table)
    assert found.max_date == max(row["InvoiceDate"] for row in inside)
