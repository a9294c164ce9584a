"""What happens in Airflow's scheduler when a run ends: the tie-out is written into the run's note."""

from __future__ import annotations

import logging
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """A run that ties out."""
    _note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A run that does not, or that stopped before."""
    _note(dag_run)


def _note(dag_run: Any) -> None:
    """Never raises: a note must not disturb the scheduler."""
    try:
        text = note_for(dag_run.dag_id, dag_run.run_id)
        if text:
            dag_run.note = text
    except Exception as error:
        log.warning(
            "The tie-out of %s %s could not be written into its note (%s: %s).",
            dag_run.dag_id, dag_run.run_id, type(error).__name__, str(error).partition("\n")[0],
        )  # fmt: skip


def note_for(dag_id: str, run_id: str) -> str:
    """The conservation table of a run as Markdown; empty when the ledger knows nothing of it."""
    from tieout.config import include_folder, split_dag_id
    from tieout.ledger import Filters, Ledger
    from tieout.ledger_url import ledger_url

    integration, instance = split_dag_id(dag_id)
    if not (include_folder() / "integrations" / integration).is_dir():
        return ""
    with Ledger.open(ledger_url()) as ledger:
        rows = ledger.runs(Filters(integration=integration, instance=instance, run_id=run_id))
        judged = [event for row in rows for event in ledger.events_of_run(row.key) if event.what == "quality"]
    if not rows:
        return ""
    head = ("entity", "extracted", "delivered", "held", "duplicate", "excluded", "ties out")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        delivered = f"({row.previewed})" if row.dry_run else str(row.delivered + row.posted)
        ties_out = "yes" if row.ties_out else "**no**"
        lines.append(
            f"| {row.entity} | {row.extracted} | {delivered} | {row.held} | {row.duplicate} | {row.excluded} "
            f"| {ties_out} |"
        )
    missed = [result for event in judged for result in event.detail["results"] if not result["success"]]
    if judged:
        lines.append(
            f"\nQuality: {len(judged)} batches judged, {len(missed)} expectations missed (`bin/tieout quality`)."
        )
    lines += [f"\n**{row.entity}**: {row.message}" for row in rows if row.message]
    return "\n".join(lines)[:1000]
