"""Invoices and payments as the sandbox's Stampli makes them, against the books that it works out by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sandbox.sap_b1 import Company, Sizes, generate_company
from sandbox.sap_b1.data import AS_OF
from sandbox.stampli.books import Books
from sandbox.stampli.exports import StampliExports
from sandbox.stampli.model import Invoice, Payment
from sandbox.stampli.text_records import text_record
from sandbox.stampli.truth import differences
from tests.integrations.stampli_to_sap_b1.records import accounting, entry
from tieout.integrations.stampli_to_sap_b1.references import Account, CostCentre, Project, References, TaxCode
from tieout.systems.stampli.columns import RECORD_KINDS, Kind
from tieout.systems.stampli.records import SourceRecord

SIZES = Sizes(customers=4, suppliers=8, leads=1, items=1, invoices=1, credit_notes=1, warehouses=1)


@pytest.fixture(scope="module")
def company() -> Company:
    return generate_company(9, SIZES)


def references(company: Company) -> References:
    """The company's books, without a Service Layer in between."""
    taxes = {}
    for row in company.rows("VatGroups"):
        rates = sorted((line["Effectivefrom"], Decimal(str(line["Rate"]))) for line in row["VatGroups_Lines"])
        taxes[row["Code"]] = TaxCode(row["Code"], row["TaxAccount"], tuple(rates), row["Inactive"] != "tYES")
    return References(
        local_currency=company.local_currency,
        accounts=tuple(
            Account(row["Code"], row["FormatCode"], postable=row["ActiveAccount"] == "tYES")
            for row in company.rows("ChartOfAccounts")
        ),
        cost_centres={
            row["FactorCode"]: CostCentre(row["FactorCode"], row["InWhichDimension"])
            for row in company.rows("DistributionRules")
        },
        projects={row["Code"]: Project(row["Code"]) for row in company.rows("Projects")},
        tax_codes=taxes,
    )


def source_record(record: Invoice | Payment) -> SourceRecord:
    text = text_record(record)
    kinds = RECORD_KINDS[text.entity]
    lines = tuple(_values(row, kinds.lines) for row in text.lines)
    return SourceRecord(text.entity, text.key, text.key, b"", "", _values(text.header, kinds.header), lines, "", 0, 0)


def _values(row: Mapping[str, str], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    amounts = {name for name, kind in kinds.items() if kind is Kind.AMOUNT}
    return {
        name: None if not value else Decimal(value) if name in amounts else value
        for name, value in row.items()
        if name in kinds
    }


@pytest.mark.parametrize("seed", range(4))
def test_invoices_credits_and_payments(company: Company, seed: int) -> None:
    exports = StampliExports(Books.of(company, AS_OF), seed)
    books, known = accounting(), references(company)
    invoices = [exports.invoice() for _ in range(60)]
    invoices += [exports.invoice(credit=True, negative=negative) for negative in (True, False) for _ in range(10)]
    invoices += [exports.invoice(currency="EUR", off_by=Decimal(off)) for off in ("0.01", "-0.01")]
    records: list[Invoice | Payment] = [*invoices, *(exports.payment([each]) for each in invoices[:20])]
    codes = {each.vendor.vendor_id: each.vendor.card_code for each in invoices}
    found = []
    for record in records:
        draft = entry(books.draft(source_record(record), replace(known, card_codes=codes)))
        assert draft.body is not None
        found += differences(exports.entry(record), draft.body)
        assert draft.partner == record.vendor.card_code
    assert found == []
