"""Asking a second person from the command line."""

from __future__ import annotations

from typing import Any

from tieout.approvals import Request, approval_url
from tieout.cli.airflow_home import base_url, trigger
from tieout.cli.output import note, stdout_for_the_answer


def ask_second_person(request: Request) -> dict[str, Any]:
    """Queue the run that asks, and say where the second person answers.

    Raises:
        TieoutError: Airflow refuses the run.
    """
    with stdout_for_the_answer():
        run = trigger(request.dag_id, request.conf)
        url = approval_url(base_url(), run.dag_id, run.run_id)
    if run.paused:
        note(f"{run.dag_id} is paused: nobody is asked until `bin/airflow dags unpause {run.dag_id}`.")
    if not run.scheduler_alive:
        note("No scheduler is running: nobody is asked until one is.")
    return request.as_json(run.run_id, "waiting_for_second_person", url)
