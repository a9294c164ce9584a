"""The integration under real Airflow: scheduler, executor, API server; schedules, backfills, tasks that are killed."""

from __future__ import annotations

import csv
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_services import ROOT, AirflowServices
from sandbox.proxy import DelayProxy
from sandbox.sap_b1.data import Sizes
from sandbox.world import Sandbox
from tests.integration.support import (
    DAG_ID,
    FolderWatch,
    airflow_with,
    hourly_from_now,
    kill_task,
    quick_include,
    until,
    with_port,
)
from tieout.ledger import Filters, Ledger, RunRow, Scope

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
KILLED = ("entity.extract", "deliver")
SMALL = Sizes(customers=10, suppliers=2, leads=1, items=6, invoices=30, credit_notes=4)


def rows_of(home: Path, run_id: str) -> dict[str, RunRow]:
    with Ledger.open(f"sqlite:///{home / 'ledger.db'}") as ledger:
        return {row.entity: row for row in ledger.runs(Filters(run_id=run_id))}


def delivered_keys(root: Path, entity: str) -> list[str]:
    """The external ids of all files of an entity, each record once per file."""
    keys: list[str] = []
    for path in sorted((root / "inbound" / entity).glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            keys += dict.fromkeys(row["externalId"] for row in csv.DictReader(file))
    return keys


def test_a_backfill_over_three_days_and_then_the_schedule(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Sandbox(size=SMALL, folder=tmp_path / "sandbox") as sandbox:
        day = datetime.now(UTC).replace(hour=12) - timedelta(days=20)
        company = sandbox.company
        keys = [row["DocEntry"] for row in company.rows("Invoices") if row["CancelStatus"] == "csNo"][:4]
        for offset, key in enumerate(keys):
            company.update("Invoices", key, {"Comments": f"day {offset}"}, updated_at=day + timedelta(days=offset))
        with airflow_with(home, sandbox.env, quick_include(tmp_path, "customers", "invoices")) as airflow:
            created = subprocess.run(
                [ROOT / "bin" / "airflow", "backfill", "create", "--dag-id", DAG_ID,
                 "--from-date", f"{day:%Y-%m-%d}", "--to-date", f"{day + timedelta(days=2):%Y-%m-%d}"],
                env=airflow.env, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert created.returncode == 0, created.stderr[-2000:]
            assert f"bin/airflow dags unpause {DAG_ID}" in created.stderr
            airflow.unpause(DAG_ID)

            def runs(kind: str) -> list[dict[str, str]]:
                found: list[dict[str, str]] = airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns?run_type={kind}")["dag_runs"]
                return found

            until(lambda: len(runs("backfill")) == 3, "three backfill runs")
            backfilled = [run["dag_run_id"] for run in runs("backfill")]
            states = {run_id: airflow.wait_run(DAG_ID, run_id)["state"] for run_id in backfilled}
            scheduled = airflow.wait_run(DAG_ID, the_scheduled(airflow))

        assert set(states.values()) == {"success"}
        for run_id in states:
            row = rows_of(home, run_id)["invoices"]
            assert (row.mode, row.extracted, row.ties_out) == ("backfill", 1, True)
        assert scheduled["state"] == "success"
        # Every invoice is at the receiver once, those of the three days by whichever run came first.
        sent = delivered_keys(sandbox.sftp.root, "invoices")
        expected = {str(row["DocEntry"]) for row in company.rows("Invoices") if row["CancelStatus"] != "csCancellation"}
        assert sorted(sent) == sorted(expected)
        with Ledger.open(f"sqlite:///{home / 'ledger.db'}") as ledger:
            mark = ledger.watermark(Scope(DAG_ID, "default", "invoices"))
        assert mark is not None and mark["read_by"] == scheduled["dag_run_id"], "only the schedule moves the watermark"
        note = scheduled["note"] or ""
        assert "| invoices |" in note and "yes" in note


def the_scheduled(airflow: AirflowServices) -> str:
    found: list[str] = []

    def there() -> bool:
        runs = airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns?run_type=scheduled")["dag_runs"]
        found[:] = [run["dag_run_id"] for run in runs]
        return bool(found)

    until(there, "the scheduler's run")
    return found[0]


def test_tasks_that_are_killed_are_repeated_to_the_same_end(tmp_path: Path) -> None:
    home = tmp_path / "home"
    quick = {"parallel_ranges: 4": "parallel_ranges: 1", '"0 0 * * *"': f'"{hourly_from_now()}"'}
    include = quick_include(tmp_path, "customers", "invoices", **quick)
    with (
        Sandbox(size=SMALL, folder=tmp_path / "sandbox") as sandbox,
        DelayProxy(sandbox.sftp.host, sandbox.sftp.port, latency_ms=60) as slow,
        FolderWatch(sandbox.sftp.root) as watch,
    ):
        env = dict(sandbox.env)
        env["AIRFLOW_CONN_PEAKFLO_SFTP"] = with_port(env["AIRFLOW_CONN_PEAKFLO_SFTP"], slow.port)
        with airflow_with(home, env, include) as airflow:
            sap = sandbox.sap.server
            sandbox.faults.configure(latency_ms=700)
            airflow.unpause(DAG_ID)
            run_id = the_scheduled(airflow)
            until(lambda: any("Invoices" in path for path in sap.statistics.by_path), "the first page of invoices")
            kill_task(airflow, int(sap.url.rpartition(":")[2]))
            sandbox.faults.configure(latency_ms=0)

            until(watch.temporary.is_set, "a file under its temporary name")
            with slow.held():
                kill_task(airflow, slow.port)

            run = airflow.wait_run(DAG_ID, run_id)
            tasks = airflow.tasks(DAG_ID, run_id)
            tries = {name: max(task["try_number"] for task in tasks if task["task_id"] == name) for name in KILLED}

        assert run["state"] == "success"
        assert tries == {"entity.extract": 2, "deliver": 2}
        rows = rows_of(home, run_id)
        assert all(row.ties_out for row in rows.values())
        assert rows["invoices"].delivered > 0
        finals = [name for name in watch.seen if name.startswith("inbound/")]
        assert len([name for name in finals if "/customers/" in name]) == 1
        assert len([name for name in finals if "/invoices/" in name]) == 1
        with Ledger.open(f"sqlite:///{home / 'ledger.db'}") as ledger:
            files = {file.remote_path.lstrip("/"): file.sha256 for file in ledger.files(Filters(run_id=run_id))}
        for name in finals:
            assert watch.seen[name] == {files[name]}, f"{name} was seen with other bytes than its whole ones"
        assert sap.statistics.logins == 1, "one login for the whole run"
