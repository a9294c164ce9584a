"""Where the ledger is found, in every form that a connection takes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tieout.errors import ConfigurationInvalid
from tieout.ledger_url import ledger_url, sqlalchemy_url

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        ("sqlite:////var/ledger.db", "sqlite:////var/ledger.db"),
        ("sqlite:////var/my%20ledger.db", "sqlite:////var/my ledger.db"),
        ("postgresql+psycopg2://u:p%40@h:5/db", "postgresql+psycopg2://u:p%40@h:5/db"),
        ("postgres://u:p@h/db?sslmode=require", "postgres://u:p@h/db?sslmode=require"),
        ("postgres://u:p@h/db?__extra__=%7B%22sslmode%22%3A%22require%22%7D", "postgres://u:p@h/db?sslmode=require"),
        (
            json.dumps(
                {"conn_type": "postgres", "host": "h", "login": "u", "password": "p@:/", "schema": "db", "port": 5}
            ),
            "postgresql://u:p%40%3A%2F@h:5/db",
        ),
        (
            json.dumps({"conn_type": "postgres", "host": "h", "schema": "db", "extra": {"sslmode": "require"}}),
            "postgresql://h/db?sslmode=require",
        ),
        (json.dumps({"conn_type": "sqlite", "host": "/var/ledger.db"}), "sqlite:////var/ledger.db"),
    ],
)
def test_every_form_of_a_connection(connection: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sqlalchemy_url(connection) == url
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", connection)
    assert ledger_url() == url


@pytest.mark.parametrize("connection", ["secret", "{secret", '{"host": "secret"}'])
def test_a_connection_that_is_none_is_refused_without_quoting_it(connection: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        sqlalchemy_url(connection)
    assert "secret" not in str(caught.value)


def test_by_default_a_file_in_the_home(home: Path) -> None:
    assert ledger_url() == f"sqlite:///{home / 'ledger.db'}"


def _metadata(home: Path, *, prepared: bool = True) -> sqlite3.Connection:
    database = sqlite3.connect(home / "airflow.db")
    if prepared:
        database.execute("CREATE TABLE connection (conn_id TEXT)")
        database.commit()
    return database


@pytest.mark.parametrize("prepared", [True, False])
def test_a_metadata_database_without_the_connection_costs_no_airflow(home: Path, prepared: bool) -> None:
    _metadata(home, prepared=prepared).close()
    code = "import sys; from tieout.ledger_url import ledger_url; print(ledger_url(), 'airflow' in sys.modules)"
    environment = {"PYTHONPATH": str(PLUGINS), "AIRFLOW_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"sqlite:///{home / 'ledger.db'}", "False"]


def test_a_metadata_database_that_does_not_answer_is_no_reason_to_start_an_empty_ledger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://u:secret@127.0.0.1:1/airflow")
    with pytest.raises(ConfigurationInvalid, match="does not answer") as caught:
        ledger_url()
    assert "secret" not in str(caught.value)


@pytest.mark.integration
def test_a_connection_in_airflows_own_database(airflow_home: Path) -> None:
    environment = {**os.environ, "AIRFLOW_HOME": str(airflow_home), "PYTHONPATH": str(PLUGINS)}
    add = ["connections", "add", "tieout_ledger", "--conn-uri", "postgres://u:p%40@h:5/db"]
    subprocess.run([sys.executable, "-m", "airflow", *add], env=environment, check=True, capture_output=True)
    code = "from tieout.ledger_url import ledger_url; print(ledger_url())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "postgresql://u:p%40@h:5/db"
