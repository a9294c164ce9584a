"""Airflow inside this process: its home, its connections, its runs."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tieout.errors import TieoutError
from tieout.ledger_url import airflow_home

BIN_AIRFLOW = Path(__file__).resolve().parents[3] / "bin" / "airflow"


@dataclass(frozen=True)
class TriggeredRun:
    """A run that Airflow has queued.

    Attributes:
        dag_id: The DAG.
        run_id: Airflow's id for the run.
        paused: The DAG is paused: the run waits until somebody unpauses it.
        scheduler_alive: A scheduler is there to start it.
    """

    dag_id: str
    run_id: str
    paused: bool
    scheduler_alive: bool


def use_airflow() -> None:
    """Settings that must stand before Airflow is imported, and a quiet log.

    Without the process context Airflow reads connections from the environment only and not from its database.
    """
    os.environ.setdefault("AIRFLOW_HOME", str(airflow_home()))
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    logging.getLogger("airflow").setLevel(logging.WARNING)


def airflow_command(*arguments: str) -> int:
    """Run `bin/airflow`, which also prepares a new home. Its output goes to stderr: stdout is for our answer."""
    environment = {name: value for name, value in os.environ.items() if name != "_AIRFLOW_PROCESS_CONTEXT"}
    command = [str(BIN_AIRFLOW)] if BIN_AIRFLOW.is_file() else [sys.executable, "-m", "airflow"]
    return subprocess.run([*command, *arguments], env=environment, stdout=sys.stderr.fileno(), check=False).returncode


def trigger(dag_id: str, conf: Mapping[str, Any]) -> TriggeredRun:
    """Queue a run of a DAG in the name of the user of this process.

    A home in which no DAG has ever been read is prepared first.

    Raises:
        TieoutError: Airflow has no such DAG, or refuses the run.
    """
    use_airflow()
    with contextlib.redirect_stdout(sys.stderr):
        run = _try_trigger(dag_id, conf)
        if run is None and airflow_command("dags", "reserialize") == 0:
            run = _try_trigger(dag_id, conf)
    if run is None:
        raise TieoutError(
            f"Airflow has no DAG {dag_id}. Look for its file in include/integrations and at `bin/airflow dags "
            "list-import-errors`."
        )
    return run


def _try_trigger(dag_id: str, conf: Mapping[str, Any]) -> TriggeredRun | None:
    """None when Airflow knows no such DAG, or has no database yet."""
    from airflow.api.client.local_client import Client
    from airflow.exceptions import DagNotFound
    from sqlalchemy.exc import OperationalError, ProgrammingError

    try:
        answer = Client().trigger_dag(dag_id=dag_id, conf=dict(conf), triggering_user_name=getpass.getuser())
    except (DagNotFound, OperationalError, ProgrammingError):
        return None
    except ValueError as error:  # the DAG's parameters refuse the conf, or the DAG refuses manual runs
        raise TieoutError(f"Airflow refuses to run {dag_id}: {error}") from None
    if not answer:
        return None
    return TriggeredRun(dag_id, str(answer["dag_run_id"]), _is_paused(dag_id), _scheduler_is_alive())


def base_url() -> str:
    """Where Airflow's UI is, as its configuration says; empty where it does not."""
    use_airflow()
    from airflow.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "")


def _is_paused(dag_id: str) -> bool:
    from airflow.models.dag import DagModel

    model = DagModel.get_current(dag_id)
    return bool(model and model.is_paused)


def _scheduler_is_alive() -> bool:
    from airflow.jobs.job import most_recent_job

    job = most_recent_job("SchedulerJob")
    return bool(job and job.is_alive())
