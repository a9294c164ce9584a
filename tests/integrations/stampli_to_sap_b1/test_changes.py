"""What Stampli sends after an invoice was posted: the same again, a change, a VOID, the same number once more."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from sandbox.stampli import differences, text_record
from sandbox.stampli.model import Invoice
from tests.integrations.stampli_to_sap_b1.rehearsal import Rehearsal, default_config, posted


def net(rehearsal: Rehearsal, invoice: Invoice) -> Decimal:
    """What SAP owes the vendor for the invoice, all its entries together."""
    return sum(
        (
            round(Decimal(str(line["Credit"] or 0)) - Decimal(str(line["Debit"] or 0)), 2)
            for entry in posted(rehearsal, invoice.invoice_id)
            for line in entry["JournalEntryLines"]
            if line["ShortName"] == invoice.vendor.card_code
        ),
        Decimal(0),
    )


@pytest.fixture
def invoice(rehearsal: Rehearsal) -> Invoice:
    """One that is posted."""
    invoice = rehearsal.exports.invoice(currency="EUR", lines=2)
    rehearsal.put("invoices", invoice)
    assert rehearsal.go().counts("invoices") == (1, 0, 0, 0)
    return invoice


def test_the_same_content_with_another_status_is_a_duplicate(rehearsal: Rehearsal, invoice: Invoice) -> None:
    for status in ("EXPORTED", "PAID", "APPROVED"):
        rehearsal.put("invoices", replace(invoice, status=status, description=invoice.description))
        assert rehearsal.go().counts("invoices") == (0, 0, 1, 0), status
    assert len(posted(rehearsal, invoice.invoice_id)) == 1


def test_a_change_is_held_for_a_person(rehearsal: Rehearsal, invoice: Invoice) -> None:
    changed = rehearsal.exports.changed(invoice)
    rehearsal.put("invoices", changed)
    outcome = rehearsal.go()
    assert outcome.ties_out
    assert rehearsal.held("invoices") == {invoice.invoice_id: "CHANGED_AFTER_POSTING"}
    assert len(posted(rehearsal, invoice.invoice_id)) == 1
    (row,) = rehearsal.held_rows()
    assert f"credit {invoice.total}" in row.message
    assert f"credit {changed.total}" in row.message


def test_a_change_that_the_entry_does_not_show_is_a_duplicate(rehearsal: Rehearsal, invoice: Invoice) -> None:
    rehearsal.put("invoices", replace(invoice, description="a remark", po_number="PO 77"))
    assert rehearsal.go().counts("invoices") == (0, 0, 1, 0)


def test_a_change_is_reversed_and_posted_anew_where_configured(rehearsal: Rehearsal, invoice: Invoice) -> None:
    rehearsal.config = default_config(on_change="repost")
    changed = rehearsal.exports.changed(invoice)
    rehearsal.put("invoices", changed)
    outcome = rehearsal.go()
    assert outcome.ties_out, outcome.verdicts
    assert outcome.counts("invoices") == (1, 0, 0, 0)
    first, reversal, second = posted(rehearsal, invoice.invoice_id)
    assert first["Reference3"] == reversal["Reference3"] != second["Reference3"]
    assert differences(rehearsal.exports.entry(changed), second) == []
    assert net(rehearsal, invoice) == changed.total
    rehearsal.put("invoices", changed)
    assert rehearsal.go().counts("invoices") == (0, 0, 1, 0)


def test_the_reply_to_a_reversal_is_lost(rehearsal: Rehearsal, invoice: Invoice) -> None:
    rehearsal.config = default_config(on_change="repost")
    rehearsal.sandbox.faults.add("lost_reply", path="/Cancel$")
    changed = rehearsal.exports.changed(invoice)
    rehearsal.put("invoices", changed)
    assert rehearsal.go().ties_out
    assert len(posted(rehearsal, invoice.invoice_id)) == 3
    assert net(rehearsal, invoice) == changed.total


def test_a_void_takes_the_entry_back(rehearsal: Rehearsal, invoice: Invoice) -> None:
    rehearsal.put("invoices", rehearsal.exports.voided(invoice))
    outcome = rehearsal.go()
    assert outcome.ties_out
    assert outcome.counts("invoices") == (1, 0, 0, 0)
    assert len(posted(rehearsal, invoice.invoice_id)) == 2
    assert net(rehearsal, invoice) == 0
    rehearsal.put("invoices", replace(rehearsal.exports.voided(invoice), description="again"))
    assert rehearsal.go().counts("invoices") == (0, 0, 1, 0)
    assert len(posted(rehearsal, invoice.invoice_id)) == 2


def test_what_is_approved_again_after_a_void_is_posted_anew(rehearsal: Rehearsal, invoice: Invoice) -> None:
    rehearsal.put("invoices", rehearsal.exports.voided(invoice))
    rehearsal.go()
    rehearsal.put("invoices", replace(invoice, terms="Net 31"))
    assert rehearsal.go().counts("invoices") == (1, 0, 0, 0)
    assert len(posted(rehearsal, invoice.invoice_id)) == 3
    assert net(rehearsal, invoice) == invoice.total


def test_a_void_before_posting_is_excluded(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=2)
    rehearsal.put("invoices", rehearsal.exports.voided(invoice))
    outcome = rehearsal.go()
    assert outcome.ties_out
    assert outcome.counts("invoices") == (0, 0, 0, 1)
    assert posted(rehearsal, invoice.invoice_id) == []


def test_a_void_settles_what_is_held(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=2)
    rehearsal.sandbox.company.lock_period(invoice.posting_date.isoformat()[:7])
    rehearsal.put("invoices", invoice)
    rehearsal.go()
    assert rehearsal.held("invoices") == {invoice.invoice_id: "PERIOD_LOCKED"}
    rehearsal.put("invoices", rehearsal.exports.voided(invoice))
    assert rehearsal.go().counts("invoices") == (0, 0, 0, 1)
    assert rehearsal.held() == {}


def test_a_revision_replaces_what_is_held(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=2, currency="EUR")
    wrong = replace(invoice, total=invoice.total + 5)
    rehearsal.put("invoices", wrong)
    rehearsal.go()
    assert rehearsal.held("invoices") == {invoice.invoice_id: "LINE_SUM_MISMATCH"}
    rehearsal.put("invoices", invoice)
    outcome = rehearsal.go()
    assert outcome.ties_out
    assert outcome.counts("invoices") == (1, 0, 0, 0)
    assert rehearsal.held() == {}


def test_of_two_revisions_in_one_run_the_newer_one_counts(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=2, currency="EUR")
    changed = rehearsal.exports.changed(invoice)
    rehearsal.put("invoices", invoice)
    rehearsal.put("invoices", changed)
    outcome = rehearsal.go()
    assert outcome.ties_out
    assert outcome.counts("invoices") == (1, 0, 0, 1)
    (entry,) = posted(rehearsal, invoice.invoice_id)
    assert differences(rehearsal.exports.entry(changed), entry) == []


def test_the_same_invoice_under_another_id_is_not_posted_again(rehearsal: Rehearsal, invoice: Invoice) -> None:
    rehearsal.put("invoices", replace(invoice, invoice_id="other-1"))
    outcome = rehearsal.go()
    assert outcome.counts("invoices") == (0, 0, 1, 0)
    assert posted(rehearsal, "other-1") == []


def test_the_same_number_with_other_content_is_held(rehearsal: Rehearsal, invoice: Invoice) -> None:
    rehearsal.put("invoices", replace(rehearsal.exports.changed(invoice), invoice_id="other-1"))
    rehearsal.go()
    assert rehearsal.held("invoices") == {"other-1": "DUPLICATE_INVOICE"}
    assert posted(rehearsal, "other-1") == []


def test_twins_in_one_run(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=2)
    rehearsal.put("invoices", invoice, replace(invoice, invoice_id="twin"))
    assert rehearsal.go().counts("invoices") == (1, 0, 1, 0)


def test_what_is_not_approved_is_held_and_posted_once_it_is(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=2)
    rehearsal.put("invoices", replace(invoice, status="EXPORTED"))
    rehearsal.go()
    assert rehearsal.held("invoices") == {invoice.invoice_id: "NOT_APPROVED"}
    rehearsal.put("invoices", invoice)
    assert rehearsal.go().counts("invoices") == (1, 0, 0, 0)


def test_a_discarded_record_stays_out_until_it_changes(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=2, currency="EUR")
    wrong = text_record(replace(invoice, total=invoice.total + 5))
    rehearsal.put("invoices", wrong)
    rehearsal.go()
    (row,) = rehearsal.held_rows()
    rehearsal.ledger.discard_held(row.id, "keyed by hand", "anna")
    rehearsal.put("invoices", wrong, rehearsal.exports.invoice(lines=1))
    assert rehearsal.go().counts("invoices") == (1, 0, 0, 1)
    rehearsal.put("invoices", invoice)
    assert rehearsal.go().counts("invoices") == (1, 0, 0, 0)


@pytest.mark.parametrize("negative", [False, True])
def test_a_credit_counts_against_the_invoices(rehearsal: Rehearsal, negative: bool) -> None:
    """Whatever its sign in the file: the totals are what SAP comes to owe."""
    credit = rehearsal.exports.invoice(lines=2, currency="EUR", credit=True, negative=negative)
    invoice = rehearsal.exports.invoice(lines=2, currency="EUR")
    rehearsal.put("invoices", credit, invoice)
    outcome = rehearsal.go()
    assert outcome.ties_out, outcome.verdicts
    owed = net(rehearsal, credit) + net(rehearsal, invoice)
    assert outcome.rows["invoices"].target_totals == {"EUR": owed} == {"EUR": invoice.total - abs(credit.total)}


def test_a_payment_comes_days_after_the_invoice_that_tells_the_vendors_code(rehearsal: Rehearsal) -> None:
    """A payment names its vendor by Stampli's id alone."""
    supplier = rehearsal.exports.books.suppliers_in("EUR")[0]
    vendor = replace(rehearsal.exports.known_vendor(supplier), vendor_id="ST-1")
    invoice = rehearsal.exports.invoice(vendor=vendor, currency="EUR", lines=1)
    rehearsal.put("invoices", invoice)
    assert rehearsal.go().counts("invoices") == (1, 0, 0, 0)
    payment = rehearsal.exports.payment([invoice], method="ACH")
    rehearsal.put("payments", payment)
    outcome = rehearsal.go()
    assert outcome.counts("payments") == (1, 0, 0, 0), rehearsal.held_rows()
    (entry,) = posted(rehearsal, payment.payment_id)
    assert supplier.code in {line["ShortName"] for line in entry["JournalEntryLines"]}


def test_an_invoice_over_nothing(rehearsal: Rehearsal) -> None:
    """Its lines cancel one another, so the vendor gets no line."""
    invoice = rehearsal.exports.invoice(lines=1, currency="EUR")
    line = replace(invoice.lines[0], tax_code="")
    taken_back = replace(line, number=2, amount=-line.amount, unit_price=-line.unit_price)
    nothing = replace(invoice, lines=(line, taken_back), tax=Decimal(0), total=Decimal(0))
    rehearsal.put("invoices", nothing)
    outcome = rehearsal.go()
    assert outcome.ties_out, outcome.verdicts
    assert outcome.counts("invoices") == (1, 0, 0, 0)


def test_an_entry_posted_the_wrong_way_round_is_seen(rehearsal: Rehearsal) -> None:
    credit = rehearsal.exports.invoice(lines=1, currency="EUR", credit=True)
    company = rehearsal.sandbox.company
    rehearsal.put("invoices", credit)

    def turn() -> None:
        for entry in company.rows("JournalEntries"):
            for line in entry["JournalEntryLines"]:
                line["Debit"], line["Credit"] = line["Credit"], line["Debit"]
            company.update("JournalEntries", entry["JdtNum"], {"JournalEntryLines": entry["JournalEntryLines"]})

    rehearsal.sandbox.faults.add("run", path="^JournalEntries$", method="GET", after=1, action=turn)
    outcome = rehearsal.go()
    assert not outcome.ties_out
    assert "is owed" in outcome.verdicts[1].problem
