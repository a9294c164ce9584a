"""`tieout check` and SYSPRO: what it says of a server, and that it does not end the session of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.syspro import SysproServer
from tests.support.sshd import SshServer, ssh_server
from tests.support.syspro_connection import AddConnection, add_connection, airflow_home, ledger, server
from tieout.cli import main
from tieout.health import Check, check_syspro, connections_in_use
from tieout.hooks.connections import syspro_settings
from tieout.hooks.syspro_session import operator_session
from tieout.ledger import Ledger
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.settings import SysproSettings

__all__ = ["add_connection", "airflow_home", "ledger", "server"]

FIELDS = {"host": "http://127.0.0.1:1", "login": "TIEOUT", "password": "Ledger & Co 1"}
EXTRA = {"company_id": "EDU1", "retry_seconds": 0.1, "connect_timeout": 2}


def checks(server: SysproServer, **changes: Any) -> list[Check]:
    """What is found with the connection's fields changed; names of fields, or of extras."""
    fields = {**FIELDS, "host": server.url} | {name: value for name, value in changes.items() if name in FIELDS}
    extra = EXTRA | {name: value for name, value in changes.items() if name not in FIELDS}
    with SysproClient(SysproSettings.from_connection(**fields, extra=extra)) as client:
        return check_syspro(client)


def statuses(found: list[Check]) -> tuple[str, ...]:
    named = {check.name: check.status.value for check in found}
    return named["reachable"], named["authenticated"], named["readable"]


def sentences(found: list[Check]) -> str:
    return " ".join(check.message for check in found if check.status.value != "ok")


@pytest.mark.parametrize("extra", [{}, {"reader": "comfnd"}, {"auth": "basic"}], ids=["odata", "comfnd", "basic"])
def test_all_is_well(server: SysproServer, extra: dict[str, str]) -> None:
    server.faults.configure(odata_auth="basic" if extra.get("auth") == "basic" else "session_token")
    found = checks(server, **extra)
    assert statuses(found) == ("ok", "ok", "ok")
    assert {check.name for check in found if check.status.value == "n/a"} == {"host_key_pinned", "writable"}
    assert "Operator TIEOUT, company EDU1." in [check.message for check in found]
    assert len(server.sessions) == 0


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"host": "http://127.0.0.1:1"}, ("failed", "unknown", "unknown"), "does not answer"),
        ({"logon_path": "/nowhere/Logon"}, ("failed", "unknown", "unknown"), "no e.net log-on at"),
        ({"password": "Wr0ng"}, ("ok", "failed", "unknown"), "refuses to log on operator 'TIEOUT'"),
        ({"company_id": "EDU2"}, ("ok", "failed", "unknown"), "company_id"),
        ({"logon_path": "/Utilities/GetVersion", "logoff_path": "/Utilities/Logoff", "odata_path": "/a/{table}"},
         ("ok", "ok", "failed"), "odata_path"),
        ({"auth": "basic"}, ("ok", "failed", "unknown"), "does not let operator 'TIEOUT' read"),
        ({"odata_path": "/a/{company}/{table}"}, ("ok", "ok", "failed"), "refuses /a/EDU1/GenJournalCtl (HTTP 404)"),
    ],
    ids=["nobody listens", "no log-on there", "password", "company", "token of no use", "no basic", "no tables there"],
)  # fmt: skip
def test_what_is_wrong(server: SysproServer, changes: dict[str, str], expected: tuple[str, ...], words: str) -> None:
    server.faults.configure(odata_auth="session_token")
    found = checks(server, **changes)
    assert statuses(found) == expected
    assert words in sentences(found)
    assert "Wr0ng" not in sentences(found)
    assert len(server.sessions) == 0


def test_the_session_of_another_company(server: SysproServer) -> None:
    server.sessions.operators["TIEOUT"].companies["EDU2"] = ""
    settings = SysproSettings.from_connection(**FIELDS | {"host": server.url}, extra=EXTRA)
    with SysproClient(settings) as client:
        client.login()
        [live] = server.sessions._live.values()
        live.company = "EDU2"
        found = check_syspro(client)
    assert statuses(found) == ("ok", "failed", "ok")
    assert "in company EDU2, not in EDU1" in sentences(found)


def test_a_company_without_journals(server: SysproServer) -> None:
    journals = server.books.tables["GenJournalCtl"]
    for key in zip(*(journals.array(name).tolist() for name in journals.key), strict=True):
        journals.delete(list(key))
    found = checks(server)
    assert statuses(found) == ("ok", "ok", "warning")
    assert "has no journals" in sentences(found)


def test_folders_and_systems_of_the_instances(tmp_path: Path) -> None:
    folder = tmp_path / "integrations" / "syspro_to_legacy_erp"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text("target: {root: /in}\nacknowledgements: {folder: /acks}\n")
    (folder / "silent.yaml").write_text("connections: {source: s2, target: t2}\nacknowledgements: null\n")
    (folder / "usual.yaml").write_text("connections: {target: t3}\nacknowledgements: {}\n")
    found = {use.conn_id: use for use in connections_in_use(tmp_path)}
    assert set(found) == {"syspro", "legacy_erp_sftp", "s2", "t2", "t3"}
    assert (found["legacy_erp_sftp"].folders, found["legacy_erp_sftp"].collected) == (("/in",), ("/acks",))
    assert (found["t2"].folders, found["t2"].collected) == (("/inbound",), ())
    assert (found["t3"].folders, found["t3"].collected) == (("/inbound",), ("/outbound/acks",))
    assert {found["syspro"].system, found["s2"].system} == {"syspro"}
    assert found["legacy_erp_sftp"].system == ""


# The command


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def include(tmp_path: Path, sftp: SshServer, add_connection: AddConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance whose SYSPRO is a plain HTTP connection, and whose folders are there."""
    inbound, acks = tmp_path / "inbound", tmp_path / "acks"
    for folder in (inbound, acks):
        folder.mkdir(mode=0o777)
    instance = tmp_path / "include" / "integrations" / "syspro_to_legacy_erp" / "default.yaml"
    instance.parent.mkdir(parents=True)
    instance.write_text(f"target: {{root: {inbound}}}\nacknowledgements: {{folder: {acks}}}\n")
    extra = {"private_key": sftp.client_key_pem, "host_key": sftp.host_key}
    target = {"conn_type": "sftp", "host": sftp.host, "port": sftp.port, "login": sftp.user, "extra": extra}
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "include"))
    monkeypatch.setenv("AIRFLOW_CONN_LEGACY_ERP_SFTP", json.dumps(target))
    add_connection(conn_type="http", rotated_on="2020-01-01", rotate_after_days=36500)


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    code = main(["check", "--json"])
    found = {row["connection"]: row for row in json.loads(capsys.readouterr().out)}
    assert (code == 0) == all(row["ok"] for row in found.values())
    return found


@pytest.mark.usefixtures("include", "ledger")
def test_the_command(server: SysproServer, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys)
    assert {name: row["ok"] for name, row in found.items()} == {
        "tieout_ledger": True, "legacy_erp_sftp": True, "syspro": True,
    }  # fmt: skip
    erp = found["syspro"]
    assert (erp["reachable"], erp["authenticated"], erp["readable"], erp["secret_age"]) == ("ok", "ok", "ok", "ok")
    assert found["legacy_erp_sftp"]["writable"] == "ok"
    assert (server.sessions.log_ons, len(server.sessions)) == (1, 0)


@pytest.mark.usefixtures("include")
def test_the_command_while_the_ledger_is_away(server: SysproServer, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys)
    assert (found["tieout_ledger"]["ok"], found["syspro"]["readable"]) == (False, "ok")
    assert len(server.sessions) == 0


@pytest.mark.usefixtures("include", "ledger")
def test_the_command_without_a_key_to_keep_sessions_with(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "no-key")
    found = rows(capsys)
    assert (found["syspro"]["ok"], found["legacy_erp_sftp"]["ok"]) == (False, True)
    assert "AIRFLOW__CORE__FERNET_KEY" in found["syspro"]["messages"]["reachable"]


@contextmanager
def a_run(ledger: Ledger) -> Iterator[SysproClient]:
    with operator_session(ledger, "syspro", syspro_settings("syspro"), "the run of monday", wait=0) as client:
        client.login()
        yield client


@pytest.mark.usefixtures("include")
def test_the_command_between_two_tasks_of_a_run(
    ledger: Ledger, server: SysproServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_run(ledger):
        pass
    assert rows(capsys)["syspro"]["readable"] == "ok"
    assert (server.sessions.log_ons, len(server.sessions)) == (1, 1)


@pytest.mark.usefixtures("include")
def test_the_command_while_a_run_reads(
    ledger: Ledger, server: SysproServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tieout.hooks.connection_checks.OPERATOR_WAIT", 0.0)
    with a_run(ledger):
        found = rows(capsys)["syspro"]
    assert (found["reachable"], found["authenticated"], found["ok"]) == ("ok", "unknown", True)
    assert "the run of monday" in found["messages"]["authenticated"]
    assert server.sessions.log_ons == 1
