"""Looking without touching, and looking back: dry runs, previews, the audit trail."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.banqup_to_sftp.rehearsal import NOW, ONE, SALES, TWO, Rehearsal
from tieout.formats.ubl import rule_versions
from tieout.integrations.banqup_to_sftp.preview import preview
from tieout.ledger import Ledger
from tieout.systems.banqup import BanqupClient


def everything(rehearsal: Rehearsal) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the ledger, by table."""
    with sqlite3.connect(rehearsal.folder / "ledger.db") as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        own = [name for name in names if not name.startswith("sqlite_")]
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in own}


def test_a_dry_run_delivers_nothing_and_says_what_would_go(
    rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture
) -> None:
    before = rehearsal.add()
    rehearsal.go()
    watermark, trail = rehearsal.watermark(), everything(rehearsal)
    new, bad = rehearsal.add(), rehearsal.add(defect="wrong_total")
    quiet = rehearsal.add(TWO, status="REFUSED")
    caplog.set_level("INFO")
    outcome = rehearsal.go(dry_run=True)

    assert outcome.ties_out and outcome.shares == [] and rehearsal.has(before)
    row = outcome.rows[ONE]
    assert (row.previewed, row.held, row.duplicate, row.delivered, row.status) == (1, 1, 1, 0, "dry_run")
    assert f"would go to /invoice_import/C1001_0701234576/AP/20260302_{new.number}_{new.id}.xml" in caplog.text
    assert rehearsal.watermark() == watermark and rehearsal.held() == {}
    after = everything(rehearsal)
    changed = {name for name in after if after[name] != trail[name]}
    assert changed <= {"runs", "events"}, "nothing but the dry run's own rows"
    assert bad.id not in str(after["events"]) and quiet.id not in str(after)
    real = rehearsal.go()
    assert real.ties_out and rehearsal.has(before, new) and rehearsal.held() == {bad.id: "BR-CO-15"}


def test_a_dry_run_of_what_has_gone(rehearsal: Rehearsal) -> None:
    rehearsal.add()
    rehearsal.go()
    outcome = rehearsal.go(dry_run=True, full_refresh=(ONE,))
    assert outcome.ties_out and outcome.rows[ONE].previewed == 1


def shown(rehearsal: Rehearsal, limit: int, ledger: Ledger | None = None) -> list[dict[str, Any]]:
    run, staging = rehearsal.new_run(dry_run=True), rehearsal.folder / "preview"
    shutil.rmtree(staging, ignore_errors=True)
    with BanqupClient(rehearsal.settings()) as client:
        return preview(run, rehearsal.config, ONE, limit, ledger or rehearsal.ledger, staging, client)


def test_a_preview_writes_nothing(rehearsal: Rehearsal) -> None:
    known = rehearsal.add(minutes=90)
    rehearsal.go()
    early = rehearsal.add(status_at=NOW.replace(year=2025))
    rehearsal.documents.pay(early.id)
    sale, bad = rehearsal.add(folder=SALES, minutes=20), rehearsal.add(defect="wrong_total", minutes=10)
    before = everything(rehearsal)
    rows = {row["document_id"]: row for row in shown(rehearsal, 10)}

    assert everything(rehearsal) == before and rehearsal.has(known)
    assert {document: row["(outcome)"].partition(":")[0] for document, row in rows.items()} == {
        known.id: "duplicate", early.id: "excluded", sale.id: "send", bad.id: "held",
    }  # fmt: skip
    assert "before the activation" in rows[early.id]["(outcome)"] and "BR-CO-15" in rows[bad.id]["(outcome)"]
    assert rows[sale.id]["remote_path"] == f"/invoice_import/C1001_0701234576/AR/20260302_{sale.number}_{sale.id}.xml"
    assert rows[bad.id]["remote_path"] is None
    currency, amount = rehearsal.worth[sale.id]
    assert rows[sale.id]["money"] == {currency: str(amount)}
    assert rehearsal.go().counts() == (1, 1, 1, 1)


@pytest.mark.parametrize("limit", [1, 3])
def test_a_preview_reads_no_more_than_it_is_asked_for(rehearsal: Rehearsal, limit: int) -> None:
    for number in range(5):
        rehearsal.add(minutes=90 - number)
    assert len(shown(rehearsal, limit)) == limit
    assert rehearsal.banqup.server.statistics.requests["file"] == limit


# Looking back


@pytest.mark.parametrize("by", ["id", "number"])
def test_what_is_known_of_a_delivered_document(rehearsal: Rehearsal, by: str) -> None:
    document = rehearsal.add(number="2026/0113")
    outcome = rehearsal.go()
    story = rehearsal.ledger.trace(document.id if by == "id" else "2026/0113")
    [record] = story["records"]
    [file] = record["files"]

    assert (record["integration"], record["entity"], record["source_key"]) == ("banqup_to_sftp", ONE, document.id)
    stored = rehearsal.documents.file_of(document.id)
    assert file["remote_path"] == rehearsal.received()[document.id].path
    assert (file["sha256"], file["bytes"]) == (stored.sha256, len(stored.data))
    assert file["verification"] == "read_back" and file["status"] == "delivered" and file["delivered_at"]
    assert [run["run_id"] for run in record["runs"]] == [outcome.run.run_id]
    assert [run["interval_start"] for run in record["runs"]] == [None]
    [verdict] = [event for event in record["events"] if event["what"] == "validated"]
    assert verdict["detail"]["verdict"] == "valid" and verdict["detail"]["findings"] == []
    assert rule_versions()["digest"] in verdict["detail"]["rules"]


def test_what_is_known_of_a_held_and_repaired_document(rehearsal: Rehearsal) -> None:
    bad = rehearsal.add(number="K/7", defect="wrong_total")
    rehearsal.go()
    rehearsal.documents.repair(bad.id)
    rehearsal.go()
    [record] = rehearsal.ledger.trace("K/7")["records"]
    [held] = record["held"]
    assert (held["reason_code"], held["status"]) == ("BR-CO-15", "settled")
    verdicts = [event["detail"]["verdict"] for event in record["events"] if event["what"] == "validated"]
    assert verdicts == ["invalid", "valid"]
    assert [run["run_id"] for run in record["runs"]] in (["run-1", "run-2"], ["run-2", "run-1"])


def test_no_secret_is_told_to_anybody(rehearsal: Rehearsal, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level("DEBUG", logger="tieout")
    rehearsal.add()
    rehearsal.add(TWO)
    lost = rehearsal.add()
    rehearsal.documents.damage_file(lost.id)
    rehearsal.banqup.receivers[TWO].server.down()
    outcome = rehearsal.go()
    secrets = [rehearsal.banqup.application.client_secret, "signature="]
    secrets += [receiver.user.password or "" for receiver in rehearsal.banqup.receivers.values()]
    told = caplog.text + repr(outcome) + repr([repr(plan.to_json()) for plan in outcome.plans])
    told += str(everything(rehearsal))
    for path in (tmp_path / "staging").rglob("*.json*"):
        told += path.read_text()
    assert [secret for secret in secrets if secret in told] == []
