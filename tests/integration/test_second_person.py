"""A second person for large held records under real Airflow: asked on the Tieout page, answered in Airflow's UI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_services import AirflowServices
from sandbox.sap_b1.data import Sizes
from sandbox.world import Sandbox
from tests.integration.support import DAG_ID, airflow_with, quick_include, until
from tests.support.holding import hold
from tieout.ledger import HeldDetail, Ledger, RunKey

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
SECOND = f"{DAG_ID}_second_person"
SMALL = Sizes(customers=6, suppliers=1, leads=1, items=4, invoices=12, credit_notes=1)
RULE = 'second_person: {above: {"*": "100"}}\n'
AMOUNTS = {"to_replay": "1945.58", "small": "100", "to_leave": "100.01", "to_discard": "7000"}
"""Held invoices by what becomes of them; each test has its own."""
PATIENCE = 300.0
"""Seconds for what Airflow does, on a machine that has much else to do."""


@dataclass
class World:
    """Airflow, held invoices most of which are above the limit, and two people who may trigger and answer."""

    airflow: AirflowServices
    instance: Path
    held_ids: dict[str, int]

    def ask(self, what: str, **body: Any) -> dict[str, Any]:
        """The admin asks on the Tieout page; the one answer about a second person."""
        status, answer = self.airflow.request("POST", f"/tieout/api/held/{what}", body)
        assert status == 200, answer
        answers = answer["items"] if what == "replay" else answer["requests"]
        found: list[dict[str, Any]] = [each for each in answers if each["status"] == "waiting_for_second_person"]
        assert len(found) == 1, answer
        return found[0]

    def question(self, run_id: str) -> dict[str, Any]:
        """What the second person reads, as soon as it is there."""
        path = f"{self._task(run_id)}/hitlDetails"
        found: list[dict[str, Any]] = []

        def there() -> bool:
            status, detail = self.airflow.request("GET", path)
            found[:] = [detail] if status == 200 else []
            return bool(found)

        until(there, "the question", PATIENCE)
        return found[0]

    def answer(self, run_id: str, user: str, option: str = "Approve") -> dict[str, Any]:
        """Somebody answers as Airflow's UI does; the finished run."""
        self.question(run_id)
        until(lambda: self._is_parked(run_id), "the task waits", PATIENCE)
        body = {"chosen_options": [option], "params_input": {}}
        status, told = self.airflow.request("PATCH", f"{self._task(run_id)}/hitlDetails", body, user=user)
        assert status == 200, told
        return self.airflow.wait_run(SECOND, run_id)

    def _is_parked(self, run_id: str) -> bool:
        """Whether the scheduler has taken note that the task gave its process back.

        An answer within the milliseconds before that is lost on Airflow: it takes the task for failed.
        """
        log = (self.airflow.home / "services" / "scheduler.log").read_text()
        noted = [line for line in log.splitlines() if "Received executor event with state success" in line]
        return any(f"task_id='ask_second_person', run_id='{run_id}'" in line for line in noted)

    def record(self, held_id: int) -> HeldDetail:
        with self.ledger() as ledger:
            found = ledger.get_held(held_id)
        assert found is not None
        return found

    def ledger(self) -> Ledger:
        return Ledger.open(f"sqlite:///{self.airflow.home / 'ledger.db'}")

    def runs(self) -> list[str]:
        found = self.airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns")["dag_runs"]
        return [run["dag_run_id"] for run in found]

    def log_of(self, run_id: str) -> str:
        return self.airflow.task_log(SECOND, run_id, "ask_second_person")

    @staticmethod
    def _task(run_id: str) -> str:
        return f"/api/v2/dags/{SECOND}/dagRuns/{quote(run_id)}/taskInstances/ask_second_person/-1"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("second_person")
    # Nothing runs by itself: what happens to the records is what these tests ask for.
    include = quick_include(folder, "customers", "invoices", **{'schedule: "0 0 * * *"': "schedule: null"})
    instance = include / "integrations" / DAG_ID / "default.yaml"
    instance.write_text(RULE + instance.read_text())
    with Sandbox(size=SMALL, folder=folder / "sandbox") as sandbox:
        invoices = [row for row in sandbox.company.rows("Invoices") if row["CancelStatus"] == "csNo"]
        keys = {name: str(row["DocEntry"]) for name, row in zip(AMOUNTS, invoices, strict=False)}
        env = {
            **sandbox.env,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,second:admin",
            "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
        }
        with airflow_with(folder / "home", env, include) as airflow:
            airflow.wait_dag(SECOND)
            airflow.unpause(DAG_ID)
            with Ledger.open(f"sqlite:///{folder / 'home' / 'ledger.db'}") as ledger:
                amounts = {keys[name]: (amount, "EUR") for name, amount in AMOUNTS.items()}
                rows = hold(ledger, RunKey(DAG_ID, "default", "invoices", "scheduled__1"), amounts)
            yield World(airflow, instance, {name: rows[key].id for name, key in keys.items()})


def test_only_another_person_can_agree_to_a_replay(world: World) -> None:
    held_id, small = world.held_ids["to_replay"], world.held_ids["small"]
    status, preview = world.airflow.request(
        "POST", "/tieout/api/held/replay", {"ids": [held_id, small], "preview": True}
    )
    assert status == 200
    (row,) = preview["items"]
    assert (row["records"], row["needs_second_person"], row["amounts"], row["limit"], row["status"]) == (
        2,
        1,
        {"EUR": "2045.58"},
        {"*": "100.00"},
        "preview",
    )
    asked = world.ask("replay", ids=[held_id, small])
    assert asked["approval_url"].startswith(f"{world.airflow.url}/dags/{SECOND}/runs/")
    question = world.question(asked["run_id"])
    assert question["subject"] == f"Replay 1 held record of {DAG_ID}?"
    assert "1,945.58 EUR" in question["body"] and "**admin** asks" in question["body"]

    assert world.answer(asked["run_id"], "admin")["state"] == "failed"
    assert "admin asked and answered" in world.log_of(asked["run_id"])
    assert world.record(held_id).status == "held"
    assert f"second_person__{asked['run_id']}" not in world.runs()
    until(lambda: world.record(small).status == "settled", "the one below the limit goes at once", PATIENCE)

    # By hand, without the question, the record is passed over.
    by_hand = world.airflow.trigger(DAG_ID, {"held_only": True, "held_ids": [held_id]})
    assert world.airflow.wait_run(DAG_ID, by_hand)["state"] == "success"
    passed = world.record(held_id)
    assert (passed.status, passed.history[-1].what) == ("held", "waits for a second person")

    again = world.ask("replay", ids=[held_id])
    assert world.answer(again["run_id"], "second")["state"] == "success"
    replayed = f"second_person__{again['run_id']}"
    assert world.airflow.wait_run(DAG_ID, replayed)["state"] == "success"
    after = world.record(held_id)
    assert (after.status, after.closed_by) == ("settled", replayed)
    agreed = next(event for event in after.history if event.what == "second person agreed")
    assert (agreed.detail["asked_by"], agreed.detail["by"]) == ("admin", "second")


def test_nobody_answers_and_nothing_happens(world: World) -> None:
    held_id = world.held_ids["to_leave"]
    text = world.instance.read_text()
    world.instance.write_text(text.replace(RULE, RULE.replace("}\n", ', "answer_within_hours": 0.0001}\n')))
    try:
        asked = world.ask("replay", ids=[held_id])
        run = world.airflow.wait_run(SECOND, asked["run_id"])
    finally:
        world.instance.write_text(text)
    assert run["state"] == "failed"
    assert "No second person answered in time" in world.log_of(asked["run_id"])
    record = world.record(held_id)
    assert (record.status, record.history[-1].what) == ("held", "no second person answered")
    assert f"second_person__{asked['run_id']}" not in world.runs()


def test_a_discard_names_both_people_and_a_no_leaves_the_record(world: World) -> None:
    held_id = world.held_ids["to_discard"]
    body = {"ids": [held_id], "why": "sent by hand", "preview": True}
    status, preview = world.airflow.request("POST", "/tieout/api/held/discard", body)
    assert (status, [row["needs_second_person"] for row in preview["items"]]) == (200, [True])
    assert [(each["status"], each["records"]) for each in preview["requests"]] == [("preview", 1)]

    declined = world.ask("discard", ids=[held_id], why="sent by hand")
    assert world.answer(declined["run_id"], "second", "Reject")["state"] == "success"
    assert world.record(held_id).status == "held"

    asked = world.ask("discard", ids=[held_id], why="sent by hand")
    assert world.answer(asked["run_id"], "second")["state"] == "success"
    record = world.record(held_id)
    assert (record.status, record.closed_by, record.closed_why) == (
        "discarded",
        "admin, with second as second person",
        "sent by hand",
    )
