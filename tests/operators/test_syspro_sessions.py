"""Logging on before a run's work and off after it, in Airflow and against a SYSPRO server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_services import ROOT, project_environment
from sandbox.syspro import SysproServer, generate_books
from tests.support.syspro_connection import (
    PASSWORD,
    SIZES,
    AddConnection,
    add_connection,
    airflow_home,
    connection,
    server,
)
from tests.support.syspro_connection import ledger as ledger
from tieout.errors import SourceUnavailable
from tieout.integrations.run import Run
from tieout.ledger import Ledger

__all__ = ["add_connection", "airflow_home", "ledger", "server"]

DAG_ID = "syspro_to_legacy_erp"
DAG = """
from airflow.sdk import Context
from tieout.config import SysproToLegacyErp, instances
from tieout.operators.base import InstanceOperator
from tieout.operators.dags import Route, integration_dag
from tieout.operators.sessions import SysproLogin, SysproLogout, syspro_session


class Read(InstanceOperator):
    template_fields = ("table",)

    def __init__(self, *, table, **kwargs):
        super().__init__(pool="syspro", **kwargs)
        self.table = table

    def execute(self, context: Context):
        from tieout.systems.syspro.tables import TABLES

        run, config = self.run_of(context), self.load_config()
        with self.ledger() as ledger, syspro_session(ledger, run, config.connections.source) as client:
            print("read", client.probe(TABLES[self.table]))
            return self.table

ROUTE = Route("A", "B", "inbound", "From A to B.")

for instance in instances("syspro_to_legacy_erp", SysproToLegacyErp):
    with integration_dag(instance, route=ROUTE, entities=(), doc_md=None):
        login = SysproLogin(task_id="login", instance=instance).as_setup()
        logout = SysproLogout(task_id="logout", instance=instance).as_teardown(setups=login)
        tables = ["GenMaster", "ApSupplier", instance.config.source.posted_entries[0]]
        read = Read.partial(task_id="read", instance=instance).expand(table=tables)
        login >> read >> logout
"""
INSTANCE = """
schedule: null
connections: {{source: {conn_id}, target: nowhere}}
source: {{posted_entries: [{table}]}}
retries: {{count: 0}}
"""


def run(run_id: str) -> Run:
    return Run(DAG_ID, "default", run_id, "incremental", None, None, datetime(2026, 11, 2, tzinfo=UTC))


# One at a time


def test_a_task_waits_for_another_runs_task_and_then_says_who_it_is(
    ledger: Ledger, add_connection: AddConnection, server: SysproServer
) -> None:
    from tieout.operators.sessions import syspro_session

    add_connection()
    with syspro_session(ledger, run("monday"), "syspro") as client:
        client.login()
        with (
            pytest.raises(SourceUnavailable, match=r"one session per operator.*TIEOUT.*run monday"),
            syspro_session(ledger, run("tuesday"), "syspro", wait=0),
        ):
            pass
    with syspro_session(ledger, run("tuesday"), "syspro", wait=0) as client:
        client.login()
    assert server.sessions.log_ons == 1


def test_an_error_within_is_its_own(ledger: Ledger, add_connection: AddConnection) -> None:
    from tieout.errors import Superseded
    from tieout.operators.sessions import syspro_session

    add_connection()
    with pytest.raises(Superseded, match="somebody else delivers"), syspro_session(ledger, run("monday"), "syspro"):
        raise Superseded("somebody else delivers")


# In Airflow


class Project:
    """An Airflow home with a DAG that logs on, reads three tables and logs off.

    The default instance cannot read the third one; the instance `basic` has no session.
    """

    def __init__(self, folder: Path, syspro: SysproServer) -> None:
        instances = folder / "include" / "integrations" / DAG_ID
        instances.mkdir(parents=True)
        (folder / "dags").mkdir()
        (folder / "dags" / "reading.py").write_text(DAG)
        for name, conn_id, table in (
            ("default", "syspro", "NoSuchTable"),
            ("basic", "syspro_basic", "GenJournalCtl"),
        ):
            (instances / f"{name}.yaml").write_text(INSTANCE.format(conn_id=conn_id, table=table))
        self.syspro = syspro
        self.env = project_environment(
            folder / "home",
            {
                "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
                "TIEOUT_INCLUDE": str(folder / "include"),
                "AIRFLOW_CONN_SYSPRO": connection(syspro),
                "AIRFLOW_CONN_SYSPRO_BASIC": connection(syspro, auth="basic"),
            },
        )

    def run(self, instance: str) -> tuple[int, str]:
        """Exit code, and all that was printed and logged."""
        dag_id = DAG_ID if instance == "default" else f"{DAG_ID}__{instance}"
        command = [str(ROOT / "bin" / "airflow"), "dags", "test", dag_id]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with SysproServer(generate_books(5, SIZES)) as syspro:
        yield Project(tmp_path_factory.mktemp("project"), syspro)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("instance", "succeeds", "log_ons", "said"),
    [
        ("default", False, 1, "Logged off SYSPRO"),
        ("basic", True, 0, "No log-on: every request to SYSPRO carries the credentials"),
    ],
)
def test_one_session_per_run_that_ends_also_after_a_failure(
    project: Project, instance: str, succeeds: bool, log_ons: int, said: str
) -> None:
    sessions = project.syspro.sessions
    before = (sessions.log_ons, sessions.log_offs)
    project.syspro.faults.configure(odata_auth="basic" if instance == "basic" else "session_token")

    code, printed = project.run(instance)

    assert (code == 0) == succeeds, printed[-3000:]
    assert (sessions.log_ons - before[0], sessions.log_offs - before[1]) == (log_ons, log_ons)
    assert len(sessions) == 0
    assert said in printed
    assert PASSWORD not in printed
