"""The simulated SYSPRO as an Airflow connection, and a ledger: fixtures for hooks, operators and commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from sandbox.syspro import BookSizes, SysproServer, generate_books
from sandbox.syspro.operators import Operator
from tieout.ledger import Ledger

SIZES = BookSizes(first_year=2025, years=1, lines=60, suppliers=12, items=10)
PASSWORD = Operator().password

AddConnection = Callable[..., None]


def connection(
    server: SysproServer, conn_type: str = "syspro", login: str = "TIEOUT", password: str = PASSWORD, **extra: Any
) -> str:
    """A connection to it, in JSON; further keywords are its extra."""
    return json.dumps(
        {
            "conn_type": conn_type,
            "host": server.url,
            "login": login,
            "password": password,
            "extra": {"company_id": "EDU1", "retry_seconds": 0.5} | extra,
        }
    )


@pytest.fixture
def airflow_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Airflow's own folder and keys, and the ledger's address."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path / 'airflow.db'}")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    return tmp_path


@pytest.fixture
def ledger(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger of its own; no plug is pulled, so it need not wait for the disk."""
    monkeypatch.setattr("tieout.ledger.database.SYNCHRONOUS", "OFF")
    with Ledger.open(f"sqlite:///{airflow_home / 'ledger.db'}", migrate=True) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[SysproServer]:
    """The simulated SYSPRO; nobody may write to it."""
    with SysproServer(generate_books(5, SIZES)) as running:
        yield running
        assert running.failures == []
        assert running.statistics()["writes_tried"] == 0


@pytest.fixture
def add_connection(airflow_home: Path, server: SysproServer, monkeypatch: pytest.MonkeyPatch) -> AddConnection:
    """Adds a connection to the simulated SYSPRO, `syspro` unless another id is given; see `connection`."""

    def add(conn_id: str = "syspro", **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection(server, **fields))

    return add
