"""Banqup → clients' SFTP servers under real Airflow: a server is silent, a delivery is killed, a second run follows."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import asyncssh
import pytest

from airflow_services import ROOT, AirflowServices
from sandbox.banqup.access import Access, Application
from sandbox.banqup.receivers import received
from sandbox.banqup.scenario import Expected, Mixture
from sandbox.banqup.simulator import BanqupSimulator
from sandbox.banqup.storage import Storage
from tests.integration.support import FolderWatch, airflow_with, hourly_from_now, kill_task, until
from tieout.ledger import Filters, Ledger, ReceiverRow, RunRow

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
DAG_ID = "banqup_to_sftp"
KILLED, SILENT, OTHERS = "C1001", "C1002", ("C1003", "C1004")
SILENT_CONNECTION = "AIRFLOW_CONN_BANQUP_CLIENT_2"
TITLES = {
    "C1001": "C1001 Bakkerij De Korenbloem BV",
    "C1002": "C1002 Garage Vermeulen NV",
    "C1003": "C1003 Brasserie du Marché SRL",
    "C1004": "C1004 Studio Lumière SA",
}
# So many files of the client whose delivery is killed have got their final names by then.
HALF_WAY = 3
# Patience with the silent server is longer than the test: it ends when the test ends the silence.
PATIENT = 300
OPTIONS = f"""retries: {{count: 2, first_delay_seconds: 1}}
validation: {{workers: 1}}
delivery: {{connect_seconds: {PATIENT}}}
"""


@dataclass
class World:
    """Banqup, four clients' servers, and Airflow between them."""

    home: Path
    airflow: AirflowServices
    banqup: BanqupSimulator

    def truth(self, client: str) -> list[Expected]:
        """What the client must get."""
        return [document for document in self.banqup.truth()[client] if document.rule is None]

    def first_run(self) -> str:
        """The run that the scheduler makes by itself."""
        path = f"/api/v2/dags/{DAG_ID}/dagRuns?run_type=scheduled"
        until(lambda: bool(self.airflow.get(path)["dag_runs"]), "the scheduler's run")
        return str(self.airflow.get(path)["dag_runs"][0]["dag_run_id"])

    def deliveries(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The mapped tasks that deliver, by the name that the UI shows."""
        tasks = self.airflow.tasks(DAG_ID, run_id)
        return {str(task["rendered_map_index"]): task for task in tasks if task["task_id"] == "deliver"}

    def states(self, run_id: str) -> dict[str, str]:
        return {name: task["state"] for name, task in self.deliveries(run_id).items()}

    def rows(self, run_id: str) -> dict[str, RunRow]:
        with Ledger.open(f"sqlite:///{self.home / 'ledger.db'}") as ledger:
            return {row.entity: row for row in ledger.runs(Filters(run_id=run_id))}

    def receivers(self) -> dict[str, ReceiverRow]:
        with Ledger.open(f"sqlite:///{self.home / 'ledger.db'}") as ledger:
            return dict(ledger.receivers(DAG_ID, "default"))


class Gate:
    """At one client's server: some files get their final names, then nothing is answered until the client has gone.

    What the client that has gone still asked for is not done: its connection is lost.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, client: str, passes: int) -> None:
        self.reached = threading.Event()
        self.gone = threading.Event()
        rename = asyncssh.SFTPServer.rename
        first: list[asyncssh.SFTPServer] = []

        def renamed(server: asyncssh.SFTPServer, old: bytes, new: bytes) -> Any:
            nonlocal passes
            if f"/{client}_".encode() in new:
                first[:] = first or [server]
                passes -= 1
                if passes < 0 and server is first[0]:
                    self.reached.set()
                    self.gone.wait(120)
                    raise asyncssh.SFTPConnectionLost("the client has gone")
            return rename(server, old, new)

        monkeypatch.setattr(asyncssh.SFTPServer, "rename", renamed)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Closed when the delivery that is to be killed is half-way."""
    return Gate(monkeypatch, KILLED, HALF_WAY)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens and the signatures of URLs that Banqup gives, in a list that grows."""
    given: list[str] = []
    issue, url = Access.issue, Storage.url

    def issued(self: Access, *args: Any) -> str:
        given.append(issue(self, *args))
        return given[-1]

    def signed(self: Storage, *args: Any, **kwargs: Any) -> str:
        address = url(self, *args, **kwargs)
        given.extend(parse_qs(urlsplit(address).query)["signature"])
        return address

    monkeypatch.setattr(Access, "issue", issued)
    monkeypatch.setattr(Storage, "url", signed)
    return given


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """Everything; the connection of the client whose server is silent is as patient as the configuration."""
    banqup = BanqupSimulator(folder / "clients", Mixture(clients=4, documents=48, defects=3, max_lines=2))
    banqup.start()
    try:
        env = banqup.environment()
        connection = json.loads(env[SILENT_CONNECTION])
        connection["extra"]["conn_timeout"] = PATIENT
        env[SILENT_CONNECTION] = json.dumps(connection)
        with airflow_with(folder / "home", env, include(folder, banqup), DAG_ID) as airflow:
            yield World(folder / "home", airflow, banqup)
    finally:
        banqup.stop()


def include(folder: Path, banqup: BanqupSimulator) -> Path:
    """A copy of `include/` whose default instance has these clients, and is patient."""
    copy = folder / "include"
    shutil.copytree(ROOT / "include", copy)
    text = f'schedule: "{hourly_from_now()}"\n{OPTIONS}{banqup.instance_yaml()}'
    (copy / "integrations" / DAG_ID / "default.yaml").write_text(text, encoding="utf-8")
    return copy


def test_a_silent_server_and_a_killed_delivery_then_a_run_that_delivers_what_waited(
    tmp_path: Path, secrets: list[str], gate: Gate
) -> None:
    with running(tmp_path) as world:
        world.banqup.receivers[SILENT].server.down(silent=True)
        with FolderWatch(world.banqup.receivers[KILLED].folder) as watch:
            run_id = scheduled_run(world, gate)
        assert {len(contents) for contents in watch.seen.values()} == {1}, "a final name is a complete file"
        expect_red_for_the_silent_one_alone(world, run_id)

        world.banqup.receivers[SILENT].server.up()
        expect_what_waited(world)
        passwords = [str(receiver.user.password) for receiver in world.banqup.receivers.values()]

    # Airflow has stopped: everything it writes is on disk.
    assert len(secrets) > sum(len(world.truth(client)) for client in world.banqup.receivers)
    assert places_of([*secrets, *passwords, Application().client_secret], world.home) == []
    assert places_of([TITLES[KILLED]], world.home), "what is no secret is in the logs, so they were looked through"


def scheduled_run(world: World, gate: Gate) -> str:
    """The scheduler's run: a delivery is killed half-way, a server is silent until all others have theirs."""
    world.airflow.unpause(DAG_ID)
    run_id = world.first_run()
    until(gate.reached.is_set, "a delivery that is half-way", 150)
    kill_task(world.airflow, world.banqup.receivers[KILLED].server.sftp.port)
    assert len([file for file in received(world.banqup.receivers[KILLED]) if file.name[0] != "."]) == HALF_WAY
    gate.gone.set()
    served = {TITLES[client]: "success" for client in (KILLED, *OTHERS)}
    until(lambda: served.items() <= world.states(run_id).items(), "the delivery to all others", 90)
    assert world.states(run_id)[TITLES[SILENT]] == "running", "nobody has waited for it"
    world.banqup.receivers[SILENT].server.down()
    assert world.airflow.wait_run(DAG_ID, run_id)["state"] == "failed"
    return run_id


def expect_red_for_the_silent_one_alone(world: World, run_id: str) -> None:
    """Red by one client, who is named; all others have each document once, also the one whose delivery was killed."""
    told = {name: (task["state"], task["try_number"]) for name, task in world.deliveries(run_id).items()}
    assert told == {
        TITLES[KILLED]: ("success", 2),
        TITLES[SILENT]: ("failed", 1),
        **{TITLES[client]: ("success", 1) for client in OTHERS},
    }
    failed = {task["task_id"] for task in world.airflow.tasks(DAG_ID, run_id) if task["state"] != "success"}
    assert failed == {"deliver", "tie_out"}
    assert f"{SILENT}: " in world.airflow.task_log(DAG_ID, run_id, "tie_out")
    rows = world.rows(run_id)
    assert {client: row.ties_out for client, row in rows.items()} == {
        client: client != SILENT for client in world.banqup.receivers
    }
    waiting = len(world.truth(SILENT))
    assert rows[SILENT].message.startswith(f"{waiting} documents wait. ")
    known = world.receivers()
    assert (known[SILENT].state, known[SILENT].failures, known[SILENT].waiting) == ("down", 1, waiting)
    expect_received(world, KILLED, *OTHERS)
    assert received(world.banqup.receivers[SILENT]) == []


def expect_what_waited(world: World) -> None:
    """The next run delivers to the one client alone, and ties out."""
    run_id = world.airflow.trigger(DAG_ID)
    assert world.airflow.wait_run(DAG_ID, run_id)["state"] == "success"
    assert world.states(run_id) == {TITLES[SILENT]: "success"}
    rows = world.rows(run_id)
    assert set(rows) == set(world.banqup.receivers) and all(row.ties_out for row in rows.values())
    assert {client: row.delivered for client, row in rows.items() if row.delivered} == {
        SILENT: len(world.truth(SILENT))
    }
    assert world.receivers()[SILENT].state == "up"
    expect_received(world, *world.banqup.receivers)


def expect_received(world: World, *clients: str) -> None:
    """These clients have exactly their documents: bytes, mode and folder."""
    for client in clients:
        settings = world.banqup.scenario.client(client)
        there = {file.document_id: file for file in received(world.banqup.receivers[client])}
        expected = world.truth(client)
        assert set(there) == {document.document_id for document in expected} and expected
        assert len(received(world.banqup.receivers[client])) == len(expected), "each once"
        for document in expected:
            file = there[document.document_id]
            assert (file.sha256, file.mode) == (document.sha256, 0o664)
            assert file.path == f"{settings.folder_of(document.folder, int(file.name[:4]))}/{file.name}"


def places_of(texts: list[str], folder: Path) -> list[str]:
    """Files below a folder, databases with their XComs included, that hold one of the texts in any spelling."""
    forms = {
        form.encode()
        for text in texts
        for form in (text, quote(text), quote_plus(text), quote(text, safe=""), text.replace("&", "&amp;"))
    }
    forms |= {json.dumps(text)[1:-1].encode() for text in texts}
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and any(form in content for content in (path.read_bytes(),) for form in forms)
    ]
