"""Stampli's records: they add up, and what they must become in the books is right."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from stampli_books import BOOKS

from sandbox.currencies import DECIMALS
from sandbox.sap_b1 import Company, generate_company
from sandbox.sap_b1.data import AS_OF
from sandbox.stampli.books import Books
from sandbox.stampli.exports import StampliExports
from sandbox.stampli.model import Invoice, InvoiceLine, Vendor
from sandbox.stampli.truth import ExpectedEntry, ExpectedLine, differences

DAY = date(2025, 6, 2)
VENDOR = Vendor("V00041", "V00041", "Nordlys", "EUR")


def line(number: int, amount: str, account: str = "600000", tax: str = "", centre: str = "") -> InvoiceLine:
    value = Decimal(amount)
    return InvoiceLine(number, "GL", account, Decimal(1), value, value, tax, centre)


def invoice(*lines: InvoiceLine, tax: str = "0", total: str, kind: str = "INVOICE") -> Invoice:
    return Invoice(
        "10000001", "C1", "RE-1", VENDOR, DAY, DAY, DAY, "EUR", lines, Decimal(tax), Decimal(total), kind=kind
    )  # fmt: skip


def lines_of(entry: ExpectedEntry) -> set[tuple[str, str, str, str, str]]:
    return {
        (posted.account, posted.partner, str(posted.debit), str(posted.credit), posted.cost_centre)
        for posted in entry.lines
    }


def test_truth_of_an_invoice_with_two_taxes_and_a_discount() -> None:
    made = invoice(
        line(1, "100.00", tax="I1", centre="CC-100"), line(2, "-10.00", tax="I1"), line(3, "50.00", "610000", "I2"),
        line(4, "0.00"), tax="21.90", total="161.90",
    )  # fmt: skip
    assert lines_of(StampliExports(BOOKS).entry(made)) == {
        ("600000", "", "100.00", "0", "CC-100"),
        ("600000", "", "0", "10.00", ""),
        ("_SYS00000610000", "", "50.00", "0", ""),
        ("411000", "", "18.90", "0", ""),
        ("411200", "", "3.00", "0", ""),
        ("", "V00041", "0", "161.90", ""),
    }


@pytest.mark.parametrize("sign", [1, -1], ids=["positive amounts", "negative amounts"])
def test_truth_of_a_credit(sign: int) -> None:
    made = invoice(line(1, str(sign * 100), tax="I1"), tax=str(sign * 21), total=str(sign * 121), kind="CREDIT")
    assert lines_of(StampliExports(BOOKS).entry(made)) == {
        ("600000", "", "0", "100", ""),
        ("411000", "", "0", "21.00", ""),
        ("", "V00041", "121", "0", ""),
    }


def test_truth_puts_a_cent_on_the_largest_line() -> None:
    made = invoice(line(1, "10.00"), line(2, "20.00", "618000"), total="30.01")
    assert lines_of(StampliExports(BOOKS).entry(made)) == {
        ("600000", "", "10.00", "0", ""),
        ("618000", "", "20.01", "0", ""),
        ("", "V00041", "0", "30.01", ""),
    }


def test_truth_of_a_payment() -> None:
    exports = StampliExports(BOOKS)
    paid = invoice(line(1, "10.00"), total="10.00")
    payment = exports.payment([paid, replace(paid, total=Decimal("5.50"))], method="CARD")
    assert lines_of(exports.entry(payment)) == {
        ("", "V00041", "15.50", "0", ""),
        ("580300", "", "0", "15.50", ""),
    }
    with pytest.raises(ValueError, match="one vendor in one currency"):
        exports.payment([paid, replace(paid, currency="USD")])


@pytest.mark.parametrize("seed", range(5))
def test_every_invoice_adds_up_and_every_entry_balances(seed: int) -> None:
    exports = StampliExports(BOOKS, seed)
    made = [exports.invoice(credit=n % 5 == 0, negative=n % 10 == 0) for n in range(150)]
    for number, record in enumerate(made):
        places = DECIMALS[record.currency]
        assert record.subtotal + record.tax == record.total
        assert (record.total > 0, record.total < 0) == (number % 10 != 0, number % 10 == 0)
        assert all(-part.amount.as_tuple().exponent <= places for part in record.lines)  # type: ignore[operator]
        assert record.vendor.currency in (record.currency, "##")
        assert record.posting_date <= AS_OF
        entry = exports.entry(record)
        assert sum(part.debit - part.credit for part in entry.lines) == 0
        assert all(part.debit >= 0 and part.credit >= 0 and part.debit != part.credit for part in entry.lines)
        needing_centre = [part for part in record.lines if part.gl_account == "617000"]
        assert all(part.cost_centre for part in needing_centre)
        assert all(part.project for part in record.lines if part.gl_account == "618000")
    assert {record.currency for record in made} == {"EUR", "USD", "JPY"}
    assert {len(record.lines) for record in made} >= {1, 2, 40}
    assert any(part.amount < 0 for record in made if record.kind == "INVOICE" for part in record.lines)


def test_same_seed_same_records_and_other_seeds_share_no_key() -> None:
    def keys(seed: int) -> tuple[set[str], set[tuple[str, str]]]:
        exports = StampliExports(BOOKS, seed)
        made = [exports.invoice() for _ in range(60)]
        return {record.invoice_id for record in made}, {(record.vendor.vendor_id, record.number) for record in made}

    first, second = keys(1), keys(11)
    assert len(first[0]) == len(first[1]) == 60
    assert keys(1) == first
    assert not first[0] & second[0]
    assert not first[1] & second[1]


def test_correction_is_another_amount_under_the_same_id() -> None:
    exports = StampliExports(BOOKS)
    for before in (exports.invoice(), exports.invoice(credit=True), exports.invoice(credit=True, negative=True)):
        after = exports.changed(before)
        assert (after.invoice_id, after.number) == (before.invoice_id, before.number)
        assert abs(after.total) > abs(before.total)
        assert after.subtotal + after.tax == after.total
        assert exports.voided(before) == replace(before, status="VOID")


def test_own_vendor_ids_come_with_their_cross_reference() -> None:
    exports = StampliExports(BOOKS, own_ids=True)
    vendor = exports.known_vendor(BOOKS.suppliers[0])
    assert (vendor.vendor_id, vendor.card_code) == ("ST-V00041", "V00041")
    assert exports.vendor_codes == {"ST-V00041": "V00041"}
    assert StampliExports(BOOKS).known_vendor(BOOKS.suppliers[0]).vendor_id == "V00041"


def posted(entry: ExpectedEntry, foreign: bool) -> dict[str, Any]:
    """The entry as SAP answers it: doubles with noise, the partner beside its control account."""

    def row(part: ExpectedLine) -> dict[str, Any]:
        debit, credit = float(part.debit), float(part.credit)
        amounts = {"Debit": math.nextafter(debit, math.inf), "Credit": credit, "FCCurrency": None}
        if foreign:
            amounts = {"Debit": debit * 7, "Credit": credit * 7, "FCCurrency": "USD", "FCDebit": debit}
            amounts["FCCredit"] = credit
        account = part.account or "440000"
        return {
            **amounts, "AccountCode": account, "ShortName": part.partner or account,
            "CostingCode": part.cost_centre or None, "ProjectCode": part.project or None,
        }  # fmt: skip

    return {
        "Reference": entry.reference, "Reference2": entry.reference2,
        "ReferenceDate": f"{entry.reference_date}T00:00:00Z", "DueDate": str(entry.due_date),
        "TaxDate": str(entry.tax_date), "JournalEntryLines": [row(part) for part in entry.lines],
    }  # fmt: skip


@pytest.mark.parametrize("foreign", [False, True])
def test_differences_between_truth_and_a_posted_entry(foreign: bool) -> None:
    exports = StampliExports(BOOKS)
    entry = exports.entry(exports.invoice(lines=5, currency="EUR"))
    sound = posted(entry, foreign)
    assert differences(entry, sound) == []
    lines = sound["JournalEntryLines"]
    prefix = "FC" if foreign else ""
    for spoilt in (
        {"Reference": "other"},
        {"TaxDate": "2020-01-01"},
        {"JournalEntryLines": lines[1:]},
        {"JournalEntryLines": [{**lines[0], "AccountCode": "999", "ShortName": "999"}, *lines[1:]]},
        {"JournalEntryLines": [{**lines[0], "CostingCode": "CC-999"}, *lines[1:]]},
        {"JournalEntryLines": [{**lines[0], f"{prefix}Debit": lines[0][f"{prefix}Debit"] + 0.01}, *lines[1:]]},
    ):
        assert differences(entry, {**sound, **spoilt}) != []


@pytest.fixture(scope="module")
def company() -> Company:
    return generate_company(3)


def test_books_of_a_company_hold_what_may_be_used(company: Company) -> None:
    books = Books.of(company, AS_OF)
    chart = {row["Code"]: row for row in company.rows("ChartOfAccounts")}
    assert books.accounts
    for account in books.accounts:
        row = chart[account.code]
        assert (row["AccountType"], row["ActiveAccount"], row["FrozenFor"]) == ("at_Expenses", "tYES", "tNO")
        assert row["LockManualTransaction"] == "tNO"
    assert {tax.code: tax.rate for tax in books.tax_codes} == {"I1": 21, "I2": 6}
    partners = {row["CardCode"]: row for row in company.rows("BusinessPartners")}
    assert books.suppliers
    assert {partners[supplier.code]["CardType"] for supplier in books.suppliers} == {"cSupplier"}
    assert {partners[supplier.code]["Frozen"] for supplier in books.suppliers} == {"tNO"}


def test_books_leave_out_a_frozen_supplier_and_a_closed_account() -> None:
    company = generate_company(3)
    before = Books.of(company, AS_OF)
    company.update("BusinessPartners", before.suppliers[0].code, {"Frozen": "tYES"})
    company.update("ChartOfAccounts", before.accounts[0].code, {"FrozenFor": "tYES"})
    company.update("VatGroups", "I1", {"Inactive": "tYES"})
    after = Books.of(company, AS_OF)
    assert after.suppliers == before.suppliers[1:]
    assert after.accounts == before.accounts[1:]
    assert after.tax_codes == before.tax_codes[1:]
    assert set(before.projects) == {"PRJ-100", "PRJ-200"}
    assert "CC-900" not in before.cost_centres
    assert "CC-100" in before.cost_centres


def test_books_take_segmented_accounts_by_their_format_code() -> None:
    books = Books.of(generate_company(3, country="US"), AS_OF)
    account = next(account for account in books.accounts if account.number == "600000")
    assert account.code == books.account_code("600000") == "_SYS00000600000"
    assert books.tax_codes == ()


def test_codes_of_ones_own_where_the_company_has_none() -> None:
    bare = Company()
    books = Books.of(bare, AS_OF, cost_centres=("X",), projects=("Y",), clearing={"ACH": "1"})
    assert (books.cost_centres, books.projects, books.clearing) == (("X",), ("Y",), {"ACH": "1"})
    assert books.suppliers == ()
