"""Every fault of the simulated Service Layer, as a client meets it."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import urllib3
from sandbox_client import Client

from sandbox.sap_b1 import FAULT_KINDS, Company, Faults, ServiceLayer

CREDENTIALS = {"CompanyDB": "SBODEMOEU", "UserName": "tieout", "Password": "tie-out-1"}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("switch_company", 500, "305"),
        ("saml_login_failed", 500, "299"),
        ("node_table", 500, "407"),
        ("unauthorized_5002", 401, "-5002"),
        ("business_5002", 400, "-5002"),
        ("attachments_folder", 400, "-5002"),
        ("session_lost", 401, "301"),
    ],
)
def test_faults_with_a_code(client: Client, server: ServiceLayer, kind: str, status: int, code: str) -> None:
    server.faults.add(kind, path="^Items")
    assert client.get("Invoices?$top=1").status == 200
    reply = client.get("Items")
    assert (reply.status, reply.json()["error"]["code"]) == (status, code)
    assert client.get("Items").status == (401 if kind == "session_lost" else 200)


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [
        ("bad_gateway", 502, b"<!DOCTYPE HTML"),
        ("gateway_timeout", 504, b"<!DOCTYPE HTML"),
        ("service_unavailable", 503, b'{"message":"Service Unavailable"}'),
        ("empty_500", 500, b""),
        ("html_200", 200, b"<!DOCTYPE HTML"),
        ("unauthorized_html", 401, b"<!DOCTYPE HTML"),
    ],
)
def test_faults_without_a_code(client: Client, server: ServiceLayer, kind: str, status: int, start: bytes) -> None:
    server.faults.add(kind)
    reply = client.get("Items")
    assert reply.status == status
    assert reply.data.startswith(start) and (start or reply.data == b"")


def test_after_and_times(client: Client, server: ServiceLayer) -> None:
    server.faults.add("bad_gateway", path="^Items", after=2, times=2)
    assert [client.get("Items?$top=1").status for _ in range(6)] == [200, 200, 502, 502, 200, 200]
    assert server.faults.active() == []


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset_mid_body", urllib3.exceptions.ProtocolError),
        ("close_mid_body", urllib3.exceptions.ProtocolError),
        ("reset_before_head", urllib3.exceptions.ProtocolError),
        ("hang", urllib3.exceptions.ReadTimeoutError),
    ],
)
def test_broken_connections(client: Client, server: ServiceLayer, kind: str, error: type[Exception]) -> None:
    server.faults.add(kind, path="^Invoices")
    patient = client.pool
    if kind == "hang":
        client.pool = urllib3.PoolManager(retries=False, timeout=0.5)
    with pytest.raises(error):
        client.get("Invoices")
    client.pool = patient
    assert client.get("Invoices?$top=1").status == 200


def test_cut_json_is_good_http(client: Client, server: ServiceLayer) -> None:
    server.faults.add("cut_json")
    reply = client.get("Items?$top=2")
    assert reply.status == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()


def test_lost_filters(client: Client, server: ServiceLayer) -> None:
    server.faults.add("lose_filter_in_next_link")
    link = client.get("Invoices?$filter=DocEntry%20gt%202").json()["@odata.nextLink"]
    assert link == "Invoices?$skip=20"
    server.faults.add("lose_filter")
    assert client.rows("Invoices?$filter=DocEntry%20gt%2040&$orderby=DocEntry")[0]["DocEntry"] == 1


def test_run_and_delay(client: Client, server: ServiceLayer, company: Company) -> None:
    key = company.tables["Invoices"].keys[0]
    server.faults.add("run", path="^Invoices", action=lambda: company.delete("Invoices", key))
    assert client.get(f"Invoices({key})").status == 404
    server.faults.add("delay", seconds=30, path="^Items")
    client.pool = urllib3.PoolManager(retries=False, timeout=0.3)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        client.get("Items")


def test_expect_header_gives_an_empty_500_without_waiting_for_the_body(server: ServiceLayer) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST /b1s/v2/Login HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\nExpect: 100-continue\r\n\r\n")
        answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"Content-Length: 0\r\n" in answer


def test_a_broken_node_logs_in_but_answers_nothing_and_other_nodes_do(anonymous: Client, server: ServiceLayer) -> None:
    server.faults.configure(broken_nodes=[3])
    anonymous.cookie = "ROUTEID=.node3"
    anonymous.login()
    session = anonymous.cookie
    anonymous.cookie = f"{session}; ROUTEID=.node3"
    assert [anonymous.get("Items").json()["error"]["code"] for _ in range(3)] == ["407"] * 3
    anonymous.cookie = f"{session}; ROUTEID=.node1"
    assert anonymous.get("Items?$top=1").status == 200


def test_session_killed_every_n_requests(client: Client, server: ServiceLayer) -> None:
    server.faults.configure(kill_session_every=3)
    statuses = []
    for _ in range(6):
        statuses.append(client.get("Items?$top=1").status)
        if statuses[-1] == 401:
            client.cookie = ""
            client.login()
    assert statuses == [200, 200, 401, 200, 200, 401]
    assert server.statistics.logins == 3


def test_too_many_parallel_logins(server: ServiceLayer) -> None:
    """Held back by a slow login, all eight are in flight at once."""
    server.faults.configure(parallel_login_limit=6, login_ms=2_000)
    statuses: list[int] = []

    def login() -> None:
        statuses.append(Client(server.url).request("POST", "Login", body=CREDENTIALS).status)

    threads = [threading.Thread(target=login) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 6 + [500] * 2
    assert server.statistics.most_logins_in_flight == 8
    # A login is over for the server a moment after its client has read the reply.
    assert server.wait_for_logins(10)


def test_clear_heals_everything(client: Client, server: ServiceLayer) -> None:
    server.faults.add("bad_gateway", times=None)
    server.faults.configure(default_page_size=3)
    server.faults.clear()
    assert len(client.get("Invoices").json()["value"]) == 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda faults: faults.add("no_such_fault"), "Unknown fault 'no_such_fault'; known are bad_gateway"),
        (lambda faults: faults.configure(latency=5), "Unknown setting latency; known are broken_nodes"),
    ],
)
def test_mistakes_are_told(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(Faults())


def test_every_kind_is_exercised_above() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in FAULT_KINDS if f'"{kind}"' not in text] == []
