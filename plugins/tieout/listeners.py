"""What happens in Airflow's scheduler when a run ends: the tie-out is written into the run's note."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from tieout.ledger import RunRow

MOST_ROWS = 12
"""Entities that a note lists one by one; of more, those that do not tie out."""

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
        shown = rows if len(rows) <= MOST_ROWS else [row for row in rows if not row.ties_out][:MOST_ROWS]
        judged = [event for row in shown for event in ledger.events_of_run(row.key) if event.what == "quality"]
    if not rows:
        return ""
    head = ("entity", "extracted", "delivered", "held", "duplicate", "excluded", "ties out")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    if len(rows) > MOST_ROWS:
        lines.append(_sum_of(rows))
    lines += [_line(row) for row in shown]
    missed = [result for event in judged for result in event.detail["results"] if not result["success"]]
    if judged:
        lines.append(
            f"\nQuality: {len(judged)} batches judged, {len(missed)} expectations missed (`bin/tieout quality`)."
        )
    lines += [f"\n**{row.entity}**: {row.message}" for row in shown if row.message]
    return "\n".join(lines)[:1000]


def _line(row: RunRow) -> str:
    delivered = f"({row.previewed})" if row.dry_run else str(row.delivered + row.posted)
    ties_out = "yes" if row.ties_out else "**no**"
    return (
        f"| {row.entity} | {row.extracted} | {delivered} | {row.held} | {row.duplicate} | {row.excluded} | {ties_out} |"
    )


def _sum_of(rows: Sequence[RunRow]) -> str:
    """All entities in one line, where they are too many to be read one by one."""
    names = ("extracted", "delivered", "held", "duplicate", "excluded")
    counts = " | ".join(str(sum(getattr(row, name) for row in rows)) for name in names)
    wrong = sum(not row.ties_out for row in rows)
    return f"| all {len(rows)} | {counts} | {f'**{wrong} do not**' if wrong else 'yes'} |"
