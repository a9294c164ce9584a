"""Says that a DAG is paused: its backfill runs are there, but nothing starts them before somebody unpauses it."""

from __future__ import annotations

import os
import sys

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError


def dag_id_of(arguments: list[str]) -> str:
    """The value of `--dag-id`, in either form; empty without one."""
    for position, argument in enumerate(arguments):
        if argument == "--dag-id" and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith("--dag-id="):
            return argument.partition("=")[2]
    return ""


def main(arguments: list[str]) -> None:
    """Look into Airflow's metadata database, and say it on stderr."""
    dag_id = dag_id_of(arguments)
    try:
        engine = create_engine(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        with engine.connect() as connection:
            paused = connection.execute(
                text("SELECT is_paused FROM dag WHERE dag_id = :dag_id"), {"dag_id": dag_id}
            ).scalar()
    except (KeyError, SQLAlchemyError):
        return  # a notice is no reason to fail: the backfill has been created
    if paused:
        print(f"{dag_id} is paused: these runs wait until `bin/airflow dags unpause {dag_id}`.", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
