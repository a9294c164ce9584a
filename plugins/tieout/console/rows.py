"""The ledger's rows with what only the page shows beside them: links, and what people call the other side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tieout.console.dags import run_url, served_under
from tieout.console.instances import facts_of
from tieout.ledger import FileRow, RunRow
from tieout.replays import dag_id_of
from tieout.tracing.kept import may_be_kept

Row = dict[str, Any]

_OTHER_SIDE = {"sap_b1_to_peakflo": "Peakflo", "stampli_to_sap_b1": "Stampli", "syspro_to_legacy_erp": "Legacy ERP"}


def run_json(row: RunRow) -> Row:
    """A run, with its DAG and Airflow's page of it."""
    dag_id = dag_id_of(row.integration, row.instance)
    return row.as_json() | {"dag_id": dag_id, "airflow_url": run_url(dag_id, row.run_id)}


def file_json(may_download: frozenset[str]) -> Callable[[FileRow], Row]:
    """A file, with its id, the other side, and where its bytes can be had.

    Args:
        may_download: The DAGs whose files the user may have.
    """

    def row_of(row: FileRow) -> Row:
        allowed = dag_id_of(row.integration, row.instance) in may_download and may_be_kept(row)
        return row.as_json() | {
            "id": row.id,
            "kind": row.kind,
            "partner": partner_of(row.integration, row.instance, row.entity),
            "download_url": f"{served_under()}/tieout/api/files/{row.id}/download" if allowed else None,
        }

    return row_of


def partner_of(integration: str, instance: str, entity: str) -> str:
    """What people call the receiver of a file, or the sender of one that was collected."""
    facts = facts_of(integration, instance)
    return facts.clients.get(entity) or facts.partner or _OTHER_SIDE.get(integration, instance)
