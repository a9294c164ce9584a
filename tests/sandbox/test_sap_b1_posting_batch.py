"""`$batch` on both roots: what is carried out, what is rolled back, what cannot be taken apart."""

from __future__ import annotations

import pytest
from posting_support import (
    Body,
    change_set,
    entry,
    error_of,
    inner,
    multipart,
    operation,
    parts_of,
    send_batch,
    send_raw,
    with_line,
)
from sandbox_client import Client

from sandbox.sap_b1 import Company, ServiceLayer
from sandbox.sap_b1.table import etag

UNBALANCED = with_line(2, Credit=1)
INCOMPLETE = (400, "-1000", "Incomplete Batch Request Body!")


def posting(version: str, number: int, body: Body | None = None) -> bytes:
    """A change set with one journal entry."""
    content = entry(Reference3=f"K{number}") if body is None else body
    return change_set(
        operation("POST", f"/b1s/{version}/JournalEntries", content, content_id=str(number), version=version)
    )


def keys(company: Company) -> list[str]:
    return list(company.entries_by_reference3())


@pytest.mark.parametrize(("version", "status"), [("v1", 202), ("v2", 200)])
def test_change_sets_are_answered_one_by_one(client: Client, company: Company, version: str, status: int) -> None:
    reply = send_batch(client.on(version), *(posting(version, number) for number in (1, 2)))
    assert reply.status == status
    assert reply.headers["Content-Type"].startswith("multipart/mixed;boundary=batchresponse_")
    sets = parts_of(reply)
    assert [part.get_content_type() for part in sets] == ["multipart/mixed"] * 2
    assert all(str(part.get_boundary()).startswith("changesetresponse_") for part in sets)
    answers = [answer for part in sets for answer in part.get_payload()]
    for number, answer in enumerate(answers, start=1):
        assert (answer.get_content_type(), answer["Content-Transfer-Encoding"]) == ("application/http", "binary")
        code, headers, body = inner(answer)
        assert (code, body["Reference3"]) == (201, f"K{number}")
        assert headers["location"] == f"{client.url}/b1s/{version}/JournalEntries({body['JdtNum']})"
        assert (answer["Content-ID"], headers.get("content-id")) == (
            (None, str(number)) if version == "v1" else (str(number), None)
        )
    assert keys(company) == ["K1", "K2"]


@pytest.mark.parametrize(("version", "status"), [("v1", 202), ("v2", 200)])
def test_the_first_failing_part_is_the_last(client: Client, company: Company, version: str, status: int) -> None:
    sets = [posting(version, 1), posting(version, 2, UNBALANCED), posting(version, 3)]
    reply = send_batch(client.on(version), *sets)
    assert reply.status == status
    good, bad = parts_of(reply)
    assert good.get_content_type() == "multipart/mixed"
    assert bad.get_content_type() == "application/http"
    code, _, body = inner(bad)
    message = body["error"]["message"]
    assert (code, message["value"] if version == "v1" else message) == (400, "Unbalanced Transaction")
    assert keys(company) == ["K1"]


def test_a_failing_change_set_is_rolled_back_as_a_whole(client: Client, company: Company) -> None:
    before = {name: company.rows(name) for name in ("BusinessPartners", "ChartOfAccounts", "JournalEntries")}
    reply = send_batch(
        client,
        change_set(
            operation("POST", "/b1s/v2/BusinessPartners", {"CardCode": "VNEW", "CardType": "S"}, content_id="1"),
            operation("PATCH", "/b1s/v2/BusinessPartners('V10010')", {"CardName": "Changed"}, content_id="2"),
            operation("POST", "/b1s/v2/JournalEntries", entry(), content_id="3"),
            operation("POST", "/b1s/v2/JournalEntries", UNBALANCED, content_id="4"),
        ),
    )
    assert [inner(part)[0] for part in parts_of(reply)] == [400]
    assert {name: company.rows(name) for name in before} == before
    assert client.get("BusinessPartners('V10010')").json()["CardName"] == "Kantoor & Papier BV"
    assert company.post_entry(entry())["JdtNum"] == 1


def test_an_operation_may_refer_to_what_an_earlier_one_made(client: Client, company: Company) -> None:
    reply = send_batch(
        client,
        change_set(
            operation("POST", "JournalEntries", entry(), content_id="first"),
            operation("PATCH", "$first", {"Memo": "Found"}, content_id="2"),
            operation("POST", "/$first/Cancel", content_id="3"),
            operation("POST", "https://other.test/b1s/v2/BusinessPartners", {"CardCode": "V9'9", "CardType": "S"},
                      content_id="4"),
            operation("PATCH", "$4", {"CardName": "Late"}, content_id="5"),
        ),
    )  # fmt: skip
    (answers,) = (part.get_payload() for part in parts_of(reply))
    assert [inner(answer)[0] for answer in answers] == [201, 204, 204, 201, 204]
    assert [row["Memo"] for row in company.entries()] == ["Found", "Reversal - Found"]
    assert company.get("BusinessPartners", "V9'9")["CardName"] == "Late"


def test_reads_stand_outside_of_change_sets(client: Client) -> None:
    get = operation("GET", "/b1s/v2/Projects?$select=Code&$top=1", content_id=None)
    first, second, third = parts_of(send_batch(client, get, posting("v2", 1), get))
    for part in (first, third):
        code, _, body = inner(part)
        assert (code, [row["Code"] for row in body["value"]]) == (200, ["PRJ-100"])
    assert second.get_content_type() == "multipart/mixed"


def test_the_request_line_may_name_its_protocol(client: Client, company: Company) -> None:
    reply = send_batch(client, change_set(operation("POST", "/b1s/v2/JournalEntries HTTP/1.1", entry())))
    assert reply.status == 200
    assert keys(company) == ["KEY-1"]


def test_v1_needs_no_content_id(client: Client, company: Company) -> None:
    one = operation("POST", "/b1s/v1/JournalEntries", entry(), content_id=None, version="v1")
    assert send_batch(client.on("v1"), change_set(one)).status == 202
    assert keys(company) == ["KEY-1"]


ONE = operation("POST", "/b1s/v2/JournalEntries", entry())
BROKEN = {
    "no parts": multipart(boundary="b"),
    "nothing": b"",
    "no end": multipart(change_set(ONE), boundary="b").removesuffix(b"--b--\r\n"),
    "change set without end": multipart(change_set(ONE).replace(b"--changeset_1--", b""), boundary="b"),
    "other boundary": multipart(change_set(ONE), boundary="c"),
    "lines without CR": multipart(change_set(ONE), boundary="b").replace(b"\r\n", b"\n"),
    "no Content-ID": multipart(change_set(operation("POST", "JournalEntries", entry(), content_id=None)), boundary="b"),
    "Content-ID as in v1": multipart(
        change_set(operation("POST", "JournalEntries", entry(), version="v1")), boundary="b"
    ),
    "Content-ID twice": multipart(change_set(ONE, ONE), boundary="b"),
    "read in a change set": multipart(change_set(operation("GET", "Projects")), boundary="b"),
    "no encoding": multipart(change_set(ONE.replace(b"Content-Transfer-Encoding: binary\r\n", b"")), boundary="b"),
    "no request line": multipart(change_set(ONE.replace(b"POST /b1s/v2/JournalEntries\r\n", b"")), boundary="b"),
    "sound, then broken": multipart(change_set(ONE), b"nonsense", boundary="b"),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_taken_apart_is_not_carried_out(client: Client, company: Company, body: bytes) -> None:
    assert error_of(send_raw(client, body, "multipart/mixed;boundary=b")) == INCOMPLETE
    assert company.entries() == []


@pytest.mark.parametrize("content_type", ["application/json", "multipart/mixed", "multipart/mixed;charset=utf-8"])
def test_a_batch_names_its_boundary(client: Client, content_type: str) -> None:
    assert error_of(send_raw(client, multipart(change_set(ONE), boundary="b"), content_type)) == INCOMPLETE


def test_a_boundary_may_be_quoted(client: Client, company: Company) -> None:
    body = multipart(change_set(ONE), boundary="b")
    assert send_raw(client, body, 'multipart/mixed; boundary="b"').status == 200
    assert keys(company) == ["KEY-1"]


def test_if_match_counts_outside_and_not_in_parts(client: Client, company: Company) -> None:
    path = "/b1s/v2/BusinessPartners('V10010')"
    stale = etag(99)
    change = operation("PATCH", path, {"CardName": "Inner"}).replace(
        b"Content-Type: application/json", f"If-Match: {stale}\r\nContent-Type: application/json".encode()
    )
    (answers,) = (part.get_payload() for part in parts_of(send_batch(client, change_set(change))))
    assert inner(answers[0])[0] == 204
    assert company.get("BusinessPartners", "V10010")["CardName"] == "Inner"
    reply = send_batch(client, change_set(operation("PATCH", path, {"CardName": "Outer"})), If_Match=stale)
    code, _, body = inner(parts_of(reply)[0])
    assert (code, body["error"]["code"]) == (412, "-2039")
    assert company.get("BusinessPartners", "V10010")["CardName"] == "Inner"


def test_statistics_count_batches_and_entries(client: Client, server: ServiceLayer) -> None:
    send_batch(client, posting("v2", 1), posting("v2", 2), posting("v2", 3, UNBALANCED))
    assert (server.statistics.batches, server.statistics.posted) == (1, 2)
    assert server.statistics.as_dict()["posted"] == 2


def test_without_a_session_nothing_is_read(anonymous: Client, company: Company) -> None:
    assert error_of(send_batch(anonymous, posting("v2", 1)))[:2] == (401, "301")
    assert company.entries() == []
