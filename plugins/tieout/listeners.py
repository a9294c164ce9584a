"""What happens in Airflow when a run ends or a task fails: the tie-out is written into the run's note, people are told.

Ends of runs are seen by the scheduler, failures of tasks by the worker, or by the scheduler where the worker died.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from tieout import airflow_events

if TYPE_CHECKING:
    from tieout.ledger import RunRow

# What Airflow's API says of a run that a person called good or bad: that proves nothing, and the person knows.
_BY_HAND = "manually set"

MOST_ROWS = 12
"""Entities that a note lists one by one; of more, those that do not tie out."""
MOST_CHARACTERS = 1000
"""What Airflow keeps of a note."""

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """A run that ties out."""
    _note(dag_run)
    if _BY_HAND not in msg:
        airflow_events.run_ended(dag_run, succeeded=True)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A run that does not, or that stopped before."""
    _note(dag_run)
    if _BY_HAND not in msg:
        airflow_events.run_ended(dag_run, succeeded=False)


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: BaseException | str | None) -> None:
    """A task's try that failed, whether or not it is tried again."""
    # Without a former state it was a person in the UI who called it failed: nothing has happened to the task.
    if previous_state is not None:
        airflow_events.task_failed(task_instance, error)


def _note(dag_run: Any) -> None:
    """Never raises, and waits a moment only for the text: a note must not disturb the scheduler.

    The run is Airflow's, in the session of this thread: only here may it be changed, and before this returns.
    """
    dag_id, run_id = dag_run.dag_id, dag_run.run_id
    texts: list[str] = []
    try:
        if not airflow_events.beside(lambda: _write(dag_id, run_id, texts)):
            log.warning("The tie-out of %s %s is not in its note: the ledger does not answer.", dag_id, run_id)
        elif texts and texts[0]:
            dag_run.note = texts[0]
    except Exception as error:
        _not_noted(dag_id, run_id, error)


def _write(dag_id: str, run_id: str, texts: list[str]) -> None:
    """Add the note's text, or say why there is none."""
    try:
        texts.append(note_for(dag_id, run_id))
    except Exception as error:
        _not_noted(dag_id, run_id, error)


def _not_noted(dag_id: str, run_id: str, error: Exception) -> None:
    log.warning(
        "The tie-out of %s %s could not be written into its note (%s: %s).",
        dag_id, run_id, type(error).__name__, str(error).partition("\n")[0],
    )  # fmt: skip


def note_for(dag_id: str, run_id: str) -> str:
    """The conservation table of a run as Markdown; empty when the ledger knows nothing of it."""
    from tieout.config import include_folder, split_dag_id
    from tieout.ledger import Filters, Ledger
    from tieout.ledger_url import ledger_url
    from tieout.operators.links import page_path

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
    lines = [f"{_verdict(rows)}\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    if len(rows) > MOST_ROWS:
        lines.append(_sum_of(rows))
    lines += [_line(row) for row in shown]
    missed = [result for event in judged for result in event.detail["results"] if not result["success"]]
    if judged:
        lines.append(
            f"\nQuality: {len(judged)} batches judged, {len(missed)} expectations missed (`bin/tieout quality`)."
        )
    lines += [f"\n**{row.entity}**: {row.message}" for row in shown if row.message]
    page = page_path("runs", integration=integration, instance=instance, run_id=run_id)
    link = f"\n\n[This run on the Tieout page]({page})"
    return "\n".join(lines)[: MOST_CHARACTERS - len(link)] + link


def _verdict(rows: Sequence[RunRow]) -> str:
    """The first line, which is all that Airflow shows of a note before it is opened."""
    wrong = [row.entity for row in rows if not row.ties_out]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return f"Does not tie out: {', '.join(wrong[:3])}{more}."
    held = sum(row.held for row in rows)
    if rows[0].dry_run:
        return f"A dry run: {sum(row.previewed for row in rows)} would be sent, {held} would be held."
    return f"Ties out: {sum(row.delivered + row.posted for row in rows)} delivered, {held} held."


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
