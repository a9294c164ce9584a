"""Airflow's local settings on SQLite, against two real connections to one file."""

from __future__ import annotations

import runpy
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

SETTINGS = Path(__file__).parents[2] / "scripts" / "sqlite" / "airflow_local_settings.py"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "airflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE dag_run (id INTEGER)")
    return path


def read_then_write(engine: Engine, path: Path) -> None:
    """A savepoint that reads and then writes, while another process wants to write in between."""
    other = sqlite3.connect(path, timeout=0)
    try:
        with engine.connect() as connection, connection.begin(), connection.begin_nested():
            connection.execute(text("SELECT count(*) FROM dag_run")).scalar()
            try:
                other.execute("INSERT INTO dag_run VALUES (1)")
                other.commit()
            except sqlite3.OperationalError:
                other.rollback()  # the writer waits its turn
            connection.execute(text("INSERT INTO dag_run VALUES (2)"))
    finally:
        other.close()


def test_a_savepoint_waits_instead_of_failing(database: Path) -> None:
    engine = create_engine(f"sqlite:///{database}?timeout=5")
    with pytest.raises(OperationalError, match="database is locked"):
        read_then_write(engine, database)
    hook = runpy.run_path(str(SETTINGS))["take_the_write_lock_first"]
    try:
        read_then_write(engine, database)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT max(id) FROM dag_run")).scalar() == 2
    finally:
        event.remove(Engine, "savepoint", hook)
        engine.dispose()
