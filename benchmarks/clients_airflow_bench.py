"""What Airflow costs a run for 200 clients: its wall time less that of the same work without Airflow.

The DAG `banqup_to_sftp` with 200 clients on SQLite, four task slots. Each client has one new invoice, or none has.
Banqup and the clients' SFTP server are the sandbox's, in a process of their own.

- **dags test**: `bin/airflow dags test` on a prepared home, one process, Python and Airflow started anew.
- **scheduler**: scheduler, DAG processor, API server and triggerer are up; from the request that starts the run to the
  answer that says it succeeded. Every task is a process of its own.
- **without Airflow**: the same steps one after the other in one process that has imported everything, with all
  clients that get something in one delivering step.

**orchestration**: the median less that of the steps without Airflow. Starting Python and importing are in it.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.banqup_run import INTEGRATION, carry_out
from benchmarks.banqup_sandbox import Banqup, running
from benchmarks.measure import Row, progress, spread, timed

if TYPE_CHECKING:
    from airflow_services import AirflowServices

TITLE = "A run for 200 clients in Airflow"
ROOT = Path(__file__).resolve().parents[1]
WITHOUT, SCHEDULED, TESTED = "without Airflow", "triggered, running scheduler", "bin/airflow dags test"
LOADS = {"one document each": True, "nothing new": False}

Seconds = dict[tuple[str, str], list[float]]
"""Load and way → wall seconds."""


def run(*, quick: bool = False) -> list[Row]:
    """Rows per load and way."""
    clients, rounds = (8, 1) if quick else (200, 3)
    seconds: Seconds = {}
    _without_airflow(clients, rounds, seconds)
    _in_airflow(clients, rounds, seconds)
    return [
        {
            "clients": clients,
            "each with": load,
            "way": way,
            "runs": rounds,
            **spread(seconds[load, way]),
            "orchestration s": _orchestration(seconds, load, way),
        }
        for load in LOADS
        for way in (WITHOUT, SCHEDULED, TESTED)
    ]


def _orchestration(seconds: Seconds, load: str, way: str) -> float | None:
    if way == WITHOUT:
        return None
    return round(statistics.median(seconds[load, way]) - statistics.median(seconds[load, WITHOUT]), 2)


def _rounds(way: str, rounds: int, banqup: Banqup, seconds: Seconds, work: Callable[[int, int], float]) -> None:
    """Runs with and without new documents take turns; `work` is given a run's number and how many there are."""
    for number in range(1, 2 * rounds + 1):
        load, busy = list(LOADS.items())[1 - number % 2]
        documents = banqup.one_more_each() if busy else 0
        took = work(number, documents)
        if missing := banqup.missing():
            raise AssertionError(f"After a run by {way} {missing} documents are missing.")
        seconds.setdefault((load, way), []).append(took)
        progress(f"{load}, {way}: {took:.2f} s")


def _without_airflow(clients: int, rounds: int, seconds: Seconds) -> None:
    with tempfile.TemporaryDirectory() as scratch, running(clients, 0, Path(scratch) / "clients") as banqup:

        def work(number: int, documents: int) -> float:
            return sum(carry_out(banqup, documents, Path(scratch), number).values())

        # Once unmeasured: what is imported at first use is no part of the work.
        work(0, banqup.one_more_each())
        _rounds(WITHOUT, rounds, banqup, seconds, work)


def _in_airflow(clients: int, rounds: int, seconds: Seconds) -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    from airflow_services import AirflowServices

    with tempfile.TemporaryDirectory() as scratch, running(clients, 0, Path(scratch) / "clients") as banqup:
        variables = {**banqup.environment, "TIEOUT_INCLUDE": str(_include(Path(scratch), banqup))}
        with AirflowServices(Path(scratch) / "home", variables) as airflow:
            airflow.wait_healthy()
            env = dict(airflow.env)

            def triggered(number: int, documents: int) -> float:
                took, run_id = timed(lambda: _triggered(airflow))
                progress(_timeline(airflow.tasks(INTEGRATION, run_id)))
                return took

            triggered(0, 0)
            _rounds(SCHEDULED, rounds, banqup, seconds, triggered)
        today = datetime.now(UTC).replace(microsecond=0)

        def tested(number: int, documents: int) -> float:
            return timed(lambda: _dags_test(env, today + timedelta(seconds=number)))[0]

        _rounds(TESTED, rounds, banqup, seconds, tested)


def _include(folder: Path, banqup: Banqup) -> Path:
    """A copy of `include/` whose default instance has Banqup's clients, and runs when it is told to."""
    copy = folder / "include"
    shutil.copytree(ROOT / "include", copy)
    for instance in (copy / "integrations").glob("*/*.yaml"):
        if instance.parent.name != INTEGRATION:
            instance.unlink()
    (copy / "integrations" / INTEGRATION / "default.yaml").write_text(
        "schedule: null\n" + banqup.instance, encoding="utf-8"
    )
    return copy


def _triggered(airflow: AirflowServices) -> str:
    run_id = airflow.trigger(INTEGRATION)
    state = airflow.wait_run(INTEGRATION, run_id)["state"]
    if state != "success":
        raise RuntimeError(f"run {run_id} ended {state}")
    return str(run_id)


def _timeline(tasks: list[dict[str, Any]]) -> str:
    """Where a run's time went: per task, when it began after the first one was queued, and how long it took."""
    first = min(datetime.fromisoformat(task["queued_when"]) for task in tasks if task["queued_when"])
    told = []
    for task in sorted(tasks, key=lambda each: str(each["start_date"])):
        if task["start_date"]:
            begun = (datetime.fromisoformat(task["start_date"]) - first).total_seconds()
            name = task["task_id"] if task["map_index"] == -1 else f"{task['task_id']}[{task['map_index']}]"
            told.append(f"{name} {begun:.1f}+{task['duration']:.1f}")
    return ", ".join(told)


def _dags_test(env: Mapping[str, str], day: datetime) -> None:
    command = [str(ROOT / "bin" / "airflow"), "dags", "test", INTEGRATION, day.isoformat()]
    done = subprocess.run(command, env=dict(env), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
