"""What Airflow knows of the instances' DAGs, and where its own pages are."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from sqlalchemy import select


class DagState(NamedTuple):
    """A DAG as the scheduler sees it.

    Attributes:
        next_run: Aware; when the scheduler makes the next run. None without a schedule.
    """

    paused: bool
    next_run: datetime | None


def dag_states(dag_ids: Collection[str]) -> dict[str, DagState]:
    """Those of the DAGs that Airflow has, in one query."""
    query = select(DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after).where(
        DagModel.dag_id.in_(dag_ids), DagModel.is_stale.is_(False)
    )
    with create_session() as session:
        return {row[0]: DagState(bool(row[1]), row[2]) for row in session.execute(query)}


def run_url(dag_id: str, run_id: str) -> str:
    """Airflow's own page of a run, as a path on the same server."""
    return f"{served_under()}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def served_under() -> str:
    """The path that Airflow is served under, behind a proxy; empty at the server's root."""
    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
