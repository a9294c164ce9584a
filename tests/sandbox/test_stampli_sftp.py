"""Stampli's SFTP server over real SSH, its troubles, and the control paths."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
import urllib3

from sandbox import Sandbox, Sizes

TINY = Sizes(customers=6, suppliers=4, leads=1, items=3, invoices=8, credit_notes=1, warehouses=1)
CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(size=TINY, folder=tmp_path, only=("sap_b1", "stampli_sftp")) as running:
        yield running


@pytest.fixture
def sftp(sandbox: Sandbox) -> Iterator[paramiko.SFTPClient]:
    fields = json.loads(sandbox.env["AIRFLOW_CONN_STAMPLI_SFTP"])
    with paramiko.Transport((fields["host"], fields["port"])) as transport:
        transport.connect(username=fields["login"], password=fields["password"])
        key = transport.get_remote_server_key()
        assert fields["extra"]["host_key"] == f"{key.get_name()} {key.get_base64()}"
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        yield client


def fetched(sftp: paramiko.SFTPClient, name: str) -> bytes:
    """Read block after block: reading ahead, paramiko now and then asks twice for the same block."""
    sink = io.BytesIO()
    sftp.getfo(f"/outbound/{name}", sink, prefetch=False)
    return sink.getvalue()


def test_files_are_collected_and_archived(sandbox: Sandbox, sftp: paramiko.SFTPClient) -> None:
    assert sorted(sftp.listdir("/")) == ["inbound", "outbound"]
    assert sftp.listdir("/inbound") == ["purchase_orders"]
    sandbox.stampli.drop.put("a.csv", CONTENT)
    assert fetched(sftp, "a.csv") == CONTENT
    assert sandbox.stampli.server.statistics.bytes_sent == len(CONTENT)
    for folder in ("/outbound/archive", "/outbound/archive/2025", "/outbound/archive/2025/06"):
        sftp.mkdir(folder)
    sftp.rename("/outbound/a.csv", "/outbound/archive/2025/06/a.csv")
    assert sandbox.stampli.state()["archived"] == ["2025/06/a.csv"]


def test_an_upload_is_seen_growing(sandbox: Sandbox, sftp: paramiko.SFTPClient) -> None:
    sandbox.stampli.drop.begin_upload("a.csv", CONTENT, first=100)
    assert sftp.stat("/outbound/a.csv").st_size == 100
    sandbox.stampli.drop.continue_upload("a.csv", 50)
    assert sftp.stat("/outbound/a.csv").st_size == 150
    sandbox.stampli.drop.finish_upload("a.csv")
    assert fetched(sftp, "a.csv") == CONTENT


def test_rights_may_be_missing(sandbox: Sandbox, sftp: paramiko.SFTPClient) -> None:
    sandbox.stampli.drop.put("a.csv", b"x")
    sandbox.stampli.server.configure(no_rename=True, no_mkdir=True)
    for refused in (
        lambda: sftp.rename("/outbound/a.csv", "/outbound/b.csv"),
        lambda: sftp.posix_rename("/outbound/a.csv", "/outbound/b.csv"),
        lambda: sftp.mkdir("/outbound/archive"),
    ):
        with pytest.raises(PermissionError):
            refused()
    assert fetched(sftp, "a.csv") == b"x"
    sandbox.stampli.server.heal()
    sftp.mkdir("/outbound/archive")
    sftp.rename("/outbound/a.csv", "/outbound/archive/a.csv")


def test_a_locked_file(sandbox: Sandbox, sftp: paramiko.SFTPClient) -> None:
    sandbox.stampli.drop.put("a.csv", b"x")
    sandbox.stampli.drop.put("b.csv", b"y")
    sandbox.stampli.server.configure(locked=["a.csv"])
    assert sftp.stat("/outbound/a.csv").st_size == 1
    for refused in (
        lambda: fetched(sftp, "a.csv"),
        lambda: sftp.rename("/outbound/a.csv", "/outbound/c.csv"),
        lambda: sftp.remove("/outbound/a.csv"),
    ):
        with pytest.raises(PermissionError):
            refused()
    assert fetched(sftp, "b.csv") == b"y"


def test_a_file_that_is_removed_mid_read(sandbox: Sandbox, sftp: paramiko.SFTPClient) -> None:
    sandbox.stampli.drop.put("a.csv", CONTENT)
    sandbox.stampli.server.configure(remove_mid_read=100_000)
    with pytest.raises(OSError):
        fetched(sftp, "a.csv")
    assert sandbox.stampli.drop.waiting() == []
    assert 0 < sandbox.stampli.server.statistics.bytes_sent <= 100_000
    with pytest.raises(FileNotFoundError):
        sftp.stat("/outbound/a.csv")
    sandbox.stampli.drop.put("a.csv", CONTENT)
    assert fetched(sftp, "a.csv") == CONTENT


def test_a_file_that_is_locked_mid_read(sandbox: Sandbox, sftp: paramiko.SFTPClient) -> None:
    sandbox.stampli.drop.put("a.csv", CONTENT)
    sandbox.stampli.server.configure(lock_mid_read=100_000)
    for _ in range(2):
        with pytest.raises(PermissionError):
            fetched(sftp, "a.csv")
    sandbox.stampli.server.heal()
    assert fetched(sftp, "a.csv") == CONTENT


def test_a_connection_that_is_cut_mid_read(sandbox: Sandbox, sftp: paramiko.SFTPClient) -> None:
    sandbox.stampli.drop.put("a.csv", CONTENT)
    sandbox.stampli.server.configure(drop_mid_read=100_000)
    with pytest.raises((OSError, EOFError, paramiko.SSHException)):
        fetched(sftp, "a.csv")
    assert sandbox.stampli.drop.read("a.csv") == CONTENT


def test_refused_log_in(sandbox: Sandbox) -> None:
    sandbox.stampli.server.configure(refuse_logins=True)
    fields = json.loads(sandbox.env["AIRFLOW_CONN_STAMPLI_SFTP"])
    with (
        paramiko.Transport((fields["host"], fields["port"])) as transport,
        pytest.raises(paramiko.AuthenticationException),
    ):
        transport.connect(username=fields["login"], password=fields["password"])


def control(sandbox: Sandbox, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    reply = urllib3.request(
        method,
        f"{sandbox.env['TIEOUT_SANDBOX_CONTROL']}/sandbox/stampli_sftp/{path}",
        body=None if body is None else json.dumps(body),
        retries=False,
    )
    assert reply.status == status, reply.data
    return reply.json()


def test_the_drop_by_http(sandbox: Sandbox) -> None:
    assert control(sandbox, "PUT", "files/a.csv", {"text": "ü"}) == {"name": "a.csv"}
    packed = base64.b64encode(b"\xff\x00").decode()
    control(sandbox, "PUT", "files/b.csv", {"base64": packed})
    assert control(sandbox, "GET", "files") == {"waiting": ["a.csv", "b.csv"], "archived": []}
    assert control(sandbox, "GET", "files/b.csv") == {"base64": packed}
    control(sandbox, "DELETE", "files/a.csv")
    control(sandbox, "PUT", "uploads/c.csv", {"text": "0123456789", "first": 3})
    assert control(sandbox, "PATCH", "uploads/c.csv", {"bytes": 4}) == {"to_come": 3}
    assert sandbox.stampli.drop.read("c.csv") == b"0123456"
    control(sandbox, "POST", "uploads/c.csv")
    assert sandbox.stampli.drop.read("c.csv") == b"0123456789"
    assert control(sandbox, "PATCH", "faults", {"no_rename": True})["no_rename"] is True
    assert control(sandbox, "GET", "")["faults"]["no_rename"] is True
    assert control(sandbox, "GET", "purchase_orders") == []


def test_mixed_and_correction_drop_by_http(sandbox: Sandbox) -> None:
    told = control(sandbox, "POST", "mixed_drop", {"seed": 4, "invoices": 5, "broken": ["cut_xml"]})
    assert told == control(sandbox, "GET", "mixed_drop")
    assert told["expected"]["invoices"]["posted"] == 5
    assert [file["name"] for file in told["files"]] == sorted(
        sandbox.stampli.drop.waiting(), key=lambda name: name.split("_")[2]
    )
    corrected = control(sandbox, "POST", "correction_drop", {"changed": 1, "voided": 1})
    assert (corrected["records"], corrected["name"] in sandbox.stampli.drop.waiting()) == (2, True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("PUT", "files/a.csv", {"bytes": "x"}, 400, "'text' or 'base64'"),
        ("PUT", "files/a.csv", {"base64": "%"}, 400, "cannot be decoded"),
        ("PUT", "files/..%2Fa.csv", {"text": "x"}, 400, "no plain file name"),
        ("GET", "files/a.csv", None, 404, "There is no 'a.csv'"),
        ("PATCH", "uploads/a.csv", {"bytes": 1}, 404, "There is no 'a.csv'"),
        ("POST", "mixed_drop", {"invoice": 1}, 400, "has no invoice"),
        ("GET", "mixed_drop", None, 404, "no control path"),
        ("POST", "correction_drop", {}, 404, "no control path"),
        ("PATCH", "faults", {"no_reading": True}, 400, "Unknown SFTP fault no_reading"),
    ],
)
def test_control_mistakes_are_told(
    sandbox: Sandbox, method: str, path: str, body: Any, status: int, message: str
) -> None:
    assert message in control(sandbox, method, path, body, status)["error"]
