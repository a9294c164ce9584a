"""The sandbox as a whole: environment, control API, and that it never outlives who started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3
from sandbox_client import Client

from sandbox import Sandbox, Sizes

ROOT = Path(__file__).resolve().parents[2]
TINY = Sizes(customers=12, suppliers=3, leads=2, items=4, invoices=40, credit_notes=3, warehouses=2)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(size=TINY, folder=tmp_path, planted=True) as running:
        yield running


def control(sandbox: Sandbox, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    content = None if body is None else json.dumps(body)
    reply = urllib3.request(
        method, f"{sandbox.env['TIEOUT_SANDBOX_CONTROL']}/sandbox/{path}", body=content, retries=False
    )
    assert reply.status == status, reply.data
    return reply.json()


def test_environment_names_the_connections(sandbox: Sandbox) -> None:
    sap = json.loads(sandbox.env["AIRFLOW_CONN_SAP_B1"])
    assert (sap["conn_type"], sap["host"], sap["extra"]) == (
        "sap_b1",
        sandbox.sap.server.url,
        {"company_db": "SBODEMOEU"},
    )
    assert Client(sap["host"]).login(user=sap["login"], password=sap["password"]).get("Items").status == 200
    sftp = json.loads(sandbox.env["AIRFLOW_CONN_PEAKFLO_SFTP"])
    assert (sftp["port"], sftp["extra"]["host_key"]) == (sandbox.sftp.port, sandbox.sftp.host_key)


def test_faults_and_settings_by_http(sandbox: Sandbox) -> None:
    client = Client(sandbox.sap.server.url).login()
    added = control(sandbox, "POST", "sap_b1/faults", {"kind": "bad_gateway", "path": "^Items", "times": 5})
    assert client.get("Items").status == 502
    assert control(sandbox, "DELETE", f"sap_b1/faults/{added['id']}") == {"removed": True}
    assert control(sandbox, "PATCH", "sap_b1/settings", {"default_page_size": 3})["default_page_size"] == 3
    assert len(client.get("Items").json()["value"]) == 3
    control(sandbox, "DELETE", "sap_b1/faults")
    assert len(client.get("Invoices").json()["value"]) == 20
    control(sandbox, "POST", "sap_b1/faults", {"kind": "delete_row", "entity": "Invoices", "key": 2, "after_page": 1})
    assert client.get("Invoices(2)").status == 200
    client.get("Invoices")
    assert client.get("Invoices(2)").status == 404
    control(sandbox, "DELETE", "sap_b1/sessions")
    assert client.get("Items").status == 401
    assert control(sandbox, "PATCH", "peakflo_sftp/faults", {"read_only": True})["read_only"] is True
    assert sandbox.sftp.faults.read_only is True


def test_records_by_http(sandbox: Sandbox) -> None:
    assert control(sandbox, "GET", "sap_b1/records/Invoices")["keys"] == sandbox.company.tables["Invoices"].keys
    control(
        sandbox,
        "POST",
        "sap_b1/records/BusinessPartners",
        {"CardCode": "X/1", "CardName": "New", "at": "2024-01-05T10:00:00"},
    )
    assert sandbox.company.get("BusinessPartners", "X/1")["UpdateDate"] == "2024-01-05"
    changed = control(sandbox, "PATCH", "sap_b1/records/BusinessPartners/X%2F1", {"CardName": "Newer"})
    assert changed["CardName"] == "Newer"
    control(sandbox, "DELETE", "sap_b1/records/BusinessPartners/X%2F1")
    assert "X/1" not in sandbox.company.tables["BusinessPartners"].rows
    done = control(sandbox, "POST", "scenario/second_day")
    assert sandbox.company.get("Invoices", done["invoices_cancelled"][0])["Cancelled"] == "tYES"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "nothing", None, 404, "no control path"),
        ("GET", "sap_b1/records/Nothing", None, 404, "no control path"),
        ("PATCH", "sap_b1/records/Invoices/99999", {"Comments": "x"}, 404, "There is no 99999"),
        ("POST", "sap_b1/faults", {"kind": "nonsense"}, 400, "Unknown fault 'nonsense'"),
        ("POST", "sap_b1/faults", {"kind": "bad_gateway", "colour": "red"}, 400, "colour"),
        ("PATCH", "sap_b1/settings", {"latency": 1}, 400, "Unknown setting latency"),
        ("PUT", "peakflo/payments/1", None, 404, "There is no '1'"),
    ],
)
def test_control_mistakes_are_told(
    sandbox: Sandbox, method: str, path: str, body: Any, status: int, message: str
) -> None:
    assert message in control(sandbox, method, path, body, status)["error"]


def test_clock_and_peakflo_by_http(sandbox: Sandbox) -> None:
    client = Client(sandbox.sap.server.url).login()
    control(sandbox, "POST", "clock", {"advance_seconds": 31 * 60})
    assert client.get("Items").status == 401
    (sandbox.inbox.root / "inbound" / "customers" / "c.csv").write_bytes(b"")
    assert control(sandbox, "POST", "peakflo/load")[0]["status"] == "rejected"
    assert control(sandbox, "GET", "")["simulators"]["peakflo"]["files"] == {"rejected": 1}


def start(arguments: list[str], *, stdin: int | None = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sandbox", "up", "--size", "small", "--json", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.integration
@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "stdin closed"])
def test_up_ends_when_told(way: str) -> None:
    with start([]) as process:
        assert process.stdout is not None and process.stderr is not None and process.stdin is not None
        env = json.loads(process.stdout.readline())
        assert urllib3.request("GET", env["TIEOUT_SANDBOX_CONTROL"] + "/sandbox/").status == 200
        if way == "stdin closed":
            process.stdin.close()
        else:
            process.send_signal(getattr(signal, way))
        assert process.wait(timeout=20) == 0
        assert f"sandbox stopped: {way}" in process.stderr.read()


@pytest.mark.integration
def test_up_ends_when_its_parent_is_killed() -> None:
    """A middle process starts the sandbox without a pipe to it, tells its pid, and is killed."""
    middle = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'sandbox', 'up', '--size', 'small',"
        " '--only', 'peakflo', '--json'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", middle], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
        child.wait(timeout=20)


@pytest.mark.integration
def test_export_lines_can_be_sourced(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "sandbox", "up", "--size", "small", "--folder", str(tmp_path)]
    with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.stdin.close()
        process.wait(timeout=20)
    script = "".join(lines) + 'printf "%s" "$AIRFLOW_CONN_SAP_B1"'
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert json.loads(shown)["conn_type"] == "sap_b1"
