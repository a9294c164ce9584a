"""Tokens, patience, and what refusals mean."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from sandbox.http_server import Ending, Reply, Request, json_reply
from tests.systems.banqup.conftest import NOW, Connect, FakeTime, settings_for
from tests.systems.banqup.service import SECRET, SPACE, Service, row
from tieout.errors import ConfigurationInvalid, ContractBroken, CredentialsRejected, SourceUnavailable
from tieout.systems.banqup import BanqupClient, DocumentQuery, SpaceForbidden
from tieout.systems.banqup.surface import NOT_WHITELISTED

QUERY = DocumentQuery("PURCHASES", "INVOICE", "APPROVED", datetime(2026, 3, 1, tzinfo=UTC))


def listed(client: BanqupClient, query: DocumentQuery = QUERY) -> list[str]:
    return [document.id for document in client.documents(SPACE, query)]


# The token


def test_one_token_for_all(connect: Connect, service: Service) -> None:
    client = connect()
    assert [space.name for space in client.spaces()] == ["ACME"]
    assert client.spaces()[0].type == "BUSINESS"
    assert service.count("token") == 1
    [request] = [request for what, request in service.seen if what == "token"]
    assert dict(parse_qsl(request.body.decode())) == {
        "grant_type": "client_credentials", "client_id": "tieout-app", "client_secret": SECRET
    }  # fmt: skip
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.target == "/oauth2/client_credential/gettoken"


def test_a_scope_and_other_paths(connect: Connect, service: Service) -> None:
    client = connect(scope="space_read", token_path="v2/token/", spaces_path="/v2/spaces")
    client.spaces()
    (_, token), (_, spaces) = service.seen
    assert (token.target, spaces.target) == ("/v2/token", "/v2/spaces")
    assert dict(parse_qsl(token.body.decode()))["scope"] == "space_read"


@pytest.mark.parametrize(
    ("expires_in", "kept", "renewed"),
    [(300, 269, 271), (3, 2, 2.5), ("60", 44, 46), (None, 10_000, None), (0, 10_000, None), ("soon", 10_000, None)],
)
def test_a_token_is_renewed_before_it_ends(
    connect: Connect, service: Service, fake_time: FakeTime, expires_in: object, kept: float, renewed: float | None
) -> None:
    service.expires_in = expires_in
    client = connect()
    client.login()
    fake_time.clock = 1000 + kept
    client.login()
    assert service.count("token") == 1
    if renewed is not None:
        fake_time.clock = 1000 + renewed
        client.login()
        assert service.count("token") == 2


def test_a_token_that_ends_early_is_renewed_and_the_request_repeated(connect: Connect, service: Service) -> None:
    service.uses = 2
    client = connect()
    for _ in range(6):
        assert len(client.spaces()) == 1
    assert service.count("token") == 3
    assert service.count("spaces") == 8


def test_a_token_that_is_never_taken(connect: Connect, service: Service) -> None:
    service.uses = 0
    with pytest.raises(CredentialsRejected, match=r"does not take it for /entitystore/v1/spaces \(HTTP 401, expired\)"):
        connect().spaces()
    assert service.count("token") == 2


def test_tokens_that_are_taken_by_others_and_never_here(connect: Connect, service: Service) -> None:
    client = connect()
    client.spaces()

    def work_elsewhere_and_refuse(request: Request) -> Reply:
        return json_reply({}, 401)

    service.then("documents", *[work_elsewhere_and_refuse] * 2)
    with pytest.raises(CredentialsRejected):
        listed(client)
    assert service.count("documents") == 2


def test_many_threads_get_one_token(connect: Connect, service: Service) -> None:
    client = connect()
    together = threading.Barrier(8)

    def read(_: int) -> int:
        together.wait()
        return len(client.spaces())

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(read, range(8))) == 8
    assert service.count("token") == 1


def test_many_threads_and_tokens_that_last_three_requests(connect: Connect, service: Service) -> None:
    service.uses = 3
    client = connect()
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: len(client.spaces()), range(60))) == 60


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_credentials_are_never_tried_again(connect: Connect, service: Service, status: int) -> None:
    service.then("token", json_reply({"error": "invalid_client", "error_description": f"not {SECRET}"}, status))
    client = connect()
    for _ in range(3):
        with pytest.raises(CredentialsRejected, match=r"'tieout-app' \(HTTP \d+, invalid_client: not \*\*\*\)"):
            client.spaces()
    assert [what for what, _ in service.seen] == ["token"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Reply(404), ConfigurationInvalid, "token_path"),
        (Reply(302, [("Location", "/elsewhere")]), ConfigurationInvalid, "token_path"),
        (Reply(200, body=b"<html>hello</html>"), ContractBroken, "no access_token"),
        (json_reply({"access_token": ""}), ContractBroken, "no access_token"),
        (json_reply({"access_token": "a\r\nX: y"}), ContractBroken, "no access_token"),
    ],
)
def test_no_token_service(
    connect: Connect, service: Service, answer: Reply, error: type[Exception], words: str
) -> None:
    service.then("token", answer)
    with pytest.raises(error, match=words):
        connect().login()


def test_the_token_service_is_away_for_a_moment(connect: Connect, service: Service, fake_time: FakeTime) -> None:
    service.then("token", Reply(503), Reply(429, [("Retry-After", "4")]), Reply(ending=Ending.RESET_BEFORE_HEAD))
    assert len(connect().spaces()) == 1
    assert len(fake_time.slept) == 3 and 4.0 in fake_time.slept


def test_a_token_service_that_stays_away_is_not_tried_by_every_thread(
    connect: Connect, service: Service, fake_time: FakeTime
) -> None:
    service.then("token", *[Reply(503)] * 7)
    client = connect(retry_seconds=10)
    for _ in range(3):
        with pytest.raises(SourceUnavailable, match="HTTP 503"):
            client.spaces()
    tries = service.count("token")
    assert tries == 7 and sum(fake_time.slept) <= 10
    fake_time.clock += 10
    assert len(client.spaces()) == 1


# Patience


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(500), Reply(502), Reply(503), Reply(504), Reply(ending=Ending.RESET_BEFORE_HEAD),
        Reply(body=b"x" * 1000, ending=Ending.CLOSE_MID_BODY),
    ],
    ids=["500", "502", "503", "504", "reset", "cut off"],
)  # fmt: skip
def test_a_service_that_comes_back(connect: Connect, service: Service, fake_time: FakeTime, trouble: Reply) -> None:
    service.then("spaces", *[trouble] * 3)
    assert len(connect().spaces()) == 1
    assert fake_time.slept == [0.125, 0.25, 0.5]


def test_a_service_that_stays_away(connect: Connect, service: Service, fake_time: FakeTime) -> None:
    service.then("spaces", *[json_reply({"message": "maintenance"}, 503)] * 100)
    with pytest.raises(SourceUnavailable, match=r"does not answer \(/entitystore/v1/spaces: HTTP 503 maintenance"):
        connect(retry_seconds=10).spaces()
    assert 5 < sum(fake_time.slept) <= 10


@pytest.mark.parametrize(
    "header",
    ["45", format_datetime(NOW + timedelta(seconds=45), usegmt=True)],
    ids=["seconds", "date"],
)
def test_the_service_says_when_to_come_back(
    connect: Connect, service: Service, fake_time: FakeTime, header: str
) -> None:
    # Longer than our own patience, and yet what was asked for. A date counts by the server's clock.
    service.api.date_header = lambda: format_datetime(NOW, usegmt=True)  # type: ignore[method-assign]
    fake_time.clock += 20
    service.then("spaces", Reply(429, [("Retry-After", header)]))
    assert len(connect(retry_seconds=5).spaces()) == 1
    assert fake_time.slept == [45.0]


def test_time_that_the_service_asked_for_is_not_our_patience(
    connect: Connect, service: Service, fake_time: FakeTime
) -> None:
    service.then("spaces", Reply(503), Reply(429, [("Retry-After", "45")]), Reply(503))
    assert len(connect(retry_seconds=5).spaces()) == 1
    assert fake_time.slept == [0.125, 45.0, 0.25]


def test_a_date_without_the_servers_clock_counts_by_ours(connect: Connect, service: Service) -> None:
    from tieout.systems.banqup.patience import retry_after
    from tieout.systems.common.transport import Reply as Answer

    later = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert retry_after(Answer(429, {"Retry-After": later}, b""), NOW) == 90
    assert retry_after(Answer(429, {"Retry-After": later}, b""), NOW + timedelta(seconds=100)) == 0
    assert retry_after(Answer(429, {"Retry-After": "soon"}, b""), NOW) == 0


def test_coming_back_much_later_is_for_another_run(connect: Connect, service: Service, fake_time: FakeTime) -> None:
    service.then("spaces", Reply(429, [("Retry-After", "3600")]))
    with pytest.raises(SourceUnavailable, match=r"asks to come back at 2026-03-10 13:00:00 UTC, in 3600 seconds"):
        connect().spaces()
    assert fake_time.slept == []


def test_many_short_waits_are_bounded_too(connect: Connect, service: Service, fake_time: FakeTime) -> None:
    service.then("spaces", *[Reply(429, [("Retry-After", "9")])] * 100)
    with pytest.raises(SourceUnavailable, match="max_retry_after"):
        connect(max_retry_after=60).spaces()
    assert fake_time.slept == [9.0] * 6


# The clock


def test_the_servers_time_is_that_of_the_first_answer(connect: Connect, service: Service) -> None:
    moments = iter([datetime(2026, 3, 10, 12, 2, 5, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)])
    service.api.date_header = lambda: format_datetime(next(moments), usegmt=True)  # type: ignore[method-assign]
    client = connect()
    assert client.server_time is None and client.clock_skew is None
    client.spaces()
    assert client.server_time == datetime(2026, 3, 10, 12, 2, 5, tzinfo=UTC)
    assert client.clock_skew == timedelta(minutes=2, seconds=5)


# Spaces


def test_nobody_has_whitelisted_the_application(connect: Connect, service: Service) -> None:
    service.spaces = []
    assert connect().spaces() == []
    assert "whitelist" in NOT_WHITELISTED


def test_spaces_in_pages(connect: Connect, service: Service) -> None:
    def page(*numbers: int) -> Reply:
        return json_reply({"spaces": [{"id": f"s{number}"} for number in numbers], "totalPages": 3})

    service.then("spaces", page(1, 2), page(3, 4), page(4, 5))
    assert [space.id for space in connect().spaces()] == ["s1", "s2", "s3", "s4", "s5"]
    assert [request.query for what, request in service.seen if what == "spaces"] == ["", "page=1", "page=2"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (json_reply([]), "is no JSON object"),
        (json_reply({"items": []}), "has no list 'spaces'"),
        (json_reply({"spaces": [{"name": "x"}]}), "an entry without id"),
    ],
)
def test_no_list_of_spaces(connect: Connect, service: Service, answer: Reply, words: str) -> None:
    service.then("spaces", answer)
    with pytest.raises(ContractBroken, match=words):
        connect().spaces()


def test_an_answer_that_cannot_be_read_is_asked_for_again(connect: Connect, service: Service) -> None:
    service.then("spaces", *[Reply(200, body=b'{"spaces": [{"id": ')] * 2)
    assert len(connect().spaces()) == 1
    service.then("spaces", *[Reply(200, body=b"<html>")] * 3)
    with pytest.raises(ContractBroken, match="spaces is not JSON"):
        connect().spaces()


def test_spaces_are_closed(connect: Connect, service: Service) -> None:
    service.then("spaces", json_reply({"message": "insufficient scope"}, 403))
    with pytest.raises(CredentialsRejected, match="insufficient scope"):
        connect().spaces()


def test_another_web_server(connect: Connect, service: Service) -> None:
    service.then("spaces", Reply(301, [("Location", "https://www.example.com")]))
    with pytest.raises(ConfigurationInvalid, match="host is Banqup's API"):
        connect().spaces()


# Documents


def test_what_is_asked_for(connect: Connect, service: Service) -> None:
    moments = datetime(2026, 3, 1, 10, 0, 0, 500_999, UTC), datetime(2026, 3, 2, 0, 0, 0, 1, UTC)
    assert listed(connect(page_size=20), DocumentQuery("SALES", "CREDIT_NOTE", "SENT", *moments)) == []
    _, request = service.seen[-1]
    assert request.path == f"/datastore/documents/transaction/v2/spaces/{SPACE}/documents"
    assert dict(parse_qsl(request.query, strict_parsing=True)) == {
        "folder": "SALES", "category": "CREDIT_NOTE", "documentStatus": "SENT",
        "updatedFrom": "2026-03-01T09:59:58.500Z", "updatedTo": "2026-03-02T00:00:00.001Z", "page": "0", "size": "20",
    }  # fmt: skip
    assert request.headers["authorization"].startswith("Bearer token-")


def test_a_document(connect: Connect, service: Service) -> None:
    service.rows = [row(updatedAt="2026-03-01T10:30:00.1234567+01:00", amount=0.1, unknown={"more": 1})]
    [found] = connect().documents(SPACE, QUERY)
    assert (found.id, found.folder, found.category, found.status) == ("d1", "PURCHASES", "INVOICE", "APPROVED")
    assert (found.pay_status, found.file_id, found.number) == ("UNPAID", "file-d1", "2026/0042")
    assert found.status_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert found.created_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert found.updated_at == datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
    assert found.issue_date == "2026-02-28"
    assert str(found.raw["amount"]) == "0.1" and not isinstance(found.raw["amount"], float)
    assert found.raw["unknown"] == {"more": 1}


def test_a_document_of_which_little_is_known(connect: Connect, service: Service) -> None:
    service.rows = [{"id": 7, "updatedAt": "2026-03-01T09:00:00", "documentNumber": 42, "status": "APPROVED"}]
    [found] = connect().documents(SPACE, QUERY)
    assert (found.id, found.number, found.file_id, found.status_at, found.created_at) == ("7", "42", None, None, None)
    assert (found.folder, found.status, found.issue_date) == ("", "", None)
    assert found.updated_at == datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": None}, "without id"),
        ({"updatedAt": None}, "document d1, has no updatedAt"),
        ({"updatedAt": "2026-13-01T00:00:00Z"}, "has updatedAt = '2026-13-01T00:00:00Z'"),
        ({"statusDates": {"document": "yesterday"}}, "has document = 'yesterday'"),
        ({"createdAt": 1767225600}, "has createdAt"),
    ],
)
def test_a_document_that_breaks_the_interface(
    connect: Connect, service: Service, changes: dict[str, Any], words: str
) -> None:
    service.then("documents", json_reply({"content": [row(**changes)], "totalPages": 1}))
    with pytest.raises(ContractBroken, match=words):
        listed(connect())


def test_a_long_list(connect: Connect, service: Service) -> None:
    service.rows = [row(f"d{n:03d}", updatedAt=f"2026-03-01T{n // 60:02d}:{n % 60:02d}:00.000Z") for n in range(300)]
    assert listed(connect()) == [found["id"] for found in service.rows]
    assert service.count("documents") == 7


@pytest.mark.parametrize("status", [403, 404])
def test_a_space_that_is_closed(connect: Connect, service: Service, status: int) -> None:
    service.then("documents", json_reply({"error": "forbidden", "message": "no\n access"}, status))
    with pytest.raises(SpaceForbidden, match=rf"space {SPACE} \(HTTP {status}: no access\).*whitelist.*'tieout-app'"):
        listed(connect())
    assert issubclass(SpaceForbidden, CredentialsRejected)


def test_a_request_that_is_refused(connect: Connect, service: Service) -> None:
    service.then("documents", json_reply({"message": "unknown parameter documentStatus " + "x" * 1000}, 400))
    with pytest.raises(ContractBroken, match="HTTP 400: unknown parameter documentStatus x") as caught:
        listed(connect())
    assert len(str(caught.value)) < 700


def test_one_document(connect: Connect, service: Service) -> None:
    service.rows = [row("a b/c"), row("d2")]
    client = connect()
    found = client.document(SPACE, "d2")
    assert found is not None and found.id == "d2"
    assert client.document(SPACE, "d3") is None
    client.document(SPACE, "a b/c")
    assert service.seen[-1][1].target.endswith("/documents/a%20b%2Fc")
    service.then("document", json_reply({}, 403))
    with pytest.raises(SpaceForbidden):
        client.document(SPACE, "d2")


def test_nobody_listens(service: Service, fake_time: FakeTime) -> None:
    service.api.stop()
    client = BanqupClient(settings_for(service.api.url, retry_seconds=1), fake_time.timing)
    with client, pytest.raises(SourceUnavailable, match=r"does not answer \(/oauth2.*Connection refused"):
        client.spaces()
