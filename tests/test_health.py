"""Checks of the outside systems, against real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.sshd import SshServer, ssh_server
from tieout.cli import main
from tieout.delivery import SftpTarget
from tieout.health import (
    Check,
    Status,
    check_http,
    check_sap_b1,
    check_sftp,
    check_skew,
    connections_in_use,
)
from tieout.systems.sap_b1.settings import SapB1Settings


def _statuses(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.status.value for check in checks}


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, "ok"), (-60, "ok"), (61, "warning"), (-300, "warning"), (301, "failed")]
)
def test_clock_skew(seconds: int, status: str) -> None:
    check = check_skew(timedelta(seconds=seconds))
    assert check.status.value == status
    assert (("behind" if seconds < 0 else "ahead") in check.message) == (status != "ok")


def _include(folder: Path) -> Path:
    files = {
        "sap_b1_to_peakflo/default.yaml": "entities: {}\n",
        "sap_b1_to_peakflo/north.yaml": "connections: {source: b1_north}\ntarget: {root: /north}\n",
        "sap_b1_to_peakflo/off.yaml": "enabled: false\nconnections: {source: old, target: old}\n",
    }
    for name, text in files.items():
        path = folder / "integrations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_connections_in_use(tmp_path: Path) -> None:
    found = {use.conn_id: use for use in connections_in_use(_include(tmp_path))}
    assert set(found) == {"b1_north", "peakflo_sftp", "sap_b1"}
    assert found["peakflo_sftp"].used_by == ("sap_b1_to_peakflo", "sap_b1_to_peakflo__north")
    assert found["peakflo_sftp"].folders == ("/inbound", "/north")
    one = connections_in_use(tmp_path, integration="sap_b1_to_peakflo", instance="north")
    assert [use.conn_id for use in one] == ["b1_north", "peakflo_sftp"]


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def _target(server: SshServer, **changes: Any) -> SftpTarget:
    fields: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "username": server.user,
        "private_key": server.client_key_pem,
        "host_keys": (server.host_key,),
    }
    return SftpTarget(**{**fields, **changes})


def test_a_healthy_sftp_server(sftp: SshServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    found = _statuses(check_sftp(_target(sftp), [str(tmp_path)]))
    assert found == dict.fromkeys(found, "ok")
    assert len(found) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder(sftp: SshServer, tmp_path: Path) -> None:
    checks = check_sftp(_target(sftp), [str(tmp_path / "nowhere")])
    assert _statuses(checks)["writable"] == "failed"
    assert "nowhere" in next(check.message for check in checks if check.name == "writable")


def test_the_wrong_host_key(sftp: SshServer, tmp_path: Path) -> None:
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFhK3gZ1b0mVfRj4w0cYVd3yQG9Q4k8o1m2n3p4q5r6s"
    found = _statuses(check_sftp(_target(sftp, host_keys=(other,)), []))
    assert (found["reachable"], found["host_key_pinned"], found["authenticated"]) == ("ok", "failed", "unknown")


def test_a_refused_password(sftp: SshServer) -> None:
    found = _statuses(check_sftp(_target(sftp, private_key=None, password="wrong"), []))
    assert (found["reachable"], found["authenticated"], found["writable"]) == ("ok", "failed", "unknown")


def test_nobody_listens(sftp: SshServer) -> None:
    found = _statuses(check_sftp(_target(sftp, port=1), []))
    assert (found["reachable"], found["authenticated"]) == ("failed", "unknown")


class _NotFound(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_a_web_server_that_answers_is_reachable() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _NotFound) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found = check_http(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert _statuses(found)["reachable"] == Status.OK
    assert _statuses(check_http("http://127.0.0.1:1"))["reachable"] == Status.FAILED


def test_a_web_server_that_is_no_service_layer() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _NotFound) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        extra = {"company_db": "SBO"}
        checks = check_sap_b1(SapB1Settings.from_connection(host=url, login="me", password="secret", extra=extra))
        server.shutdown()
    assert (_statuses(checks)["reachable"], _statuses(checks)["authenticated"]) == ("failed", "unknown")
    assert "There is no Service Layer at" in checks[0].message


@pytest.mark.integration
def test_the_command(
    sftp: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inbound = tmp_path / "inbound"
    inbound.mkdir(mode=0o777)
    instance = tmp_path / "integrations" / "other" / "default.yaml"
    instance.parent.mkdir(parents=True)
    instance.write_text(f"connections: {{target: good_sftp}}\ntarget: {{root: {inbound}}}\n")
    extra = {"private_key": sftp.client_key_pem, "host_key": sftp.host_key}
    good = {"conn_type": "sftp", "host": sftp.host, "port": sftp.port, "login": sftp.user, "extra": extra}
    for name, value in {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW_CONN_TIEOUT_LEDGER": f"sqlite:///{tmp_path / 'ledger.db'}",
        "TIEOUT_INCLUDE": str(tmp_path),
        "AIRFLOW_CONN_GOOD_SFTP": json.dumps(good),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
    }.items():
        monkeypatch.setenv(name, value)
    from tieout.ledger import Ledger

    Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True).close()
    assert main(["check", "--json"]) == 0
    ledger, good_row = json.loads(capsys.readouterr().out)
    assert (ledger["connection"], ledger["ok"]) == ("tieout_ledger", True)
    assert (good_row["connection"], good_row["writable"], good_row["secret_age"]) == ("good_sftp", "ok", "unknown")

    instance.write_text("connections: {source: nowhere, target: good_sftp}\ntarget: {root: /proc}\n")
    assert main(["check"]) == 1
    printed = capsys.readouterr().out
    assert "nowhere, reachable, failed: There is no Airflow connection 'nowhere'" in printed
    assert "good_sftp, writable, failed:" in printed


def test_a_folder_that_files_are_taken_from_need_not_be_writable(sftp: SshServer, tmp_path: Path) -> None:
    found = _statuses(check_sftp(_target(sftp), [], [str(tmp_path)]))
    assert found["writable"] == "ok"
    checks = check_sftp(_target(sftp), [], ["/proc"])
    assert _statuses(checks)["writable"] == "warning"
    assert "they stay, and are remembered" in next(check.message for check in checks if check.name == "writable")
    gone = check_sftp(_target(sftp), [], [str(tmp_path / "nowhere")])
    assert _statuses(gone)["writable"] == "failed"


def test_folders_of_an_integration_that_collects(tmp_path: Path) -> None:
    folder = tmp_path / "integrations" / "stampli_to_sap_b1"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text("collect: {folder: /out}\npurchase_orders: true\n")
    found = {use.conn_id: use for use in connections_in_use(tmp_path)}
    assert (found["stampli_sftp"].collected, found["stampli_sftp"].folders) == (("/out",), ("/inbound",))
