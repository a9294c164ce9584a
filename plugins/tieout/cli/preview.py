"""`tieout preview DAG_ID --entity E`: what would be sent, from the real source, nothing written."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from tieout.cli.airflow_home import use_airflow
from tieout.cli.output import print_json, print_table, stdout_for_the_answer


def preview(arguments: argparse.Namespace) -> int:
    """Read a few records, map them and show the result."""
    # Reads over Airflow's connections, so this import takes seconds; no other command needs it.
    with stdout_for_the_answer():
        use_airflow()
        module = importlib.import_module("tieout.preview")
        shown: Any = module.preview(arguments.dag_id, arguments.entity, arguments.limit)
    if arguments.json:
        print_json(shown)
    elif isinstance(shown, str):
        print(shown)
    else:
        rows: Sequence[Mapping[str, Any]] = shown.get("rows", []) if isinstance(shown, Mapping) else shown
        columns = list(dict.fromkeys(name for row in rows for name in row))
        print_table(rows, columns)
    return 0
