"""Sessions, error shapes and faults of the protocol, against a server that plays them."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import service_layer as fake
from tests.support.service_layer import Call, FakeServiceLayer, Handler
from tests.systems.sap_b1.conftest import FakeTime
from tieout.errors import ConfigurationInvalid, ContractBroken, CredentialsRejected, SourceUnavailable
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import SapError
from tieout.systems.sap_b1.sessions import MemorySessionStore

Connect = Callable[..., SapB1Client]


def test_logs_in_once_for_eight_threads(server: FakeServiceLayer, connect: Connect) -> None:
    client = connect()
    barrier = threading.Barrier(8)

    def read(number: int) -> bytes:
        barrier.wait()
        return client.get(f"Invoices({number % 7 + 1})")

    with ThreadPoolExecutor(8) as pool:
        found = [json.loads(body)["DocEntry"] for body in pool.map(read, range(8))]

    assert found == [1, 2, 3, 4, 5, 6, 7, 1]
    assert server.logins == 1


def test_two_clients_share_a_session(server: FakeServiceLayer, connect: Connect) -> None:
    store = MemorySessionStore()
    first, second = connect(store), connect(store)

    first.login()
    second.get("Invoices(1)")

    assert server.logins == 1
    assert second.server_time() == first.server_time()


def test_eight_workers_log_in_one_at_a_time(server: FakeServiceLayer, connect: Connect) -> None:
    store = MemorySessionStore()
    clients = [connect(store) for _ in range(8)]
    barrier = threading.Barrier(8)

    def read(client: SapB1Client) -> None:
        barrier.wait()
        client.get("Invoices(1)")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, clients))

    assert server.logins == 1
    assert server.most_logins_at_once == 1


def test_sends_the_cookie_built_by_hand(server: FakeServiceLayer, connect: Connect) -> None:
    connect().get("Invoices(1)")

    call = server.data_calls()[0]
    assert call.headers["Cookie"] == "B1SESSION=session-1; ROUTEID=.node1"
    assert all("Expect" not in each.headers for each in server.calls)
    assert "Cookie" not in server.calls[0].headers


def test_login_body_has_company_user_password_and_language(server: FakeServiceLayer, connect: Connect) -> None:
    connect(language=3).login()

    assert json.loads(server.calls[0].body) == {
        "CompanyDB": "SBODEMO",
        "UserName": "manager",
        "Password": fake.PASSWORD,
        "Language": 3,
    }


@pytest.mark.parametrize("shape", ["v1", "v2"])
@pytest.mark.parametrize("code", [301, -5002])
def test_401_means_one_new_login_and_one_repetition(
    server: FakeServiceLayer, connect: Connect, code: int, shape: str
) -> None:
    client = connect()
    client.get("Invoices(1)")
    server.faults = [fake.sap_error(401, code, "Sitzung abgelaufen", shape)]

    assert json.loads(client.get("Invoices(2)"))["DocEntry"] == 2
    assert server.logins == 2


def test_401_with_an_unreadable_body_is_a_session_error(server: FakeServiceLayer, connect: Connect) -> None:
    client = connect()
    server.faults = [fake.replied(401, b"<html>", "text/html")]

    client.get("Invoices(1)")

    assert server.logins == 2


@pytest.mark.parametrize("shape", ["v1", "v2"])
def test_5002_with_400_is_a_business_error(server: FakeServiceLayer, connect: Connect, shape: str) -> None:
    server.faults = [fake.sap_error(400, -5002, "Code undefined  [OCRD.CardCode]", shape)]

    with pytest.raises(SapError) as caught:
        connect().get("Invoices(1)")

    assert (caught.value.status, caught.value.code) == (400, "-5002")
    assert caught.value.message == "Code undefined [OCRD.CardCode]"
    assert server.logins == 1


def test_session_lost_in_eight_threads_is_renewed_once(server: FakeServiceLayer, connect: Connect) -> None:
    client = connect()
    client.get("Invoices(1)")
    server.sessions.clear()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.get("Invoices(1)"), range(8)))

    assert server.logins == 2


def test_takes_the_newer_session_of_another_worker(server: FakeServiceLayer, connect: Connect) -> None:
    store = MemorySessionStore()
    first, second = connect(store), connect(store)
    first.login()
    second.login()
    server.sessions.clear()

    first.get("Invoices(1)")
    second.get("Invoices(1)")

    assert server.logins == 2


def test_second_401_straight_after_the_login_gives_up(server: FakeServiceLayer, connect: Connect) -> None:
    client = connect()
    server.faults = [fake.session_gone] * 10

    with pytest.raises(SourceUnavailable, match="drops the session straight after the log-in"):
        client.get("Invoices(1)")

    assert server.logins == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"password": "wrong-secret"}, "-304"), ({"company_db": "NOSUCH"}, "-306")],
    ids=["password", "company"],
)
def test_refused_login_is_not_repeated(
    server: FakeServiceLayer, connect: Connect, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(CredentialsRejected) as caught:
        connect(**changes).get("Invoices(1)")

    assert server.logins == 1
    text = str(caught.value)
    assert code in text and "'manager'" in text and "company_db" in text
    assert "wrong-secret" not in text and fake.PASSWORD not in text


def test_refused_login_of_older_builds(server: FakeServiceLayer, connect: Connect) -> None:
    server.login_faults = [fake.sap_error(500, 100000027, "Fail to get DB Credentials from SLD", "v1")]

    with pytest.raises(CredentialsRejected):
        connect().login()

    assert server.logins == 1


@pytest.mark.parametrize(
    "fault",
    [
        fake.replied(502, fake.HTML_502, "text/html"),
        fake.replied(503, b'{"message":"Service Unavailable"}'),
        fake.replied(504, b""),
        fake.replied(500, b""),
        fake.sap_error(500, 305, "Switch company error: -1102"),
        fake.sap_error(500, 407, "Table definition not found for '@X'.", "v1"),
        fake.reset_in_body,
        fake.truncated,
        fake.cut_without_length,
        fake.cut_chunked,
    ],
    ids=["502", "503", "504", "empty-500", "305", "407", "reset", "truncated", "cut", "cut-chunked"],
)
@pytest.mark.parametrize("times", [1, 3])
def test_waits_for_a_server_that_cannot_serve(
    server: FakeServiceLayer, connect: Connect, fake_time: FakeTime, fault: fake.Fault, times: int
) -> None:
    server.faults = [fault] * times

    assert json.loads(connect().get("Invoices(3)"))["DocEntry"] == 3
    assert len(fake_time.slept) == times
    assert fake_time.slept == sorted(fake_time.slept)


@pytest.mark.parametrize(
    "fault",
    [fake.replied(502, fake.HTML_502), fake.sap_error(500, 305, "x"), fake.sap_error(500, 407, "x")],
    ids=["502", "305", "407"],
)
def test_leaves_a_broken_node(server: FakeServiceLayer, connect: Connect, fault: fake.Fault) -> None:
    server.faults = [fault]

    connect().get("Invoices(3)")

    login = [call for call in server.calls if call.path.endswith("/Login")][1]
    assert "Cookie" not in login.headers
    assert server.data_calls()[-1].headers["Cookie"] == "B1SESSION=session-2; ROUTEID=.node2"


@pytest.mark.parametrize(
    "fault",
    [fake.sap_error(500, 299, "SAML Login Failed"), fake.replied(502, fake.HTML_502), fake.reset_in_body],
    ids=["299", "502", "reset"],
)
def test_login_that_is_not_possible_now_is_repeated(
    server: FakeServiceLayer, connect: Connect, fault: fake.Fault
) -> None:
    server.login_faults = [fault, fault]

    connect().login()

    assert server.logins == 3


def test_gives_up_after_the_budget(server: FakeServiceLayer, connect: Connect, fake_time: FakeTime) -> None:
    server.faults = [fake.replied(502, fake.HTML_502, "text/html")] * 100

    with pytest.raises(SourceUnavailable) as caught:
        connect(retry_seconds=30.0).get("Invoices(1)")

    assert 15 < sum(fake_time.slept) <= 30
    text = str(caught.value)
    assert "does not answer" in text and "HTTP 502" in text and "the next run catches up" in text
    assert f"127.0.0.1:{server.port}" in text


def test_nobody_listens(connect: Connect, server: FakeServiceLayer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"

        with pytest.raises(SourceUnavailable, match="Connection refused"):
            connect(base_url=address).login()


def test_slow_server_times_out(server: FakeServiceLayer, connect: Connect) -> None:
    released = threading.Event()

    def hang(handler: Handler, call: Call) -> bool:
        released.wait(20)
        handler.close_connection = True
        return True

    server.faults = [hang]
    try:
        assert json.loads(connect(read_timeout=0.2).get("Invoices(1)"))["DocEntry"] == 1
    finally:
        released.set()


def test_request_that_drips_is_cut_off(server: FakeServiceLayer, connect: Connect, fake_time: FakeTime) -> None:
    def drip(handler: Handler, call: Call) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.wfile.flush()
        fake_time.now += 301
        handler.wfile.write(b" ")
        handler.close_connection = True
        return True

    server.faults = [drip] * 50

    with pytest.raises(SourceUnavailable, match=r"took longer than 300 seconds|broke off"):
        connect(request_timeout=300.0, retry_seconds=5.0).get("Invoices(1)")


def test_page_beyond_the_limit_names_the_page_size(server: FakeServiceLayer, connect: Connect) -> None:
    with pytest.raises(ContractBroken, match="lower page_size"):
        connect(max_page_bytes=100).get_page("Invoices", {"$orderby": "DocEntry"})


def test_compressed_page_counts_unpacked(server: FakeServiceLayer, connect: Connect) -> None:
    import gzip

    def bomb(handler: Handler, call: Call) -> bool:
        handler.answer(200, gzip.compress(b" " * 1_000_000), Content_Encoding="gzip")
        return True

    server.faults = [bomb]

    with pytest.raises(ContractBroken, match="more than 100,000 bytes"):
        connect(max_page_bytes=100_000).get("Invoices(1)")


def test_every_page_asks_for_its_size(server: FakeServiceLayer, connect: Connect) -> None:
    client = connect(page_size=4)
    for after in (0, 4):
        client.get_page("Invoices", {"$filter": f"DocEntry gt {after}", "$orderby": "DocEntry"})

    assert [call.headers["Prefer"] for call in server.data_calls()] == ["odata.maxpagesize=4"] * 2


@pytest.mark.parametrize(
    "body",
    [b"7", b" 7\n", b"\xef\xbb\xbf7", b'{"value":7}', b'{"@odata.count":7}', b'{"odata.count":"7"}', b'"7"'],
)
def test_count_reads_text_and_json(server: FakeServiceLayer, connect: Connect, body: bytes) -> None:
    server.faults = [fake.replied(200, body, "text/plain")]

    assert connect().count("Invoices", "DocEntry gt 3") == 7
    assert server.data_calls()[0].params == {"$filter": "DocEntry gt 3"}


@pytest.mark.parametrize("body", [b"", b"many", b"[]", b"{}", b"true", b'{"value":null}'])
def test_count_that_is_no_number(server: FakeServiceLayer, connect: Connect, body: bytes) -> None:
    server.faults = [fake.replied(200, body, "text/plain")]

    with pytest.raises(ContractBroken, match="not a number"):
        connect().count("Invoices")


def test_filter_is_encoded(server: FakeServiceLayer, connect: Connect) -> None:
    server.rows["BusinessPartners"] = [{"CardCode": "Ö&'+ %1"}]
    server.keys["BusinessPartners"] = "CardCode"

    assert connect().count("BusinessPartners", "CardCode eq 'Ö&''+ %1'") == 1


def test_logout_ends_the_session_for_all(server: FakeServiceLayer, connect: Connect) -> None:
    store = MemorySessionStore()
    client = connect(store)
    client.login()

    connect(store).logout()

    assert server.sessions == set()
    assert store.load() is None


def test_logout_never_raises(server: FakeServiceLayer, connect: Connect) -> None:
    store = MemorySessionStore()
    client = connect(store)
    client.login()
    broken = connect(store, base_url="http://127.0.0.1:1")

    broken.logout()
    broken.logout()

    assert store.load() is None


def test_logout_without_a_session_asks_nothing(server: FakeServiceLayer, connect: Connect) -> None:
    connect().logout()

    assert server.calls == []


def test_server_time_is_that_of_the_first_login(server: FakeServiceLayer, connect: Connect) -> None:
    client = connect()
    first = client.server_time()
    server.date = "Fri, 20 Nov 2026 12:00:00 GMT"
    server.sessions.clear()
    client.get("Invoices(1)")

    assert server.logins == 2
    assert first == client.server_time() == datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC)


def test_follows_the_node_that_the_balancer_moves_to(server: FakeServiceLayer, connect: Connect) -> None:
    def moved(handler: Handler, call: Call) -> bool:
        handler.answer(200, b"{}", Set_Cookie="ROUTEID=.node9; path=/b1s")
        return True

    client = connect()
    server.faults = [moved]
    client.get("Invoices(1)")
    client.get("Invoices(1)")

    assert server.data_calls()[-1].headers["Cookie"].endswith("ROUTEID=.node9")


def test_redirect_is_not_followed(server: FakeServiceLayer, connect: Connect) -> None:
    def away(handler: Handler, call: Call) -> bool:
        handler.answer(302, b"", Location="http://127.0.0.1:1/steal")
        return True

    server.login_faults = [away]

    with pytest.raises(ConfigurationInvalid, match="There is no Service Layer at"):
        connect().login()


def test_tls_to_a_plain_port(server: FakeServiceLayer, connect: Connect) -> None:
    with pytest.raises(ConfigurationInvalid, match="No TLS connection"):
        connect(base_url=server.url.replace("http:", "https:")).login()


def test_download_is_complete_or_repeated(server: FakeServiceLayer, connect: Connect) -> None:
    content = bytes(range(256)) * 20_000
    server.files["Attachments2(3)/$value"] = content
    server.faults = [fake.truncated, fake.reset_in_body]

    assert b"".join(connect().download("Attachments2(3)/$value")) == content


def test_download_has_a_limit(server: FakeServiceLayer, connect: Connect) -> None:
    server.files["Attachments2(3)/$value"] = b"x" * 1001

    with pytest.raises(ContractBroken, match="more than 1,000 bytes"):
        list(connect(max_attachment_bytes=1000).download("Attachments2(3)/$value"))


def test_no_secret_in_logs_or_errors(
    server: FakeServiceLayer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect()
    server.faults = [fake.session_gone, fake.replied(502, fake.HTML_502), fake.reset_in_body]
    client.get("Invoices(1)")
    server.faults = [fake.replied(502, b"")] * 100
    with pytest.raises(SourceUnavailable) as caught:
        client.get("Invoices(1)")
    session = client._sessions.load()
    client.logout()

    shown = "\n".join([caplog.text, repr(caught.value), repr(client.settings), repr(session)])
    for secret in (fake.PASSWORD, "session-", ".node"):
        assert secret not in shown


def test_sap_error_survives_pickling() -> None:
    import pickle

    error = SapError(400, "201", "Property 'X' is invalid", "Invoices")

    assert str(pickle.loads(pickle.dumps(error))) == str(error)
