"""Whole runs against the sandbox: what SAP has is at the receiver once, to the cent."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from upath import UPath

from sandbox.sap_b1.data import Planted
from sandbox.sap_b1.scenario import second_day
from tests.integrations.sap_b1_to_peakflo.rehearsal import Outcome, Rehearsal
from tieout.currencies import minor_units
from tieout.errors import ConfigurationInvalid
from tieout.integrations.sap_b1_to_peakflo import source_money
from tieout.ledger import Filters
from tieout.mapping import payments
from tieout.mapping.encryption import encrypt_file

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = {"invoices": "Invoices", "credit_notes": "CreditNotes"}


def money(value: Any, currency: str) -> Decimal:
    """A source's double as the money that it means."""
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-minor_units(currency)), rounding="ROUND_HALF_UP")


def own_total(document: dict[str, Any]) -> Decimal:
    """A document's total in its own currency, read by hand."""
    return money(document["DocTotalFc"] or document["DocTotal"], document["DocCurrency"])


def expected_documents(rehearsal: Rehearsal, entity_set: str) -> dict[str, dict[str, Any]]:
    return {
        str(row["DocEntry"]): row
        for row in rehearsal.sandbox.company.rows(entity_set)
        if row["CancelStatus"] != "csCancellation"
    }


def delivered_money(outcome: Outcome, entity: str, amount: str) -> dict[str, Decimal]:
    """Money per currency, from the delivered rows, each record once."""
    records = {row["externalId"]: row for row in outcome.records(entity)}
    totals: dict[str, Decimal] = {}
    for row in records.values():
        totals[row["currency"]] = totals.get(row["currency"], Decimal(0)) + Decimal(row[amount])
    return totals


def test_the_first_run_delivers_everything_once_and_ties_out(rehearsal: Rehearsal) -> None:
    outcome = rehearsal.go()

    assert outcome.error is None
    assert outcome.ties_out, [verdict.problem for verdict in outcome.verdicts]
    company = rehearsal.sandbox.company
    customers = {row["CardCode"]: row for row in company.rows("BusinessPartners") if row["CardType"] == "cCustomer"}
    assert outcome.keys("customers") == set(customers)
    assert outcome.keys("contacts") == {
        str(contact["InternalCode"]) for row in customers.values() for contact in row["ContactEmployees"]
    }
    for row in outcome.records("customers"):
        assert row["companyName"] == customers[row["externalId"]]["CardName"]
    assert outcome.keys("inventory") == {row["ItemCode"] for row in company.rows("Items")}
    assert outcome.keys("chart_of_accounts") == {row["Code"] for row in company.rows("ChartOfAccounts")}
    assert outcome.keys("taxes") == {row["Code"] for row in company.rows("VatGroups")}


@pytest.mark.parametrize("entity", DOCUMENTS)
def test_documents_arrive_line_by_line_to_the_cent(rehearsal: Rehearsal, entity: str) -> None:
    outcome = rehearsal.go(entities=("customers", entity))

    expected = expected_documents(rehearsal, DOCUMENTS[entity])
    rows = outcome.records(entity)
    assert {row["externalId"] for row in rows} == set(expected)
    for key, document in expected.items():
        lines = [row for row in rows if row["externalId"] == key]
        assert [row["lineNumber"] for row in lines] == [str(line["LineNum"]) for line in document["DocumentLines"]]
        assert {Decimal(row["totalAmount"]) for row in lines} == {own_total(document)}
        for row, line in zip(lines, document["DocumentLines"], strict=True):
            assert row["description"] == line["ItemDescription"]
            amount = line["RowTotalFC"] if document["DocTotalFc"] else line["LineTotal"]
            assert Decimal(row["lineTotal"]) == money(amount, document["DocCurrency"])


def test_the_ledger_and_the_files_tell_the_same_money(rehearsal: Rehearsal) -> None:
    outcome = rehearsal.go()

    for entity, amount in (("invoices", "totalAmount"), ("credit_notes", "totalAmount"), ("payments", "amount")):
        assert dict(outcome.rows[entity].target_totals) == delivered_money(outcome, entity, amount)


def test_payments_apply_what_they_are_worth(rehearsal: Rehearsal) -> None:
    outcome = rehearsal.go(entities=("customers", "invoices", "payments"))

    numbers = {str(row["DocNum"]) for row in rehearsal.sandbox.company.rows("Invoices")}
    rows = outcome.records("payments")
    assert rows
    for key in {row["externalId"] for row in rows}:
        parts = [row for row in rows if row["externalId"] == key]
        assert sum(Decimal(row["appliedAmount"]) for row in parts) == Decimal(parts[0]["amount"])
        assert {row["invoiceNumber"] for row in parts} <= {*numbers, ""}


def test_pdfs_go_after_their_invoices_with_their_bytes(rehearsal: Rehearsal) -> None:
    outcome = rehearsal.go()

    listed = outcome.records("invoice_pdfs")
    assert listed
    company = rehearsal.sandbox.company
    for row in listed:
        content = outcome.files[f"invoice_pdfs/{row['fileName']}"]
        assert row["fileName"] == f"{row['invoiceNumber']}_{row['externalId']}.pdf"
        entry = company.get("Invoices", int(row["externalId"]))["AttachmentEntry"]
        lines = company.get("Attachments2", entry)["Attachments2_Lines"]
        pdf = next(line for line in lines if line["FileExtension"].lower() == "pdf")
        assert content == company.attachment(entry, f"{pdf['FileName']}.{pdf['FileExtension']}")[1]
        assert len(content) == int(row["bytes"])
    assert {row["externalId"] for row in listed} <= outcome.keys("invoices")


def test_a_second_run_without_changes_delivers_no_file(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    again = rehearsal.go()

    assert again.files == {}
    assert again.ties_out
    assert not {"taxes", "chart_of_accounts", "inventory"} & set(again.rows), "one-time entities are not read again"


def test_the_second_day_delivers_exactly_what_changed(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    done = second_day(rehearsal.sandbox.company)
    outcome = rehearsal.go()

    assert outcome.ties_out
    assert outcome.keys("customers") == {*done["customers_added"], *done["customers_updated"]}
    names = ("invoices_added", "invoices_updated", "invoices_cancelled", "invoices_paid", "invoices_reopened")
    assert outcome.keys("invoices") == {str(key) for name in names for key in done[name]}
    assert outcome.keys("payments") == {str(key) for key in done["payments_added"] + done["payments_cancelled"]}
    assert outcome.keys("credit_notes") == {str(key) for key in done["credit_notes_added"]}
    status = {row["externalId"]: row["status"] for row in outcome.records("invoices")}
    assert {status[str(key)] for key in done["invoices_cancelled"]} == {"CANCELLED"}


@pytest.mark.parametrize("days", [1, 2, 3])
def test_a_change_dated_back_within_the_lookback_is_found(rehearsal: Rehearsal, days: int) -> None:
    rehearsal.go(entities=("customers",))
    mark = rehearsal.ledger.watermark(rehearsal.new_run().scope("customers"))
    assert mark is not None
    code = next(iter(rehearsal.go(entities=("customers",), full_refresh=("customers",)).keys("customers")))
    day = datetime.fromisoformat(str(mark["changed"])).replace(tzinfo=UTC) - timedelta(days=days)
    rehearsal.sandbox.company.update("BusinessPartners", code, {"CardName": "Née plus tôt"}, updated_at=day)

    outcome = rehearsal.go(entities=("customers",))

    assert [row["companyName"] for row in outcome.records("customers")] == ["Née plus tôt"]


BAD = Planted(missing_card_code=1, line_sum_mismatch=1, unknown_currency=1, held_invoice_pdf=True)


@pytest.mark.parametrize("rehearsal", [BAD], indirect=True)
def test_bad_records_are_held_alone_and_follow_once_repaired(rehearsal: Rehearsal) -> None:
    first = rehearsal.go()

    assert first.ties_out
    reasons = rehearsal.held("invoices")
    assert sorted(reasons.values()) == ["LINE_SUM_MISMATCH", "MISSING_VALUE", "UNKNOWN_CURRENCY"]
    waiting = next(key for key, reason in rehearsal.held("invoice_pdfs").items() if reason == "INVOICE_NOT_DELIVERED")
    assert waiting in reasons

    company = rehearsal.sandbox.company
    wrong = next(int(key) for key, reason in reasons.items() if reason == "MISSING_VALUE")
    company.update("Invoices", wrong, {"CardCode": company.rows("Invoices")[0]["CardCode"]}, touch=False)
    second = rehearsal.go()

    assert second.keys("invoices") == {str(wrong)}
    assert str(wrong) not in rehearsal.held("invoices")
    if waiting == str(wrong):
        assert second.keys("invoice_pdfs") == {waiting}
    settled = rehearsal.ledger.held(Filters(status="settled", entity="invoices"))
    assert [row.source_key for row in settled] == [str(wrong)]


@pytest.mark.parametrize("rehearsal", [BAD], indirect=True)
def test_a_discarded_record_stays_away_until_it_changes(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    row = rehearsal.ledger.held(Filters(entity="invoices", status="held"))[0]
    rehearsal.ledger.discard_held(row.id, "written off", "the accountant")

    again = rehearsal.go()

    assert row.source_key not in rehearsal.held("invoices")
    assert again.ties_out
    assert row.source_key not in again.keys("invoices")


@pytest.mark.parametrize("rehearsal", [BAD], indirect=True)
def test_held_only_reads_nothing_else(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    mark = rehearsal.ledger.watermark(rehearsal.new_run().scope("invoices"))
    outcome = rehearsal.go(mode="held_only")

    assert set(outcome.rows) == {"invoices", "invoice_pdfs"}
    assert outcome.rows["invoices"].extracted == outcome.rows["invoices"].held == 3
    assert rehearsal.ledger.watermark(rehearsal.new_run().scope("invoices")) == mark


def test_a_dry_run_shows_and_writes_nothing(rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        outcome = rehearsal.go(dry_run=True)

    assert outcome.files == {}
    assert outcome.ties_out
    assert {row.status for row in outcome.rows.values()} == {"dry_run"}
    assert outcome.rows["invoices"].delivered == 0
    assert outcome.rows["invoices"].previewed > 0
    assert "externalId,invoiceNumber" in caplog.text
    assert rehearsal.held() == {}
    assert rehearsal.ledger.watermark(outcome.run.scope("invoices")) is None
    assert rehearsal.ledger.count_files(Filters()) == 0
    assert rehearsal.go().ties_out


def test_full_refresh_sends_an_entity_whole_again(rehearsal: Rehearsal) -> None:
    first = rehearsal.go()
    again = rehearsal.go(full_refresh=("taxes", "customers"))

    assert again.ties_out
    for entity in ("taxes", "customers"):
        assert again.keys(entity) == first.keys(entity)
    assert again.records("invoices") == []


def test_a_backfill_sends_its_days_and_leaves_the_watermark(rehearsal: Rehearsal) -> None:
    company = rehearsal.sandbox.company
    day = datetime(2026, 2, 10, tzinfo=UTC)
    keys = [row["DocEntry"] for row in company.rows("Invoices") if row["CancelStatus"] == "csNo"][:3]
    for offset, key in enumerate(keys):
        company.update("Invoices", key, {"Comments": f"day {offset}"}, updated_at=day + timedelta(days=offset))

    for offset, key in enumerate(keys):
        start = day + timedelta(days=offset)
        outcome = rehearsal.go(mode="backfill", interval_start=start, interval_end=start + timedelta(days=1))
        assert outcome.keys("invoices") == {str(key)}
        assert outcome.ties_out
    assert rehearsal.ledger.watermark(rehearsal.new_run().scope("invoices")) is None


def test_a_company_that_taxes_by_sales_tax_codes(rehearsal: Rehearsal) -> None:
    company = rehearsal.sandbox.company
    for row in list(company.rows("VatGroups")):
        company.delete("VatGroups", row["Code"])
    company.insert("SalesTaxCodes", {"Code": "CA", "Name": "California", "Rate": 7.25, "ValidForAR": "tYES"})

    outcome = rehearsal.go(entities=("taxes",))

    assert [(row["externalId"], row["rate"]) for row in outcome.records("taxes")] == [("CA", "7.25")]


@pytest.mark.parametrize("rehearsal", [BAD], indirect=True)
def test_a_payment_waits_for_its_held_invoice(rehearsal: Rehearsal) -> None:
    company = rehearsal.sandbox.company
    wrong = next(row for row in company.rows("Invoices") if not row["CardCode"])
    good = next(row["CardCode"] for row in company.rows("Invoices") if row["CardCode"])
    company.update("Invoices", wrong["DocEntry"], {"CardCode": good}, touch=False)
    paid = company.add_payment(good, [(wrong["DocEntry"], own_total(wrong))])
    company.update("Invoices", wrong["DocEntry"], {"CardCode": None}, touch=False)

    first = rehearsal.go()

    assert rehearsal.held("payments") == {str(paid["DocEntry"]): "INVOICE_HELD"}
    assert first.ties_out
    company.update("Invoices", wrong["DocEntry"], {"CardCode": good}, touch=False)
    second = rehearsal.go()
    assert second.keys("payments") == {str(paid["DocEntry"])}
    assert rehearsal.held("payments") == {}


def test_what_belongs_to_a_held_customer_waits(rehearsal: Rehearsal) -> None:
    company = rehearsal.sandbox.company
    code = next(row["CardCode"] for row in company.rows("Invoices") if row["CardCode"])
    name = company.get("BusinessPartners", code)["CardName"]
    company.update("BusinessPartners", code, {"CardName": None})

    first = rehearsal.go()

    assert code in rehearsal.held("customers")
    assert code not in {row["customerRef"] for row in first.records("invoices")}
    assert set(rehearsal.held("invoices").values()) == {"CUSTOMER_HELD"}
    assert first.ties_out
    company.update("BusinessPartners", code, {"CardName": name})
    second = rehearsal.go()
    assert rehearsal.held() == {}
    assert second.ties_out


@pytest.mark.parametrize(
    ("content", "problem"), [(b"", "is empty"), (b"<html>502 Proxy Error</html>", "is no PDF")], ids=["empty", "html"]
)
def test_a_pdf_that_is_none_is_held_alone(rehearsal: Rehearsal, content: bytes, problem: str) -> None:
    company = rehearsal.sandbox.company
    with_pdf = sorted(rehearsal.go(entities=("invoices", "invoice_pdfs")).keys("invoice_pdfs"), key=int)
    entry = company.get("Invoices", int(with_pdf[0]))["AttachmentEntry"]
    lines = company.get("Attachments2", entry)["Attachments2_Lines"]
    pdf = next(line for line in lines if line["FileExtension"].lower() == "pdf")
    company.replace_attachment(entry, f"{pdf['FileName']}.{pdf['FileExtension']}", content)

    again = rehearsal.go(entities=("invoice_pdfs",), full_refresh=("invoice_pdfs",))

    assert rehearsal.held("invoice_pdfs") == {with_pdf[0]: "ATTACHMENT_UNREADABLE"}
    assert problem in rehearsal.ledger.held(Filters(status="held"))[0].message
    assert again.keys("invoice_pdfs") == set(with_pdf[1:])
    assert again.ties_out


def test_a_record_that_misses_an_expectation_is_held_alone(rehearsal: Rehearsal) -> None:
    company = rehearsal.sandbox.company
    code = company.rows("VatGroups")[0]["Code"]
    lines = company.get("VatGroups", code)["VatGroups_Lines"]
    company.update("VatGroups", code, {"VatGroups_Lines": []})

    first = rehearsal.go(entities=("taxes",))

    assert rehearsal.held("taxes") == {code: "EXPECTATION_NOT_MET"}
    assert first.keys("taxes") == {row["Code"] for row in company.rows("VatGroups")} - {code}
    assert first.ties_out
    company.update("VatGroups", code, {"VatGroups_Lines": lines})
    assert rehearsal.go(entities=("taxes",)).keys("taxes") == {code}


def test_a_payment_that_the_mapping_gets_wrong_makes_the_run_red(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = payments.work_out

    def lose_a_cent(record: dict[str, Any], local_currency: str | None) -> payments.Payment:
        payment = right(record, local_currency)
        return replace(payment, amount=payment.amount - Decimal("0.01"))

    monkeypatch.setattr(payments, "work_out", lose_a_cent)
    outcome = rehearsal.go(entities=("customers", "payments"))

    problems = {verdict.entity: verdict.problem for verdict in outcome.verdicts}
    assert "EUR" in problems["payments"] and "was extracted but" in problems["payments"]


@pytest.mark.parametrize("entity", DOCUMENTS)
def test_a_document_total_that_the_mapping_gets_wrong_makes_the_run_red(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, entity: str
) -> None:
    own_total_of = source_money._own_total
    monkeypatch.setattr(
        source_money, "_own_total", lambda found: (own_total_of(found)[0], own_total_of(found)[1] + Decimal("0.01"))
    )
    outcome = rehearsal.go(entities=("customers", entity))

    assert not outcome.ties_out


def test_an_encrypted_mapping_is_applied(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    include = tmp_path / "include"
    shutil.copytree(ROOT / "include", include)
    monkeypatch.setenv("TIEOUT_INCLUDE", str(include))
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", Fernet.generate_key().decode())
    plain = include / "mappings" / "sap_b1_to_peakflo" / "customers.yaml"
    plain.write_text(plain.read_text().replace("name: phone", "name: telephone"))
    encrypt_file(plain)
    plain.unlink(missing_ok=True)

    outcome = rehearsal.go(entities=("customers",), dry_run=True)

    shown = (rehearsal.staging(outcome.run) / "customers" / "prepared" / "data.csv").read_text()
    assert "telephone" in shown.splitlines()[0]
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", Fernet.generate_key().decode())
    with pytest.raises(ConfigurationInvalid, match="TIEOUT_MAPPING_KEY"):
        rehearsal.go(entities=("customers",))


def test_staging_may_be_an_object_store(rehearsal: Rehearsal) -> None:
    rehearsal.folder = UPath(f"memory://{rehearsal.folder.name}-{id(rehearsal)}")
    outcome = rehearsal.go()

    assert outcome.ties_out
    assert outcome.keys("invoice_pdfs") and outcome.keys("invoices")


@pytest.mark.parametrize("rehearsal", [BAD], indirect=True)
def test_file_numbers_have_no_gaps(rehearsal: Rehearsal) -> None:
    rehearsal.go()
    second_day(rehearsal.sandbox.company)
    outcome = rehearsal.go()

    data = [name for name in outcome.files if name.endswith(".csv")]
    assert data and all(name.endswith("_0002.csv") for name in data), data
