"""The clients' SFTP servers, over real SSH, and all of it inside a sandbox."""

from __future__ import annotations

import base64
import io
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paramiko
import pytest
import urllib3

from sandbox import Sandbox
from sandbox.banqup import Receiver, make_receivers, received
from sandbox.clock import SandboxClock

CLIENTS = [(f"C{number}", f"conn_{number}") for number in range(1, 5)]


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[dict[str, Receiver]]:
    made = make_receivers(tmp_path, CLIENTS, own_servers=2)
    for receiver in made.values():
        receiver.server.up()
    yield made
    for receiver in made.values():
        receiver.server.stop()


def logged_in(receiver: Receiver) -> paramiko.SFTPClient:
    """By the connection alone, its host key pinned."""
    connection: dict[str, Any] = receiver.connection()
    kind, encoded = connection["extra"]["host_key"].split()
    transport = paramiko.Transport((connection["host"], connection["port"]))
    key = paramiko.PKey.from_type_string(kind, base64.b64decode(encoded))
    transport.connect(key, connection["login"], connection["password"])
    client = paramiko.SFTPClient.from_transport(transport)
    assert client is not None
    return client


def close(client: paramiko.SFTPClient) -> None:
    channel = client.get_channel()
    assert channel is not None
    channel.get_transport().close()


def put(receiver: Receiver, path: str, data: bytes, mode: int = 0o664) -> None:
    client = logged_in(receiver)
    try:
        client.putfo(io.BytesIO(data), path)
        client.chmod(path, mode)
    finally:
        close(client)


def test_some_have_a_server_of_their_own_and_the_rest_share_one(receivers: dict[str, Receiver]) -> None:
    ports = [receiver.server.sftp.port for receiver in receivers.values()]

    assert len(set(ports)) == 3 and ports[2] == ports[3]
    assert len({(receiver.user.name, receiver.user.password) for receiver in receivers.values()}) == 4
    assert json.loads(receivers["C3"].environment()["AIRFLOW_CONN_CONN_3"])["conn_type"] == "sftp"


def test_each_sees_its_own_folder_alone(receivers: dict[str, Receiver]) -> None:
    put(receivers["C3"], "/a.xml", b"three")
    put(receivers["C4"], "/../b.xml", b"four", mode=0o600)

    client = logged_in(receivers["C3"])
    assert client.listdir("/") == client.listdir("/..") == ["a.xml"]
    close(client)
    assert [(file.path, file.data, file.mode) for file in received(receivers["C3"])] == [("/a.xml", b"three", 0o664)]
    assert [(file.path, file.data, file.mode) for file in received(receivers["C4"])] == [("/b.xml", b"four", 0o600)]
    assert received(receivers["C1"]) == []


def test_what_was_received_names_its_document(receivers: dict[str, Receiver]) -> None:
    folder = receivers["C1"].folder / "in" / "AP"
    folder.mkdir(parents=True)
    (folder / "20260302_VF_26_0ea1eb6d-bd0b-5c16.xml").write_bytes(b"x")

    [file] = received(receivers["C1"])

    assert (file.path, file.document_id) == ("/in/AP/20260302_VF_26_0ea1eb6d-bd0b-5c16.xml", "0ea1eb6d-bd0b-5c16")


@pytest.mark.parametrize("silent", [False, True])
def test_down_and_up_again_on_the_same_port_with_the_same_key(receivers: dict[str, Receiver], silent: bool) -> None:
    receiver = receivers["C1"]
    open_session = logged_in(receiver)
    before = receiver.connection()

    receiver.server.down(silent=silent)

    with pytest.raises((OSError, EOFError, paramiko.SSHException)):
        open_session.listdir("/")
    address = (receiver.server.sftp.host, receiver.server.sftp.port)
    if silent:
        with socket.create_connection(address, timeout=5) as connected:
            connected.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connected.recv(1)
    else:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
    put(receivers["C2"], "/other.xml", b"others go on")
    assert not receiver.server.is_up and receivers["C2"].server.is_up
    if not silent:
        receiver.server.down()
    receiver.server.up()
    receiver.server.up()
    assert receiver.connection() == before
    put(receiver, "/back.xml", b"x")
    assert [file.name for file in received(receiver)] == ["back.xml"]


Control = Callable[..., Any]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    clock = SandboxClock(datetime(2026, 11, 2, 9, 30, tzinfo=UTC))
    with Sandbox(folder=tmp_path, only=("banqup",), planted=True, clock=clock) as running:
        yield running
        assert running.banqup.server.failures == []


@pytest.fixture
def control(sandbox: Sandbox) -> Control:
    def ask(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        content = None if body is None else json.dumps(body)
        url = f"{sandbox.env['TIEOUT_SANDBOX_CONTROL']}/sandbox/banqup{path}"
        reply = urllib3.request(method, url, body=content, retries=False)
        assert reply.status == status, reply.data
        return reply.json()

    return ask


def listed(sandbox: Sandbox, external_id: str, **params: Any) -> urllib3.BaseHTTPResponse:
    """A list by the connection in the environment."""
    connection = json.loads(sandbox.env["AIRFLOW_CONN_BANQUP"])
    form = {"grant_type": "client_credentials", "client_id": connection["login"],
            "client_secret": connection["password"]}  # fmt: skip
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        url = f"{connection['host']}/oauth2/client_credential/gettoken"
        token = pool.request("POST", url, fields=form, encode_multipart=False).json()["access_token"]
    space = sandbox.banqup.scenario.client(external_id).space_id
    url = f"{connection['host']}/datastore/documents/transaction/v2/spaces/{space}/documents"
    return urllib3.request("GET", url, fields=params, headers={"Authorization": f"Bearer {token}"}, retries=False)


def test_in_the_sandbox(sandbox: Sandbox) -> None:
    assert json.loads(sandbox.env["AIRFLOW_CONN_BANQUP"])["conn_type"] == "banqup"
    assert [name for name in sandbox.env if "CLIENT" in name] == [
        f"AIRFLOW_CONN_BANQUP_CLIENT_{number}" for number in range(1, 9)
    ]
    truth = sandbox.banqup.truth()
    assert list(truth) == list(sandbox.banqup.receivers) == [f"C100{number}" for number in range(1, 9)]
    statements = [entry for entry in truth["C1001"] if entry.kind == "statement"]
    reply = listed(sandbox, "C1001", folder="BANK", documentStatus="APPROVED", updatedFrom="2026-01-01T00:00:00Z")
    assert {row["id"] for row in reply.json()["content"]} == {entry.document_id for entry in statements}


def test_documents_by_control_paths(sandbox: Sandbox, control: Control) -> None:
    waiting = next(row for row in control("GET", "/documents") if row["status"] == "AWAITING_VALIDATION")
    path = f"/documents/{waiting['id']}"
    assert control("POST", f"{path}/approve")["status"] == "APPROVED"

    def expected() -> dict[str, Any]:
        rows = [row for rows in control("GET", "/truth").values() for row in rows]
        return next(row for row in rows if row["document_id"] == waiting["id"])

    assert (expected()["status_at"], expected()["rule"]) == ("2026-11-02T09:30:00+00:00", None)
    assert control("POST", f"{path}/lose_file")["id"] == waiting["id"]
    assert expected()["rule"] == "FILE_MISSING"
    assert control("POST", f"{path}/repair")["file_id"] != waiting["file_id"]
    control("DELETE", path)
    control("GET", path, status=404)
    assert {row["space_id"] for row in control("GET", "/documents", {"client": "C1002"})} == {
        sandbox.banqup.scenario.client("C1002").space_id
    }
    assert len(control("POST", "/second_day")["sent"]) == 8
    assert control("GET", "/instance")["yaml"] == sandbox.banqup.instance_yaml()


def test_service_by_control_paths(sandbox: Sandbox, control: Control) -> None:
    fault = control("POST", "/faults", {"kind": "too_many", "path": "/documents$", "seconds": 3})
    assert listed(sandbox, "C1001").headers["Retry-After"] == "3"
    assert control("DELETE", f"/faults/{fault['id']}") == {"removed": False}
    assert control("PATCH", "/settings", {"most": 10})["most"] == 10
    assert listed(sandbox, "C1001", size=11).status == 400
    control("DELETE", "/faults")
    assert "nonsense" in control("POST", "/faults", {"kind": "nonsense"}, 400)["error"]
    document = sandbox.banqup.truth()["C1001"][0].document_id
    control("POST", "/faults", {"kind": "remove", "document": document, "after_page": 2})
    listed(sandbox, "C1001")
    control("GET", f"/documents/{document}")
    listed(sandbox, "C1001")
    control("GET", f"/documents/{document}", status=404)
    other = sandbox.banqup.truth()["C1002"][0].document_id
    assert "Unknown change" in control("POST", "/faults", {"kind": "slow", "document": other}, 400)["error"]
    control("DELETE", "/whitelist/C1001")
    assert (listed(sandbox, "C1001").status, listed(sandbox, "C1002").status) == (403, 200)
    control("POST", "/whitelist/C1001")
    assert listed(sandbox, "C1001").status == 200
    assert control("DELETE", "/tokens")["ended"] > 0
    state = control("GET", "")
    assert state["documents"] == len(control("GET", "/documents")) and state["statistics"]["tokens_issued"] > 0
    assert sandbox.banqup.application.client_secret not in json.dumps(state)


def test_receivers_by_control_paths(sandbox: Sandbox, control: Control) -> None:
    receiver = sandbox.banqup.receivers["C1002"]
    put(receiver, "/a.xml", b"abc")
    state = control("GET", "/receivers/C1002")
    assert (state["up"], state["conn_id"], state["files"][0]["mode"]) == (True, "banqup_client_2", "664")
    assert control("POST", "/receivers/C1002/down") == {"up": False}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", state["port"]), timeout=5)
    assert control("POST", "/receivers/C1002/up") == {"up": True}
    assert control("PATCH", "/receivers/C1002/faults", {"read_only": True})["read_only"] is True
    with pytest.raises(PermissionError):
        put(receiver, "/b.xml", b"abc")
    control("DELETE", "/receivers/C1002/faults")
    put(receiver, "/b.xml", b"abc")
    control("GET", "/receivers/C9999", status=404)
    control("GET", "/nothing", status=404)
