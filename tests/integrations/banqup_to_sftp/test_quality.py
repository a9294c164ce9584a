"""Great Expectations on a run's documents as a whole: repetitions, gaps in statements, balances that do not follow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sandbox.banqup import ubl
from tests.integrations.banqup_to_sftp.rehearsal import ONE, TWO, Rehearsal
from tieout.config import include_folder
from tieout.errors import ConfigurationInvalid
from tieout.ledger import RunKey

SELLER = ubl.belgian_party("supplier")
TWICE = "lies in Banqup under two ids"
GAP = "A statement before this one is missing"
REPEATED = "A statement of this number came before"
BALANCE = "The balance does not begin where the statement before ended"


@pytest.fixture
def gated(rehearsal: Rehearsal) -> Rehearsal:
    rehearsal.gate = True
    return rehearsal


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Suites of one's own, to change."""
    folder = tmp_path / "include" / "quality" / "banqup_to_sftp"
    shutil.copytree(include_folder() / "quality" / "banqup_to_sftp", folder)
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "include"))
    return folder


def make_critical(path: Path, meaning: str) -> None:
    """The expectation with this meaning holds from now on."""
    blocks = path.read_text().split("  - type:")
    critical = [block.replace("severity: warning", "severity: critical") for block in blocks]
    changed = [new if meaning in old else old for old, new in zip(blocks, critical, strict=True)]
    assert changed != blocks
    path.write_text("  - type:".join(changed))


def warnings(quality: dict[str, Any], name: str) -> str:
    return " | ".join(quality[name]["warnings"]) if name in quality else ""


def test_a_sound_run_has_nothing_to_tell(gated: Rehearsal) -> None:
    for client in (ONE, TWO):
        gated.add(client, seller=SELLER, number="1")
        gated.add(client, seller=ubl.belgian_party("another"), number="1")
        gated.add_statement(client)
        gated.add_statement(client, minutes=50)
    gated.add(defect="not_xml")
    gated.add_statement(defect="short_line")
    outcome = gated.go()
    assert outcome.ties_out and outcome.quality == {
        "invoices": {"rows": 4, "warnings": []}, "statements": {"rows": 4, "warnings": []}, "held": 0,
    }  # fmt: skip
    assert gated.go().quality == {"held": 0}, "what is known, or breaks a rule, is not looked at again"


def test_the_same_invoice_under_two_ids_is_told_and_goes(gated: Rehearsal) -> None:
    documents = [gated.add(seller=SELLER, number="2026/7") for _ in range(2)]
    elsewhere = gated.add(TWO, seller=SELLER, number="2026/7")
    outcome = gated.go()
    assert TWICE in warnings(outcome.quality, "invoices") and outcome.quality["held"] == 0
    assert outcome.ties_out and gated.has(*documents) and gated.has(elsewhere, client=TWO)
    told = warnings(outcome.quality, "invoices")
    assert f"{ONE}|" in told and f"{TWO}|" not in told


def test_the_same_invoice_under_two_ids_is_held_where_that_is_critical(gated: Rehearsal, suites: Path) -> None:
    make_critical(suites / "invoices.yaml", TWICE)
    twice = [gated.add(seller=SELLER, number="2026/7") for _ in range(2)]
    alone = gated.add(seller=SELLER, number="2026/8")
    outcome = gated.go()

    assert outcome.ties_out and gated.has(alone) and outcome.counts() == (1, 2, 0, 0)
    assert gated.held() == {document.id: "EXPECTATION_NOT_MET" for document in twice}
    assert all("2026/7" in row.message and TWICE in row.message for row in gated.held_rows())
    # One is enough: the other is discarded, and stays out although it meets the expectation by itself.
    kept, dropped = twice
    [row] = [row for row in gated.held_rows() if row.source_key == dropped.id]
    gated.ledger.discard_held(row.id, "twice", "test")
    replayed = gated.go(mode="held_only")
    assert replayed.ties_out and gated.has(alone, kept) and gated.held() == {}
    assert gated.go().counts() == (0, 0, 2, 1) and gated.has(alone, kept)


def test_a_suite_that_cannot_be_read_stops_the_run_before_anything_is_read(gated: Rehearsal, suites: Path) -> None:
    (suites / "statements.yaml").write_text("entity: statements\nexpectation: []\n")
    with pytest.raises(ConfigurationInvalid, match=r"statements\.yaml, line 2, expectation"):
        gated.open(gated.new_run())
    assert gated.banqup.server.statistics.requests.total() == 0


# Statements

CHAINS: list[Any] = [
    pytest.param("one run", {"skip": 2}, GAP, id="two are missing"),
    pytest.param("one run", {"balance": 5}, BALANCE, id="the balance"),
    pytest.param("two runs", {"balance": 5}, BALANCE, id="the balance, from run to run"),
]


@pytest.mark.parametrize(("over", "happens", "said"), CHAINS)
def test_statements_follow_each_other(gated: Rehearsal, over: str, happens: dict[str, int], said: str) -> None:
    first = gated.add_statement(minutes=90)
    if over == "two runs":
        assert warnings(gated.go().quality, "statements") == ""
        gated.later()
    gated.account().balance += happens.get("balance", 0)
    second = gated.add_statement(minutes=20, skip=happens.get("skip", 0))
    outcome = gated.go()
    assert outcome.ties_out and gated.has(first, second)
    told = warnings(outcome.quality, "statements")
    assert said in told and f"{ONE}|{second.id}" in told


def test_a_statement_that_comes_twice_or_late(gated: Rehearsal) -> None:
    first = gated.add_statement(minutes=90)
    gated.add_statement(minutes=80)
    gated.go()
    gated.later()
    again = gated.documents.add_document(
        gated.client().space_id, "BANK", "ENRICHED_MOVEMENT_REPORT", gated.data(first), number="again",
        issue_date="2026-01-01", status_at=gated.clock.now(),
    )  # fmt: skip
    gated.worth[again.id] = gated.worth[first.id]
    outcome = gated.go()
    assert REPEATED in warnings(outcome.quality, "statements") and again.id in gated.received()
    # A late one does not turn the sequence back.
    gated.later()
    gated.add_statement(minutes=0)
    assert warnings(gated.go().quality, "statements") == ""


def test_a_gap_is_held_where_that_is_critical(gated: Rehearsal, suites: Path) -> None:
    make_critical(suites / "statements.yaml", GAP)
    first, second = gated.add_statement(minutes=90), gated.add_statement(minutes=80, skip=1)
    outcome = gated.go()
    assert outcome.ties_out and gated.has(first) and gated.held() == {second.id: "EXPECTATION_NOT_MET"}
    assert GAP in gated.held_rows()[0].message


def test_the_balance_of_every_account_by_itself(gated: Rehearsal) -> None:
    """Two accounts of a client, and two clients with statements of the same days."""
    gated.add_statement(ONE)
    gated.add_statement(TWO)
    other = gated.banqup.scenario.accounts.pop(gated.client(TWO).space_id)
    gated.banqup.scenario.accounts[gated.client(TWO).space_id] = gated.account(ONE)
    gated.banqup.scenario.accounts[gated.client(ONE).space_id] = other
    gated.add_statement(ONE, minutes=50)
    gated.add_statement(TWO, minutes=50)
    outcome = gated.go()
    assert outcome.ties_out and warnings(outcome.quality, "statements") == ""


def test_a_dry_run_leaves_no_trace_of_what_was_found(gated: Rehearsal) -> None:
    gated.add()
    run = gated.go(dry_run=True).run
    events = gated.ledger.events_of_run(RunKey(run.integration, run.instance, "", run.run_id))
    assert "quality" not in {event.what for event in events}


def test_the_audit_trail_has_what_was_found(gated: Rehearsal) -> None:
    documents = [gated.add(seller=SELLER, number="2026/7") for _ in range(2)]
    run = gated.go().run
    events = gated.ledger.events_of_run(RunKey(run.integration, run.instance, "", run.run_id))
    [event] = [event for event in events if event.what == "quality"]
    assert TWICE in json.dumps(event.detail, default=str)
    assert all(document.id in json.dumps(event.detail, default=str) for document in documents)
