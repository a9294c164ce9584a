"""The generated books add up, always; and what people do to them keeps it so."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.sap_b1 import DEFECTS, Company, Sizes, generate_company
from sandbox.sap_b1.company import amount
from sandbox.sap_b1.money import rounded
from sandbox.sap_b1.scenario import second_day
from sandbox.sap_b1.schema import ENTITY_SETS

Row = dict[str, Any]
FEW = Sizes(customers=15, suppliers=3, leads=2, items=8, invoices=40, credit_notes=6, warehouses=2)


def money(value: float | None, currency: str) -> Decimal:
    """A JSON double at its currency's precision."""
    return rounded(amount(value), currency)


def check_document(row: Row, local: str) -> None:
    """Lines - discount + freight + rounding + tax = total, in both currencies."""
    own = row["DocCurrency"]
    sides = [("LineTotal", "TotalDiscount", "LineTotal", "RoundingDiffAmount", "VatSum", "DocTotal", local)]
    if own != local:
        fc = ("RowTotalFC", "TotalDiscountFC", "LineTotalFC", "RoundingDiffAmountFC", "VatSumFc", "DocTotalFc", own)
        sides.append(fc)
    else:
        assert row["DocTotalFc"] == row["VatSumFc"] == row["PaidToDateFC"] == 0
    for line, discount, freight, rounding, tax, total, currency in sides:
        lines = sum(money(entry[line], currency) for entry in row["DocumentLines"])
        freights = sum(money(entry[freight], currency) for entry in row["DocumentAdditionalExpenses"])
        rest = -money(row[discount], currency) + money(row[rounding], currency) + money(row[tax], currency)
        assert lines + freights + rest == money(row[total], currency), (row["DocEntry"], currency)
    taxes = sum(money(entry["TaxTotal"], local) for entry in row["DocumentLines"])
    taxes += sum(money(entry["TaxSum"], local) for entry in row["DocumentAdditionalExpenses"])
    assert taxes == money(row["VatSum"], local)


def check_books(company: Company, *, without: frozenset[int] = frozenset()) -> None:
    """Documents add up, payments match what invoices say was paid, cancellations have their mirrors."""
    local = company.local_currency
    partners = {row["CardCode"]: row for row in company.rows("BusinessPartners")}
    invoices = {row["DocEntry"]: row for row in company.rows("Invoices") if row["DocEntry"] not in without}
    for row in [*invoices.values(), *company.rows("CreditNotes")]:
        check_document(row, local)
        assert row["CardCode"] in partners
    paid: dict[int, Decimal] = defaultdict(Decimal)
    paid_foreign: dict[int, Decimal] = defaultdict(Decimal)
    for payment in company.rows("IncomingPayments"):
        currency = payment["DocCurrency"]
        means = money(payment["CashSumFC"] if currency != local else payment["CashSum"], currency)
        means += money(payment["TransferSum"], currency) + money(payment["BillOfExchangeAmount"], currency)
        means += sum(money(check["CheckSum"], currency) for check in payment["PaymentChecks"])
        means += sum(money(card["CreditSum"], currency) for card in payment["PaymentCreditCards"])
        parts = sum(
            (
                money(part["AppliedFC"] if currency != local else part["SumApplied"], currency)
                for part in payment["PaymentInvoices"]
            ),
            Decimal(0),
        )
        assert 0 < means >= parts
        for part in payment["PaymentInvoices"]:
            if part["InvoiceType"] == "it_Invoice":
                invoice = invoices[part["DocEntry"]]
                assert (invoice["CardCode"], invoice["DocCurrency"]) == (payment["CardCode"], currency)
                if payment["Cancelled"] == "tNO":
                    paid[part["DocEntry"]] += money(part["SumApplied"], local)
                    paid_foreign[part["DocEntry"]] += amount(part["AppliedFC"])
    mirrored = {
        row["DocumentLines"][0]["BaseEntry"] for row in invoices.values() if row["CancelStatus"] == "csCancellation"
    }
    for entry, row in invoices.items():
        if row["CancelStatus"] == "csNo":
            assert money(row["PaidToDate"], local) == paid[entry]
            assert amount(row["PaidToDateFC"]) == paid_foreign[entry]
            settled = money(row["PaidToDate"], local) == money(row["DocTotal"], local)
            assert (row["DocumentStatus"] == "bost_Close") == settled
        assert (row["Cancelled"] == "tYES") == (row["CancelStatus"] == "csYes") == (entry in mirrored)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), country=st.sampled_from(["EU", "US"]))
def test_books_add_up_to_the_cent(seed: int, country: str) -> None:
    company = generate_company(seed, FEW, country=country)
    check_books(company)
    second_day(company)
    check_books(company)


def test_same_seed_same_books() -> None:
    first, second, other = (generate_company(seed, FEW) for seed in (3, 3, 4))
    for entity_set in ENTITY_SETS:
        assert first.rows(entity_set) == second.rows(entity_set)
    assert first.rows("Invoices") != other.rows("Invoices")


def test_records_have_exactly_the_properties_of_their_entity() -> None:
    company = generate_company(1, FEW)
    for name, entity in ENTITY_SETS.items():
        for row in company.rows(name):
            assert row.keys() == {*entity.properties, *entity.collections}
            for collection, members in entity.collections.items():
                for member in row[collection]:
                    assert member.keys() <= members.keys(), (name, collection)


def test_the_data_is_as_ugly_as_real_data() -> None:
    company = generate_company(1, "small")
    invoices, partners = company.rows("Invoices"), company.rows("BusinessPartners")
    assert {"EUR", "USD", "JPY", "KWD"} <= {row["DocCurrency"] for row in invoices}
    assert any(len(str(row["DocTotal"])) > 14 for row in invoices), "a double with noise"
    assert any(row["UpdateDate"] is None for row in invoices)
    text = "".join(str(row) for row in [*invoices, *partners])
    for sample in ("é", "ß", "日本", "🎉", '"', "\\n", "'=", "'0042'", "##"):
        assert sample in text, sample
    methods = company.rows("IncomingPayments")
    assert {row["Cancelled"] for row in methods} == {"tYES", "tNO"}
    assert {row["DocType"] for row in methods} == {"rCustomer", "rSupplier", "rAccount"}
    assert any(len(row["PaymentInvoices"]) > 1 for row in methods)
    assert any(row["CashSum"] and row["TransferSum"] for row in methods)
    assert any(row["PaymentChecks"] for row in methods) and any(row["PaymentCreditCards"] for row in methods)
    items = company.rows("Items")
    assert len(str(items[0])) > 25_000


def test_countries_differ_in_their_tax_tables() -> None:
    counts = {country: generate_company(1, FEW, country=country).counts() for country in ("EU", "US")}
    assert counts["EU"]["SalesTaxCodes"] == counts["US"]["VatGroups"] == 0
    assert counts["EU"]["VatGroups"] > 0 < counts["US"]["SalesTaxCodes"]


def test_planted_defects_are_the_only_ones() -> None:
    company = generate_company(1, FEW, planted=DEFECTS)
    (no_card,), (mismatch,), (currency,) = (
        company.planted[kind] for kind in ("missing_card_code", "line_sum_mismatch", "unknown_currency")
    )
    assert company.get("Invoices", no_card)["CardCode"] is None
    with pytest.raises(AssertionError):
        check_document(company.get("Invoices", mismatch), company.local_currency)
    assert company.get("Invoices", currency)["DocCurrency"] == "XQX"
    held = company.get("Invoices", company.planted["held_invoice_pdf"][0])
    assert company.attachment(held["AttachmentEntry"])[1].startswith(b"%PDF-")
    check_books(company, without=frozenset({no_card, mismatch, currency}))


def test_every_pdf_is_one() -> None:
    company = generate_company(2, FEW)
    entries = company.rows("Attachments2")
    assert entries
    for row in entries:
        for line in row["Attachments2_Lines"]:
            name = f"{line['FileName']}.{line['FileExtension']}"
            found, content = company.attachment(row["AbsoluteEntry"], name)
            assert found == name
            assert content.startswith(b"\x89PNG" if name.endswith("png") else b"%PDF-1.4")


def test_update_stamps_the_change(company: Company) -> None:
    changed = company.update("BusinessPartners", "C00001", {"CardName": "New"})
    assert (changed["UpdateDate"], changed["UpdateTime"]) == ("2026-03-02", "09:30:15")
    back = company.update("BusinessPartners", "C00001", {}, updated_at=datetime(2020, 2, 29, 8, 0))
    assert (back["UpdateDate"], back["UpdateTime"], back["DataVersion"]) == ("2020-02-29", "08:00:00", 3)
    quiet = company.update("BusinessPartners", "C00001", {"CardName": "Quiet"}, touch=False)
    assert (quiet["UpdateDate"], quiet["DataVersion"]) == ("2020-02-29", 3)


def test_changes_are_stamped_in_the_company_time_zone(clock: Any) -> None:
    company = generate_company(1, FEW, clock=clock, time_zone="Pacific/Auckland")
    clock.advance(3600 * 6)
    changed = company.update("BusinessPartners", "C00001", {})
    assert (changed["UpdateDate"], changed["UpdateTime"]) == ("2026-03-03", "04:30:15")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.insert("BusinessPartners", {"CardName": "x"}), "CardCode is missing"),
        (lambda c: c.insert("BusinessPartners", {"CardCode": "C00001"}), "already there"),
        (lambda c: c.update("Invoices", 1, {"NoSuch": 1}), "Invoices has no property NoSuch"),
        (lambda c: c.update("Invoices", 1, {"DocEntry": 2}), "key itself cannot be changed"),
        (lambda c: c.add_payment("C00001", [(1, Decimal(10**9))]), "cannot be applied"),
    ],
)
def test_mistakes_are_told(company: Company, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(company)


def test_records_handed_out_are_copies(company: Company) -> None:
    company.get("Invoices", 1)["DocumentLines"][0]["LineTotal"] = -1
    assert company.get("Invoices", 1)["DocumentLines"][0]["LineTotal"] != -1


def test_second_day_does_what_it_says(company: Company) -> None:
    before = company.counts()
    done = second_day(company)
    after = company.counts()
    assert after["Invoices"] - before["Invoices"] == len(done["invoices_added"]) + len(done["mirrors_added"]) == 4
    for entry in [
        *done["invoices_added"],
        *done["invoices_updated"],
        *done["invoices_paid"],
        *done["invoices_reopened"],
    ]:
        assert company.get("Invoices", entry)["UpdateDate"] == "2026-03-02"
    assert company.get("Invoices", done["invoices_cancelled"][0])["Cancelled"] == "tYES"
    assert company.get("IncomingPayments", done["payments_cancelled"][0])["Cancelled"] == "tYES"
