"""Real Airflow components: they run DAGs, come back when they die, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from airflow_services import AirflowError, AirflowServices
from tests.support.processes import is_alive

ROOT = Path(__file__).resolve().parents[2]
DAGS = """
from airflow.sdk import DAG, get_current_context, task

with DAG("probe", schedule=None):
    @task
    def only():
        conf = get_current_context()["dag_run"].conf or {}
        if conf.get("fail"):
            raise RuntimeError("as asked")
    only()
"""
DRIVER = """
import sys
from airflow_services import AirflowServices
airflow = AirflowServices(sys.argv[1], {"AIRFLOW__CORE__DAGS_FOLDER": sys.argv[2]})
airflow.start()
airflow.wait_healthy()
print(*[process.pid for component in airflow.components.values() for process in component.family()], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "probe.py").write_text(DAGS, encoding="utf-8")
    return folder


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_runs_restarts_and_cleans_up(tmp_path: Path, dags: Path) -> None:
    with AirflowServices(tmp_path / "home", {"AIRFLOW__CORE__DAGS_FOLDER": str(dags)}) as airflow:
        airflow.wait_healthy()
        assert set(airflow.passwords()) == {"admin", "viewer"}
        assert airflow.request("GET", "/api/v2/dags", user="viewer")[0] == 200

        succeeded = airflow.trigger("probe")
        failed = airflow.trigger("probe", {"fail": True})
        assert airflow.wait_run("probe", succeeded)["state"] == "success"
        assert airflow.wait_run("probe", failed)["state"] == "failed"
        assert [task["state"] for task in airflow.tasks("probe", failed)] == ["failed"]
        assert "as asked" in airflow.task_log("probe", failed, "only")

        killed = airflow.components["scheduler"]
        former = killed.pid
        assert former is not None
        os.kill(former, signal.SIGKILL)
        assert airflow.wait_run("probe", airflow.trigger("probe"))["state"] == "success"
        assert killed.restarts == 1 and killed.pid != former

        family = [process for component in airflow.components.values() for process in component.family()]
        assert len(family) >= 4
    assert [process for process in family if is_alive(process)] == []


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_nothing_survives_a_killed_parent(tmp_path: Path, dags: Path) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path / "home"), str(dags)],
        cwd=ROOT / "scripts",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with driver:
        assert driver.stdout is not None
        children = [psutil.Process(int(pid)) for pid in driver.stdout.readline().split()]
        assert len(children) >= 4
        driver.kill()
        psutil.wait_procs(children, timeout=60)
    alive = [process for process in children if is_alive(process)]
    for process in alive:
        process.kill()
    assert alive == []


def test_a_taken_port_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AirflowError, match=f"port {port} is taken"):
            AirflowServices(tmp_path, port=port).start()
