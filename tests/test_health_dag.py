"""The DAG `connection_health` in real Airflow, against a real SSH server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_services import ROOT, project_environment
from tests.support.asyncssh_server import Account, AsyncSshServer
from tieout.ledger import Ledger

PASSWORD = "Sesam, öffne dich 7"

# One process for all runs: most of what `bin/airflow dags test` takes is to import Airflow.
AIRFLOW = """
import json, os, sys
from airflow.__main__ import main

for line in sys.stdin:
    environment, arguments = json.loads(line)
    os.environ.update(environment)
    sys.argv = ["airflow", *arguments]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    sys.stdout.flush()
    # In one piece, whatever tasks write to the same pipe meanwhile.
    os.write(1, f"\\nEXIT CODE {code}\\n".encode())
"""


class Project:
    """An Airflow home whose one instance uses two connections, `good` and `other`, to a server with a password."""

    def __init__(self, folder: Path, server: AsyncSshServer) -> None:
        self.server = server
        instance = folder / "include" / "integrations" / "other" / "default.yaml"
        instance.parent.mkdir(parents=True)
        instance.write_text("connections: {source: good, target: other}\ncollect: {folder: /}\ntarget: {root: /}\n")
        dags = folder / "dags"
        dags.mkdir()
        (dags / "connection_health.py").symlink_to(ROOT / "dags" / "connection_health.py")
        self.ledger_url = f"sqlite:///{folder / 'ledger.db'}"
        self.env = project_environment(
            folder / "home",
            {
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
                "AIRFLOW__CORE__FERNET_KEY": "cNs1ecUQT9Ip9aFJIQ1jVXPfTQFbcvQL4tkRMrLRQ0M=",
                "AIRFLOW_CONN_TIEOUT_LEDGER": self.ledger_url,
                "AIRFLOW_CONN_GOOD": self.connection(PASSWORD),
                "TIEOUT_INCLUDE": str(folder / "include"),
            },
        )
        self.airflow = subprocess.Popen(
            [sys.executable, "-c", AIRFLOW],
            env=self.env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def connection(self, password: str) -> str:
        """To the server, in JSON."""
        fields = {"conn_type": "sftp", "host": self.server.host, "port": self.server.port, "login": "partner"}
        return json.dumps({**fields, "password": password, "extra": {"host_key": self.server.host_key}})

    def run(self, password: str, **conf: Any) -> tuple[int, str]:
        """Exit code, and all that was printed and logged, of a run while `other` has this password."""
        assert self.airflow.stdin is not None and self.airflow.stdout is not None
        arguments = ["dags", "test", "connection_health", "--conf", json.dumps(conf)]
        self.airflow.stdin.write(json.dumps([{"AIRFLOW_CONN_OTHER": self.connection(password)}, arguments]) + "\n")
        self.airflow.stdin.flush()
        printed: list[str] = []
        for line in self.airflow.stdout:
            if line.startswith("EXIT CODE "):
                return int(line.split()[-1]), "".join(printed)
            printed.append(line)
        raise AssertionError("Airflow has ended: " + "".join(printed)[-3000:])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "files").mkdir()
    with AsyncSshServer(folder / "files", Account(password=PASSWORD)) as server:
        project = Project(folder, server)
        with project.airflow:
            yield project
            helpers = psutil.Process(project.airflow.pid).children(recursive=True)
            # At the end of its input it ends by itself, and takes along the process that tells of lineage.
            project.airflow.communicate(timeout=60)
            assert psutil.wait_procs(helpers, timeout=30)[1] == []


@pytest.mark.integration
def test_red_while_somebody_must_act_and_no_account_is_locked(project: Project) -> None:
    account = project.server.account

    code, printed = project.run("wr0ng")
    assert (code != 0, account.password_attempts) == (True, 2), printed[-3000:]
    assert "1 of 2 connections need somebody." in printed
    assert "other: authenticated: partner@127.0.0.1" in printed and "refused the password" in printed
    assert "wr0ng" not in printed and PASSWORD not in printed

    code, printed = project.run("wr0ng")
    assert (code != 0, account.password_attempts) == (True, 3), "the refused password was tried again"

    code, printed = project.run("wr0ng", also_refused=True)
    assert (code != 0, account.password_attempts) == (True, 5), printed[-3000:]

    code, printed = project.run(PASSWORD)
    assert (code, account.password_attempts) == (0, 7), printed[-3000:]
    with Ledger.open(project.ledger_url) as ledger:
        assert {label: state.row["ok"] for label, state in ledger.connection_states().items()} == {
            "good": True, "other": True,
        }  # fmt: skip
        assert [(notice.kind, notice.about) for notice in ledger.notices()] == [
            ("connection_failing", "raised"), ("connection_failing", "resolved"),
        ]  # fmt: skip
    assert os.listdir(project.server.root) == []


READ_DAG = """
import os, sys
from airflow.dag_processing.dagbag import DagBag
for folder in sys.argv[1:]:
    os.environ["TIEOUT_INCLUDE"] = folder
    bag = DagBag(dag_folder="dags/connection_health.py", bundle_path="dags", bundle_name="dags-folder")
    assert not bag.import_errors, bag.import_errors
    dag = bag.dags["connection_health"]
    timetable = getattr(dag.timetable, "expression", None), str(getattr(dag.timetable, "timezone", None))
    print("RESULT", type(dag.timetable).__name__, *timetable, *dag.task_ids, *dag.params)
"""


def test_when_it_runs_is_configured(project: Project, tmp_path: Path) -> None:
    cases = {
        "{}": "CronDataIntervalTimetable 7 * * * * UTC check_connections also_refused",
        "schedule: '*/20 6-20 * * *'\ntimezone: Europe/Brussels":
            "CronDataIntervalTimetable */20 6-20 * * * Europe/Brussels check_connections also_refused",
        "schedule: null": "NullTimetable None None check_connections also_refused",
        "shedule: null": "NullTimetable None None read_configuration",
    }  # fmt: skip
    folders = [tmp_path / str(number) for number, _ in enumerate(cases)]
    for folder, rules in zip(folders, cases, strict=True):
        folder.mkdir()
        (folder / "health.yaml").write_text(rules)
    command = [sys.executable, "-c", READ_DAG, *map(str, folders)]
    done = subprocess.run(command, env=project.env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert [" ".join(line.split()) for line in found] == list(cases.values())
