"""What an answer of a second person leads to: the answer on the left, what the ledger says on the right.

The flow through real Airflow is in tests/integration/test_second_person.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_home import airflow_environment
from tests.support.holding import hold
from tieout.ledger import Ledger, RunKey

KEY = RunKey("sap_b1_to_peakflo", "default", "invoices", "scheduled__1")
SCRIPT = """
import json, sys
from datetime import UTC, datetime
from types import SimpleNamespace
from tieout.config import SapB1ToPeakflo, load_instance
from tieout.operators.approvals import second_person_dag

case = json.loads(sys.argv[1])
dag = second_person_dag(load_instance("sap_b1_to_peakflo", "default", SapB1ToPeakflo), None)
ask, carry_out = dag.get_task("ask_second_person"), dag.get_task("carry_out")
context = {
    "dag_run": SimpleNamespace(run_id="manual__1", triggering_user_name=case["asker"]),
    "params": {"why": "", "asked_by": "somebody else", **case["params"]},
    "ti": SimpleNamespace(xcom_push=lambda **_: None, map_index=-1),
    "task": ask,
}
event = {"chosen_options": case["options"], "params_input": {}, "responded_at": datetime.now(UTC),
         "responded_by_user": case["user"], "timedout": False}
told = {}
for name, act in case["steps"]:
    try:
        if name == "ask":
            from airflow.providers.standard.operators.hitl import ApprovalOperator
            ApprovalOperator.execute = lambda self, context: None  # parks the task; Airflow's own
            ask.execute(context)
            told["body"] = ask.body
        elif name == "answer":
            ask.execute_complete(context, {"error": "late", "error_type": "timeout"} if act == "late" else event)
        else:
            carry_out.execute(context)
    except Exception as error:
        told[name] = [type(error).__name__, str(error), getattr(error, "conf", None), getattr(error, "dag_run_id", "")]
print("RESULT" + json.dumps(told))
"""


class Case:
    """A ledger with one held record, and the operators run over it."""

    def __init__(self, folder: Path) -> None:
        self.environment = airflow_environment(folder, TIEOUT_INCLUDE=str(folder / "include"))
        home = Path(self.environment["AIRFLOW_HOME"])
        home.mkdir()
        path = folder / "include" / "integrations" / KEY.integration / "default.yaml"
        path.parent.mkdir(parents=True)
        path.write_text('second_person: {above: {"*": "1000"}}\nentities: {invoices: {}}\n')
        self.ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}", migrate=True)
        self.held_id = hold(self.ledger, KEY, {"A": ("1234.5", "EUR")})["A"].id

    def go(self, *steps: str, user: str | None = "Anna", asker: str | None = "Jan", **options: Any) -> dict[str, Any]:
        case = {
            "asker": asker,
            "user": {"id": "7", "name": user} if user else None,
            "options": [options.get("option", "Approve")],
            "params": {
                "action": options.get("action", "replay"),
                "held_ids": [self.held_id],
                **options.get("conf", {}),
            },
            "steps": [(step.partition(" ")[0], step.partition(" ")[2]) for step in steps],
        }
        command = [sys.executable, "-c", SCRIPT, json.dumps(case)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        told: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT")[2])
        return told

    def story(self) -> list[str]:
        detail = self.ledger.get_held(self.held_id)
        assert detail is not None
        return [detail.status, *(event.what for event in detail.history[1:])]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_another_person_agrees_and_the_run_takes_just_these_records(case: Case) -> None:
    told = case.go("ask", "answer", "carry_out")
    assert told["carry_out"][0] == "DagRunTriggerException"
    assert told["carry_out"][2:] == [{"held_only": True, "held_ids": [case.held_id]}, "second_person__manual__1"]
    assert case.story() == ["held", "second person asked", "second person agreed"]
    assert "| 1,234.50 EUR |" in told["body"] and "**Jan** asks" in told["body"]
    assert "goes as it is there then" in told["body"]


@pytest.mark.parametrize(
    ("options", "words", "event"),
    [
        ({"user": " jAN"}, "asked and answered", "second person was the one who asked"),
        (
            {"user": "somebody else", "asker": "Somebody Else"},
            "asked and answered",
            "second person was the one who asked",
        ),
        ({"user": None}, "does not know who answered", None),
    ],
    ids=["the same name", "whatever conf says", "nobody known"],
)
def test_who_asked_cannot_agree(case: Case, options: dict[str, Any], words: str, event: str | None) -> None:
    told = case.go("ask", "answer", "carry_out", **options)
    assert words in told["answer"][1]
    # Also where somebody marks the question as successful by hand.
    assert (told["carry_out"][0], "no agreement" in told["carry_out"][1]) == ("TieoutError", True)
    assert case.story() == ["held", "second person asked", *([event] if event else [])]


def test_no_answer_in_time(case: Case) -> None:
    assert "No second person answered in time" in case.go("ask", "answer late")["answer"][1]
    assert case.story() == ["held", "second person asked", "no second person answered"]


def test_a_no_leaves_the_record(case: Case) -> None:
    told = case.go("ask", "answer", "carry_out", option="Reject")
    assert "no agreement" in told["carry_out"][1]
    assert case.story() == ["held", "second person asked", "second person declined"]


def test_airflow_does_not_know_who_asks(case: Case) -> None:
    assert "does not know who asked" in case.go("ask", asker=None)["ask"][1]
    assert case.story() == ["held"]


def test_a_record_that_changed_since_it_was_shown(case: Case) -> None:
    case.go("ask")
    hold(
        case.ledger,
        RunKey(KEY.integration, KEY.instance, KEY.entity, "scheduled__2"),
        {"A": ("9", "EUR")},
        payload=b"2",
    )
    assert "changed since" in case.go("answer")["answer"][1]
    assert "second person agreed" not in case.story()


def test_a_record_that_changed_since_it_was_agreed_to(case: Case) -> None:
    case.go("ask", "answer")
    hold(
        case.ledger,
        RunKey(KEY.integration, KEY.instance, KEY.entity, "scheduled__2"),
        {"A": ("9", "EUR")},
        payload=b"2",
    )
    assert "no agreement" in case.go("carry_out")["carry_out"][1]


def test_a_discard_names_both(case: Case) -> None:
    told = case.go("ask", "answer", "carry_out", action="discard", conf={"why": "paid by hand"})
    assert "carry_out" not in told and "Reason given: paid by hand" in told["body"]
    row = case.ledger.get_held(case.held_id)
    assert row is not None
    assert (row.status, row.closed_by, row.closed_why) == (
        "discarded", "Jan, with Anna as second person", "paid by hand",
    )  # fmt: skip


def test_a_discard_without_a_reason_is_not_asked(case: Case) -> None:
    assert "say why" in case.go("ask", action="discard", conf={"why": "  "})["ask"][1]
    assert case.story() == ["held"]


def test_nothing_is_asked_about_what_is_not_held_any_more(case: Case) -> None:
    case.ledger.discard_held(case.held_id, "not ours", "Jan")
    assert case.go("ask")["ask"][0] == "AirflowSkipException"
