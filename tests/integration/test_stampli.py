"""Stampli → SAP Business One under real Airflow: a task is killed while it posts, a run is cleared."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from airflow_services import ROOT
from sandbox.sap_b1.data import Sizes
from sandbox.stampli import DropSizes, Scenario, differences
from sandbox.world import Sandbox
from tests.integration.support import airflow_with, hourly_from_now, kill_task, until
from tieout.ledger import Filters, Ledger, RunRow

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
DAG_ID = "stampli_to_sap_b1"
SMALL = Sizes(customers=4, suppliers=8, leads=1, items=4, invoices=2, credit_notes=1)


def quick_include(folder: Path) -> Path:
    """A copy of `include/` whose default instance retries after a second and posts in small batches."""
    copy = folder / "include"
    shutil.copytree(ROOT / "include", copy)
    instance = copy / "integrations" / DAG_ID / "default.yaml"
    text = instance.read_text().replace("batch_size: 25", "batch_size: 4")
    text = text.replace("settle_seconds: 3", "settle_seconds: 1").replace("*/15 * * * *", hourly_from_now())
    instance.write_text(text + "\nretries: {count: 2, first_delay_seconds: 1}\n")
    return copy


def rows_of(home: Path, run_id: str) -> dict[str, RunRow]:
    with Ledger.open(f"sqlite:///{home / 'ledger.db'}") as ledger:
        return {row.entity: row for row in ledger.runs(Filters(run_id=run_id))}


def expect_each_once(sandbox: Sandbox, scenario: Scenario) -> None:
    entries = [entry for entry in sandbox.company.entries() if entry["Reference3"]]
    assert Counter(entry["Reference2"] for entry in entries) == Counter(scenario.entries.keys())
    assert [text for entry in entries for text in differences(scenario.entries[entry["Reference2"]], entry)] == []


def test_a_task_that_is_killed_while_it_posts_and_a_run_that_is_cleared(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Sandbox(size=SMALL, folder=tmp_path / "sandbox", only=("sap_b1", "stampli_sftp")) as sandbox:
        scenario = sandbox.stampli.mixed_drop(sizes=DropSizes(invoices=40, files=3))
        sandbox.faults.configure(posting_ms=60)
        sap = sandbox.sap.server
        with airflow_with(home, sandbox.env, quick_include(tmp_path), DAG_ID) as airflow:
            airflow.unpause(DAG_ID)
            run_id = airflow.first_run(DAG_ID)
            until(lambda: len(sandbox.company.entries_by_reference3()) >= 6, "the first entries", 120)
            kill_task(airflow, int(sap.url.rpartition(":")[2]))
            run = airflow.wait_run(DAG_ID, run_id)
            tasks = {task["task_id"]: task for task in airflow.tasks(DAG_ID, run_id)}

            assert run["state"] == "success"
            assert tasks["post"]["try_number"] == 2
            assert tasks["wait_for_files"]["trigger"] is None
            rows = rows_of(home, run_id)
            assert all(row.ties_out for row in rows.values())
            assert {entity: row.posted for entity, row in rows.items()} == {
                entity: expected.posted for entity, expected in scenario.expected.items()
            }
            expect_each_once(sandbox, scenario)
            assert sap.statistics.logins == 1, "one login for the whole run"
            assert sandbox.stampli.drop.waiting() == []

            status, _ = airflow.request("POST", f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/clear", {"dry_run": False})
            assert status == 200
            until(lambda: airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}")["state"] != "success", "a second go")
            again = airflow.wait_run(DAG_ID, run_id)
            assert again["state"] == "success"
            expect_each_once(sandbox, scenario)

    password = sandbox.company.users["tieout"].encode()
    told = [path for path in home.rglob("*") if path.is_file() and password in path.read_bytes()]
    assert told == []
