"""What Airflow tells of tasks and runs, as plain values; the listeners call this and nothing else of ours.

Airflow calls a failed task's listener in the worker (with the exception), and in the scheduler when the worker died
(with a text). It also calls it for a try that is going to be repeated: that one is nobody's business yet.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tieout import approvals
from tieout.config import include_folder, split_dag_id

log = logging.getLogger(__name__)

SCHEDULER_SECONDS = 2.0
"""So long the scheduler waits for the ledger; what takes longer goes on beside it."""

_ACKNOWLEDGEMENTS = "_acknowledgements"


class _Task(NamedTuple):
    integration: str
    instance: str
    run_id: str
    task_id: str
    title: str


def instance_of(dag_id: str) -> tuple[str, str] | None:
    """`(integration, instance)` of a DAG of ours; None for others, and for those that ask second persons."""
    integration, instance = split_dag_id(dag_id.removesuffix(_ACKNOWLEDGEMENTS))
    folder = include_folder() / "integrations" / integration
    if not folder.is_dir() or _asks_second_persons(dag_id, integration, folder):
        return None
    return integration, instance


def _asks_second_persons(dag_id: str, integration: str, folder: Path) -> bool:
    """Whether this is an instance's companion, and no instance whose name only ends like that.

    The default instance's is not looked for: its id is no integration's.
    """
    return any(dag_id == approvals.companion_of(integration, path.stem) for path in folder.glob("*.yaml"))


def task_failed(task_instance: Any, error: BaseException | str | None) -> None:
    """A task's try failed: raise what it calls for, and tell people at once where this is a worker. Never raises."""
    _quietly(lambda: _task_failed(task_instance, error))


def run_ended(dag_run: Any, *, succeeded: bool) -> None:
    """A run ended, in the scheduler: end what it proves to be over, or let somebody know. Never raises."""
    _quietly(lambda: _run_ended(dag_run, succeeded))


def _task_failed(task_instance: Any, error: BaseException | str | None) -> None:
    state = str(getattr(task_instance.state, "value", task_instance.state))
    whose = instance_of(task_instance.dag_id)
    if state != "failed" or whose is None:
        return
    in_worker = not hasattr(task_instance, "_sa_instance_state")
    task = _Task(*whose, task_instance.run_id, task_instance.task_id.rpartition(".")[2], _title(task_instance))
    if in_worker:
        _raise_task_failed(task, error, tell=True)
    else:
        _beside(lambda: _raise_task_failed(task, error, tell=False))


def _run_ended(dag_run: Any, succeeded: bool) -> None:
    whose = instance_of(dag_run.dag_id)
    # A companion's run says nothing of the instance's own.
    if whose is None or dag_run.dag_id.endswith(_ACKNOWLEDGEMENTS):
        return
    run_id, conf = dag_run.run_id, dict(dag_run.conf or {})
    backfill = str(getattr(dag_run.run_type, "value", dag_run.run_type)) == "backfill"
    if succeeded:
        _beside(lambda: _resolve(*whose, run_id, conf, backfill))
    else:
        _beside(lambda: _raise_run_failed(*whose, run_id, conf))


def _title(task_instance: Any) -> str:
    """The task's name, with what it was mapped over."""
    name = str(task_instance.task_id)
    shown = getattr(task_instance, "rendered_map_index", None)
    return f"{name} [{shown}]" if shown else name


def _raise_task_failed(task: _Task, error: BaseException | str | None, *, tell: bool) -> None:
    from tieout.alerts.occasions import FailedTask, raise_task_failed
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url

    with Ledger.open(ledger_url(), migrate=True) as ledger:
        if raise_task_failed(ledger, FailedTask(*task, error)) and tell:
            from tieout.alerts.config import load_alerts_config
            from tieout.alerts.sending import send_due

            send_due(ledger, load_alerts_config())


def _raise_run_failed(integration: str, instance: str, run_id: str, conf: Mapping[str, object]) -> None:
    if conf.get("dry_run"):
        return
    from tieout.alerts.occasions import raise_run_failed
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url

    with Ledger.open(ledger_url()) as ledger:
        raise_run_failed(ledger, integration, instance, run_id)


def _resolve(integration: str, instance: str, run_id: str, conf: Mapping[str, object], backfill: bool) -> None:
    from tieout.alerts.occasions import is_whole_run
    from tieout.alerts.raising import resolve_after_good_run
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url

    with Ledger.open(ledger_url()) as ledger:
        resolve_after_good_run(ledger, integration, instance, run_id, whole=not backfill and is_whole_run(conf))


def beside(work: Callable[[], None]) -> bool:
    """Do it in a thread of its own, and wait a moment for it: the scheduler must never wait long.

    Args:
        work: Raises nothing.

    Returns:
        Whether it is done; otherwise it goes on.
    """
    thread = threading.Thread(target=work, name="tieout beside the scheduler", daemon=True)
    thread.start()
    thread.join(SCHEDULER_SECONDS)
    return not thread.is_alive()


def _beside(work: Callable[[], None]) -> None:
    beside(lambda: _quietly(work))


def _quietly(work: Callable[[], None]) -> None:
    """An alert that cannot be raised must not disturb Airflow."""
    try:
        work()
    except Exception as error:
        log.warning(
            "An alert could not be raised or sent (%s: %s).", type(error).__name__, str(error).partition("\n")[0]
        )
