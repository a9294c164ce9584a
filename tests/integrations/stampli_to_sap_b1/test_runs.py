"""Whole runs, from Stampli's files to SAP's journal: what ends where, and that it ties out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from sandbox.stampli import CsvStyle, Scenario, differences, export_file, text_record
from tests.integrations.stampli_to_sap_b1.rehearsal import Rehearsal, default_config, posted


def expect_books(rehearsal: Rehearsal, scenario: Scenario) -> None:
    """SAP has exactly the entries that must be there, each once, right to the cent."""
    entries = [entry for entry in rehearsal.sandbox.company.entries() if entry["Reference3"]]
    keys = Counter(entry["Reference2"] for entry in entries)
    assert keys == Counter(scenario.entries.keys())
    wrong = [text for entry in entries for text in differences(scenario.entries[entry["Reference2"]], entry)]
    assert wrong == []


def test_a_mixed_drop(rehearsal: Rehearsal) -> None:
    scenario = rehearsal.mixed()
    outcome = rehearsal.go()
    assert outcome.error is None
    assert outcome.ties_out, [verdict.problem for verdict in outcome.verdicts]
    expect_books(rehearsal, scenario)
    for entity in ("vendors", "invoices", "payments"):
        expected = scenario.of(entity)
        held = Counter(rehearsal.held(entity).values())
        assert held == expected.held, entity
        counts = (expected.posted, expected.held.total(), expected.duplicate, expected.excluded.total())
        assert outcome.counts(entity) == counts, entity
    assert rehearsal.drop.waiting() == []
    assert len(rehearsal.drop.archived()) == len(scenario.files)


def test_the_next_run_finds_nothing_to_do_but_what_is_held(rehearsal: Rehearsal) -> None:
    rehearsal.mixed()
    first = rehearsal.go()
    before = rehearsal.sandbox.company.entries()
    second = rehearsal.go()
    assert second.ties_out
    assert rehearsal.sandbox.company.entries() == before
    for entity in ("vendors", "invoices", "payments"):
        assert second.counts(entity) == (0, first.rows[entity].held, 0, 0), entity
        assert {row.attempts for row in rehearsal.held_rows(entity)} <= {2}


def test_the_same_bytes_under_another_name(rehearsal: Rehearsal) -> None:
    invoices = rehearsal.invoices(3)
    rehearsal.put("invoices", *invoices)
    rehearsal.go()
    rehearsal.put("invoices", *invoices)
    again = rehearsal.go()
    assert again.counts("invoices") == (0, 0, 3, 0)
    assert again.ties_out
    assert len(rehearsal.drop.archived()) == 2
    assert all(len(posted(rehearsal, invoice.invoice_id)) == 1 for invoice in invoices)


def test_after_the_cause_is_repaired_the_next_run_posts_just_those(rehearsal: Rehearsal) -> None:
    locked, fine = rehearsal.invoices(2)
    period = locked.posting_date.isoformat()[:7]
    fine = replace(fine, posting_date=locked.posting_date + timedelta(days=-62))
    rehearsal.sandbox.company.lock_period(period)
    rehearsal.put("invoices", locked, fine)
    first = rehearsal.go()
    assert first.ties_out
    assert rehearsal.held("invoices") == {locked.invoice_id: "PERIOD_LOCKED"}
    assert first.counts("invoices") == (1, 1, 0, 0)
    (row,) = rehearsal.held_rows("invoices")
    assert locked.number in row.label
    assert "Posting period locked" in row.message
    detail = rehearsal.ledger.get_held(row.id)
    assert detail is not None
    assert locked.invoice_id.encode() in detail.payload
    rehearsal.sandbox.company.unlock_period(period)
    second = rehearsal.go()
    assert second.counts("invoices") == (1, 0, 0, 0)
    assert rehearsal.held() == {}
    assert len(posted(rehearsal, locked.invoice_id)) == 1
    assert differences(rehearsal.exports.entry(locked), posted(rehearsal, locked.invoice_id)[0]) == []


def test_held_only_takes_no_files(rehearsal: Rehearsal) -> None:
    locked, later = rehearsal.invoices(2)
    rehearsal.sandbox.company.lock_period(locked.posting_date.isoformat()[:7])
    rehearsal.put("invoices", locked)
    rehearsal.go()
    rehearsal.sandbox.company.unlock_period(locked.posting_date.isoformat()[:7])
    name = rehearsal.put("invoices", later)
    replayed = rehearsal.go(mode="held_only")
    assert replayed.counts("invoices") == (1, 0, 0, 0)
    assert rehearsal.drop.waiting() == [name]
    assert posted(rehearsal, later.invoice_id) == []


def test_a_dry_run_changes_nothing(rehearsal: Rehearsal) -> None:
    scenario = rehearsal.mixed()
    waiting = rehearsal.drop.waiting()
    before = rehearsal.sandbox.company.entries()
    shown = rehearsal.go(dry_run=True)
    assert shown.ties_out
    assert rehearsal.sandbox.company.entries() == before
    assert rehearsal.drop.waiting() == waiting
    assert rehearsal.held() == {}
    assert shown.rows["invoices"].to_send == scenario.of("invoices").posted
    real = rehearsal.go()
    assert real.ties_out
    expect_books(rehearsal, scenario)


def test_an_invoice_waits_for_its_vendor(rehearsal: Rehearsal) -> None:
    vendor = rehearsal.exports.new_vendor("EUR")
    invoice = rehearsal.exports.invoice(vendor=vendor, currency="EUR", lines=2)
    rehearsal.put("invoices", invoice)
    assert rehearsal.go().ties_out
    assert rehearsal.held("invoices") == {invoice.invoice_id: "UNKNOWN_VENDOR"}
    rehearsal.put("vendors", vendor)
    outcome = rehearsal.go()
    assert outcome.ties_out
    assert outcome.counts("vendors") == (1, 0, 0, 0)
    assert outcome.counts("invoices") == (1, 0, 0, 0)
    partner = rehearsal.sandbox.company.get("BusinessPartners", vendor.card_code)
    assert (partner["CardType"], partner["CardName"]) == ("cSupplier", vendor.name)


def test_a_changed_vendor_keeps_what_the_mapping_does_not_own(rehearsal: Rehearsal) -> None:
    supplier = rehearsal.exports.books.suppliers[0]
    company = rehearsal.sandbox.company
    company.update("BusinessPartners", supplier.code, {"Website": "https://kept.example.test"})
    vendor = rehearsal.exports.changed_vendor(supplier)
    rehearsal.put("vendors", vendor)
    outcome = rehearsal.go()
    assert outcome.counts("vendors") == (1, 0, 0, 0)
    partner = company.get("BusinessPartners", supplier.code)
    assert partner["CardName"] == vendor.name
    assert partner["EmailAddress"] == vendor.email
    assert partner["Website"] == "https://kept.example.test"
    assert rehearsal.go().counts("vendors") == (0, 0, 0, 0)


def test_somebody_edits_the_vendor_meanwhile(rehearsal: Rehearsal) -> None:
    """SAP refuses a change to a version that is no longer the newest; ours is made anew on top of it."""
    supplier = rehearsal.exports.books.suppliers[0]
    company = rehearsal.sandbox.company

    def edit() -> None:
        company.update("BusinessPartners", supplier.code, {"Website": "https://meanwhile.example.test"})

    rehearsal.sandbox.faults.add("run", path="^BusinessPartners", method="PATCH", action=edit)
    rehearsal.put("vendors", rehearsal.exports.changed_vendor(supplier))
    assert rehearsal.go().counts("vendors") == (1, 0, 0, 0)
    partner = company.get("BusinessPartners", supplier.code)
    assert "née" in partner["CardName"]
    assert partner["Website"] == "https://meanwhile.example.test"


def test_files_that_may_not_be_moved_stay_and_are_remembered(rehearsal: Rehearsal) -> None:
    (invoice,) = rehearsal.invoices(1)
    rehearsal.sandbox.stampli.server.configure(no_rename=True)
    name = rehearsal.put("invoices", invoice)
    assert rehearsal.go().ties_out
    again = rehearsal.go()
    assert again.ties_out
    assert again.rows["invoices"].extracted == 0
    assert rehearsal.drop.waiting() == [name]
    assert len(posted(rehearsal, invoice.invoice_id)) == 1


def test_a_broken_file_is_held_whole_and_the_others_go_on(rehearsal: Rehearsal) -> None:
    invoice, lost = rehearsal.invoices(2)
    broken = export_file("invoices", [text_record(lost)], CsvStyle()) + b'"unterminated\r\n'
    rehearsal.drop.put("invoices_C1_20260301T000000Z.csv", broken)
    rehearsal.put("invoices", invoice)
    outcome = rehearsal.go()
    assert outcome.counts("invoices") == (1, 1, 0, 0)
    (row,) = rehearsal.held_rows("invoices")
    assert row.reason_code == "UNREADABLE_FILE"
    detail = rehearsal.ledger.get_held(row.id)
    assert detail is not None
    assert detail.payload == broken
    assert rehearsal.drop.waiting() == []
    assert rehearsal.go().counts("invoices") == (0, 1, 0, 0)


def test_one_by_one_and_on_the_older_root(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older OData root, without batches: the same books."""
    rehearsal.config = default_config(batch_size=1)
    settings = Rehearsal.settings
    monkeypatch.setattr(Rehearsal, "settings", lambda self: replace(settings(self), api_version="v1"))
    scenario = rehearsal.mixed()
    outcome = rehearsal.go()
    assert outcome.error is None
    assert outcome.ties_out
    expect_books(rehearsal, scenario)


@pytest.mark.parametrize("streams", [3])
def test_several_streams(rehearsal: Rehearsal, streams: int) -> None:
    rehearsal.config = default_config(streams=streams, batch_size=3)
    scenario = rehearsal.mixed()
    assert rehearsal.go().ties_out
    expect_books(rehearsal, scenario)


def test_one_login(rehearsal: Rehearsal) -> None:
    rehearsal.mixed()
    rehearsal.go()
    assert rehearsal.sandbox.sap.server.statistics.logins == 1
    assert rehearsal.sandbox.sap.server.statistics.logouts == 1


def test_an_add_on_refuses_one_entry(rehearsal: Rehearsal) -> None:
    """One bad entry never takes another one with it."""
    invoices = rehearsal.invoices(5)
    rehearsal.sandbox.faults.add("reject_posting", after=2)
    rehearsal.put("invoices", *invoices)
    outcome = rehearsal.go()
    assert outcome.ties_out
    assert outcome.counts("invoices") == (4, 1, 0, 0)
    assert rehearsal.go().counts("invoices") == (1, 0, 0, 0)
