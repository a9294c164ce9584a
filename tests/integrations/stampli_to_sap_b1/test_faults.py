"""What goes wrong between us and SAP: the same journal in the end, none missing, none twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from sandbox.stampli import differences
from sandbox.stampli.model import Invoice
from tests.integrations.stampli_to_sap_b1.rehearsal import Outcome, Rehearsal, default_config, posted
from tieout.errors import SourceUnavailable
from tieout.integrations.stampli_to_sap_b1.entity_posting import EntityPosting
from tieout.ledger import Ledger
from tieout.systems.sap_b1.client import SapB1Client


def expect_each_once(rehearsal: Rehearsal, invoices: list[Invoice]) -> None:
    entries = [entry for entry in rehearsal.sandbox.company.entries() if entry["Reference3"]]
    assert Counter(entry["Reference2"] for entry in entries) == {invoice.invoice_id: 1 for invoice in invoices}
    by_id = {invoice.invoice_id: rehearsal.exports.entry(invoice) for invoice in invoices}
    assert [text for entry in entries for text in differences(by_id[entry["Reference2"]], entry)] == []


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize(
    "faults",
    [
        [("lost_reply", {"every": 7})],
        [("lost_request", {"every": 5})],
        [("bad_gateway_after_commit", {"every": 6})],
        [("bad_gateway_before_commit", {"every": 6})],
        [("lost_reply", {"every": 7}), ("bad_gateway", {"every": 9}), ("reset_before_head", {"every": 11})],
    ],
    ids=lambda faults: "+".join(kind for kind, _ in faults),
)
def test_replies_are_lost(rehearsal: Rehearsal, faults: list[tuple[str, dict[str, Any]]], batch_size: int) -> None:
    rehearsal.config = default_config(batch_size=batch_size)
    invoices = rehearsal.invoices(30, lines=1)
    rehearsal.put("invoices", *invoices)
    for kind, options in faults:
        rehearsal.sandbox.faults.add(kind, **options)
    outcome = rehearsal.go(tries=3)
    assert outcome.error is None
    assert outcome.ties_out, outcome.verdicts
    assert outcome.counts("invoices") == (30, 0, 0, 0)
    expect_each_once(rehearsal, invoices)


def test_the_session_dies_now_and_then(rehearsal: Rehearsal) -> None:
    rehearsal.config = default_config(batch_size=3)
    rehearsal.sandbox.faults.configure(kill_session_every=5)
    invoices = rehearsal.invoices(30, lines=1)
    rehearsal.put("invoices", *invoices)
    outcome = rehearsal.go()
    assert outcome.ties_out, outcome.error
    expect_each_once(rehearsal, invoices)


def test_a_server_that_is_still_at_work_is_not_asked_again_too_soon(rehearsal: Rehearsal) -> None:
    """The gateway gives up on the batch, but the node goes on and commits later."""
    rehearsal.config = default_config(settle_seconds=0.6)
    invoices = rehearsal.invoices(6, lines=1)
    rehearsal.put("invoices", *invoices)
    rehearsal.sandbox.faults.add("late_commit", path="batch$", seconds=0.3)
    outcome = rehearsal.go(tries=2)
    assert outcome.ties_out, outcome.error
    expect_each_once(rehearsal, invoices)


def test_no_reply_in_time(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """SAP commits long after we stopped waiting: nothing is posted again before the next attempt has looked."""
    settings = Rehearsal.settings
    monkeypatch.setattr(Rehearsal, "settings", lambda self: replace(settings(self), request_timeout=1.5))
    invoices = rehearsal.invoices(4, lines=1)
    rehearsal.put("invoices", *invoices)
    rehearsal.sandbox.faults.add("late_commit", path="batch$", seconds=12)
    first = rehearsal.go()
    assert isinstance(first.error, SourceUnavailable)
    assert not first.ties_out
    assert rehearsal.held() == {}
    deadline = time.monotonic() + 60
    while len(rehearsal.sandbox.company.entries_by_reference3()) < 4:
        assert time.monotonic() < deadline, "SAP has committed nothing"
        time.sleep(0.05)
    second = rehearsal.go()
    assert second.ties_out
    assert second.counts("invoices") == (4, 0, 0, 0)
    expect_each_once(rehearsal, invoices)


def test_sap_goes_away_in_the_middle(rehearsal: Rehearsal) -> None:
    rehearsal.config = default_config(batch_size=4)
    invoices = rehearsal.invoices(12, lines=1)
    rehearsal.put("invoices", *invoices)
    rehearsal.sandbox.faults.add("bad_gateway", after=12, times=None)
    first = rehearsal.go()
    assert isinstance(first.error, SourceUnavailable)
    assert rehearsal.drop.waiting() != []
    rehearsal.sandbox.faults.clear()
    second = rehearsal.go()
    assert second.ties_out
    assert rehearsal.held() == {}
    assert rehearsal.drop.waiting() == []
    expect_each_once(rehearsal, invoices)


def test_an_approval_procedure(rehearsal: Rehearsal) -> None:
    approved, refused = rehearsal.invoices(2, lines=1)
    rehearsal.sandbox.faults.add("approval", times=2)
    rehearsal.put("invoices", approved, refused)
    first = rehearsal.go()
    assert first.ties_out, first.error
    assert set(rehearsal.held("invoices").values()) == {"AWAITING_APPROVAL"}
    assert rehearsal.go().counts("invoices") == (0, 2, 0, 0)
    company = rehearsal.sandbox.company
    drafts = {row["Reference2"]: row["DocEntry"] for row in company.rows("Drafts")}
    company.approve_draft(drafts[approved.invoice_id])
    company.reject_draft(drafts[refused.invoice_id])
    third = rehearsal.go()
    assert third.ties_out
    assert third.counts("invoices") == (1, 1, 0, 0)
    assert rehearsal.held("invoices") == {refused.invoice_id: "APPROVAL_REFUSED"}
    assert len(posted(rehearsal, approved.invoice_id)) == 1
    assert posted(rehearsal, refused.invoice_id) == []
    # A person asks for it once more.
    assert rehearsal.go(mode="held_only").counts("invoices") == (1, 0, 0, 0)


def test_the_reply_that_tells_of_a_draft_is_lost(rehearsal: Rehearsal) -> None:
    rehearsal.config = default_config(batch_size=1)
    (invoice,) = rehearsal.invoices(1, lines=1)
    rehearsal.sandbox.faults.add("approval", times=1)
    rehearsal.sandbox.faults.add("reset_mid_body", path="^JournalEntries$", method="POST")
    rehearsal.put("invoices", invoice)
    assert rehearsal.go().ties_out
    assert rehearsal.held("invoices") == {invoice.invoice_id: "AWAITING_APPROVAL"}
    assert len(rehearsal.sandbox.company.rows("Drafts")) == 1


def test_a_draft_without_our_key_is_known_by_its_references(rehearsal: Rehearsal) -> None:
    """Documents have no third reference; an entry made from such a draft may lack it as well."""
    (invoice,) = rehearsal.invoices(1, lines=1)
    company = rehearsal.sandbox.company
    rehearsal.sandbox.faults.add("approval", times=1)
    rehearsal.put("invoices", invoice)

    def drop_the_key() -> None:
        (draft,) = company.rows("Drafts")
        company.update("Drafts", draft["DocEntry"], {"NumAtCard": None})

    rehearsal.sandbox.faults.add("run", path="^Drafts", method="GET", action=drop_the_key)
    assert rehearsal.go().ties_out
    assert rehearsal.held("invoices") == {invoice.invoice_id: "AWAITING_APPROVAL"}
    assert rehearsal.go().counts("invoices") == (0, 1, 0, 0)
    (draft,) = company.rows("Drafts")
    entry = company.approve_draft(draft["DocEntry"])
    company.update("JournalEntries", entry["JdtNum"], {"Reference3": None})
    outcome = rehearsal.go()
    assert outcome.ties_out, outcome.verdicts
    assert outcome.counts("invoices") == (1, 0, 0, 0)
    assert len(company.rows("Drafts")) == 1
    assert len(posted(rehearsal, invoice.invoice_id)) == 1


def test_a_reference_that_sap_does_not_find_is_no_draft(rehearsal: Rehearsal) -> None:
    (invoice,) = rehearsal.invoices(1, lines=1)
    rehearsal.sandbox.faults.add("reject_posting", code=-2028, message="No matching records found (ODBC -2028)")
    rehearsal.put("invoices", invoice)
    assert rehearsal.go().ties_out
    assert rehearsal.held("invoices") == {invoice.invoice_id: "REFERENCE_NOT_FOUND"}


def test_two_runs_at_once(rehearsal: Rehearsal) -> None:
    rehearsal.config = default_config(batch_size=2)
    rehearsal.sandbox.faults.configure(posting_ms=20)
    invoices = rehearsal.invoices(12, lines=1)
    rehearsal.put("invoices", *invoices)
    runs = [rehearsal.new_run(), rehearsal.new_run()]
    both_have_the_files = threading.Barrier(2)
    outcomes: list[Outcome | BaseException] = []

    def go(run: Any) -> None:
        try:
            entities = rehearsal.collect(run)
            both_have_the_files.wait(60)
            with rehearsal.client() as client:
                verdicts = rehearsal.prepare(run, entities, client)
                both_have_the_files.wait(60)
                rehearsal.post(run, entities, verdicts, client)
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=go, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == []
    rows = [rehearsal.ledger.get_run(run.key("invoices")) for run in runs]
    assert sorted((row.posted, row.duplicate) for row in rows if row is not None) == [(0, 12), (12, 0)]
    expect_each_once(rehearsal, invoices)


def test_a_task_that_dies_after_the_effect_and_before_the_commit(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run again: what its first attempt posted is its own work."""

    class Killed(BaseException):
        pass

    invoices = rehearsal.invoices(4, lines=1)
    rehearsal.put("invoices", *invoices)
    run = rehearsal.new_run()
    entities = rehearsal.collect(run)

    def die(self: EntityPosting) -> None:
        raise Killed

    with rehearsal.client() as client:
        verdicts = rehearsal.prepare(run, entities, client)
        with monkeypatch.context() as patch:
            patch.setattr(EntityPosting, "held", die)
            with pytest.raises(Killed):
                rehearsal.post(run, entities, verdicts, client)
        rehearsal.post(run, entities, verdicts, client)
    row = rehearsal.ledger.get_run(run.key("invoices"))
    assert row is not None
    assert (row.posted, row.duplicate) == (4, 0)
    expect_each_once(rehearsal, invoices)


def test_a_task_that_dies_after_the_vendors_and_before_their_invoices(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SAP had was read before the vendors were made; the next attempt knows them all the same."""

    class Killed(BaseException):
        pass

    vendor = rehearsal.exports.new_vendor("EUR")
    invoice = rehearsal.exports.invoice(vendor=vendor, currency="EUR", lines=1)
    rehearsal.put("vendors", vendor)
    rehearsal.put("invoices", invoice)
    run = rehearsal.new_run()
    entities = rehearsal.collect(run)

    def die(self: EntityPosting, *_: Any) -> None:
        raise Killed

    with rehearsal.client() as client:
        verdicts = rehearsal.prepare(run, entities, client)
        with monkeypatch.context() as patch:
            patch.setattr(EntityPosting, "_post_entries", die)
            with pytest.raises(Killed):
                rehearsal.post(run, entities, verdicts, client)
        rehearsal.post(run, entities, verdicts, client)
    assert rehearsal.held() == {}
    expect_each_once(rehearsal, [invoice])


def test_the_ledger_is_lost(rehearsal: Rehearsal, tmp_path: Any) -> None:
    """The books themselves know the posting keys: a new ledger posts nothing again."""
    invoices = rehearsal.invoices(3, lines=1)
    rehearsal.put("invoices", *invoices)
    rehearsal.go()
    with Ledger.open(f"sqlite:///{tmp_path / 'new.db'}", migrate=True) as ledger:
        rehearsal.ledger = ledger
        rehearsal.put("invoices", *invoices)
        outcome = rehearsal.go()
        assert outcome.ties_out
        expect_each_once(rehearsal, invoices)


def test_a_server_without_batches(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    from tieout.systems.sap_b1.errors import SapError

    def unknown(self: SapB1Client, writes: Any, **_: Any) -> Any:
        raise SapError(404, "-1002", "Unrecognized resource path.", "$batch")

    monkeypatch.setattr(SapB1Client, "write_batch", unknown)
    invoices = rehearsal.invoices(3, lines=1)
    rehearsal.put("invoices", *invoices)
    assert rehearsal.go().ties_out
    expect_each_once(rehearsal, invoices)


def test_somebody_posted_it_twice(rehearsal: Rehearsal) -> None:
    """Our key twice in SAP's books: the run is red, whoever did it."""
    (invoice,) = rehearsal.invoices(1, lines=1)
    rehearsal.put("invoices", invoice)
    company = rehearsal.sandbox.company

    def copy() -> None:
        (entry,) = posted(rehearsal, invoice.invoice_id)
        kept = ("ReferenceDate", "DueDate", "TaxDate", "Reference", "Reference2", "Reference3")
        lines = [
            {
                name: line[name]
                for name in ("ShortName", "AccountCode", "Debit", "Credit", "FCDebit", "FCCredit", "FCCurrency",
                             "CostingCode", "ProjectCode")
                if line[name] and not (name == "AccountCode" and line["ShortName"] != line["AccountCode"])
            }
            for line in entry["JournalEntryLines"]
        ]  # fmt: skip
        company.post_entry({**{name: entry[name] for name in kept}, "JournalEntryLines": lines})

    rehearsal.sandbox.faults.add("run", path="^JournalEntries$", method="GET", after=1, action=copy)
    outcome = rehearsal.go()
    assert not outcome.ties_out
    assert "is there 2 times" in outcome.verdicts[1].problem
