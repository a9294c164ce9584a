"""The project's mappings over the simulated company's books, by way of the real page reader."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.sap_b1 import DEFECTS, Company, generate_company
from tests.mapping.support import project
from tieout.mapping.compiler import CompiledMapping, MappedBatch, compile_mapping
from tieout.mapping.frame import MapContext
from tieout.odata.pages import PageReader

ENTITIES = ["customers", "contacts", "invoices", "credit_notes", "payments", "taxes", "chart_of_accounts", "inventory"]


@pytest.fixture(scope="module", params=["EU", "US"])
def company(request: pytest.FixtureRequest) -> Company:
    return generate_company(7, "small", country=request.param, planted=DEFECTS)


def mapped(company: Company, entity: str) -> tuple[CompiledMapping, MappedBatch]:
    mapping = project(entity)
    rows = company.rows(mapping.source.entity_set)
    alternative = mapping.alternative()
    if not rows and alternative:
        mapping, rows = alternative, company.rows(alternative.source.entity_set)
    source = mapping.source
    reader = PageReader(mapping.record_schema(), entity=entity, key=source.key, record_path=source.record_path)
    page = reader.read(json.dumps({"value": rows}).encode())
    numbers = {str(row["DocEntry"]): str(row["DocNum"]) for row in company.rows("Invoices")}
    context = MapContext({"invoice_numbers": numbers}, {"local_currency": company.local_currency})
    compiled = compile_mapping(mapping, page.custom_fields)
    return compiled, compiled.map_batch(page.table, context)


@pytest.mark.parametrize("entity", ENTITIES)
def test_good_books_go_and_totals_agree(company: Company, entity: str, tmp_path: Path) -> None:
    compiled, batch = mapped(company, entity)
    path = tmp_path / f"{entity}.csv"
    path.write_bytes(compiled.header_line() + bytes(batch.csv_bytes()))
    totals = compiled.file_totals(path)
    ok = batch.ok()
    assert totals.records == ok.sum() > 0
    money: dict[str, Decimal] = defaultdict(Decimal)
    for currency, amount, good in zip(batch.currency.to_pylist(), batch.amount.to_pylist(), ok, strict=True):
        if good and currency is not None:
            money[currency] += amount
    assert totals.money == dict(money)
    held = Counter(reason.reason_code for reasons in batch.held.values() for reason in reasons)
    planted = {"MISSING_VALUE": 1, "LINE_SUM_MISMATCH": 1, "UNKNOWN_CURRENCY": 1}
    assert held == (planted if entity == "invoices" else {})


def test_money_is_the_companys(company: Company) -> None:
    _, batch = mapped(company, "invoices")
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for row in company.rows("Invoices"):
        expected[row["DocCurrency"]] += Decimal(str(row["DocTotalFc"] or row["DocTotal"])).quantize(Decimal("0.001"))
    found: dict[str, Decimal] = defaultdict(Decimal)
    for currency, amount in zip(batch.currency.to_pylist(), batch.amount.to_pylist(), strict=True):
        found[currency] += amount
    assert found == expected
