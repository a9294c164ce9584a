"""The legacy ERP behind its SFTP server, and its control paths."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
import urllib3
from legacy_erp_files import GL_TOTALS, SAMPLES, manifest

import sandbox.legacy_erp
from sandbox import Sandbox

SAMPLE = SAMPLES["830"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(folder=tmp_path, only=("legacy_erp", "syspro")) as running:
        yield running


@pytest.fixture
def sftp(world: Sandbox) -> Iterator[paramiko.SFTPClient]:
    fields = json.loads(world.env["AIRFLOW_CONN_LEGACY_ERP_SFTP"])
    with paramiko.Transport((fields["host"], fields["port"])) as transport:
        transport.connect(username=fields["login"], password=fields["password"])
        key = transport.get_remote_server_key()
        assert fields["extra"]["host_key"] == f"{key.get_name()} {key.get_base64()}"
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        yield client


def control(world: Sandbox, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    reply = urllib3.request(
        method,
        f"{world.env['TIEOUT_SANDBOX_CONTROL']}/sandbox/legacy_erp/{path}",
        body=None if body is None else json.dumps(body),
        retries=False,
    )
    assert reply.status == status, reply.data
    return reply.json()


def send(sftp: paramiko.SFTPClient) -> None:
    said = manifest(SAMPLE.name, SAMPLE.content, 3, GL_TOTALS)
    for name, content in ((SAMPLE.name, SAMPLE.content), (f"{SAMPLE.name}.manifest.json", said)):
        sftp.putfo(io.BytesIO(content), f"/inbound/.{name}.part")
        sftp.rename(f"/inbound/.{name}.part", f"/inbound/{name}")


def test_a_file_and_its_answer_over_ssh(world: Sandbox, sftp: paramiko.SFTPClient) -> None:
    assert sorted(sftp.listdir("/")) == ["inbound", "outbound"]
    send(sftp)
    assert control(world, "GET", "")["files"] == []
    (loaded,) = control(world, "POST", "load")
    assert (loaded["status"], loaded["records"], loaded["problems"]) == ("read", 3, [])
    assert loaded["interchange"]["groups"] == [
        {"functional_id": "PS", "control": "103", "version": "004010",
         "sets": [{"id": "830", "control": "0001", "segments": 20}]}
    ]  # fmt: skip
    assert sftp.listdir("/outbound/acks") == ["997_000009001.edi"]
    sink = io.BytesIO()
    sftp.getfo("/outbound/acks/997_000009001.edi", sink)
    assert b"AK9*A*1*1*1~" in sink.getvalue()
    sftp.remove("/outbound/acks/997_000009001.edi")
    assert control(world, "POST", "load") == []


def test_control_paths(world: Sandbox, sftp: paramiko.SFTPClient) -> None:
    assert control(world, "PATCH", "settings", {"answer": "silent"})["answer"] == "silent"
    assert control(world, "GET", "settings")["answer"] == "silent"
    send(sftp)
    control(world, "POST", "load")
    assert [file["name"] for file in control(world, "GET", "files")] == [SAMPLE.name]
    assert control(world, "GET", f"files/{SAMPLE.name}")["totals"] == GL_TOTALS_AS_READ
    totals = control(world, "GET", "totals/2026/1")
    assert (totals["lines"], totals["by_account"]) == (3, {"2100-30-000": "-209.50", "4000-20-100": "209.50"})
    assert control(world, "GET", "totals")["debit"] == "250.00"
    assert control(world, "GET", "totals/2026/2")["lines"] == 0
    assert control(world, "GET", "answers") == []
    (answer,) = control(world, "POST", "answers", {"file": SAMPLE.name, "answer": "R"})
    assert (answer["answer"], control(world, "GET", "answers")) == ("R", [answer])
    assert control(world, "POST", "void", {"numbers": [7]}) == {"void": [7]}
    state = control(world, "GET", "")
    assert (state["problems"], state["postings"]["lines"], state["statistics"]["logins"]) == ([], 3, 1)
    assert control(world, "PATCH", "faults", {"read_only": True})["read_only"] is True


GL_TOTALS_AS_READ = {
    **GL_TOTALS,
    "by_cost_centre": {"20": {"debit": "250.00", "credit": "40.50"}, "30": {"debit": "0.00", "credit": "209.50"}},
}


def test_documents_by_control_path(world: Sandbox) -> None:
    inbox = world.legacy_erp.inbox
    sample = SAMPLES["suppliers"]
    (inbox.inbound / sample.name).write_bytes(sample.content)
    control(world, "PATCH", "settings", {"manifest": "optional"})
    control(world, "POST", "load")
    assert control(world, "GET", "documents/suppliers/B1") == [{"supplier": "B1", "name": ""}]
    assert list(control(world, "GET", "documents/suppliers")) == ["ACM001", "B1"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("PATCH", "settings", {"colour": "red"}, 400, "Unknown setting colour"),
        ("GET", "files/nothing", None, 404, "There is no 'nothing'"),
        ("GET", "documents/nothing", None, 404, "There is no 'nothing'"),
        ("POST", "answers", {"file": "nothing", "answer": "A"}, 404, "There is no 'nothing'"),
        ("GET", "totals/2026/x", None, 400, "invalid literal"),
        ("GET", "nothing", None, 404, "no control path"),
    ],
)
def test_control_mistakes_are_told(
    world: Sandbox, method: str, path: str, body: Any, status: int, message: str
) -> None:
    assert message in control(world, method, path, body, status)["error"]


def test_the_world_has_both_ends(world: Sandbox) -> None:
    assert world.syspro.books.company == "EDU1"
    assert json.loads(world.env["AIRFLOW_CONN_SYSPRO"])["host"] == world.syspro.server.url
    assert world.legacy_erp.inbox.root == world.legacy_erp.server.root


def test_the_readers_know_nothing_of_the_library() -> None:
    """They are the independent check of its writers."""
    assert sandbox.legacy_erp.__file__ is not None
    sources = sorted(Path(sandbox.legacy_erp.__file__).parent.rglob("*.py"))
    assert len(sources) > 10
    for source in sources:
        text = source.read_text(encoding="utf-8")
        assert re.search(r"\b(tieout|pyarrow|pyx12)\b", text) is None, source
