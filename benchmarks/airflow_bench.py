"""How long a run takes in real Airflow that finds nothing new: what every scheduled run costs at least.

The DAG `sap_b1_to_peakflo` against the sandbox with its small company. A first run delivers everything; what is
measured is runs after it, in which SAP has nothing that Peakflo has not.

- **dags test**: `bin/airflow dags test` on a prepared home, one process, Python and Airflow started anew.
- **scheduler**: scheduler, DAG processor, API server and triggerer are up; from the request that starts the run to the
  answer that says it succeeded. Every task is a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import Row, progress, spread, timed

TITLE = "An empty run in Airflow"
DAG_ID = "sap_b1_to_peakflo"
ROOT = Path(__file__).resolve().parents[1]


def _dags_test(env: Mapping[str, str], day: datetime) -> None:
    command = [str(ROOT / "bin" / "airflow"), "dags", "test", DAG_ID, day.isoformat()]
    done = subprocess.run(command, env=dict(env), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def run(*, quick: bool = False) -> list[Row]:
    """One row per way to run."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from airflow_services import AirflowServices
    from sandbox.world import Sandbox

    rounds = 1 if quick else 3
    with tempfile.TemporaryDirectory() as scratch, Sandbox(size="small", folder=Path(scratch) / "sandbox") as sandbox:
        scheduled: list[float] = []
        with AirflowServices(Path(scratch) / "home", sandbox.env) as airflow:
            airflow.wait_healthy()
            env = dict(airflow.env)

            def trigger() -> None:
                run_id = airflow.trigger(DAG_ID)
                state = airflow.wait_run(DAG_ID, run_id)["state"]
                if state != "success":
                    raise RuntimeError(f"run {run_id} ended {state}")

            # Unpausing starts a scheduled run, too; both are over before the measurement begins.
            progress(f"first run, which delivers everything: {timed(trigger)[0]:.1f} s")
            for earlier in airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns")["dag_runs"]:
                airflow.wait_run(DAG_ID, earlier["dag_run_id"])
            for _ in range(rounds):
                scheduled.append(timed(trigger)[0])
                progress(f"empty run by the scheduler: {scheduled[-1]:.1f} s")
        tested: list[float] = []
        today = datetime.now(UTC).replace(microsecond=0)
        for number in range(rounds):
            day = today + timedelta(seconds=number)
            tested.append(timed(lambda day=day: _dags_test(env, day))[0])  # type: ignore[misc]
            progress(f"empty run by dags test: {tested[-1]:.1f} s")
    return [
        {"way": "bin/airflow dags test", "runs": rounds, **spread(tested)},
        {"way": "triggered, running scheduler", "runs": rounds, **spread(scheduled)},
    ]
