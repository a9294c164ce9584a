"""`tieout replay`: a normal run of the integration over a selection of held records."""

from __future__ import annotations

import argparse
import json
from typing import Any

from tieout import replays
from tieout.approvals import Request
from tieout.cli.airflow_home import airflow_command, trigger
from tieout.cli.book import filters, open_ledger
from tieout.cli.output import note, print_json, stdout_for_the_answer
from tieout.cli.second_person import ask_second_person
from tieout.replays import Replay


def replay(arguments: argparse.Namespace) -> int:
    """Ask for one run per instance that holds some of the records; 1 if one cannot be had or fails."""
    narrow = filters(arguments)
    with open_ledger() as ledger:
        if ledger is None:
            wanted: list[Replay] = []
        elif arguments.all:
            wanted = replays.everything(ledger, narrow)
        else:
            wanted = replays.chosen(ledger, arguments.ids, narrow)
    if not wanted:
        note("Nothing is held that fits: there is nothing to replay.")
    # Each of them is settled before the first is asked for: one that is refused leaves nothing half done.
    parts = [(item.at_once(), item.request()) for item in wanted]
    rows = [row for at_once, request in parts for row in _replayed(at_once, request, now=arguments.now)]
    if arguments.json:
        print_json(rows)
    else:
        for row in rows:
            run = row["run_id"] or "in the foreground"
            print(f"{row['dag_id']}: {row['records']} held, run {run} {row['status'].replace('_', ' ')}")
            if row.get("approval_url"):
                print(f"  Another person answers at {row['approval_url']}")
    return 1 if any(row["status"] == "failed" for row in rows) else 0


def _replayed(at_once: Replay | None, request: Request | None, *, now: bool) -> list[dict[str, Any]]:
    rows = [_run_now(at_once) if now else _trigger(at_once)] if at_once else []
    return [*rows, *([ask_second_person(request)] if request else [])]


def _trigger(item: Replay) -> dict[str, Any]:
    with stdout_for_the_answer():
        run = trigger(item.dag_id, item.conf)
    if run.paused:
        note(f"{run.dag_id} is paused: the run waits until `bin/airflow dags unpause {run.dag_id}`.")
    if not run.scheduler_alive:
        note("No scheduler is running: the run waits for one. --now runs it here instead.")
    return item.as_json(run.run_id, "queued")


def _run_now(item: Replay) -> dict[str, Any]:
    code = airflow_command("dags", "test", item.dag_id, "--conf", json.dumps(item.conf))
    return item.as_json(None, "success" if code == 0 else "failed")
