"""`tieout replay`: which runs it asks for, and real Airflow taking them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import NORTH, PLUGINS, Run, tell_story
from tests.support.holding import hold
from tieout import approvals
from tieout.cli import replay, second_person
from tieout.cli.airflow_home import TriggeredRun
from tieout.ledger import Filters, Ledger

Asked = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What Airflow would have been asked for; the tests below with real Airflow cover the rest."""
    calls: Asked = []

    def trigger(dag_id: str, conf: dict[str, Any]) -> TriggeredRun:
        calls.append((dag_id, dict(conf)))
        return TriggeredRun(dag_id, f"run-{len(calls)}", paused=True, scheduler_alive=False)

    monkeypatch.setattr(replay, "trigger", trigger)
    monkeypatch.setattr(second_person, "trigger", trigger)
    return calls


def _ids(ledger: Ledger) -> dict[str, int]:
    return {row.entity: row.id for row in ledger.held(Filters())}


def test_all_is_one_run_per_instance(tieout: Run, ledger: Ledger, asked: Asked) -> None:
    answer = tieout("replay", "--all", "--json")
    everything = {"held_only": True, "held_ids": []}
    assert asked == [("sap_b1_to_peakflo", everything), ("sap_b1_to_peakflo__north", everything)]
    assert [(row["run_id"], row["records"], row["status"]) for row in answer.json] == [
        ("run-1", 1, "queued"),
        ("run-2", 1, "queued"),
    ]
    assert "is paused" in answer.err
    assert "No scheduler is running" in answer.err


def test_ids_of_two_instances(tieout: Run, ledger: Ledger, asked: Asked) -> None:
    ids = _ids(ledger)
    chosen = [f"--id={ids['invoices']}", f"--id={ids['customers']}", f"--id={ids['invoices']}"]
    assert tieout("replay", *chosen).code == 0
    assert asked == [
        ("sap_b1_to_peakflo", {"held_only": True, "held_ids": [ids["invoices"]]}),
        ("sap_b1_to_peakflo__north", {"held_only": True, "held_ids": [ids["customers"]]}),
    ]


@pytest.mark.parametrize(
    ("filters", "extra"),
    [(["--entity", "invoices"], {"held_ids": [], "entities": ["invoices"]}), (["--run-id", "manual__2026-01-31"], {})],
)
def test_all_narrowed(tieout: Run, ledger: Ledger, asked: Asked, filters: list[str], extra: dict[str, Any]) -> None:
    tieout("replay", "--all", *filters)
    listed = {"held_ids": [_ids(ledger)["invoices"]]}
    assert asked == [("sap_b1_to_peakflo", {"held_only": True, **(extra or listed)})]


def test_what_cannot_be_replayed_is_refused_before_anything_runs(tieout: Run, ledger: Ledger, asked: Asked) -> None:
    ids = _ids(ledger)
    ledger.discard_held(ids["customers"], "not ours", "me")
    for arguments, words in (
        (["--id", str(ids["invoices"]), "--id", "99"], "no held record 99"),
        (["--id", str(ids["invoices"]), "--id", str(ids["customers"])], "is discarded already"),
        (["--id", str(ids["invoices"]), "--entity", "payments"], "is of entity invoices, not of payments"),
    ):
        answer = tieout("replay", *arguments)
        assert (answer.code, words in answer.err) == (1, True), answer
    assert asked == []


@pytest.fixture
def limit(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default instance's limit of 12 EUR: its held record of 12.30 EUR is above."""
    folder = home / "include" / "integrations" / "sap_b1_to_peakflo"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text('second_person: {above: {EUR: "12"}}\n')
    monkeypatch.setenv("TIEOUT_INCLUDE", str(home / "include"))
    monkeypatch.setattr(second_person, "base_url", lambda: "https://airflow.example.com")


def test_what_is_above_the_limit_is_asked_of_a_second_person(
    tieout: Run, ledger: Ledger, asked: Asked, limit: None
) -> None:
    ids = _ids(ledger)
    answer = tieout("replay", "--all", "--json")
    companion = "sap_b1_to_peakflo_second_person"
    assert asked == [
        (companion, {"action": "replay", "held_ids": [ids["invoices"]], "why": ""}),
        ("sap_b1_to_peakflo__north", {"held_only": True, "held_ids": []}),
    ]
    above, below = answer.json
    assert (above["status"], below["status"]) == ("waiting_for_second_person", "queued")
    assert (above["amounts"], above["limit"], above["needs_second_person"]) == ({"EUR": "12.30"}, {"EUR": "12.00"}, 1)
    assert above["approval_url"].startswith(f"https://airflow.example.com/dags/{companion}/runs/run-1/")
    assert (below["needs_second_person"], below["limit"]) == (0, None)

    told = tieout("replay", f"--id={ids['invoices']}")
    assert "waiting for second person" in told.out and "Another person answers at https://airflow" in told.out


def test_too_many_for_a_second_person_are_refused_before_anything_runs(
    tieout: Run, ledger: Ledger, asked: Asked, limit: None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approvals, "MOST_RECORDS", 1)
    folder = home / "include" / "integrations" / "sap_b1_to_peakflo"
    (folder / "default.yaml").unlink()
    (folder / "north.yaml").write_text('second_person: {above: {EUR: "12"}}\n')
    # Of the default instance nothing is above the limit, of this one a record is not.
    hold(ledger, replace(NORTH, entity="payments"), {"P1": ("13", "EUR"), "P2": ("11", "EUR")})
    for more in ((), ("--now",)):
        answer = tieout("replay", "--all", *more)
        assert (answer.code, "2 records of sap_b1_to_peakflo__north need a second person" in answer.err) == (1, True)
    assert asked == []


def test_the_foreground_does_not_go_above_the_limit(
    tieout: Run, ledger: Ledger, asked: Asked, limit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def airflow_command(*arguments: str) -> int:
        ran.append(arguments[2])
        return 0

    monkeypatch.setattr(replay, "airflow_command", airflow_command)
    tieout("replay", "--all", "--now")
    assert ran == ["sap_b1_to_peakflo__north"]
    assert [dag_id for dag_id, _ in asked] == ["sap_b1_to_peakflo_second_person"]


def test_a_discard_above_the_limit_is_asked_of_a_second_person(
    tieout: Run, ledger: Ledger, asked: Asked, limit: None
) -> None:
    ids = _ids(ledger)
    row = tieout("held", "discard", str(ids["invoices"]), "--why", "sent by hand", "--json").json
    assert (row["status"], row["request"]["status"]) == ("held", "waiting_for_second_person")
    assert asked == [
        (
            "sap_b1_to_peakflo_second_person",
            {"action": "discard", "held_ids": [ids["invoices"]], "why": "sent by hand"},
        )
    ]
    assert "is not discarded yet" in tieout("held", "discard", str(ids["invoices"]), "--why", "again").out
    assert tieout("held", "discard", str(ids["customers"]), "--why", "not ours", "--json").json["status"] == "discarded"
    # What cannot be discarded at all is nothing to ask anybody about.
    for held_id, why, words in ((ids["invoices"], " ", "say why"), (ids["customers"], "x", "is discarded already")):
        refused = tieout("held", "discard", str(held_id), "--why", why)
        assert (refused.code, words in refused.err) == (1, True), refused
    assert len(asked) == 2


def test_nothing_is_held(tieout: Run, ledger: Ledger, asked: Asked) -> None:
    answer = tieout("replay", "--all", "--integration", "other", "--json")
    assert (answer.code, answer.json, asked) == (0, [], [])
    assert "Nothing is held" in answer.err


def _command(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": str(PLUGINS), **environment}
    return subprocess.run(
        [sys.executable, "-m", "tieout.cli", *arguments], env=variables, capture_output=True, text=True, check=False
    )


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_airflow_queues_the_run_and_runs_it_in_the_foreground(airflow_home: Path) -> None:
    with Ledger.open(f"sqlite:///{airflow_home / 'ledger.db'}", migrate=True) as ledger:
        tell_story(ledger)
    queued = _command(airflow_home, "replay", "--all", "--instance", "default", "--json")
    assert queued.returncode == 0, queued.stderr
    (row,) = json.loads(queued.stdout)
    assert row["run_id"].startswith("manual__")
    assert row["status"] == "queued"
    assert "No scheduler is running" in queued.stderr

    done = _command(airflow_home, "replay", "--all", "--instance", "north", "--now", "--json")
    assert (done.returncode, json.loads(done.stdout)[0]["status"]) == (0, "success"), done.stderr
    (ran,) = (airflow_home / "ran.jsonl").read_text().splitlines()
    dag_id, params = json.loads(ran)
    assert (dag_id, params["held_only"], params["held_ids"]) == ("sap_b1_to_peakflo__north", True, [])

    failed = _command(airflow_home, "replay", "--all", "--instance", "north", "--now", TEST_FAIL="1")
    assert failed.returncode == 1
