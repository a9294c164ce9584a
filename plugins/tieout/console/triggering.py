"""Airflow's own service for a manual run, as its REST API uses it: same checks, same state, the caller's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import AirflowException, DagRunAlreadyExists
from airflow.models.dag import DagModel
from airflow.utils.types import DagRunTriggeredByType
from fastapi import HTTPException

from tieout.errors import TieoutError


def check_dag(dag_id: str) -> None:
    """Refuse a DAG that Airflow could not run now, before any run is asked for.

    Raises:
        HTTPException: 404 where Airflow has no such DAG, 400 where its file has import errors.
    """
    model = DagModel.get_current(dag_id)
    if model is None or model.is_stale:
        raise HTTPException(404, f"Airflow has no DAG {dag_id}: its file in include/integrations is gone or disabled.")
    if model.has_import_errors:
        raise HTTPException(400, f"The DAG {dag_id} has import errors; correct its file, which Airflow names.")


def trigger(dag_id: str, conf: Mapping[str, Any], user_name: str) -> tuple[str, bool]:
    """Queue a run.

    Returns:
        Airflow's id for the run, and whether the DAG is paused, so that the run waits.

    Raises:
        TieoutError: Airflow refuses the run.
    """
    try:
        run = trigger_dag(
            dag_id=dag_id,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user_name,
            conf=dict(conf),
        )
    except (AirflowException, DagRunAlreadyExists, ValueError) as error:
        raise TieoutError(f"Airflow refuses to run {dag_id}: {error}") from None
    if run is None:
        raise TieoutError(f"Airflow did not run {dag_id} and did not say why; its API server's log may.")
    model = DagModel.get_current(dag_id)
    return run.run_id, bool(model and model.is_paused)
