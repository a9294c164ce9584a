"""Smaller promises: back-off of held records, previews, keys, reversals that lose their references, traces."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integrations.stampli_to_sap_b1.rehearsal import Rehearsal, posted
from tieout.config import HeldRetry
from tieout.errors import ConfigurationInvalid
from tieout.integrations.backing_off import due
from tieout.integrations.posting import posting_key
from tieout.integrations.stampli_to_sap_b1.preview import preview

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_posting_key_is_the_same_for_the_same_effect_only() -> None:
    parts = ("stampli_to_sap_b1", "default", "SBODEMO", "invoices", "V1|4711|INVOICE", "inv-1")
    key = posting_key(*parts, kind="journal_entry", revision=1)
    assert key == posting_key(*parts, kind="journal_entry", revision=1)
    assert len(key) <= 27
    assert key.isalnum()
    others = {
        posting_key(*parts, kind="journal_entry", revision=2),
        posting_key(*parts, kind="cancellation", revision=1),
        *(
            posting_key(*parts[:place], parts[place] + "x", *parts[place + 1 :], kind="journal_entry", revision=1)
            for place in range(len(parts))
        ),
    }
    assert key not in others
    assert len(others) == 2 + len(parts)


@pytest.mark.parametrize(
    ("attempts", "minutes", "expected"),
    [(1, 0, True), (8, 0, True), (9, 14, False), (9, 15, True), (10, 29, False), (10, 30, True), (60, 359, False),
     (60, 360, True)],
)  # fmt: skip
def test_scheduled_runs_try_ever_more_rarely(rehearsal: Rehearsal, attempts: int, minutes: int, expected: bool) -> None:
    invoice = rehearsal.exports.invoice(lines=1)
    rehearsal.put("invoices", replace(invoice, total=invoice.total + 5))
    rehearsal.go()
    (row,) = rehearsal.held_rows()
    seen = replace(row, attempts=attempts, last_seen=NOW - timedelta(minutes=minutes))
    assert due(seen, HeldRetry(), NOW) is expected


def test_a_scheduled_run_leaves_out_what_is_not_due_and_a_person_does_not(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=1)
    rehearsal.config = rehearsal.config.model_copy(update={"held": HeldRetry(eager_attempts=1)})
    rehearsal.put("invoices", replace(invoice, total=invoice.total + 5))
    rehearsal.go()
    assert rehearsal.go(by_schedule=True).counts("invoices") == (0, 1, 0, 0)
    late = rehearsal.go(by_schedule=True)
    assert late.rows["invoices"].extracted == 0
    assert late.ties_out
    assert rehearsal.go().counts("invoices") == (0, 1, 0, 0)


def test_a_preview_shows_the_entries_and_changes_nothing(rehearsal: Rehearsal, tmp_path: Path) -> None:
    vendor = rehearsal.exports.new_vendor("EUR")
    good = rehearsal.exports.invoice(vendor=vendor, currency="EUR", lines=1)
    bad = replace(rehearsal.exports.invoice(lines=1), status="EXPORTED")
    rehearsal.put("vendors", vendor)
    name = rehearsal.put("invoices", good, bad)
    (tmp_path / "preview").mkdir()
    with rehearsal.client() as client:
        rows = preview(
            rehearsal.new_run(dry_run=True), rehearsal.config, "invoices", 10, rehearsal.ledger, tmp_path / "preview",
            lambda: client, rehearsal.target(),
        )  # fmt: skip
    shown = {row["source_key"]: row["(outcome)"] for row in rows}
    assert shown[good.invoice_id] == "post"
    assert shown[bad.invoice_id].startswith("held: ")
    assert {row.get("ShortName") for row in rows if row["source_key"] == good.invoice_id} >= {vendor.card_code}
    assert name in rehearsal.drop.waiting()
    assert rehearsal.sandbox.company.entries() == []
    assert rehearsal.held() == {}


def test_a_reversal_without_references_is_known_by_its_lines(rehearsal: Rehearsal) -> None:
    """Some builds do not copy an entry's references to its reversal; the reply to the cancellation is lost too."""
    rehearsal.sandbox.company.rules.reversals_keep_references = False
    invoice = rehearsal.exports.invoice(lines=2)
    rehearsal.put("invoices", invoice)
    rehearsal.go()
    rehearsal.sandbox.faults.add("lost_reply", path="/Cancel$")
    rehearsal.put("invoices", rehearsal.exports.voided(invoice))
    outcome = rehearsal.go()
    assert outcome.error is None
    assert outcome.counts("invoices") == (1, 0, 0, 0)
    assert len(rehearsal.sandbox.company.entries()) == 2


def test_some_entities_only(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=1)
    rehearsal.put("invoices", invoice)
    name = rehearsal.put("payments", rehearsal.exports.payment([invoice]))
    outcome = rehearsal.go(entities=("invoices",))
    assert set(outcome.rows) == {"invoices"}
    assert rehearsal.drop.waiting() == [name]
    assert len(posted(rehearsal, invoice.invoice_id)) == 1
    with pytest.raises(ConfigurationInvalid, match=r"conf\.entities names 'journals'"):
        rehearsal.go(entities=("journals",))


def test_a_trace_tells_file_posting_and_journal_entry(rehearsal: Rehearsal) -> None:
    invoice = rehearsal.exports.invoice(lines=1)
    name = rehearsal.put("invoices", invoice)
    rehearsal.go()
    (entry,) = posted(rehearsal, invoice.invoice_id)
    for key in (invoice.number, invoice.invoice_id, entry["Reference3"], str(entry["JdtNum"])):
        (record,) = rehearsal.ledger.trace(key)["records"]
        (posting,) = record["postings"]
        assert (posting["state"], posting["target_key"]) == ("done", str(entry["JdtNum"])), key
        (file,) = record["files"]
        assert file["file_name"] == name
        archived = (rehearsal.drop.outbound / "archive").rglob(name)
        content = next(iter(archived)).read_bytes()
        assert invoice.invoice_id.encode() in content[file["byte_start"] : file["byte_end"]]


def test_a_file_replaced_after_it_was_taken_is_not_archived_unread(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tieout.integrations.stampli_to_sap_b1 import steps

    first, second = rehearsal.invoices(2, lines=1)
    name = rehearsal.put("invoices", first)
    archive = steps.archive

    def replaced(*arguments: object) -> object:
        content = rehearsal.drop.read(name).replace(first.invoice_id.encode(), second.invoice_id.encode())
        rehearsal.drop.put(name, content + b"\r\n")
        return archive(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "archive", replaced)
    assert rehearsal.go().ties_out
    assert rehearsal.drop.waiting() == [name]
    monkeypatch.setattr(steps, "archive", archive)
    assert rehearsal.go().rows["invoices"].extracted == 1
