"""`tieout replay`: a normal run of the integration over a selection of held records."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tieout.cli.airflow_home import airflow_command, trigger
from tieout.cli.book import filters, open_ledger
from tieout.cli.output import note, print_json, stdout_for_the_answer
from tieout.errors import TieoutError

if TYPE_CHECKING:
    from tieout.ledger import HeldRow, Ledger


@dataclass(frozen=True)
class Replay:
    """One run to ask for.

    Attributes:
        records: How many held records it is about.
        held_ids: Their ids; empty stands for everything that the entities hold when the run begins.
        entities: What to run; empty is everything.
    """

    integration: str
    instance: str
    records: int
    held_ids: tuple[int, ...] = ()
    entities: tuple[str, ...] = ()

    @property
    def dag_id(self) -> str:
        """The DAG of the instance."""
        return self.integration if self.instance == "default" else f"{self.integration}__{self.instance}"

    @property
    def conf(self) -> dict[str, Any]:
        """The run's `conf`."""
        conf: dict[str, Any] = {"held_only": True, "held_ids": list(self.held_ids)}
        if self.entities:
            conf["entities"] = list(self.entities)
        return conf


def replay(arguments: argparse.Namespace) -> int:
    """Ask for one run per instance that holds some of the records; 1 if one cannot be had or fails."""
    with open_ledger() as ledger:
        if ledger is None:
            wanted: list[Replay] = []
        elif arguments.all:
            wanted = _everything(ledger, arguments)
        else:
            wanted = _chosen(ledger, arguments)
    if not wanted:
        note("Nothing is held that fits: there is nothing to replay.")
    rows = [_run_now(item) if arguments.now else _trigger(item) for item in wanted]
    if arguments.json:
        print_json(rows)
    else:
        for row in rows:
            print(f"{row['dag_id']}: {row['records']} held, run {row['run_id'] or 'in the foreground'} {row['status']}")
    return 1 if any(row["status"] == "failed" for row in rows) else 0


def _chosen(ledger: Ledger, arguments: argparse.Namespace) -> list[Replay]:
    """The records given by id; the filters must not contradict them."""
    narrow = filters(arguments)
    rows: list[HeldRow] = []
    for held_id in dict.fromkeys(arguments.ids):
        row = ledger.get_held(held_id)
        if row is None:
            raise TieoutError(f"There is no held record {held_id}. `tieout held` lists the ones there are.")
        if row.status != "held":
            raise TieoutError(f"Held record {held_id} is {row.status} already; only an open one can be replayed.")
        for name in ("integration", "instance", "entity"):
            wanted = getattr(narrow, name)
            if wanted and getattr(row, name) != wanted:
                raise TieoutError(f"Held record {held_id} is of {name} {getattr(row, name)}, not of {wanted}.")
        rows.append(row)
    return _by_instance(rows)


def _everything(ledger: Ledger, arguments: argparse.Namespace) -> list[Replay]:
    """All open records that the filters leave."""
    arguments.status = "held"
    rows = ledger.held(filters(arguments), limit=None, offset=0)
    by_id = _by_instance(rows)
    if arguments.run_id or arguments.since:
        return by_id
    # A whole entity needs no list of ids, which for thousands of records would not fit into a run's conf.
    entities = (arguments.entity,) if arguments.entity else ()
    return [Replay(item.integration, item.instance, item.records, entities=entities) for item in by_id]


def _by_instance(rows: Iterable[HeldRow]) -> list[Replay]:
    groups: dict[tuple[str, str], list[HeldRow]] = {}
    for row in rows:
        groups.setdefault((row.integration, row.instance), []).append(row)
    return [_replay_of(*instance, group) for instance, group in sorted(groups.items())]


def _replay_of(integration: str, instance: str, rows: Sequence[HeldRow]) -> Replay:
    return Replay(integration, instance, len(rows), held_ids=tuple(sorted(row.id for row in rows)))


def _trigger(item: Replay) -> dict[str, Any]:
    with stdout_for_the_answer():
        run = trigger(item.dag_id, item.conf)
    if run.paused:
        note(f"{run.dag_id} is paused: the run waits until `bin/airflow dags unpause {run.dag_id}`.")
    if not run.scheduler_alive:
        note("No scheduler is running: the run waits for one. --now runs it here instead.")
    return _row(item, run.run_id, "queued")


def _run_now(item: Replay) -> dict[str, Any]:
    code = airflow_command("dags", "test", item.dag_id, "--conf", json.dumps(item.conf))
    return _row(item, None, "success" if code == 0 else "failed")


def _row(item: Replay, run_id: str | None, status: str) -> dict[str, Any]:
    return {
        "integration": item.integration,
        "instance": item.instance,
        "dag_id": item.dag_id,
        "run_id": run_id,
        "records": item.records,
        "conf": item.conf,
        "status": status,
    }
