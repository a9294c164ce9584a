"""`tieout check` and Banqup: the application, its spaces, and the clients' SFTP servers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.banqup import BanqupServer, DocumentStore
from sandbox.banqup.access import Application
from sandbox.clock import SandboxClock
from tests.support.sshd import SshServer, ssh_server
from tests.support.syspro_connection import airflow_home, ledger
from tieout.cli import main
from tieout.delivery import SftpTarget
from tieout.errors import ConfigurationInvalid
from tieout.health import Check, check_banqup, check_sftp, connections_in_use
from tieout.ledger import Ledger
from tieout.systems.banqup import BanqupSettings

__all__ = ["airflow_home", "ledger"]

APPLICATION = Application()
SPACES = [f"0c2f7f9e-0000-4000-8000-{number:012d}" for number in range(1, 9)]


@pytest.fixture
def banqup() -> Iterator[BanqupServer]:
    """Two businesses have let the application in."""
    store = DocumentStore(SandboxClock())
    for space in SPACES[:2]:
        store.add_space(space, f"Business {space[-1]}", "0700000096")
    with BanqupServer(store) as running:
        yield running
        assert running.failures == []


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


# The application


def checks(banqup: BanqupServer, spaces: dict[str, str] | None = None, **fields: Any) -> list[Check]:
    settings = {"host": banqup.url, "login": APPLICATION.client_id, "password": APPLICATION.client_secret} | fields
    read = BanqupSettings.from_connection(**settings, extra={"retry_seconds": 0.1, "connect_timeout": 2})
    return check_banqup(read, spaces or {})


def statuses(found: list[Check]) -> tuple[str, ...]:
    named = {check.name: check.status.value for check in found}
    return tuple(named[name] for name in ("reachable", "authenticated", "readable", "clock_skew"))


def sentences(found: list[Check]) -> str:
    return " ".join(check.message for check in found if check.status.value != "ok")


def test_all_is_well(banqup: BanqupServer) -> None:
    found = checks(banqup, {SPACES[0].upper(): "C1001"})
    assert statuses(found) == ("ok", "ok", "ok", "ok")
    assert {check.name for check in found if check.status.value == "n/a"} == {"host_key_pinned", "writable"}


def test_the_application_is_not_let_in_anywhere(banqup: BanqupServer) -> None:
    banqup.store.spaces.clear()
    found = checks(banqup)
    assert statuses(found)[:3] == ("ok", "ok", "failed")
    assert "whitelist" in sentences(found)


def test_spaces_that_are_closed(banqup: BanqupServer) -> None:
    found = checks(banqup, {space: f"C100{number}" for number, space in enumerate(SPACES, 1)})
    assert statuses(found)[:3] == ("ok", "ok", "failed")
    assert f"C1003 ({SPACES[2]}), " in sentences(found) and "and 1 more" in sentences(found)
    assert "C1002" not in sentences(found)


@pytest.mark.parametrize(
    ("fields", "expected", "words"),
    [
        ({"host": "http://127.0.0.1:1"}, ("failed", "unknown", "unknown"), "does not answer"),
        ({"password": "Wr0ng"}, ("ok", "failed", "unknown"), "refuses the application"),
    ],
)
def test_what_is_wrong(banqup: BanqupServer, fields: dict[str, Any], expected: tuple[str, ...], words: str) -> None:
    found = checks(banqup, **fields)
    assert statuses(found)[:3] == expected
    assert words in sentences(found) and "Wr0ng" not in sentences(found)


@pytest.mark.parametrize("kind", ["html_200", "forbidden", "unavailable"])
def test_spaces_that_cannot_be_listed(banqup: BanqupServer, kind: str) -> None:
    banqup.faults.add(kind, path="/spaces$", times=None)
    found = checks(banqup)
    assert "failed" in statuses(found) and statuses(found)[0] == "ok"


def test_another_clock(banqup: BanqupServer) -> None:
    banqup.store.clock.advance(timedelta(minutes=10))
    found = checks(banqup)
    assert statuses(found) == ("ok", "ok", "ok", "failed")
    assert "ahead of ours" in sentences(found)


# What instances use


def client(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "external_id": f"C100{number}",
        "uen_number": f"070000009{number}",
        "space_id": SPACES[number - 1],
        "conn_id": "clients",
        "activated_at": "2026-01-01",
        "invoice_path": "/in/[external_id]_[uen_number]/[invoice_type]",
        "statement_path": "/in/[external_id]_[uen_number]/[file_type]/y[year]/all",
        **changes,
    }


def write_instance(include: Path, clients: list[dict[str, Any]], name: str = "default", **more: Any) -> None:
    path = include / "integrations" / "banqup_to_sftp" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**more, "clients": clients}))


def test_the_connections_of_a_partner(tmp_path: Path) -> None:
    own = client(2, conn_id="own", host="sftp.two.example", port=2222, user="two", statement_path="/bank")
    write_instance(tmp_path, [client(1), own, client(3, enabled=False), client(4)])
    banqup_use, together, apart = connections_in_use(tmp_path)
    assert (banqup_use.conn_id, banqup_use.system, banqup_use.folders) == ("banqup", "banqup", ())
    assert banqup_use.spaces == {SPACES[0]: "C1001", SPACES[1]: "C1002", SPACES[3]: "C1004"}
    assert (together.conn_id, together.folders, together.server.own) == ("clients", (), True)
    assert together.created == (
        "/in/C1001_0700000091/AP", "/in/C1001_0700000091/AR", "/in/C1001_0700000091/cod",
        "/in/C1004_0700000094/AP", "/in/C1004_0700000094/AR", "/in/C1004_0700000094/cod",
    )  # fmt: skip
    assert (apart.server.host, apart.server.port, apart.server.user) == ("sftp.two.example", 2222, "two")
    assert apart.created == ("/in/C1002_0700000092/AP", "/in/C1002_0700000092/AR", "/bank")
    assert apart.used_by == ("banqup_to_sftp",)


def test_two_partners_with_one_connection(tmp_path: Path) -> None:
    write_instance(tmp_path, [client(1)])
    write_instance(
        tmp_path, [client(2)], "north", connections={"source": "other"}, delivery={"create_directories": False}
    )
    found = {use.conn_id: use for use in connections_in_use(tmp_path)}
    assert set(found) == {"banqup", "other", "clients"}
    assert found["clients"].used_by == ("banqup_to_sftp", "banqup_to_sftp__north")
    assert (len(found["clients"].created), len(found["clients"].folders)) == (3, 3)


def test_a_file_that_is_wrong(tmp_path: Path) -> None:
    write_instance(tmp_path, [client(1, invoice_path="/in/[unknown]")])
    with pytest.raises(ConfigurationInvalid, match=r"default\.yaml.*\[unknown\] is no variable"):
        connections_in_use(tmp_path)


# The clients' servers


def target(server: SshServer) -> SftpTarget:
    return SftpTarget(
        host=server.host, port=server.port, username=server.user, private_key=server.client_key_pem,
        host_keys=(server.host_key,),
    )  # fmt: skip


def writable(found: list[Check]) -> Check:
    return next(check for check in found if check.name == "writable")


def test_a_folder_that_the_first_delivery_makes(sftp: SshServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    found = check_sftp(target(sftp), [], created=[str(tmp_path / "a" / "b"), str(tmp_path / "a" / "c")])
    assert writable(found).status.value == "ok"
    assert list(tmp_path.iterdir()) == []


def test_many_folders(sftp: SshServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    ours = [tmp_path / f"c{number}" / "AP" for number in range(60)]
    for folder in ours[:30]:
        folder.mkdir(parents=True)
    ours[7].chmod(0o555)
    check = writable(check_sftp(target(sftp), [], created=[str(folder) for folder in ours]))
    # Whoever may do everything is not stopped by a mode.
    assert check.status.value == ("ok" if os.access(ours[7], os.W_OK) else "failed")
    assert ("c7/AP" in check.message) == (check.status.value == "failed")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == []
    assert len(list(tmp_path.iterdir())) == 30


def test_a_folder_that_could_not_be_made(sftp: SshServer) -> None:
    check = writable(check_sftp(target(sftp), [], created=["/proc/in/AP"]))
    assert check.status.value == "failed"
    assert "/proc" in check.message and "/proc/in/AP, which is missing, could not be made there." in check.message


@pytest.mark.integration
def test_the_command(
    sftp: SshServer,
    banqup: BanqupServer,
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inbound = tmp_path / "inbound"
    inbound.mkdir(mode=0o777)
    path = f"{inbound}/[external_id]"
    clients = [
        client(1, invoice_path=path, statement_path=path),
        client(2, invoice_path=path, statement_path=path, host="localhost" if sftp.host != "localhost" else None),
        client(3, invoice_path=path, statement_path=path, port=1),
    ]
    write_instance(tmp_path, clients)
    api = {
        "conn_type": "http", "host": banqup.url, "login": APPLICATION.client_id,
        "password": APPLICATION.client_secret,
    }  # fmt: skip
    extra = {"private_key": sftp.client_key_pem, "host_key": sftp.host_key}
    server = {"conn_type": "sftp", "host": sftp.host, "port": sftp.port, "login": sftp.user, "extra": extra}
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_BANQUP", json.dumps(api))
    monkeypatch.setenv("AIRFLOW_CONN_CLIENTS", json.dumps(server))

    assert main(["check", "--json"]) == 1
    rows = {(row["connection"], row["server"]): row for row in json.loads(capsys.readouterr().out)}
    api_row = rows["banqup", ""]
    assert (api_row["authenticated"], api_row["readable"], api_row["used_by"]) == ("ok", "failed", ["banqup_to_sftp"])
    assert f"C1003 ({SPACES[2]})" in api_row["messages"]["readable"]
    assert rows["clients", ""]["writable"] == "ok"
    assert rows["clients", f"{sftp.user}@localhost:{sftp.port}"]["writable"] == "ok"
    assert rows["clients", f"{sftp.user}@{sftp.host}:{clients[2]['port']}"]["reachable"] == "failed"

    assert main(["check"]) == 1
    printed = capsys.readouterr().out
    assert f"clients ({sftp.user}@{sftp.host}:{clients[2]['port']}), reachable, failed:" in printed
