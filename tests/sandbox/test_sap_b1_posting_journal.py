"""Journal entries: what the simulated Service Layer takes, what it refuses, and what it makes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from posting_support import DAY, Body, entry, error_of, with_line
from sandbox_client import Client

from sandbox.sap_b1 import Company, Sizes, generate_company
from sandbox.sap_b1.company import amount


def foreign(*amounts: tuple[str, str], currency: str = "USD", supplier: str = "V10030") -> Body:
    """Debits on an expense account and one credit on the supplier, in foreign currency only."""
    total = sum(Decimal(text) for text, _ in amounts)
    lines = [{"AccountCode": code, "FCCurrency": currency, "FCDebit": text} for text, code in amounts]
    return entry(JournalEntryLines=[*lines, {"ShortName": supplier, "FCCurrency": currency, "FCCredit": str(total)}])


def post(client: Client, body: Body) -> dict[str, Any]:
    reply = client.request("POST", "JournalEntries", body=body)
    assert reply.status == 201, reply.data
    posted: dict[str, Any] = reply.json()
    return posted


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_posted_entry_comes_back_whole(client: Client, company: Company, version: str) -> None:
    reply = client.on(version).request("POST", "JournalEntries", body=entry())
    assert reply.status == 201
    body = reply.json()
    number = body["JdtNum"]
    assert reply.headers["Location"] == f"{client.url}/b1s/{version}/JournalEntries({number})"
    assert "ETag" not in reply.headers
    assert body["ReferenceDate"] == DAY + ("" if version == "v1" else "T00:00:00Z")
    assert [body[name] for name in ("Number", "Original", "OriginalJournal", "BaseReference", "Series")] == [
        number, number, "ttJournalEntry", str(number), 17,
    ]  # fmt: skip
    assert client.on(version).get(f"JournalEntries({number})").json() == body
    first, _, supplier = body["JournalEntryLines"]
    assert [first[name] for name in ("Line_ID", "AccountCode", "ShortName", "ContraAccount", "Debit", "Credit")] == [
        0, "616000", "616000", "V10010", 100.0, 0.0,
    ]  # fmt: skip
    assert [supplier[name] for name in ("AccountCode", "ShortName", "ControlAccount", "ContraAccount", "Credit")] == [
        "440000", "V10010", "440000", "616000", 121.0,
    ]  # fmt: skip
    assert [first[name] for name in ("LineMemo", "Reference1", "Reference2", "AdditionalReference")] == [
        "Paper", "INV-1", "st-1", "KEY-1",
    ]  # fmt: skip
    assert company.entries_by_reference3().keys() == {"KEY-1"}
    assert (company.balance("V10010"), company.balance("616000")) == (Decimal("-121.00"), Decimal("100.00"))
    assert company.get("BusinessPartners", "V10010")["CurrentAccountBalance"] == -121.0
    assert company.get("ChartOfAccounts", "616000")["Balance"] == 100.0
    assert client.filtered("JournalEntries", "Reference3 eq 'KEY-1'", select="JdtNum") == [number]


def test_no_content_when_the_client_prefers_none(client: Client, company: Company) -> None:
    reply = client.request("POST", "JournalEntries", body=entry(), headers={"Prefer": "return-no-content"})
    assert (reply.status, reply.data, reply.headers["Preference-Applied"]) == (204, b"", "return-no-content")
    assert reply.headers["Location"].endswith(f"/JournalEntries({company.entries()[0]['JdtNum']})")


def test_numbers_as_text_codes_for_enums_and_compact_dates(client: Client) -> None:
    body = with_line(0, Debit="100.00")
    body |= {"ReferenceDate": "20260115", "UseAutoStorno": "N", "TaxDate": "2026-01-14T00:00:00Z"}
    posted = post(client.on("v1"), body)
    assert (posted["ReferenceDate"], posted["TaxDate"], posted["UseAutoStorno"]) == (DAY, "2026-01-14", "tNO")
    assert posted["JournalEntryLines"][0]["Debit"] == 100.0


def test_dates_default_to_the_company_day_and_due_and_tax_date_to_the_posting_date(client: Client) -> None:
    body = entry()
    del body["ReferenceDate"]
    posted = post(client.on("v1"), body)
    assert {posted[name] for name in ("ReferenceDate", "DueDate", "TaxDate", "VatDate")} == {"2026-03-02"}


def too_long(name: str, type_name: str) -> str:
    return f"CServiceData::SetPropertyValueString failed; Value too long in property '{name}' of '{type_name}'"


_REFUSED: list[tuple[str, Body, int, str]] = [
    ("unbalanced", with_line(2, Credit="121.01"), -5002, "Unbalanced Transaction"),
    ("no lines", entry(JournalEntryLines=[]), -5002, "Journal entry has no lines  [JDT1.Account]"),
    (
        "unknown account",
        with_line(0, AccountCode="999999"),
        -5002,
        "Invalid G/L account  [JDT1.Account][line: 1] , '999999'",
    ),
    (
        "title account",
        with_line(0, AccountCode="6"),
        -5002,
        "Account is a title account and cannot be posted to  [JDT1.Account][line: 1] , '6'",
    ),
    (
        "inactive account",
        with_line(0, AccountCode="619000"),
        -5002,
        "Account is not active  [JDT1.Account][line: 1] , '619000'",
    ),
    (
        "control account",
        with_line(0, AccountCode="440000"),
        -5002,
        "Control accounts cannot be posted to directly  [JDT1.Account][line: 1] , '440000'",
    ),
    (
        "no account",
        with_line(0, AccountCode=None),
        -5002,
        "Specify an account or a business partner  [JDT1.Account][line: 1]",
    ),
    (
        "wrong control account",
        with_line(2, AccountCode="400000"),
        -5002,
        "Account is not the control account of the business partner  [JDT1.Account][line: 3] , '400000'",
    ),
    ("unknown partner", with_line(2, ShortName="V9"), -5002, "Invalid BP code  [JDT1.ShortName][line: 3] , 'V9'"),
    (
        "frozen partner",
        with_line(2, ShortName="V10090"),
        -5002,
        "Business partner is inactive  [JDT1.ShortName][line: 3] , 'V10090'",
    ),
    (
        "cost centre required",
        with_line(0, AccountCode="617000", CostingCode=None),
        -5002,
        "Specify a distribution rule for this account  [JDT1.ProfitCode][line: 1] , '617000'",
    ),
    (
        "project required",
        with_line(0, AccountCode="618000"),
        -5002,
        "Specify a project for this account  [JDT1.Project][line: 1] , '618000'",
    ),
    (
        "unknown cost centre",
        with_line(0, CostingCode="CC-9"),
        -5002,
        "Linked value does not exist  [JDT1.ProfitCode][line: 1] , 'CC-9'",
    ),
    (
        "inactive cost centre",
        with_line(0, CostingCode="CC-900"),
        -5002,
        "Distribution rule is not active  [JDT1.ProfitCode][line: 1] , 'CC-900'",
    ),
    ("cost centre without rule", with_line(0, CostingCode="Centr_z"), -2028, "No matching records found (ODBC -2028)"),
    (
        "other dimension",
        with_line(0, CostingCode="D-FIN"),
        -5002,
        "Distribution rule belongs to another dimension  [JDT1.ProfitCode][line: 1] , 'D-FIN'",
    ),
    (
        "other dimension, second",
        with_line(0, CostingCode2="CC-100"),
        -5002,
        "Distribution rule belongs to another dimension  [JDT1.OcrCode2][line: 1] , 'CC-100'",
    ),
    (
        "unknown project",
        with_line(0, ProjectCode="P"),
        -5002,
        "Linked value does not exist  [JDT1.Project][line: 1] , 'P'",
    ),
    (
        "expired project",
        with_line(0, ProjectCode="PRJ-OLD"),
        -5002,
        "Project is not valid on the posting date  [JDT1.Project][line: 1] , 'PRJ-OLD'",
    ),
    (
        "inactive project",
        with_line(0, ProjectCode="PRJ-OFF"),
        -5002,
        "Project is not active  [JDT1.Project][line: 1] , 'PRJ-OFF'",
    ),
    ("project of the header", entry(ProjectCode="PRJ-OFF"), -5002, "Project is not active  [OJDT.Project] , 'PRJ-OFF'"),
    ("unknown tax code", with_line(1, TaxGroup="I9"), -5002, "Invalid tax code  [JDT1.VatGroup][line: 2] , 'I9'"),
    ("inactive tax code", with_line(1, TaxGroup="OX"), -5002, "Invalid tax code  [JDT1.VatGroup][line: 2] , 'OX'"),
    (
        "before all periods",
        entry(ReferenceDate="2019-12-31"),
        -10,
        "Date deviates from permissible range  [OOPR.PredDate] , '2019-12-31'",
    ),
    (
        "after all periods",
        entry(ReferenceDate="2028-01-01"),
        -10,
        "Date deviates from permissible range  [OOPR.PredDate] , '2028-01-01'",
    ),
    ("both sides", with_line(0, Credit=5), -5002, "Enter either a debit or a credit amount  [JDT1.Debit][line: 1]"),
    ("negative", with_line(0, Debit=-100), -5002, "Negative amounts are not allowed  [JDT1.Debit][line: 1]"),
    (
        "series",
        entry(Series=99),
        -10,
        "To generate this document, first define the numbering series  [OJDT.Series] , '99'",
    ),
    (
        "automatic tax",
        entry(AutoVAT="tYES"),
        -5002,
        "AutoVAT is not simulated; send the tax lines and AutoVAT tNO  [OJDT.AutoVAT]",
    ),
    (
        "unknown currency",
        foreign(("10", "616000"), currency="XXX"),
        -5002,
        "Invalid currency  [JDT1.FCCurrency][line: 1] , 'XXX'",
    ),
    (
        "local currency as foreign",
        foreign(("10", "616000"), currency="EUR"),
        -5002,
        "Invalid currency  [JDT1.FCCurrency][line: 1] , 'EUR'",
    ),
    (
        "foreign amount without currency",
        with_line(0, FCDebit=5),
        -5002,
        "Specify the foreign currency  [JDT1.FCCurrency][line: 1]",
    ),
    ("unknown property", entry(BaseRef="x"), -1000, "Property 'BaseRef' of 'JournalEntry' is invalid"),
    (
        "unknown property of a line",
        with_line(0, Reference3="x"),
        -1000,
        "Property 'Reference3' of 'JournalEntryLine' is invalid",
    ),
    (
        "bad enum",
        entry(StampTax="maybe"),
        -1004,
        "'maybe' is not a valid value for property 'StampTax'. The valid values are: 'N' - 'tNO', 'Y' - 'tYES'",
    ),
    ("bad date", entry(DueDate="2026-02-30"), -1004, "'2026-02-30' is not a valid value for property 'DueDate'."),
    ("bad amount", with_line(0, Debit="1,5"), -1004, "'1,5' is not a valid value for property 'Debit'."),
    ("number for a text", entry(Reference=5), -1004, "'5' is not a valid value for property 'Reference'."),
    *(
        (f"{name} too long", entry(**{name: "x" * (width + 1)}), -1000, too_long(name, "JournalEntry"))
        for name, width in (("Memo", 50), ("Reference", 100), ("Reference2", 100), ("Reference3", 27), ("Indicator", 2))
    ),
    ("LineMemo too long", with_line(0, LineMemo="x" * 51), -1000, too_long("LineMemo", "JournalEntryLine")),
]


@pytest.mark.parametrize(
    ("body", "code", "message"), [case[1:] for case in _REFUSED], ids=[case[0] for case in _REFUSED]
)
def test_refused_entries_leave_nothing_behind(
    client: Client, company: Company, body: Body, code: int, message: str
) -> None:
    assert error_of(client.request("POST", "JournalEntries", body=body)) == (400, str(code), message)
    assert company.entries() == []
    assert company.balance("V10010") == 0


def test_longest_values_that_fit(client: Client) -> None:
    texts = {"Memo": "m" * 50, "Reference": "r" * 100, "Reference2": "s" * 100, "Reference3": "k" * 27}
    posted = post(client, entry(**texts))
    assert {name: posted[name] for name in texts} == texts


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"Memo": NaN}', b"\xff\xfe"], ids=repr)
def test_a_body_that_is_no_json_object(client: Client, body: bytes) -> None:
    reply = client.pool.request(
        "POST", f"{client.url}/b1s/v1/JournalEntries", headers={"Cookie": client.cookie}, body=body
    )
    assert error_of(reply) == (400, "-1000", "Invalid JSON format")


def test_a_locked_period_refuses_until_it_is_opened(client: Client, company: Company) -> None:
    company.lock_period("2026-01")
    locked = f"Posting period locked; specify an alternative date  [OJDT.RefDate] , '{DAY}'"
    assert error_of(client.request("POST", "JournalEntries", body=entry())) == (400, "-5002", locked)
    post(client, entry(ReferenceDate="2026-02-01"))
    company.unlock_period("2026-01")
    post(client, entry())


def test_local_amounts_are_worked_out_from_foreign_ones_and_balance(client: Client, company: Company) -> None:
    company.set_rate("USD", DAY, "0.3333")
    posted = post(client, foreign(("10.01", "616000"), ("10.01", "615000"), ("10.01", "614000")))
    lines = posted["JournalEntryLines"]
    assert [line["Debit"] for line in lines] == [3.34, 3.34, 3.34, 0.0]
    assert (lines[-1]["FCCredit"], lines[-1]["Credit"]) == (30.03, 10.02)
    assert sum(amount(line["DebitSys"]) - amount(line["CreditSys"]) for line in lines) == 0


def test_local_amounts_that_are_sent_stand(client: Client, company: Company) -> None:
    lines = [
        {"AccountCode": "616000", "FCCurrency": "USD", "FCDebit": 10, "Debit": 9},
        {"ShortName": "V10030", "FCCurrency": "USD", "FCCredit": 10, "Credit": 9},
    ]
    assert [line["Debit"] for line in post(client, entry(JournalEntryLines=lines))["JournalEntryLines"]] == [9.0, 0.0]
    lines[1]["Credit"] = "9.01"
    assert error_of(client.request("POST", "JournalEntries", body=entry(JournalEntryLines=lines)))[1:] == (
        "-5002", "Unbalanced Transaction",
    )  # fmt: skip
    lines[1] |= {"Credit": 9, "FCCredit": "9.99"}
    assert error_of(client.request("POST", "JournalEntries", body=entry(JournalEntryLines=lines)))[1:] == (
        "-5002", "Unbalanced Transaction",
    )  # fmt: skip


def test_a_foreign_posting_needs_the_rate_of_its_day(client: Client, company: Company) -> None:
    company.set_rate("USD", DAY, None)
    body = foreign(("10", "616000"))
    expected = (400, "-4006", "Update the exchange rate , 'USD'")
    assert error_of(client.request("POST", "JournalEntries", body=body)) == expected
    company.set_rate("USD", DAY, "0.9")
    assert post(client, body)["JournalEntryLines"][0]["Debit"] == 9.0
    company.rates.forget("USD")
    assert error_of(client.request("POST", "JournalEntries", body=body)) == expected


def test_system_currency_is_worked_out_and_balances(clock: Any) -> None:
    company = generate_company(
        3, Sizes(customers=2, suppliers=1, leads=0, items=1, invoices=6, credit_notes=1), clock=clock
    )
    company.system_currency = "USD"
    company.set_rate("USD", DAY, "0.7")
    lines = company.post_entry(entry())["JournalEntryLines"]
    assert [line["DebitSys"] for line in lines] == [142.86, 30.0, 0.0]
    assert lines[2]["CreditSys"] == 172.86
    company.set_rate("USD", DAY, None)
    with pytest.raises(Exception, match="Update the exchange rate , 'USD'"):
        company.post_entry(entry())


def test_a_company_may_be_stricter(client: Client, company: Company) -> None:
    company.rules.partner_currency = True
    reply = client.request("POST", "JournalEntries", body=foreign(("10", "616000"), supplier="V10010"))
    assert "Currency differs from the business partner's  [JDT1.FCCurrency][line: 2]" in error_of(reply)[2]
    post(client, foreign(("10", "616000"), supplier="V10040"))
    company.rules.branches = (1, 2)
    assert "Specify an active branch  [JDT1.BPLId][line: 1]" in error_of(
        client.request("POST", "JournalEntries", body=entry())
    )[2]  # fmt: skip
    lines = [{**line, "BPLID": 1} for line in entry()["JournalEntryLines"]]
    post(client, entry(JournalEntryLines=lines))
    lines[1]["BPLID"] = 2
    reply = client.request("POST", "JournalEntries", body=entry(JournalEntryLines=lines))
    assert error_of(reply)[2] == "Unbalanced Transaction"


def test_negative_amounts_where_the_company_allows_them(client: Client, company: Company) -> None:
    company.rules.negative_amounts = True
    lines = [{"AccountCode": "616000", "Debit": -5}, {"ShortName": "V10010", "Credit": -5}]
    posted = post(client, entry(JournalEntryLines=lines))["JournalEntryLines"]
    assert (posted[0]["Debit"], posted[0]["Credit"], posted[1]["Credit"]) == (-5.0, 0.0, -5.0)
    assert company.balance("V10010") == 5


def test_sales_tax_companies_take_tax_codes(clock: Any) -> None:
    few = Sizes(customers=2, suppliers=1, leads=0, items=1, invoices=6, credit_notes=1)
    company = generate_company(1, few, country="US", clock=clock)
    lines = [
        {"AccountCode": company.account("616000"), "Debit": 100, "TaxCode": "NY"},
        {"ShortName": "V10030", "Credit": 100},
    ]
    posted = company.post_entry({"JournalEntryLines": lines})
    assert [line["AccountCode"] for line in posted["JournalEntryLines"]] == ["_SYS00000616000", "_SYS00000440000"]


def cancel(client: Client, number: int) -> Any:
    return client.request("POST", f"JournalEntries({number})/Cancel")


def test_cancel_posts_the_mirror_image(client: Client, company: Company) -> None:
    number = post(client, foreign(("10.01", "616000"), ("20.02", "615000")))["JdtNum"]
    reply = cancel(client, number)
    assert (reply.status, reply.data) == (204, b"")
    original, mirror = company.entries()
    assert (mirror["Original"], mirror["OriginalJournal"], mirror["StornoDate"]) == (number, "ttJournalEntry", DAY)
    assert [mirror[name] for name in ("Reference", "Reference2", "Reference3", "ReferenceDate")] == [
        "INV-1", "st-1", "KEY-1", DAY,
    ]  # fmt: skip
    for one, other in zip(original["JournalEntryLines"], mirror["JournalEntryLines"], strict=True):
        for debit, credit in (("Debit", "Credit"), ("FCDebit", "FCCredit"), ("DebitSys", "CreditSys")):
            assert (one[debit], one[credit]) == (other[credit], other[debit])
    assert company.balance("V10030") == company.balance("616000") == 0
    assert company.get("BusinessPartners", "V10030")["CurrentAccountBalance"] == 0


def test_an_entry_is_cancelled_once_and_a_reversal_never(client: Client, company: Company) -> None:
    number = post(client, entry())["JdtNum"]
    assert cancel(client, number).status == 204
    expected = (400, "-5006", "The requested action is not supported for this object.")
    assert error_of(cancel(client, number)) == error_of(cancel(client, number + 1)) == expected
    assert error_of(cancel(client, 999)) == (404, "-2028", "Entity with value('999') does not exist")
    assert len(company.entries()) == 2


def test_a_cancellation_needs_an_open_period(client: Client, company: Company) -> None:
    number = post(client, entry())["JdtNum"]
    company.lock_period("2026-01")
    assert error_of(cancel(client, number))[1] == "-5002"
    assert len(company.entries()) == 1


def test_reversals_without_references_as_some_builds_make_them(client: Client, company: Company) -> None:
    company.rules.reversals_keep_references = False
    assert cancel(client, post(client, entry())["JdtNum"]).status == 204
    assert [row["Reference3"] for row in company.entries()] == ["KEY-1", None]


def test_memo_references_and_due_dates_may_change_amounts_may_not(client: Client, company: Company) -> None:
    number = post(client, entry())["JdtNum"]
    changes = {"Memo": "Corrected", "Reference": "INV-2", "DueDate": "2026-02-28", "Number": 99,
               "JournalEntryLines": [{"Line_ID": 2, "LineMemo": "later", "DueDate": "2026-02-28"}]}  # fmt: skip
    reply = client.request("PATCH", f"JournalEntries({number})", body=changes)
    assert (reply.status, reply.data) == (204, b"")
    changed = company.get("JournalEntries", number)
    assert [changed[name] for name in ("Memo", "Reference", "DueDate", "Number")] == [
        "Corrected", "INV-2", "2026-02-28", number,
    ]  # fmt: skip
    assert [line["LineMemo"] for line in changed["JournalEntryLines"]] == ["Paper", "Paper", "later"]
    for refused in (
        {"ReferenceDate": "2026-01-16"},
        {"JournalEntryLines": [{"Line_ID": 0, "Debit": 101}]},
        {"JournalEntryLines": [{"Line_ID": 0, "AccountCode": "615000"}]},
        {"JournalEntryLines": [{"Line_ID": 7, "LineMemo": "x"}]},
    ):
        reply = client.request("PATCH", f"JournalEntries({number})", body=refused)
        assert error_of(reply) == (400, "-1029", "Field cannot be updated")
    same = {"JournalEntryLines": [{"Line_ID": 0, "Debit": 100}]}
    assert client.request("PATCH", f"JournalEntries({number})", body=same).status == 204
    assert company.get("JournalEntries", number) == changed


def test_entries_cannot_be_deleted_and_have_no_update_date(client: Client) -> None:
    number = post(client, entry())["JdtNum"]
    assert error_of(client.request("DELETE", f"JournalEntries({number})"))[:2] == (400, "-5006")
    reply = client.get("JournalEntries?$filter=" + quote("UpdateDate ge '2026-01-01'"))
    assert error_of(reply) == (400, "201", "Property 'UpdateDate' is invalid")


def test_the_method_may_be_named_in_a_header(client: Client, company: Company) -> None:
    number = post(client, entry())["JdtNum"]
    reply = client.request(
        "POST", f"JournalEntries({number})", body={"Memo": "x"}, headers={"X-HTTP-Method-Override": "PATCH"}
    )
    assert (reply.status, company.get("JournalEntries", number)["Memo"]) == (204, "x")


def test_functions_that_tell_currency_and_rate(client: Client, company: Company) -> None:
    company.set_rate("USD", "2026-01-31", "0.9217")
    info = client.request("POST", "CompanyService_GetAdminInfo").json()
    assert [info[name] for name in ("LocalCurrency", "SystemCurrency", "DirectIndirectRate")] == ["EUR", "EUR", "tYES"]
    question = {"Currency": "USD", "Date": "20260131"}
    reply = client.request("POST", "SBOBobService_GetCurrencyRate", body=question)
    assert (reply.status, reply.data) == (200, b"0.9217")
    company.set_rate("USD", "2026-01-31", None)
    reply = client.request("POST", "SBOBobService_GetCurrencyRate", body=question)
    assert error_of(reply) == (400, "-4006", "Update the exchange rate , 'USD'")
