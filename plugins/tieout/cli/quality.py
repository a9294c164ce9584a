"""`tieout quality`: what Great Expectations found in the batches of runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tieout.cli.book import filters, open_ledger
from tieout.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from tieout.ledger import Filters, Ledger

COLUMNS = (
    "integration", "instance", "entity", "run_id", "expectation", "columns", "severity", "status", "evaluated",
    "unexpected", "offending_keys",
)  # fmt: skip
LATEST_RUNS = 100


def quality(arguments: argparse.Namespace) -> int:
    """Expectations that were not met, or all of them; the latest runs first."""
    with open_ledger() as ledger:
        rows = [] if ledger is None else list(_rows(ledger, filters(arguments), everything=arguments.all))
    if arguments.json:
        print_json(rows)
    elif rows:
        print_table(rows, COLUMNS)
    else:
        note("Every expectation was met." if not arguments.all else "No batch was judged.")
    return 0


def _rows(ledger: Ledger, narrow: Filters, *, everything: bool) -> Iterator[dict[str, Any]]:
    for run in ledger.runs(narrow, limit=None if narrow.run_id or narrow.since else LATEST_RUNS):
        for event in ledger.events_of_run(run.key):
            if event.what != "quality":
                continue
            for result in event.detail["results"]:
                if everything or not result["success"]:
                    yield {
                        "integration": run.integration,
                        "instance": run.instance,
                        "entity": run.entity,
                        "run_id": run.run_id,
                        "expectation": result["type"],
                        **{name: value for name, value in result.items() if name != "type"},
                    }
