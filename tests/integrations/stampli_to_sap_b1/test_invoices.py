"""Invoices: checks, coding, journal entries."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.integrations.stampli_to_sap_b1.records import (
    MAPPINGS,
    REFERENCES,
    accounting,
    amounts,
    codes,
    entry,
    invoice,
    line,
    with_problem,
)
from tieout.integrations.stampli_to_sap_b1.accounting import Accounting
from tieout.integrations.stampli_to_sap_b1.drafts import Hold, to_json
from tieout.mapping.encryption import encrypt_file
from tieout.systems.stampli.records import SourceRecord

D = Decimal
Folder = Callable[..., Path]


@pytest.fixture(scope="module")
def books() -> Accounting:
    return accounting()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A copy of the project's mapping files with some of them replaced."""

    def make(**files: str) -> Path:
        copy = tmp_path / "mappings"
        if not copy.exists():
            shutil.copytree(MAPPINGS, copy)
        for name, text in files.items():
            (copy / f"{name}.yaml").write_text(text)
        return copy

    return make


def cross_reference(name: str, **more: Any) -> str:
    return json.dumps({"cross_reference": name, **more})


def test_an_invoice_as_a_journal_entry(books: Accounting) -> None:
    row = line(cost_center="CC1", project="P1", line_description="Paper\nA4; white")
    draft = entry(books.draft(invoice([row], tax_amount=D("21")), REFERENCES))
    common = {"Reference1": "INV-7", "Reference2": "S-1"}
    memo = "Müller & Söhne INV-7"
    assert draft.body == {
        "ReferenceDate": "2026-11-10",
        "DueDate": "2026-12-03",
        "TaxDate": "2026-11-03",
        "Memo": memo,
        "Reference": "INV-7",
        "Reference2": "S-1",
        "AutoVAT": "tNO",
        "JournalEntryLines": [
            {
                "AccountCode": "600000",
                "LineMemo": "Paper A4; white",
                **common,
                "CostingCode": "CC1",
                "ProjectCode": "P1",
                "TaxGroup": "I1",
                "Debit": D("100.00"),
            },
            {
                "AccountCode": "411000",
                "LineMemo": memo,
                **common,
                "TaxGroup": "I1",
                "VatLine": "tYES",
                "Debit": D("21.00"),
                "BaseSum": D("100.00"),
            },
            {"ShortName": "V1", "LineMemo": memo, **common, "DueDate": "2026-12-03", "Credit": D("121.00")},
        ],
    }
    assert (draft.partner, draft.number, draft.identity) == ("V1", "INV-7", "V1|INV-7|INVOICE")
    assert (draft.currency, draft.amount, draft.void, draft.approved) == ("EUR", D("121"), False, True)


def test_amounts_leave_as_numbers_with_their_digits(books: Accounting) -> None:
    row = line("1234567890123.45", tax_code=None)
    body = entry(books.draft(invoice([row]), REFERENCES)).body
    assert body is not None
    text = to_json(body).decode()
    assert '"Debit":1234567890123.45' in text
    assert '"Credit":1234567890123.45' in text


CHECKS: list[tuple[str, SourceRecord, list[str], str]] = [
    ("reader's problem", with_problem(invoice()), ["HEADER_MISMATCH"], "They differ."),
    ("sum", invoice(total_amount=D("121.02")), ["LINE_SUM_MISMATCH"], "121.00, but the total is 121.02 EUR"),
    ("subtotal", invoice(subtotal=D("90")), ["LINE_SUM_MISMATCH"], "lines add up to 100.00, but the subtotal is 90.00"),
    ("currency", invoice(currency="XQX"), ["UNKNOWN_CURRENCY"], "'XQX'"),
    ("no currency", invoice(currency=None), ["MISSING_VALUE"], "the currency is missing"),
    ("decimals", invoice([line("100.123", tax_code=None)]), ["AMOUNT_PRECISION"], "`total_amount` is 100.123"),
    ("yen", invoice([line("1.5")], currency="JPY", total_amount=D(1)), ["AMOUNT_PRECISION"], "JPY has 0"),
    ("no date", invoice(invoice_date=None), ["MISSING_VALUE"], "`invoice_date` is empty"),
    ("no vendor", invoice(vendor_id=None), ["MISSING_VENDOR"], "names no vendor"),
    ("no lines", invoice([], total_amount=D(5)), ["NO_LINES"], "no lines"),
    ("no number", invoice(invoice_number=None), ["MISSING_VALUE"], "`invoice_number`"),
    ("no line amount", invoice([line(), line(line_amount=None)]), ["MISSING_VALUE"], "line 2: `line_amount` is empty"),
    ("type", invoice(invoice_type="DEBIT"), ["UNKNOWN_INVOICE_TYPE"], "'DEBIT'"),
    ("long vendor", invoice(vendor_id="V" * 16), ["CARD_CODE_INVALID"], "15"),
    ("customer", invoice(vendor_id="C1"), ["WRONG_PARTNER_TYPE"], "C1"),
    ("no account", invoice([line(gl_account=None)]), ["MISSING_ACCOUNT"], "no G/L account"),
    ("account", invoice([line(), line(gl_account="1"), line(gl_account="1")]), ["UNKNOWN_ACCOUNT"], "lines 2, 3: SAP"),
    ("title", invoice([line(gl_account="6")]), ["INACTIVE_ACCOUNT"], "G/L account 6"),
    ("on hold", invoice([line(gl_account="699000")]), ["INACTIVE_ACCOUNT"], "on 2026-11-10"),
    ("cost centre", invoice([line(cost_center="X")]), ["UNKNOWN_COST_CENTRE"], "cost centre X"),
    ("dimension", invoice([line(cost_center="DEP")]), ["UNKNOWN_COST_CENTRE"], "in dimension 1, but in 2"),
    ("old cost centre", invoice([line(cost_center="CC9")]), ["INACTIVE_COST_CENTRE"], "CC9"),
    ("project", invoice([line(project="X")]), ["UNKNOWN_PROJECT"], "project X"),
    ("expired", invoice([line(project="OLD")]), ["INACTIVE_PROJECT"], "2026-11-10"),
    ("not begun", invoice([line(project="NEW")]), ["INACTIVE_PROJECT"], "2026-11-10"),
    ("inactive project", invoice([line(project="OFF")]), ["INACTIVE_PROJECT"], "OFF"),
    ("tax code", invoice([line(tax_code="ZZ")], tax_amount=D(1)), ["UNKNOWN_TAX_CODE", "TAX_CODE_MISSING"], "ZZ"),
    ("inactive tax", invoice([line(tax_code="IX")]), ["UNKNOWN_TAX_CODE"], "inactive"),
    ("no tax code", invoice([line(tax_code=None)], tax_amount=D(21)), ["TAX_CODE_MISSING"], "21.00 EUR of tax"),
    ("no tax account", invoice([line(tax_code="NOACC")], tax_amount=D(21)), ["TAX_ACCOUNT_UNKNOWN"], "NOACC"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "expected", "words"), [case[1:] for case in CHECKS], ids=[case[0] for case in CHECKS]
)
def test_held(books: Accounting, record: SourceRecord, expected: list[str], words: str) -> None:
    draft = books.draft(record, REFERENCES)
    assert codes(draft) == expected
    assert isinstance(draft, Hold)
    assert any(words in reason.message for reason in draft.reasons), draft.reasons
    assert all(reason.message.endswith(".") and reason.fix_hint.endswith(".") for reason in draft.reasons)


def test_every_problem_is_told_at_once(books: Accounting) -> None:
    rows = [line(gl_account="1", cost_center="X"), line(project="OFF"), line(tax_code="ZZ")]
    draft = books.draft(invoice(rows, total_amount=D(999), vendor_id=None, currency="EUR"), REFERENCES)
    expected = ["MISSING_VENDOR", "LINE_SUM_MISMATCH", "UNKNOWN_COST_CENTRE", "UNKNOWN_ACCOUNT", "INACTIVE_PROJECT"]
    assert codes(draft) == [*expected, "UNKNOWN_TAX_CODE"]


def test_an_account_may_be_on_hold_for_a_while_only(books: Accounting) -> None:
    record = invoice([line(gl_account="698000")])
    assert entry(books.draft(record, REFERENCES)).body
    spring = replace(record, header={**record.header, "posting_date": "2026-03-31"})
    assert codes(books.draft(spring, REFERENCES)) == ["INACTIVE_ACCOUNT"]


@pytest.mark.parametrize("code", ["_SYS0001", "7000001", "70-000-01", "EXT-1"])
def test_accounts_are_known_by_key_format_code_or_external_code(books: Accounting, code: str) -> None:
    draft = entry(books.draft(invoice([line(gl_account=code)]), REFERENCES))
    assert amounts(draft, "Debit") == [("_SYS0001", D("100.00"))]


def test_a_rate_that_sap_lacks(books: Accounting) -> None:
    references = replace(REFERENCES, rates_missing=("USD 2026-11-10",))
    draft = books.draft(invoice(currency="USD"), references)
    assert codes(draft) == ["EXCHANGE_RATE_MISSING"]


@pytest.mark.parametrize("configured", ["C1", None])
def test_company(configured: str | None) -> None:
    assert entry(accounting(company_id=configured).draft(invoice(), REFERENCES))


def test_wrong_company() -> None:
    draft = accounting(company_id="C2").draft(invoice(), REFERENCES)
    assert codes(draft) == ["WRONG_COMPANY"]


# -- statuses ---------------------------------------------------------------------------------------------------------


def test_void_needs_no_more_than_the_record_it_takes_back(books: Accounting) -> None:
    draft = entry(books.draft(invoice([line(gl_account="gone")], status="void", tax_amount=D(21)), REFERENCES))
    assert (draft.void, draft.body, draft.identity, draft.amount) == (True, None, "V1|INV-7|INVOICE", D("121.00"))


@pytest.mark.parametrize("status", ["EXPORTED", "PAID", "IN_REVIEW", None])
def test_other_statuses_are_not_approved(books: Accounting, status: str | None) -> None:
    draft = entry(books.draft(invoice(status=status), REFERENCES))
    assert (draft.approved, draft.void) == (False, False)
    assert draft.fingerprint == entry(books.draft(invoice(), REFERENCES)).fingerprint


def test_what_may_not_be_posted_needs_no_coding(books: Accounting) -> None:
    draft = entry(books.draft(invoice([line(gl_account="gone")], status="PAID"), REFERENCES))
    assert (draft.approved, draft.body, draft.identity) == (False, None, "V1|INV-7|INVOICE")


# -- credits, signs, zeros ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1], ids=["positive amounts", "negative amounts"])
def test_a_credit_is_the_invoice_the_other_way_round(books: Accounting, sign: int) -> None:
    rows = [line(str(sign * D(100))), line(str(sign * D(-10)), gl_account="610000")]
    credit = entry(books.draft(invoice(rows, tax_amount=sign * D("18.90"), invoice_type="CREDIT"), REFERENCES))
    assert amounts(credit, "Debit") == [("610000", D("10.00")), ("V1", D("108.90"))]
    assert amounts(credit, "Credit") == [("600000", D("100.00")), ("411000", D("18.90"))]
    assert (credit.identity, credit.amount) == ("V1|INV-7|CREDIT", sign * D("108.90"))


def test_a_discount_goes_to_the_other_side(books: Accounting) -> None:
    rows = [line(tax_code=None), line("-30", gl_account="610000", tax_code=None), line("0", tax_code=None)]
    draft = entry(books.draft(invoice(rows), REFERENCES))
    assert amounts(draft, "Debit") == [("600000", D("100.00"))]
    assert amounts(draft, "Credit") == [("610000", D("30.00")), ("V1", D("70.00"))]


def test_zero_lines_stay_where_there_are_no_others(books: Accounting) -> None:
    draft = entry(books.draft(invoice([line("0")]), REFERENCES))
    assert amounts(draft, "Debit") == [("600000", D("0.00"))]
    assert amounts(draft, "Credit") == [("V1", D("0.00"))]


# -- tax --------------------------------------------------------------------------------------------------------------


def test_tax_by_code_the_rest_to_the_greatest(books: Accounting) -> None:
    rows = [line("33.33"), line("10.01", tax_code="I2"), line("50", tax_code="I0"), line("7", tax_code=None)]
    draft = entry(books.draft(invoice(rows, tax_amount=D("7.62")), REFERENCES))
    assert draft.body is not None
    taxes = {row["TaxGroup"]: row for row in draft.body["JournalEntryLines"] if row.get("VatLine") == "tYES"}
    # 33.33 x 21 % = 7.00, 10.01 x 6 % = 0.60; two cents are left over.
    assert {code: row["Debit"] for code, row in taxes.items()} == {"I1": D("7.02"), "I2": D("0.60")}
    assert {code: row["BaseSum"] for code, row in taxes.items()} == {"I1": D("33.33"), "I2": D("10.01")}
    assert {code: row["AccountCode"] for code, row in taxes.items()} == {"I1": "411000", "I2": "411001"}


def test_the_rate_is_that_of_the_invoice_date(books: Accounting) -> None:
    rows = [line("1000", tax_code="I2"), line("1000")]
    then = invoice(rows, tax_amount=D("260"), invoice_date="2019-12-31")
    assert dict(amounts(entry(books.draft(then, REFERENCES)), "Debit"))["411001"] == D("50.00")


def test_without_rates_tax_follows_its_base(books: Accounting) -> None:
    bare = {code: replace(known, rates=()) for code, known in (REFERENCES.tax_codes or {}).items()}
    rows = [line("300"), line("100", tax_code="I2")]
    draft = entry(books.draft(invoice(rows, tax_amount=D("40")), replace(REFERENCES, tax_codes=bare)))
    assert amounts(draft, "Debit")[2:] == [("411000", D("30.00")), ("411001", D("10.00"))]


def test_sales_tax(folder: Folder) -> None:
    references = replace(REFERENCES, tax_property="TaxCode")
    entries = {"MA": {"code": "NOACC", "account": "411001"}}
    books = accounting(folder(tax_codes=cross_reference("tax_codes", entries=entries)))
    draft = entry(books.draft(invoice([line(tax_code="MA")], tax_amount=D(21)), references))
    assert draft.body is not None
    assert [row.get("TaxCode") for row in draft.body["JournalEntryLines"]] == ["NOACC", "NOACC", None]
    assert amounts(draft, "Debit")[1] == ("411001", D("21.00"))


# -- rounding and foreign currency ------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", ["0.01", "-0.01"])
def test_a_cent_goes_to_the_greatest_line(books: Accounting, off: str) -> None:
    rows = [line("10", tax_code=None), line("90", gl_account="610000", tax_code=None)]
    draft = entry(books.draft(invoice(rows, total_amount=D(100) + D(off)), REFERENCES))
    assert amounts(draft, "Debit") == [("600000", D("10.00")), ("610000", D(90) + D(off))]
    assert amounts(draft, "Credit") == [("V1", D(100) + D(off))]


def test_a_cent_goes_to_the_rounding_account(folder: Folder) -> None:
    rules = (MAPPINGS / "journal_entries.yaml").read_text()
    wanted = rules.replace("to: largest_line}", 'to: account, account: "658000"}')
    books = accounting(folder(journal_entries=wanted))
    rows = [line("10", tax_code=None)]
    more = entry(books.draft(invoice(rows, total_amount=D("10.01")), REFERENCES))
    assert amounts(more, "Debit") == [("600000", D("10.00")), ("658000", D("0.01"))]
    less = entry(books.draft(invoice(rows, total_amount=D("9.99")), REFERENCES))
    assert amounts(less, "Debit") == [("600000", D("10.00"))]
    assert amounts(less, "Credit") == [("658000", D("0.01")), ("V1", D("9.99"))]
    other = accounting(folder(journal_entries=wanted.replace("658000", "1")))
    assert codes(other.draft(invoice(rows, total_amount=D("10.01")), REFERENCES)) == ["UNKNOWN_ACCOUNT"]


def test_foreign_currency_with_a_rate(books: Accounting) -> None:
    references = replace(REFERENCES, rates={"USD 2026-11-10": D("0.9137")})
    rows = [line("33.33"), line("66.67", gl_account="610000"), line("-0.01", tax_code=None)]
    draft = entry(books.draft(invoice(rows, tax_amount=D("21"), currency="USD"), references))
    assert draft.body is not None
    assert {row["FCCurrency"] for row in draft.body["JournalEntryLines"]} == {"USD"}
    assert amounts(draft, "FCDebit") == [("600000", D("33.33")), ("610000", D("66.67")), ("411000", D("21.00"))]
    assert amounts(draft, "FCCredit") == [("600000", D("0.01")), ("V1", D("120.99"))]
    # 120.99 x 0.9137 = 110.55; 30.45 + 60.92 + 19.19 - 0.01 = 110.55
    assert amounts(draft, "Debit") == [("600000", D("30.45")), ("610000", D("60.92")), ("411000", D("19.19"))]
    assert amounts(draft, "Credit") == [("600000", D("0.01")), ("V1", D("110.55"))]
    assert [row["BaseSum"] for row in draft.body["JournalEntryLines"] if "BaseSum" in row] == [D("91.37")]


def test_foreign_currency_without_a_rate_is_left_to_sap(books: Accounting) -> None:
    draft = entry(books.draft(invoice(currency="USD"), REFERENCES))
    assert amounts(draft, "FCDebit") == [("600000", D("100.00")), ("411000", D("21.00"))]
    assert amounts(draft, "Debit") == amounts(draft, "Credit") == []
    assert draft.body is not None
    assert "BaseSum" not in draft.body["JournalEntryLines"][1]


# -- fingerprints -----------------------------------------------------------------------------------------------------


def test_fingerprints(books: Accounting) -> None:
    def fingerprint(record: SourceRecord, **references: Any) -> str:
        return entry(books.draft(record, replace(REFERENCES, **references))).fingerprint

    same = fingerprint(invoice())
    assert same == fingerprint(invoice([line("100")], tax_amount=D("21.0")))
    different = [
        invoice(total_amount=D("121.01")),
        invoice(status="VOID"),
        invoice(due_date="2026-12-04"),
        invoice([line(gl_account="610000")], tax_amount=D("21")),
        invoice([line(line_description="other")], tax_amount=D("21")),
    ]
    assert len({same, *map(fingerprint, different)}) == 1 + len(different)
    dollars = invoice(currency="USD")
    rates = [{"USD 2026-11-10": D("0.9")}, {"USD 2026-11-10": D("0.8")}, {}]
    assert len({fingerprint(dollars, rates=each) for each in rates}) == 1


# -- cross-references -------------------------------------------------------------------------------------------------


def test_cross_references(folder: Folder) -> None:
    books = accounting(
        folder(
            accounts=cross_reference("accounts", entries={"6000": "7000001"}, when_empty="610000"),
            cost_centres=cross_reference("cost_centres", entries={"Sales": "CC1"}, when_empty="ANY"),
            projects=cross_reference("projects", entries={"Apollo": "P1"}),
            tax_codes=cross_reference("tax_codes", entries={"21%": "I1"}, when_empty="I2"),
            vendor_codes=cross_reference("vendor_codes", entries={"STV-1": "V1"}),
        )
    )
    rows = [
        line(gl_account=" 6000 ", cost_center="Sales", project="Apollo", tax_code="21%"),
        line(gl_account=None, tax_code=""),
    ]
    draft = entry(books.draft(invoice(rows, vendor_id="STV-1", vendor_erp_id="C1", tax_amount=D("27")), REFERENCES))
    assert draft.partner == "V1"
    assert draft.body is not None
    first, second, *_ = draft.body["JournalEntryLines"]
    assert (first["AccountCode"], first["CostingCode"], first["ProjectCode"], first["TaxGroup"]) == (
        "_SYS0001", "CC1", "P1", "I1"
    )  # fmt: skip
    assert (second["AccountCode"], second["CostingCode"], second["TaxGroup"]) == ("610000", "ANY", "I2")


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("accounts", invoice()),
        ("cost_centres", invoice([line(cost_center="CC1")])),
        ("projects", invoice([line(project="P1")])),
        ("tax_codes", invoice([line()])),
        ("vendor_codes", invoice()),
    ],
)
def test_a_missing_entry_is_the_data_engineers(folder: Folder, name: str, record: SourceRecord) -> None:
    books = accounting(folder(**{name: cross_reference(name, otherwise="hold")}))
    draft = books.draft(record, REFERENCES)
    assert codes(draft) == ["MAPPING_MISSING"]
    assert isinstance(draft, Hold)
    assert draft.reasons[0].owner == "data engineer"
    assert f"{name}.yaml" in draft.reasons[0].fix_hint


def test_more_dimensions(folder: Folder) -> None:
    rules = (MAPPINGS / "journal_entries.yaml").read_text()
    more = "    CostingCode2: {from: department, cross_reference: departments}\n  # Lines and tax"
    copy = folder(
        journal_entries=rules.replace("  # Lines and tax", more),
        departments=cross_reference("departments", entries={"IT": "DEP"}),
    )
    draft = entry(accounting(copy).draft(invoice([line(department="IT", cost_center="CC1")]), REFERENCES))
    assert draft.body is not None
    assert {name: draft.body["JournalEntryLines"][0][name] for name in ("CostingCode", "CostingCode2")} == {
        "CostingCode": "CC1", "CostingCode2": "DEP"
    }  # fmt: skip
    assert codes(accounting(copy).draft(invoice([line(department="CC1")]), REFERENCES)) == ["UNKNOWN_COST_CENTRE"]


def test_encrypted_cross_references_are_not_told(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", Fernet.generate_key().decode())
    copy = folder(
        accounts=cross_reference("accounts", entries={"6000": "SECRET-1"}),
        tax_codes=cross_reference("tax_codes", entries={"T": {"code": "I1", "account": "SECRET-2"}}),
    )
    for name in ("accounts", "tax_codes"):
        encrypt_file(copy / f"{name}.yaml")
        (copy / f"{name}.yaml").unlink()
    books = accounting(copy)
    held = [
        books.draft(invoice([line(gl_account="6000", tax_code=None)]), REFERENCES),
        books.draft(invoice([line(tax_code="T")], tax_amount=D(21)), REFERENCES),
    ]
    assert [codes(draft) for draft in held] == [["UNKNOWN_ACCOUNT"], ["UNKNOWN_ACCOUNT"]]
    assert "SECRET" not in repr(held)
    assert "SECRET" not in repr(books.cross_references)


def test_the_version_follows_the_content(folder: Folder) -> None:
    version = accounting().version
    assert accounting(folder(accounts="# a comment\n" + (MAPPINGS / "accounts.yaml").read_text())).version == version
    assert accounting(folder(accounts=cross_reference("accounts", entries={"1": "2"}))).version != version
    assert accounting(folder(accounts=(MAPPINGS / "accounts.yaml").read_text())).version == version


@pytest.mark.parametrize(
    ("description", "memo"),
    [("x" * 60, "x" * 50), ("🎁" * 40, "🎁" * 25), ("a" * 49 + "🎁", "a" * 49), ("\t \n", "Müller & Söhne INV-7")],
    ids=["long", "two units each", "never half a character", "blank"],
)
def test_memos_fit(books: Accounting, description: str, memo: str) -> None:
    draft = entry(books.draft(invoice([line(line_description=description)]), REFERENCES))
    assert draft.body is not None
    assert draft.body["JournalEntryLines"][0]["LineMemo"] == memo


def test_dates_that_are_not_given(books: Accounting) -> None:
    draft = entry(books.draft(invoice(posting_date=None, due_date=None), REFERENCES))
    assert draft.body is not None
    assert [draft.body[name] for name in ("ReferenceDate", "DueDate", "TaxDate")] == ["2026-11-03"] * 3
