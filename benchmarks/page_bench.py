"""How fast the Tieout page answers with the books of years behind it, through Airflow's real API server.

200,000 runs, 100,000 files, 10,000 open held records and as many settled ones, 200,000 events and 1,000,000 packed
lines of the general ledger, in SQLite and in PostgreSQL (its own server; no fsync, 32 MB of shared buffers). Each
request is a real one, with a token, over HTTP on loopback; rights, rows, totals and JSON included. Server, database and
client share the machine's CPUs.

- **first**: the first request of its kind to a server that has just started.
- **median**, **most**: of the requests that follow.

A route's row has all its filters, searches, and its first and last page; the slowest of these is named.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.measure import Row, progress, timed
from tests.support.airflow_home import ROOT, airflow_environment
from tests.support.many import Many
from tests.support.postgres import find_binaries, running
from tieout.ledger import Ledger

TITLE = "The Tieout page"

_FILTERS = (
    "", "integration=sap_b1_to_peakflo", "instance=north", "integration=sap_b1_to_peakflo&instance=north",
    "integration=sap_b1_to_peakflo&instance=north&entity=entity07", "entity=entity07", "run_id=run-7",
    "since=2020-01-01", "since=2026-10-31", "entity=none",
)  # fmt: skip
_OWN = {
    "runs": (
        "status=success", "status=failed", "mode=backfill", "ties_out=false", "ties_out=true",
        "instance=north&mode=backfill&ties_out=true", "integration=sap_b1_to_peakflo&status=failed&ties_out=false",
    ),
    "files": (
        "status=delivered", "status=refused", "entity=entity07&status=delivered", "q=inv", "q=/inbound", "q=K000123",
        "q=INV-000123", "q=invoices_01234", "q=none", "integration=sap_b1_to_peakflo&instance=north&q=inv",
    ),
    "held": ("status=held", "status=settled", "instance=north&status=held", "q=H", "q=INV", "q=H000123", "q=none"),
}  # fmt: skip
_TRACED = ("K000123", "INV-000123", "H000123", "invoices_000123.csv", "2026|3|417|3", "JE-2-417", "none")


def run(*, quick: bool = False) -> list[Row]:
    """A row per route and database."""
    many = Many(2_000, 1_000, 100, 1_000, 250_000) if quick else Many()
    rounds = 1 if quick else 5
    rows = []
    for database in ("SQLite", "PostgreSQL"):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = f"sqlite:///{folder / 'ledger.db'}"
            if database == "PostgreSQL":
                url = stack.enter_context(_postgres())
            progress(f"{database}: making the books")
            with Ledger.open(url, migrate=True) as ledger:
                many.fill(ledger)
            client = stack.enter_context(_server(folder, url))
            rows += [_measured(database, route, paths, client, rounds) for route, paths in _routes(client).items()]
    return rows


def _routes(client: httpx.Client) -> dict[str, list[str]]:
    """Route → everything that is asked of it. What the last page is, the totals tell."""
    found = {"me": ["/me"], "overview": ["/overview"]}
    for route, own in _OWN.items():
        found[route] = []
        for query in (*_FILTERS, *own):
            total = client.get(f"/{route}?{query}&limit=1").json()["total"]
            found[route] += [
                f"/{route}?{query}&offset={at}" for at in dict.fromkeys((0, max(0, (total - 1) // 50 * 50)))
            ]
    first = client.get("/held?limit=1").json()["items"][0]["id"]
    found["held/{id}"] = [f"/held/{first}"]
    found["trace/{key}"] = [f"/trace/{key}" for key in _TRACED]
    return found


def _measured(database: str, route: str, paths: list[str], client: httpx.Client, rounds: int) -> Row:
    seconds: dict[str, list[float]] = {}
    first = 0.0
    for number in range(rounds + 1):
        for path in paths:
            took, answer = timed(lambda path=path: client.get(path))  # type: ignore[misc]
            if answer.status_code not in (200, 404):
                raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
            if number:
                seconds.setdefault(path, []).append(took)
            else:
                first = max(first, took)
    slowest = max(seconds, key=lambda path: statistics.median(seconds[path]))
    everything = [took for each in seconds.values() for took in each]
    progress(f"{database}: {route}: at most {1_000 * max(everything):.0f} ms")
    return {
        "database": database,
        "route": route,
        "requests": len(everything),
        "first ms": round(1_000 * first),
        "median ms": round(1_000 * statistics.median(everything)),
        "most ms": round(1_000 * max(everything)),
        "slowest by its median": f"`{slowest}`",
        "its median ms": round(1_000 * statistics.median(seconds[slowest])),
    }


@contextmanager
def _postgres() -> Iterator[str]:
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL's server binaries are not installed: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="tieout-pg-") as folder, running(binaries, Path(folder)) as server:
        yield server.url(server.create_database())


@contextmanager
def _server(folder: Path, ledger_url: str) -> Iterator[httpx.Client]:
    """Airflow's API server with the plugin, and a client that is logged in."""
    (folder / "airflow").mkdir()
    (folder / "dags").mkdir()
    environment = airflow_environment(
        folder,
        AIRFLOW__CORE__DAGS_FOLDER=str(folder / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin",
        AIRFLOW__API_AUTH__JWT_SECRET="a secret of this measurement alone, long enough for its algorithm",
        AIRFLOW_CONN_TIEOUT_LEDGER=ledger_url,
        _AIRFLOW_PROCESS_CONTEXT="server",
    )
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "server.log").open("wb") as log:
        port = listening.getsockname()[1]
        serve = ROOT / "tests" / "console" / "serve.py"
        process = subprocess.Popen(
            [sys.executable, str(serve), str(listening.fileno())],
            env=environment, pass_fds=[listening.fileno()], stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    try:
        # The socket is open before the server is: the first request waits until it is answered.
        httpx.get(f"http://127.0.0.1:{port}/api/v2/version", timeout=300).raise_for_status()
        password = json.loads((folder / "airflow" / "simple_auth_manager_passwords.json.generated").read_text())[
            "admin"
        ]
        body = {"username": "admin", "password": password}
        token = httpx.post(f"http://127.0.0.1:{port}/auth/token", json=body, timeout=60).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/tieout/api", headers=headers, timeout=60) as client:
            yield client
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(30)
