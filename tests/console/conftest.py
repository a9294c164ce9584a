"""Airflow's API server with our plugin, a ledger with a story in it, and people who log in."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import DAG, INVOICES, NORTH, deliver_and_hold
from tests.support.airflow_home import ROOT, airflow_environment
from tests.support.postgres import postgres_server, postgres_url  # noqa: F401
from tieout.ledger import Ledger

SOUTH = replace(INVOICES, instance="south")
"""An instance whose DAG Airflow has; tests that change something work on its records."""
GONE = replace(INVOICES, instance="gone")
"""An instance whose DAG Airflow does not have any more."""
TO_DISCARD = ("D1", "D2", "D3")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests pull no plug, so SQLite need not wait for the disk at each commit."""
    monkeypatch.setattr("tieout.ledger.database.SYNCHRONOUS", "OFF")


@dataclass(frozen=True)
class Server:
    """A running API server."""

    url: str
    home: Path
    ledger_url: str

    def password(self, user: str) -> str:
        passwords = json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())
        return str(passwords[user])

    def token(self, user: str) -> str:
        body = {"username": user, "password": self.password(user)}
        answer = httpx.post(f"{self.url}/auth/token", json=body, timeout=60)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["access_token"])

    def client(self, user: str | None = None, *, by: str = "bearer") -> httpx.Client:
        """A client that sends the user's token in the header, or in the session cookie as a browser does."""
        headers, cookies = {}, {}
        if user and by == "bearer":
            headers["authorization"] = f"Bearer {self.token(user)}"
        elif user:
            cookies["_token"] = self.token(user)
        return httpx.Client(base_url=f"{self.url}/tieout/api", headers=headers, cookies=cookies, timeout=60)


def tell(book: Ledger) -> None:
    deliver_and_hold(book, INVOICES, sent=("6", "7"), held="8")
    deliver_and_hold(book, NORTH, sent=(), held="C9")
    deliver_and_hold(book, GONE, sent=(), held="G1")
    for key in ("R1", *TO_DISCARD):
        deliver_and_hold(book, replace(SOUTH, run_id=f"manual__{key}"), sent=(), held=key)


@contextmanager
def serving(folder: Path, story: Callable[[Ledger], None], **settings: str) -> Iterator[Server]:
    """An API server with a ledger of its own in the folder, in which the story was told."""
    home, dags = folder / "airflow", folder / "dags"
    home.mkdir()
    dags.mkdir()
    (dags / "replay.py").write_text(DAG.replace('"sap_b1_to_peakflo__north")', '"sap_b1_to_peakflo__south")'))
    plugins = folder / "plugins"
    plugins.mkdir()
    shutil.copy(ROOT / "plugins" / "tieout_plugin.py", plugins)
    ledger = f"sqlite:///{home / 'ledger.db'}"
    with Ledger.open(ledger, migrate=True) as book:
        story(book)
    environment = airflow_environment(
        folder,
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(plugins),
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin,viewer:viewer",
        AIRFLOW__API_AUTH__JWT_SECRET="a secret of this test alone, long enough for the algorithm it is used with",
        _AIRFLOW_PROCESS_CONTEXT="server",
        **settings,
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(listening.fileno())]
        log = (folder / "server.log").open("wb")
        process = subprocess.Popen(
            command, env=environment, pass_fds=[listening.fileno()], stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
    try:
        # The socket is open before the server is: the first request waits until it is answered.
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v2/version", timeout=120)
        assert answer.status_code == 200, answer.text
        yield Server(f"http://127.0.0.1:{port}", home, ledger)
    except httpx.HTTPError as error:
        pytest.fail(f"{error!r}\n{(folder / 'server.log').read_text()[-3000:]}")
    finally:
        process.terminate()
        process.wait(120)
        log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("console")
    with serving(folder, tell, AIRFLOW__API__BASE_URL="https://airflow.example.com") as running:
        yield running


@pytest.fixture(scope="session")
def admin(server: Server) -> Iterator[httpx.Client]:
    with server.client("admin") as client:
        yield client


@pytest.fixture(scope="session")
def viewer(server: Server) -> Iterator[httpx.Client]:
    with server.client("viewer") as client:
        yield client


@pytest.fixture
def book(server: Server) -> Iterator[Ledger]:
    """The server's ledger."""
    with Ledger.open(server.ledger_url) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def empty_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of the test's own, on both databases."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    with Ledger.open(url, migrate=True) as opened:
        yield opened
