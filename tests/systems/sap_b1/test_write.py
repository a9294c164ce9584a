"""Single writes against a server that keeps books and fails in every way: nothing is ever posted twice."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import service_layer as fake
from tests.support.service_layer import Call, Fault, Handler
from tests.systems.sap_b1.conftest import FakeTime
from tests.systems.sap_b1.posting_server import PostingServer, committed_then, dropped, posting_server, reset
from tieout.errors import CredentialsRejected, SourceUnavailable, Superseded
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.writing import Effect, Write, entity_path

Connect = Callable[..., SapB1Client]


@pytest.fixture(params=["v1", "v2"])
def server(request: pytest.FixtureRequest) -> Iterator[PostingServer]:
    with posting_server(version=request.param) as running:
        running.rows["BusinessPartners"] = [{"CardCode": "V1", "DataVersion": 4}]
        running.keys["BusinessPartners"] = "CardCode"
        yield running


def entry(reference: str = "K-1") -> Write:
    body = {"Memo": "Müller", "Reference3": reference, "JournalEntryLines": [{"Debit": "1.10"}, {"Credit": "1.10"}]}
    return Write("POST", "JournalEntries", json.dumps(body, ensure_ascii=False).encode())


def test_a_journal_entry_is_posted(server: PostingServer, connect: Connect) -> None:
    written = connect().write(entry())

    assert (written.effect, written.status, written.key) == (Effect.DONE, 201, "1")
    assert written.entity is not None and written.entity["Number"] == 1001
    assert "JournalEntryLines" not in written.entity
    assert server.entries[0]["Memo"] == "Müller"
    (call,) = server.write_calls()
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["Cookie"] == "B1SESSION=session-1; ROUTEID=.node1"
    assert "Expect" not in call.headers


def test_a_change_carries_its_etag(server: PostingServer, connect: Connect) -> None:
    path = entity_path("BusinessPartners", "Ö/1 'x'")

    written = connect().write(Write("PATCH", path, b'{"Phone1":"1"}', if_match='W/"AB"'))

    assert (written.effect, written.status, written.key, written.entity) == (Effect.DONE, 204, None, None)
    (call,) = server.write_calls()
    assert call.headers["If-Match"] == 'W/"AB"'
    assert call.path == f"/b1s/{server.version}/BusinessPartners('%C3%96%2F1%20''x''')"


def test_an_action_without_a_body(server: PostingServer, connect: Connect) -> None:
    written = connect().write(Write("POST", "JournalEntries(17)/Cancel"))

    assert (written.effect, written.key) == (Effect.DONE, None)
    (call,) = server.write_calls()
    assert call.body == b"" and call.headers["Content-Length"] == "0"
    assert "Content-Type" not in call.headers


def test_business_error_is_refused(server: PostingServer, connect: Connect) -> None:
    server.refuse["K-1"] = (400, -5002, "Invalid G/L account  [JDT1.Account][line: 1]")

    written = connect().write(entry())

    assert (written.effect, written.status, written.code) == (Effect.REFUSED, 400, "-5002")
    assert written.message == "Invalid G/L account [JDT1.Account][line: 1]"
    assert len(server.write_calls()) == server.logins == 1


@pytest.mark.parametrize("code", [301, -5002])
def test_a_lost_session_is_replaced_and_the_write_sent_again(
    server: PostingServer, connect: Connect, code: int
) -> None:
    server.faults = [fake.sap_error(401, code, "abgelaufen", server.version)]
    before: list[int] = []

    written = connect().write(entry(), before_send=lambda: before.append(len(server.write_calls())))

    assert written.effect is Effect.DONE
    assert before == [0, 1]
    assert server.references() == ["K-1"]
    assert server.logins == 2


def test_sessions_that_end_at_once_are_given_up(server: PostingServer, connect: Connect) -> None:
    server.faults = [fake.session_gone] * 20

    with pytest.raises(SourceUnavailable, match=r"drops the session .* Nothing of this write was carried out"):
        connect().write(entry())

    assert server.logins <= 3
    assert server.entries == []


def test_a_refused_login_is_not_repeated(server: PostingServer, connect: Connect) -> None:
    with pytest.raises(CredentialsRejected):
        connect(password="wrong").write(entry())

    assert server.logins == 1
    assert server.write_calls() == []


def cut_reply(handler: Handler, call: Call) -> bool:
    handler.send_response(201)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"JdtNum":1')
    handler.close_connection = True
    return True


def cut_json(handler: Handler, call: Call) -> bool:
    handler.send_response(201)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b'{"JdtNum":1')
    handler.close_connection = True
    return True


def garbage(handler: Handler, call: Call) -> bool:
    handler.wfile.write(b"what?\r\n\r\n")
    handler.close_connection = True
    return True


UNKNOWN: dict[str, Fault] = {
    "408": fake.replied(408, b""),
    "429": fake.replied(429, b""),
    "302": fake.replied(302, b""),
    "empty 500": fake.replied(500, b""),
    "500/299": fake.sap_error(500, 299, "SAML Login Failed"),
    "500/305": fake.sap_error(500, 305, "Switch company error: -1102"),
    "500/407": fake.sap_error(500, 407, "Table definition not found for '@X'."),
    "502": fake.replied(502, fake.HTML_502, "text/html"),
    "503": fake.replied(503, b'{"message":"Service Unavailable"}'),
    "504": fake.replied(504, b"<html>", "text/html"),
    "portal": fake.replied(200, b"<html>Sign in</html>", "text/html"),
    "200 without a body": fake.replied(200, b""),
    "error in a 200": fake.sap_error(200, -1, "no"),
    "a draft": fake.sap_error(400, -2028, "No matching records found (ODBC -2028)"),
    "a draft, 404": fake.sap_error(404, -2028, "No matching records found (ODBC -2028)"),
    "dropped": dropped,
    "reset": reset,
    "cut reply": cut_reply,
    "cut json": cut_json,
    "cut chunks": fake.cut_chunked,
    "reset in body": fake.reset_in_body,
    "no http": garbage,
}


@pytest.mark.parametrize("fault", UNKNOWN.values(), ids=UNKNOWN.keys())
@pytest.mark.parametrize("committed", [True, False], ids=["after commit", "before commit"])
def test_what_may_have_been_carried_out_is_unknown_and_never_repeated(
    server: PostingServer, connect: Connect, fault: Fault, committed: bool
) -> None:
    server.faults = [committed_then(fault) if committed else fault]
    client = connect()

    written = client.write(entry())

    assert written.effect is Effect.UNKNOWN
    assert not written.timed_out
    assert len(server.write_calls()) == 1
    assert len(server.entries) == committed
    assert client.write(entry("K-2")).effect is Effect.DONE


@pytest.mark.parametrize(
    ("fault", "logins"),
    [
        ("500/299", 2),
        ("500/305", 2),
        ("500/407", 2),
        ("502", 2),
        ("503", 2),
        ("504", 1),
        ("empty 500", 1),
        ("reset", 1),
    ],
)
def test_a_faulty_node_is_left_for_the_next_request(
    server: PostingServer, connect: Connect, fault: str, logins: int
) -> None:
    client = connect()
    server.faults = [UNKNOWN[fault]]

    client.write(entry())
    assert server.logins == 1
    client.write(entry("K-2"))

    assert server.logins == logins
    assert server.write_calls()[-1].headers["Cookie"].startswith(f"B1SESSION=session-{logins};")


def test_no_reply_in_time(server: PostingServer, connect: Connect) -> None:
    reached, release = threading.Event(), threading.Event()

    def silent(handler: Handler, call: Call) -> bool:
        reached.set()
        release.wait(20)
        handler.close_connection = True
        return True

    server.faults = [committed_then(silent)]
    client = connect(read_timeout=0.2)

    written = client.write(entry())
    assert reached.wait(20)
    release.set()

    assert (written.effect, written.timed_out, written.status) == (Effect.UNKNOWN, True, None)
    assert len(server.write_calls()) == len(server.entries) == 1


def test_no_end_of_the_reply_in_time(server: PostingServer, connect: Connect) -> None:
    release = threading.Event()

    def stalls(handler: Handler, call: Call) -> bool:
        handler.send_response(201)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"JdtNum":1')
        release.wait(20)
        handler.close_connection = True
        return True

    server.faults = [stalls]

    # Time enough for the head of the reply, which must have come.
    written = connect(read_timeout=1.5).write(entry())
    release.set()

    assert (written.effect, written.timed_out, written.status) == (Effect.UNKNOWN, True, 201)


def test_a_reply_that_is_too_large(server: PostingServer, connect: Connect) -> None:
    server.faults = [fake.replied(201, b'{"JdtNum":1,"Memo":"' + b"x" * 2000 + b'"}')]

    written = connect(max_page_bytes=1000).write(entry())

    assert written.effect is Effect.UNKNOWN
    assert "more than 1,000 bytes" in written.message


def test_no_connection_means_that_nothing_went(server: PostingServer, connect: Connect, fake_time: FakeTime) -> None:
    client = connect(retry_seconds=5)
    client.login()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        broken = connect(client._sessions, base_url=f"http://127.0.0.1:{taken.getsockname()[1]}", retry_seconds=5)
        called: list[None] = []

        with pytest.raises(SourceUnavailable, match=r"refused; \d+ attempts\)\. Nothing of this write was carried out"):
            broken.write(entry(), before_send=lambda: called.append(None))

    assert called == []
    assert 0 < sum(fake_time.slept) <= 5


def test_an_unknown_host(server: PostingServer, connect: Connect) -> None:
    client = connect()
    client.login()

    with pytest.raises(SourceUnavailable, match="Nothing of this write"):
        connect(client._sessions, base_url="http://b1.invalid:50000").write(entry())


def test_a_connection_that_comes_back_in_time(server: PostingServer, connect: Connect, fake_time: FakeTime) -> None:
    client = connect()
    client.login()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        broken = connect(client._sessions, base_url=f"http://127.0.0.1:{port}")
        slept = fake_time.sleep

        def back_again(seconds: float) -> None:
            slept(seconds)
            broken._writes._settings = client.settings

        broken._sleep = back_again
        written = broken.write(entry())

    assert written.effect is Effect.DONE
    assert server.references() == ["K-1"]


def test_before_send_comes_after_the_connection_and_before_the_first_byte(
    server: PostingServer, connect: Connect
) -> None:
    client = connect()
    client.login()
    assert server.connected.acquire(timeout=10)
    seen: list[tuple[bool, int]] = []

    def watch() -> None:
        seen.append((server.connected.acquire(timeout=10), len(server.write_calls())))

    client.write(entry(), before_send=watch)

    assert seen == [(True, 0)]


def test_what_before_send_raises_passes_through_and_nothing_is_sent(server: PostingServer, connect: Connect) -> None:
    client = connect()

    def too_late() -> None:
        raise Superseded("A newer attempt is at work.")

    client.login()
    before = server.connections
    with pytest.raises(Superseded):
        client.write(entry(), before_send=too_late)
    assert server.write_calls() == []

    assert client.write(entry()).effect is Effect.DONE
    assert server.connections - before == 1


def test_writes_share_a_connection_while_it_is_fresh(
    server: PostingServer, connect: Connect, fake_time: FakeTime
) -> None:
    client = connect()
    client.login()
    before = server.connections

    client.write(entry("K-1"))
    client.write(Write("PATCH", "BusinessPartners('V1')", b"{}"))
    fake_time.now += 1.9
    client.write(entry("K-2"))
    assert server.connections - before == 1

    fake_time.now += 2.1
    client.write(entry("K-3"))
    assert server.connections - before == 2


def test_a_connection_that_the_server_closed_is_not_used(server: PostingServer, connect: Connect) -> None:
    closed = threading.Event()

    def answers_and_goes(handler: Handler, call: Call) -> bool:
        handler.answer(204, b"")
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
        closed.set()
        return True

    client = connect()
    server.faults = [answers_and_goes]
    client.write(Write("PATCH", "BusinessPartners('V1')", b"{}"))
    assert closed.wait(10)

    assert client.write(entry()).effect is Effect.DONE


def test_a_connection_that_goes_while_before_send_is_at_work(server: PostingServer, connect: Connect) -> None:
    handlers: list[Handler] = []

    def remembers(handler: Handler, call: Call) -> bool:
        handlers.append(handler)
        return False

    client = connect()
    server.faults = [remembers]
    client.write(entry("K-1"))
    calls: list[int] = []

    def slow() -> None:
        calls.append(len(server.write_calls()))
        if len(calls) == 1:
            handlers[0].connection.shutdown(socket.SHUT_RDWR)

    written = client.write(entry("K-2"), before_send=slow)

    assert written.effect is Effect.DONE
    assert calls == [1, 1]
    assert server.references() == ["K-1", "K-2"]


def test_an_answer_before_all_was_read_counts(server: PostingServer, connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse_large() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                # Closing with bytes unread resets the connection.
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=refuse_large, daemon=True)
        thread.start()
        client = connect()
        client.login()
        large = connect(client._sessions, base_url=f"http://127.0.0.1:{listener.getsockname()[1]}")

        written = large.write(Write("POST", "JournalEntries", b" " * 4_000_000))
        thread.join(10)

    assert (written.effect, written.status) == (Effect.REFUSED, 413)


def test_eight_streams_post_each_entry_once(server: PostingServer, connect: Connect) -> None:
    client = connect()
    server.faults = [fake.passing, fake.passing, fake.session_gone]
    threads = [threading.Thread(target=client.write, args=(entry(f"K-{n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(server.references()) == [f"K-{n}" for n in range(8)]
    assert server.most_logins_at_once == 1


def test_no_secret_in_logs_results_or_errors(
    server: PostingServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect()
    server.faults = [fake.session_gone, reset, fake.replied(502, fake.HTML_502)]
    shown: list[Any] = [
        client.write(entry()),
        client.write(entry()),
        client.write(entry("SECRET-BODY")),
        entry("SECRET-BODY"),
    ]
    server.faults = [fake.session_gone] * 20
    with pytest.raises(SourceUnavailable) as caught:
        client.write(entry())

    text = "\n".join([caplog.text, repr(shown), repr(caught.value)])
    for secret in (fake.PASSWORD, "session-", ".node", "SECRET-BODY"):
        assert secret not in text


def with_tag(tag: str, body: bytes = b'{"CardCode":"V1"}') -> Fault:
    def answer(handler: Handler, call: Call) -> bool:
        handler.answer(200, body, **({"ETag": tag} if tag else {}))
        return True

    return answer


@pytest.mark.parametrize(
    ("fault", "select", "tag"),
    [
        (with_tag('W/"AB"'), None, 'W/"AB"'),
        (with_tag('W/"AB-gzip"'), None, 'W/"AB"'),
        (with_tag("", b'{"@odata.etag":"W/\\"CD\\""}'), None, 'W/"CD"'),
        (with_tag("", b'{"odata.etag":"W/\\"CD\\""}'), None, 'W/"CD"'),
        (with_tag('W/"AB"', b'{"@odata.etag":"W/\\"CD\\""}'), None, 'W/"AB"'),
        (with_tag('W/"AB"'), "CardCode,DataVersion", 'W/"AB"'),
        (with_tag('W/"AB"'), "CardCode", ""),
        (with_tag(""), None, ""),
        (with_tag("", b"[1]"), None, ""),
    ],
)
def test_etag(server: PostingServer, connect: Connect, fault: Fault, select: str | None, tag: str) -> None:
    server.faults = [fault]

    body, found = connect().get_tagged("BusinessPartners('V1')", {"$select": select} if select else None)

    assert found == tag
    assert body[:1] in b"{["


@pytest.mark.parametrize("answer", [b"1.2345", b'{"value":1.2345}', b'"x"', b""])
def test_an_action_that_reads_is_repeated_like_a_read(server: PostingServer, connect: Connect, answer: bytes) -> None:
    rate = fake.replied(200 if answer else 204, answer)
    server.faults = [fake.replied(502, b""), reset, fake.session_gone, fake.replied(200, b"<html>"), rate]

    body = connect().action("SBOBobService_GetCurrencyRate", b'{"Currency":"USD","Date":"20260131"}')

    assert body == answer
    assert {call.body for call in server.write_calls()} == {b'{"Currency":"USD","Date":"20260131"}'}
    assert server.write_calls()[-1].headers["Content-Type"] == "application/json"


def test_an_action_without_parameters(server: PostingServer, connect: Connect) -> None:
    server.faults = [fake.replied(200, b'{"LocalCurrency":"EUR"}')]

    assert connect().action("CompanyService_GetAdminInfo") == b'{"LocalCurrency":"EUR"}'
    assert server.write_calls()[0].headers["Content-Length"] == "0"
