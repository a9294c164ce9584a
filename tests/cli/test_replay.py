"""`tieout replay`: which runs it asks for, and real Airflow taking them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PLUGINS, Run, tell_story
from tieout.cli import replay
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
