"""`WaitForFiles` and its trigger: what is stored, what crosses from the triggerer, and the real thing in Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from airflow_services import ROOT, AirflowServices, project_environment
from tests.support.airflow_home import airflow_environment
from tests.support.sshd import SshServer, ssh_server

DAG_ID = "stampli_to_sap_b1"
DAG = """
import json, os
from pathlib import Path
from airflow.sdk import task
from tieout.config import StampliToSapB1, instances
from tieout.operators.dags import Route, integration_dag
from tieout.operators.inbox import WaitForFiles
ROUTE = Route("A", "B", "inbound", "From A to B.")

for instance in instances("stampli_to_sap_b1", StampliToSapB1):
    with integration_dag(instance, route=ROUTE, entities=("vendors", "invoices", "payments"), doc_md=None):
        wait = WaitForFiles(task_id="wait_for_files", instance=instance)

        @task
        def show(files, name):
            (Path(os.environ["SHOWN"]) / name.replace(":", "_")).write_text(json.dumps(files))

        show(wait.output, "{{ run_id }}")
"""
INSTANCE = """
schedule: null
connections: {{source: {source}, target: sap_b1}}
retries: {{count: 1, first_delay_seconds: 0.2}}
collect: {{folder: {folder}, patterns: ["*.csv"], settle_seconds: 0.2, patience_seconds: 0.5}}
"""
PASSWORD = "s3cret-Pa55"


# What is stored and what crosses

UNIT = """
import asyncio, json, sys
from airflow.sdk.serde import deserialize, serialize
from tieout import errors
from tieout.operators.inbox import _raise_if_failed
from tieout.operators.inbox_trigger import InboxTrigger

trigger = InboxTrigger(
    conn_id="stampli_sftp", folder="/outbound", patterns=("*.csv", "*.xml"), complete_when="stable",
    trigger_suffix=".done", settle_seconds=0.1, patience_seconds=1.0, wait_seconds=0.0,
)
path, kwargs = trigger.serialize()
again = InboxTrigger(**deserialize(serialize(kwargs)))

def raised(event):
    try:
        _raise_if_failed(event)
    except Exception as error:
        return [type(error).__name__, str(error)]

async def first(trigger):
    return [event.payload async for event in trigger.run()]

[event] = asyncio.run(first(trigger))
names = ["SourceUnavailable", "CredentialsRejected", "HostKeyMismatch", "ReceiverRefused", "ConfigurationInvalid"]
print("RESULT" + json.dumps({
    "path": path, "kwargs": kwargs, "same": again.serialize() == trigger.serialize(), "event": event,
    "raised": [raised({"error": name, "message": "why"}) for name in [*names, "Nonesuch"]],
    "none": raised({"complete": [], "growing": []}),
}))
"""


def unit(env: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", UNIT], env=env, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert PASSWORD not in done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT")[2])
    return result


def test_what_is_stored_of_a_trigger(tmp_path: Path) -> None:
    connection = json.dumps({"conn_type": "sftp", "host": "127.0.0.1", "port": 1, "login": "me", "password": PASSWORD})
    found = unit(airflow_environment(tmp_path, AIRFLOW_CONN_STAMPLI_SFTP=connection))
    assert found["path"] == "tieout.operators.inbox_trigger.InboxTrigger"
    assert found["same"]
    assert found["kwargs"] == {
        "conn_id": "stampli_sftp", "folder": "/outbound", "patterns": ["*.csv", "*.xml"], "complete_when": "stable",
        "trigger_suffix": ".done", "settle_seconds": 0.1, "patience_seconds": 1.0, "wait_seconds": 0.0,
        "held_only": False,
    }  # fmt: skip
    assert found["event"]["error"] == "SourceUnavailable"
    assert "127.0.0.1:1 refuses connections" in found["event"]["message"]


def test_an_error_of_the_triggerer_is_raised_as_its_own_class(tmp_path: Path) -> None:
    found = unit(airflow_environment(tmp_path))
    assert found["raised"] == [
        ["SourceUnavailable", "why"], ["CredentialsRejected", "why"], ["HostKeyMismatch", "why"],
        ["ReceiverRefused", "why"], ["ConfigurationInvalid", "why"], ["TieoutError", "why"],
    ]  # fmt: skip
    assert found["none"] is None
    assert found["event"]["error"] == "ConfigurationInvalid"
    assert "no Airflow connection 'stampli_sftp'" in found["event"]["message"]


# In Airflow


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


class Project:
    """An Airflow home whose DAGs wait for files on `sshd`; its connections are in Airflow's database.

    Beside the default instance there is `strange`, whose host key is another server's, and `nowhere`, whose folder is
    not there.
    """

    def __init__(self, folder: Path, sshd: SshServer) -> None:
        self.home, self.outbound, self.shown = folder / "home", sshd.root / "outbound", folder / "shown"
        self._sshd = sshd
        instances = folder / "include" / "integrations" / DAG_ID
        for path in (folder / "dags", self.outbound, self.shown, instances):
            path.mkdir(parents=True)
        (folder / "dags" / "waiting.py").write_text(DAG)
        for name, source, looked_at in (
            ("default", "inbox_sftp", self.outbound),
            ("strange", "strange_sftp", self.outbound),
            ("nowhere", "inbox_sftp", self.outbound / "nowhere"),
        ):
            (instances / f"{name}.yaml").write_text(INSTANCE.format(source=source, folder=looked_at))
        self.overrides = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "TIEOUT_INCLUDE": str(folder / "include"),
            "SHOWN": str(self.shown),
        }
        self.env = project_environment(self.home, self.overrides)
        another_server = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode("ascii").strip()
        self._connect(inbox_sftp=sshd.host_key, strange_sftp=another_server)

    def _connect(self, **host_keys: str) -> None:
        server, file = self._sshd, self.home / "connections.json"
        connections = {
            conn_id: {
                "conn_type": "sftp",
                "host": server.host,
                "port": server.port,
                "login": server.user,
                "extra": json.dumps({"private_key": server.client_key_pem, "host_key": host_key}),
            }
            for conn_id, host_key in host_keys.items()
        }
        file.write_text(json.dumps(connections))
        done = self.airflow("connections", "import", str(file))
        assert done.returncode == 0, done.stderr[-2000:]

    def airflow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "bin" / "airflow"), *arguments]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)

    def shown_to_the_next_task(self) -> Any:
        """What the one run since the last question was given."""
        [file] = self.shown.iterdir()
        files = json.loads(file.read_text())
        file.unlink()
        return files


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, sshd: SshServer) -> Project:
    return Project(tmp_path_factory.mktemp("project"), sshd)


def put(project: Project, name: str, data: bytes, mtime: int) -> dict[str, Any]:
    path = project.outbound / name
    path.write_bytes(data)
    os.utime(path, (1, mtime))
    return {"path": str(path), "name": name, "size": len(data), "mtime": mtime}


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_dags_test(project: Project) -> None:
    expected = [put(project, "b.csv", b"12", 1_700_000_000), put(project, "a.csv", b"123", 1_700_000_001)]
    (project.outbound / "note.txt").touch()

    done = project.airflow("dags", "test", DAG_ID)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert project.shown_to_the_next_task() == expected
    assert "BEGIN OPENSSH" not in done.stdout + done.stderr

    done = project.airflow("dags", "test", f"{DAG_ID}__strange", "--conf", '{"held_only": true}')
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert project.shown_to_the_next_task() == []

    done = project.airflow("dags", "test", f"{DAG_ID}__nowhere")
    assert done.returncode != 0
    assert f"There is no folder {project.outbound}/nowhere" in done.stdout + done.stderr


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_a_real_triggerer(project: Project) -> None:
    expected = [put(project, "b.csv", b"12", 1_700_000_000), put(project, "a.csv", b"123", 1_700_000_001)]
    strange = f"{DAG_ID}__strange"
    with AirflowServices(project.home, project.overrides) as airflow:
        airflow.wait_healthy()
        run_id = airflow.trigger(DAG_ID)
        run = airflow.wait_run(DAG_ID, run_id)
        log = airflow.task_log(DAG_ID, run_id, "wait_for_files")
        assert run["state"] == "success", log
        assert project.shown_to_the_next_task() == expected
        assert "2 files are complete" in log
        assert "Pausing task as DEFERRED" not in log, "it started in a worker, which Airflow may take for its end"

        run = airflow.wait_run(strange, airflow.trigger(strange, {"held_only": True}))
        assert run["state"] == "success"
        assert project.shown_to_the_next_task() == []

        run_id = airflow.trigger(strange)
        run = airflow.wait_run(strange, run_id)
        [task] = [task for task in airflow.tasks(strange, run_id) if task["task_id"] == "wait_for_files"]
        log = airflow.task_log(strange, run_id, "wait_for_files")
    assert (run["state"], task["state"], task["try_number"]) == ("failed", "failed", 1), log
    assert "HostKeyMismatch" in log and "is not the pinned one" in log
    assert "BEGIN OPENSSH" not in log
