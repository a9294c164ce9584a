"""`make start`: the sandbox and Airflow with its UI at http://localhost:8080, until Ctrl-C.

Integrations that have never run in this AIRFLOW_HOME run once, so that the Tieout page has something to show; but none
does where a connection is the user's own. AIRFLOW_HOME is `.airflow/` unless set, the port 8080 unless
AIRFLOW__API__PORT says otherwise. The logs of all processes are in `<AIRFLOW_HOME>/services/`. What this starts, it
stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from airflow_services import PYTHON, ROOT, AirflowError, AirflowServices

SANDBOX_PATIENCE = 60.0
CONTROL = "TIEOUT_SANDBOX_CONTROL"
MISSING_ACCOUNT = '{"Code": "999999", "Name": "New account", "ActiveAccount": "tYES"}'
TRY_IT = """
  Try it: on the Tieout page, Held, an invoice of Stampli's waits because SAP has no account 999999. Create it in SAP

    curl -X POST {control}/sandbox/sap_b1/records/ChartOfAccounts -d '{account}'

  and press Replay.
"""
INTEGRATIONS = ("sap_b1_to_peakflo", "stampli_to_sap_b1", "syspro_to_legacy_erp", "banqup_to_sftp")


@contextlib.contextmanager
def sandbox(log: Path) -> Iterator[dict[str, str]]:
    """The simulators as one child; yields the variables that point Airflow at them.

    Raises:
        AirflowError: The sandbox ended, or said nothing for a minute.
    """
    with open(log, "ab") as sink:
        child = subprocess.Popen(
            [str(PYTHON), "-m", "sandbox", "up", "--planted", "--json"],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # closed when this process ends, however it ends: the sandbox's sign to stop
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
        )
    try:
        yield _connections(child, log)
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _connections(child: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    """What the sandbox prints once everything listens: one line of JSON, variable → value."""
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], SANDBOX_PATIENCE)
    line = child.stdout.readline() if ready else b""
    if not line:
        raise AirflowError(f"the sandbox did not start; its output is in {log}")
    connections: dict[str, str] = json.loads(line)
    return connections


def fill(airflow: AirflowServices, control: str) -> None:
    """Let every integration that has never run do so once on the sandbox's data, some of which are bad on purpose.

    Args:
        airflow: Up and healthy.
        control: The sandbox's control API.
    """
    new = [each for each in INTEGRATIONS if not airflow.get(f"/api/v2/dags/{each}/dagRuns?limit=1")["total_entries"]]
    if not new:
        return
    print("Every integration runs once, on the sandbox's data …", flush=True)
    ask(f"{control}/sandbox/stampli_sftp/mixed_drop", {"seed": 1, "invoices": 40})
    for dag_id in (*new, "connection_health"):
        airflow.wait_dag(dag_id)
        airflow.unpause(dag_id)
    for dag_id in new:
        state = airflow.wait_run(dag_id, airflow.first_run(dag_id))["state"]
        print(f"  {dag_id:<22} {state}", flush=True)
    print(TRY_IT.format(control=control, account=MISSING_ACCOUNT), flush=True)


def filled(airflow: AirflowServices, control: str, stop: threading.Event) -> None:
    """`fill` beside the main thread, which waits for Ctrl-C; says what goes wrong, unless everything stops anyway."""
    try:
        fill(airflow, control)
    except (AirflowError, OSError) as error:
        if not stop.is_set():
            print(error, file=sys.stderr, flush=True)


def ask(url: str, body: dict[str, Any]) -> None:
    """Tell the sandbox to do something."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def banner(airflow: AirflowServices) -> str:
    """Where the UI is and who may log in."""
    host = airflow.url.replace("127.0.0.1", "localhost")
    logins = "\n".join(f"    {user:<8} {password}" for user, password in airflow.passwords().items())
    logs = airflow.home / "services"
    return (
        f"\n  Airflow   {host}\n  Tieout    {host}/plugin/tieout\n  logins\n{logins}\n  logs      {logs}\n\n"
        "  Ctrl-C stops everything.\n"
    )


def main() -> int:
    """Run until told to stop; returns the process's exit status."""
    stop = threading.Event()

    def asked_to_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, asked_to_stop)
    home = Path(os.environ.get("AIRFLOW_HOME") or ROOT / ".airflow")
    port = int(os.environ.get("AIRFLOW__API__PORT") or 8080)
    (home / "services").mkdir(parents=True, exist_ok=True)
    try:
        print("Starting the sandbox …", flush=True)
        with sandbox(home / "services" / "sandbox.log") as connections:
            # The user's own connections win over the sandbox's.
            env = {name: value for name, value in connections.items() if name not in os.environ}
            print(f"  {len(env)} variables for Airflow: {', '.join(env)}", flush=True)
            print("Starting Airflow …", flush=True)
            with AirflowServices(home, env, port=port) as airflow:
                airflow.wait_healthy()
                print(banner(airflow), flush=True)
                if len(env) == len(connections):
                    threading.Thread(target=filled, args=(airflow, env[CONTROL], stop), daemon=True).start()
                stop.wait()
                print("Stopping …", flush=True)
    except AirflowError as error:
        if stop.is_set():
            return 0
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
