"""`$batch`: what is sent is read by Python's mail parser, what comes back is told apart write by write."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from tests.support import service_layer as fake
from tests.support.service_layer import Call, Fault, Handler
from tests.systems.sap_b1.posting_server import (
    CRLF,
    BatchRequest,
    PostingServer,
    answer_batch,
    batch_answer,
    changeset_answer,
    committed_then,
    dropped,
    posting_server,
    read_batch_request,
    reset,
)
from tieout.errors import SourceUnavailable, Superseded
from tieout.systems.common.transport import Reply
from tieout.systems.sap_b1.batch import decode_batch, encode_batch, read_batch
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import SapError
from tieout.systems.sap_b1.writing import Effect, Write, Written

Connect = Callable[..., SapB1Client]

DONE, REFUSED, NOT_SENT, UNKNOWN = Effect.DONE, Effect.REFUSED, Effect.NOT_SENT, Effect.UNKNOWN
KIND = "multipart/mixed;boundary=batchresponse_1"


@pytest.fixture(params=["v1", "v2"])
def server(request: pytest.FixtureRequest) -> Iterator[PostingServer]:
    with posting_server(version=request.param) as running:
        yield running


def entry(reference: str) -> Write:
    body = {"Memo": "Müller\r\n--batch", "Reference3": reference}
    return Write("POST", "JournalEntries", json.dumps(body, ensure_ascii=False).encode())


def entries(count: int) -> list[Write]:
    return [entry(f"K-{number}") for number in range(1, count + 1)]


def effects(results: list[Written]) -> list[Effect]:
    return [result.effect for result in results]


# -- what is sent -----------------------------------------------------------------------------------------------------


def read_back(kind: str, body: bytes) -> list[BatchRequest]:
    return read_batch_request(Call("POST", "$batch", {}, {"Content-Type": kind}, body))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_bytes_of_a_batch(version: str) -> None:
    writes = [Write("POST", "JournalEntries", b'{"a":1}'), Write("POST", "JournalEntries(17)/Cancel")]

    kind, body = encode_batch(writes, root=f"/b1s/{version}", host="b1:50000")

    batch = kind.removeprefix("multipart/mixed;boundary=")
    assert '"' not in kind
    lines = body.split(CRLF)
    first, second = (line.decode().split("=")[1] for line in lines if b"boundary=" in line)
    inner = [b"Content-ID: %d"] if version == "v1" else []
    expected = []
    for number, (changeset, write) in enumerate(zip((first, second), writes, strict=True), start=1):
        expected += [
            b"--" + batch.encode(),
            b"Content-Type: multipart/mixed;boundary=" + changeset.encode(),
            b"",
            b"--" + changeset.encode(),
            b"Content-Type: application/http",
            b"Content-Transfer-Encoding: binary",
            b"Content-ID: %d" % number,
            b"",
            f"POST /b1s/{version}/{write.path} HTTP/1.1".encode(),
            b"Host: b1:50000",
            *(line % number for line in inner),
            *([b"Content-Type: application/json"] if write.body else []),
            b"",
            write.body or b"",
            b"--" + changeset.encode() + b"--",
        ]
    assert lines == [*expected, b"--" + batch.encode() + b"--", b""]
    assert b"\n" not in body.replace(CRLF, b"")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
bodies = st.dictionaries(texts, st.one_of(texts, st.integers(), st.none()), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["POST", "PATCH"]), bodies), min_size=1, max_size=5), st.booleans())
def test_what_is_sent_is_read_by_another_parser(writes: list[tuple[Any, dict[str, Any]]], ascii_only: bool) -> None:
    sent = [
        Write(method, f"JournalEntries({number})", json.dumps(body, ensure_ascii=ascii_only).encode())
        for number, (method, body) in enumerate(writes)
    ]

    found = read_back(*encode_batch(sent, root="/sap/b1s/v2", host="b1:50000"))

    assert [(each.method, each.path, each.body.removesuffix(CRLF)) for each in found] == [
        (write.method, "/sap/b1s/v2/" + write.path, write.body) for write in sent
    ]
    assert [each.content_id for each in found] == [str(number + 1) for number in range(len(sent))]
    assert all(each.mime["Content-Transfer-Encoding"] == "binary" for each in found)
    assert all(each.headers["Content-Type"] == "application/json" for each in found)


def test_an_etag_in_a_batch_is_refused(server: PostingServer, connect: Connect) -> None:
    with pytest.raises(ValueError, match="If-Match"):
        connect().write_batch([entry("K-1"), replace(entry("K-2"), if_match='W/"AB"')])

    assert server.write_calls() == []


# -- what comes back --------------------------------------------------------------------------------------------------


def created(number: int) -> bytes:
    return json.dumps({"JdtNum": number, "Memo": "x"}, indent="\t").encode() + b"\n"


def part(number: int, status: int, version: str = "v2") -> bytes:
    if status == 204:
        return changeset_answer(version, str(number), 204, b"", {"Location": f"/b1s/v2/JournalEntries({number})"})
    if status == 201:
        return changeset_answer(version, str(number), 201, created(number), {})
    code = {400: -5002, 401: 301, 404: -2028, 500: 305}[status]
    shape = json.dumps({"error": {"code": code, "message": "no"}}).encode()
    return changeset_answer(version, str(number), status, shape, {})


statuses = st.lists(st.sampled_from([201, 204]), max_size=6).flatmap(
    lambda good: st.sampled_from([[], [400], [404], [500]]).map(lambda bad: good + bad)
)


@given(statuses, st.sampled_from(["v1", "v2"]), st.booleans(), st.booleans(), st.binary(max_size=5), st.integers(0, 3))
def test_every_form_of_answer_is_read(
    answered: list[int], version: str, line_feeds: bool, quoted: bool, preamble: bytes, unanswered: int
) -> None:
    parts = [part(number, status, version) for number, status in enumerate(answered, start=1)]
    body = preamble.replace(b"-", b"") + b"\r\n" + batch_answer(parts) + b"epilogue"
    if line_feeds:
        body = body.replace(b"\r\n", b"\n")
    kind = 'Multipart/Mixed; charset=utf-8; Boundary="batchresponse_1"' if quoted else KIND

    reply = decode_batch(kind, body)

    assert reply is not None and reply.complete
    assert [each.status for each in reply.parts] == answered
    failed = bool(answered) and answered[-1] >= 400
    rest = NOT_SENT if failed else UNKNOWN
    expected = {201: DONE, 204: DONE, 400: REFUSED, 404: UNKNOWN, 500: UNKNOWN}
    results = read_batch(entries(len(answered) + unanswered), Reply(200, HTTPHeaderDict({"content-type": kind}), body))
    assert effects(results) == [expected[status] for status in answered] + [rest] * unanswered
    assert [each.key for each in results if each.effect is DONE] == [
        str(number) for number, status in enumerate(answered, start=1) if status < 300
    ]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_wherever_an_answer_breaks_off_nothing_is_taken_for_certain_that_is_not(version: str) -> None:
    parts = [part(1, 201, version), part(2, 204, version), part(3, 201, version), part(4, 400, version)]
    whole = batch_answer(parts)
    ends = [whole.index(b"--changesetresponse_%d--" % number) for number in (1, 2, 3)] + [whole.rindex(CRLF + b"--")]
    for cut in range(len(whole)):
        body = whole[:cut]

        reply = decode_batch(KIND, body)

        assert reply is not None
        assert reply.complete == (b"--batchresponse_1--" in body)
        assert [each.status for each in reply.parts] == [
            status for status, end in zip((201, 204, 201, 400), ends, strict=True) if _delimited(body, whole, end)
        ]
        results = read_batch(entries(5), Reply(200, HTTPHeaderDict({"Content-Type": KIND}), body))
        rest = NOT_SENT if reply.complete else UNKNOWN
        assert effects(results)[len(reply.parts) :] == [rest] * (5 - len(reply.parts))


def _delimited(body: bytes, whole: bytes, end: int) -> bool:
    """Whether the delimiter that begins at `end` is there as a whole."""
    delimiter = whole[end:].lstrip(CRLF).split(CRLF)[0]
    start = whole.index(delimiter, end)
    return len(body) >= start + len(delimiter)


HTML = b"Content-Type: text/html\r\n\r\n<html>"
BARE = changeset_answer("v2", "1", 400, b"{}", {}).replace(b"400 Whatever", b"204 No Content")
UNCLOSED = part(1, 201).replace(b"--changesetresponse_1--\r\n", b"")
LOWER = part(1, 201).replace(b"Content-", b"CONTENT-").replace(b"boundary=", b"Boundary=")
NO_TYPE = b"\r\nHTTP/1.1 204 No Content\r\nLocation: JournalEntries(1)\r\n\r\n"
NO_HEADERS = b"Content-Type: application/http\r\n\r\nHTTP/1.1 201 Created\r\n\r\n" + created(1)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([part(1, 201), part(2, 401)], [DONE, NOT_SENT, NOT_SENT], id="session ended within"),
        pytest.param([part(1, 400), part(2, 201), part(3, 201)], [REFUSED, DONE, DONE], id="a server that goes on"),
        pytest.param([part(1, 401), part(2, 201)], [NOT_SENT, DONE, UNKNOWN], id="a server that goes on after a 401"),
        pytest.param([part(1, 201), part(3, 201)], [DONE, UNKNOWN, UNKNOWN], id="answers out of order"),
        pytest.param([part(1, 201), HTML], [DONE, UNKNOWN, UNKNOWN], id="a part that is no HTTP"),
        pytest.param([BARE], [DONE, UNKNOWN, UNKNOWN], id="not nested"),
        pytest.param([UNCLOSED, part(2, 400)], [DONE, REFUSED, NOT_SENT], id="a change set without an end"),
        pytest.param([LOWER], [DONE, UNKNOWN, UNKNOWN], id="other case"),
        pytest.param([NO_TYPE], [DONE, UNKNOWN, UNKNOWN], id="no MIME headers"),
        pytest.param([NO_HEADERS], [DONE, UNKNOWN, UNKNOWN], id="no HTTP headers"),
        pytest.param([], [UNKNOWN, UNKNOWN, UNKNOWN], id="no part"),
    ],
)
def test_odd_answers(parts: list[bytes], expected: list[Effect]) -> None:
    reply = Reply(202, HTTPHeaderDict({"Content-Type": KIND}), batch_answer(parts))

    assert effects(read_batch(entries(3), reply)) == expected


def test_more_answers_than_writes_tell_nothing(caplog: pytest.LogCaptureFixture) -> None:
    reply = Reply(200, HTTPHeaderDict({"Content-Type": KIND}), batch_answer([part(1, 201), part(2, 201)]))

    assert effects(read_batch(entries(1), reply)) == [UNKNOWN]
    assert "a batch of 1 writes with 2 parts" in caplog.text


def test_boundaries_of_which_one_begins_like_the_other() -> None:
    nested = part(1, 201).replace(b"changesetresponse_1", b"batchresponse_12")

    reply = decode_batch(KIND, batch_answer([nested, part(2, 400)]))

    assert reply is not None and [each.status for each in reply.parts] == [201, 400]


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "multipart/mixed"])
def test_an_answer_whose_type_does_not_say_that_it_is_one(kind: str | None) -> None:
    headers = HTTPHeaderDict({"Content-Type": kind} if kind else {})

    results = read_batch(entries(2), Reply(200, headers, batch_answer([part(1, 201), part(2, 400)])))

    assert effects(results) == [DONE, REFUSED]


# -- against a server that keeps books --------------------------------------------------------------------------------


def test_a_batch_is_posted(server: PostingServer, connect: Connect) -> None:
    results = connect().write_batch(entries(5))

    assert [(each.effect, each.key) for each in results] == [(DONE, str(number)) for number in range(1, 6)]
    assert [each.entity["Number"] for each in results if each.entity] == [1001, 1002, 1003, 1004, 1005]
    assert server.references() == [f"K-{number}" for number in range(1, 6)]
    (call,) = server.write_calls()
    assert call.path == f"/b1s/{server.version}/$batch"
    assert server.entries[0]["Memo"] == "Müller\r\n--batch"


def test_the_path_prefix_of_the_address_is_kept(server: PostingServer, connect: Connect) -> None:
    client = connect()
    client.login()
    seen: list[str] = []

    def passes_on(handler: Handler, call: Call) -> bool:
        seen.extend(request.path for request in read_batch_request(call))
        handler.answer(400, b"{}")
        return True

    prefixed = connect(client._sessions, base_url=f"{server.url}/b1s/{server.version}/gateway")
    server.faults = [passes_on]
    with pytest.raises(SapError):
        prefixed.write_batch([Write("PATCH", "BusinessPartners('Ö%2F1')", b"{}")])

    root = f"/b1s/{server.version}/gateway/b1s/{server.version}"
    assert seen == [f"{root}/BusinessPartners('%C3%96%2F1')"]


def test_nothing_to_send(server: PostingServer, connect: Connect) -> None:
    assert connect().write_batch([]) == []
    assert server.calls == []


def test_the_first_failure_stops_the_batch(server: PostingServer, connect: Connect) -> None:
    server.refuse["K-3"] = (400, -5002, "Invalid G/L account  [JDT1.Account][line: 1]")

    results = connect().write_batch(entries(5))

    assert effects(results) == [DONE, DONE, REFUSED, NOT_SENT, NOT_SENT]
    assert (results[2].code, results[2].message) == ("-5002", "Invalid G/L account [JDT1.Account][line: 1]")
    assert server.references() == ["K-1", "K-2"]


def test_a_lost_session_is_replaced_and_the_batch_sent_again(server: PostingServer, connect: Connect) -> None:
    server.faults = [fake.session_gone]
    called: list[int] = []

    results = connect().write_batch(entries(2), before_send=lambda: called.append(len(server.write_calls())))

    assert effects(results) == [DONE, DONE]
    assert called == [0, 1]
    assert server.references() == ["K-1", "K-2"]


def test_a_session_that_ends_within_the_batch(server: PostingServer, connect: Connect) -> None:
    server.refuse["K-2"] = (401, 301, "Invalid session or session already timeout.")
    client = connect()

    results = client.write_batch(entries(3))
    server.refuse.clear()
    again = client.write_batch(entries(3)[1:])

    assert effects(results) == [DONE, NOT_SENT, NOT_SENT]
    assert effects(again) == [DONE, DONE]
    assert server.references() == ["K-1", "K-2", "K-3"]
    assert server.logins == 2


def after(most: int) -> Fault:
    """Carries `most` writes out, and then the connection is gone before a word of an answer."""

    def answer(handler: Handler, call: Call) -> bool:
        answer_batch(handler.state, call, most)
        handler.close_connection = True
        return True

    return answer


def cut_after(most: int) -> Fault:
    """Carries everything out, and answers for the first `most` writes before the connection is gone."""

    def answer(handler: Handler, call: Call) -> bool:
        status, body, kind = answer_batch(handler.state, call)
        end = body.index(b"--changesetresponse_%d--" % most) + len(b"--changesetresponse_1--") + 20
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:end])
        handler.close_connection = True
        return True

    return answer


@pytest.mark.parametrize(
    "fault",
    [
        after(0),
        after(2),
        after(3),
        committed_then(reset),
        committed_then(dropped),
        fake.replied(502, fake.HTML_502, "text/html"),
        committed_then(fake.replied(504, b"")),
        fake.sap_error(500, 305, "Switch company error: -1102"),
        committed_then(fake.replied(200, b"<html>", "text/html")),
        fake.replied(302, b""),
        fake.replied(408, b""),
        fake.truncated,
    ],
)
def test_without_an_answer_all_is_unknown_and_nothing_repeated(
    server: PostingServer, connect: Connect, fault: Fault
) -> None:
    server.faults = [fault]

    assert effects(connect().write_batch(entries(3))) == [UNKNOWN] * 3
    assert len(server.write_calls()) == 1


def test_the_part_of_an_answer_that_came_counts(server: PostingServer, connect: Connect) -> None:
    server.faults = [cut_after(2)]

    results = connect().write_batch(entries(4))

    assert effects(results) == [DONE, DONE, UNKNOWN, UNKNOWN]
    assert [each.key for each in results] == ["1", "2", None, None]
    assert len(server.entries) == 4


def test_no_end_of_the_answer_in_time(server: PostingServer, connect: Connect) -> None:
    release = threading.Event()

    def stalls(handler: Handler, call: Call) -> bool:
        cut_after(1)(handler, call)
        handler.wfile.flush()
        release.wait(20)
        return True

    server.faults = [stalls]

    # Time enough for the part of the answer that must have come.
    results = connect(request_timeout=1.5).write_batch(entries(2))
    release.set()

    assert [(each.effect, each.timed_out) for each in results] == [(DONE, False), (UNKNOWN, True)]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (fake.sap_error(400, -1000, "Incomplete Batch Request Body!"), "-1000"),
        (fake.sap_error(404, -1002, "Unrecognized resource path."), "-1002"),
        (fake.replied(405, b""), ""),
        (fake.replied(413, b"<html>", "text/html"), ""),
    ],
)
def test_a_server_that_takes_no_batch(server: PostingServer, connect: Connect, fault: Fault, code: str) -> None:
    server.faults = [fault]

    with pytest.raises(SapError) as caught:
        connect().write_batch(entries(2))

    assert caught.value.code == code
    assert "$batch" in str(caught.value)
    assert server.entries == []


def test_no_connection(server: PostingServer, connect: Connect) -> None:
    client = connect()
    client.login()

    with pytest.raises(SourceUnavailable, match="Nothing of this write was carried out"):
        connect(client._sessions, base_url="http://b1.invalid:50000").write_batch(entries(2))


def test_what_before_send_raises_passes_through(server: PostingServer, connect: Connect) -> None:
    def too_late() -> None:
        raise Superseded("A newer attempt is at work.")

    with pytest.raises(Superseded):
        connect().write_batch(entries(2), before_send=too_late)

    assert server.write_calls() == []


def test_no_secret_in_logs_results_or_errors(
    server: PostingServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect()
    server.faults = [fake.session_gone, fake.passing, reset, fake.replied(400, b"{}")]
    shown = [repr(client.write_batch([entry("SECRET-BODY")]))]
    shown.append(repr(client.write_batch([entry("SECRET-BODY")])))
    with pytest.raises(SapError) as caught:
        client.write_batch([entry("SECRET-BODY")])

    text = "\n".join([caplog.text, *shown, repr(caught.value)])
    for secret in (fake.PASSWORD, "session-", ".node", "SECRET-BODY"):
        assert secret not in text
