"""The simulated Banqup's API, spoken to by a client that hides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import urllib3

from sandbox.banqup import BanqupServer, Document, DocumentStore
from sandbox.banqup.access import Application
from sandbox.banqup.server import DOCUMENTS, FILES, SPACES, TOKEN
from sandbox.clock import SandboxClock

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SPACE = "11111111-1111-5111-8111-111111111111"
OTHER_SPACE = "22222222-2222-5222-8222-222222222222"
APPLICATION = Application("app", "s3cret & more")


@pytest.fixture
def clock() -> SandboxClock:
    return SandboxClock(NOW)


@pytest.fixture
def store(clock: SandboxClock) -> DocumentStore:
    store = DocumentStore(clock)
    store.add_space(SPACE, "Klant BV", "0739484052")
    store.add_space(OTHER_SPACE, "Ander NV", "0479899778")
    return store


@pytest.fixture
def server(store: DocumentStore) -> Iterator[BanqupServer]:
    with BanqupServer(store, applications=(APPLICATION,)) as running:
        yield running
        assert running.failures == []
    assert running.statistics.under_way == 0


@dataclass
class Caller:
    """Speaks HTTP to the server, tokens by hand."""

    url: str
    token: str = ""
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=10, maxsize=8))

    def ask(self, path: str, *, method: str = "GET", **params: Any) -> urllib3.BaseHTTPResponse:
        query = f"?{urlencode(params)}" if params else ""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.pool.request(method, f"{self.url}{path}{query}", headers=headers)

    def get_token(self, **changes: str) -> urllib3.BaseHTTPResponse:
        form = {
            "grant_type": "client_credentials", "client_id": APPLICATION.client_id,
            "client_secret": APPLICATION.client_secret, **changes,
        }  # fmt: skip
        return self.pool.request("POST", self.url + TOKEN, fields=form, encode_multipart=False)

    def log_in(self) -> Caller:
        self.token = self.get_token().json()["access_token"]
        return self

    def page(self, **params: Any) -> dict[str, Any]:
        reply = self.ask(f"{DOCUMENTS}{SPACE}/documents", **params)
        assert reply.status == 200, reply.data
        found: dict[str, Any] = reply.json()
        return found

    def ids(self, **params: Any) -> list[str]:
        return [row["id"] for row in self.page(**params)["content"]]

    def file(self, file_id: str) -> urllib3.BaseHTTPResponse:
        return self.ask(f"{FILES}{SPACE}/files/{file_id}")

    def download(self, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        full = url if url.startswith("http") else self.url + url
        return self.pool.request("GET", full, redirect=False, **options)


@pytest.fixture
def caller(server: BanqupServer) -> Caller:
    return Caller(server.url).log_in()


def purchase(store: DocumentStore, number: str = "2026-1", minutes_ago: float = 5, **details: Any) -> Document:
    details.setdefault("status_at", NOW - timedelta(minutes=minutes_ago))
    return store.add_document(
        SPACE, "PURCHASES", "INVOICE", f"<Invoice>{number}</Invoice>".encode(), number=number,
        issue_date="2026-02-27", **details,
    )  # fmt: skip


def test_a_token_is_given_and_says_how_long_it_is_good(server: BanqupServer) -> None:
    reply = Caller(server.url).get_token()

    assert reply.status == 200
    assert set(reply.json()) == {"access_token", "token_type", "expires_in", "scope"}
    assert (reply.json()["token_type"], reply.json()["expires_in"]) == ("Bearer", 300)
    server.faults.configure(expires_in="left_out")
    assert set(Caller(server.url).get_token().json()) == {"access_token", "token_type"}


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_token_is_refused(server: BanqupServer, changes: dict[str, str], status: int, error: str) -> None:
    reply = Caller(server.url).get_token(**changes)

    assert (reply.status, reply.json()["error"]) == (status, error)
    assert reply.json()["message"] and server.access.issued == 0
    assert server.access.refused == (status == 401)


def test_credentials_must_come_as_a_form(server: BanqupServer) -> None:
    body = json.dumps({"grant_type": "client_credentials", "client_id": "app", "client_secret": "s3cret & more"})
    headers = {"Content-Type": "application/json"}

    reply = urllib3.request("POST", server.url + TOKEN, body=body, headers=headers)

    assert (reply.status, reply.json()["error"]) == (400, "invalid_request")
    assert urllib3.request("GET", server.url + TOKEN).status == 405


def test_tokens_end(server: BanqupServer, caller: Caller, clock: SandboxClock) -> None:
    assert caller.ask(SPACES).status == 200
    clock.advance(300)
    assert (caller.ask(SPACES).status, caller.ask(SPACES).json()["error"]) == (401, "invalid_token")
    server.faults.configure(token_requests=2)
    caller.log_in()
    assert [caller.ask(SPACES).status for _ in range(3)] == [200, 200, 401]
    caller.token = ""
    assert caller.ask(SPACES).status == 401
    server.faults.configure(token_requests=None)
    caller.log_in()
    server.access.forget()
    assert caller.ask(SPACES).status == 401


def test_only_spaces_that_let_the_application_in(server: BanqupServer, caller: Caller) -> None:
    space = {"id": SPACE, "name": "Klant BV", "type": "BUSINESS"}
    server.access.withdraw("app", OTHER_SPACE)
    assert caller.ask(SPACES).json() == {"spaces": [space]}
    refused = caller.ask(f"{DOCUMENTS}{OTHER_SPACE}/documents")
    assert (refused.status, refused.json()["error"]) == (403, "access_denied")
    server.access.withdraw("app", SPACE)
    assert caller.ask(SPACES).json() == {"spaces": []}
    server.access.whitelist("app", SPACE)
    assert caller.ask(f"{DOCUMENTS}{SPACE}/documents").status == 200


def test_a_row_and_its_file(server: BanqupServer, store: DocumentStore, caller: Caller) -> None:
    made = purchase(store, created_at=NOW - timedelta(days=3), counterparty="Leverancier NV")
    store.pay(made.id, at=NOW - timedelta(minutes=1, microseconds=877))

    page = caller.page(folder="PURCHASES", category="INVOICE", documentStatus="APPROVED")

    assert {name: page[name] for name in page if name != "content"} == {
        "page": 0, "size": 20, "totalElements": 1, "totalPages": 1,
    }  # fmt: skip
    row = page["content"][0]
    assert row["status"] == {"pay": "PAID", "delivery": "RECEIVED", "document": "APPROVED"}
    assert row["statusDates"] == {"document": "2026-03-02T09:25:00.000Z", "pay": "2026-03-02T09:28:59.999Z"}
    assert (row["createdAt"], row["updatedAt"]) == ("2026-02-27T09:30:00.000Z", "2026-03-02T09:28:59.999Z")
    assert (row["documentNumber"], row["issueDate"], row["id"]) == ("2026-1", "2026-02-27", made.id)
    assert row["connections"][0]["displayName"] == "Leverancier NV"
    assert caller.ask(f"{DOCUMENTS}{SPACE}/documents/{made.id}").json() == row
    details = caller.file(row["fileId"]).json()
    url = details.pop("downloadUrl")
    assert details == {
        "id": row["fileId"], "filename": "P_BE0739484052_2026-1.xml", "contentType": "application/xml",
        "fileType": "XML", "fileSize": 25, "status": "AVAILABLE", "downloadUrlExpiresIn": 3600,
    }  # fmt: skip
    assert caller.download(url).data == b"<Invoice>2026-1</Invoice>"
    assert server.statistics.bytes_downloaded == 25


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"timestamps": "microseconds"}, "2026-03-02T09:25:00.123456Z"),
        ({"timestamps": "nanoseconds"}, "2026-03-02T09:25:00.123456000Z"),
        ({"timestamps": "seconds"}, "2026-03-02T09:25:00Z"),
        ({"zone": "offset"}, "2026-03-02T10:25:00.123+01:00"),
        ({"zone": "none"}, "2026-03-02T09:25:00.123"),
    ],
)
def test_forms_of_timestamps(
    server: BanqupServer, store: DocumentStore, caller: Caller, settings: dict[str, str], text: str
) -> None:
    purchase(store, status_at=datetime(2026, 3, 2, 9, 25, 0, 123456, tzinfo=UTC))
    server.faults.configure(**settings)

    assert caller.page()["content"][0]["updatedAt"] == text


def test_lists_are_by_moment_and_id_and_in_pages(store: DocumentStore, caller: Caller) -> None:
    made = [purchase(store, f"{number}", minutes_ago=60 - number // 3) for number in range(120)]
    ordered = [document.id for document in sorted(made, key=lambda entry: (entry.updated_at, entry.id))]

    pages = [caller.page(page=number, size=50) for number in range(4)]

    assert [row["id"] for page in pages for row in page["content"]] == ordered
    assert {(page["totalElements"], page["totalPages"]) for page in pages} == {(120, 3)}
    assert [len(page["content"]) for page in pages] == [50, 50, 20, 0]
    since, until = "2026-03-02T08:40:00.000Z", "2026-03-02T08:45:00Z"
    between = [entry.id for entry in made if 45 <= (NOW - entry.updated_at) / timedelta(minutes=1) <= 50]
    assert sorted(caller.ids(updatedFrom=since, updatedTo=until)) == sorted(between)
    assert sorted(caller.ids(updatedFrom="2026-03-02T09:40:00+01:00", updatedTo=until)) == sorted(between)


def test_filters(store: DocumentStore, caller: Caller) -> None:
    approved, waiting = purchase(store), purchase(store, status="AWAITING_VALIDATION")
    credit = store.add_document(SPACE, "SALES", "CREDIT_NOTE", b"x", number="CN", issue_date="2026-03-01")

    assert caller.ids(folder="PURCHASES", documentStatus="APPROVED") == [approved.id]
    assert caller.ids(documentStatus="AWAITING_VALIDATION") == [waiting.id]
    assert caller.ids(folder="SALES", category="CREDIT_NOTE", documentStatus="SENT") == [credit.id]
    assert caller.ids(folder="BANK") == []
    store.approve(waiting.id)
    assert set(caller.ids(documentStatus="APPROVED")) == {approved.id, waiting.id}
    assert caller.page(documentStatus="APPROVED")["content"][1]["statusDates"]["document"] == "2026-03-02T09:30:00.000Z"
    store.refuse(approved.id)
    assert caller.ids(documentStatus="APPROVED") == [waiting.id]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"size": 51}, "size must be between 1 and 50"),
        ({"size": 0}, "size must be a whole number of 1 or more"),
        ({"page": -1}, "page must be a whole number of 0 or more"),
        ({"sort": "id"}, "Unknown parameter 'sort'"),
        ({"documentstatus": "SENT"}, "Unknown parameter 'documentstatus'"),
        ({"folder": "purchases"}, "'purchases' is no folder"),
        ({"documentStatus": "PAID"}, "'PAID' is no documentStatus"),
        ({"updatedFrom": "yesterday"}, "updatedFrom is no ISO 8601 date and time"),
        ({"updatedTo": "2026-03-02T09:30:00"}, "updatedTo has no time zone"),
    ],
)
def test_bad_parameters_are_told(caller: Caller, params: dict[str, Any], message: str) -> None:
    reply = caller.ask(f"{DOCUMENTS}{SPACE}/documents", **params)

    assert reply.status == 400
    assert message in reply.json()["message"]


def test_what_is_not_there(store: DocumentStore, caller: Caller) -> None:
    made = purchase(store)
    nowhere = "33333333-3333-5333-8333-333333333333"
    paths = (
        f"{DOCUMENTS}{nowhere}/documents", f"{DOCUMENTS}{SPACE}/documents/{nowhere}",
        f"{DOCUMENTS}{OTHER_SPACE}/documents/{made.id}", f"{FILES}{SPACE}/files/{nowhere}",
        f"{FILES}{OTHER_SPACE}/files/{made.file_id}", f"{FILES}{SPACE}/documents", "/elsewhere", "/",
    )  # fmt: skip

    assert [caller.ask(path).status for path in paths] == [404] * len(paths)
    assert caller.ask(f"{FILES}{SPACE}/files/{made.file_id}").status == 200
    assert caller.ask(f"{DOCUMENTS}{SPACE}/documents", method="POST").status == 405
    assert caller.ask(SPACES, size=5).status == 400


def test_signed_urls_end_and_cannot_be_forged(
    server: BanqupServer, store: DocumentStore, caller: Caller, clock: SandboxClock
) -> None:
    one, other = purchase(store, "1"), purchase(store, "2")
    server.faults.configure(download_seconds=60)
    url = caller.file(one.file_id).json()["downloadUrl"]

    assert caller.download(url).status == 200
    assert caller.download(url.replace(one.file_id, other.file_id)).json()["error"] == "signature_mismatch"
    assert caller.download(url.partition("&signature")[0]).status == 403
    with_token = caller.download(url, headers={"Authorization": f"Bearer {caller.token}"})
    assert with_token.status == 400
    clock.advance(60)
    expired = caller.download(url)
    assert (expired.status, expired.json()["error"]) == (403, "url_expired")
    caller.log_in()
    assert caller.download(caller.file(one.file_id).json()["downloadUrl"]).status == 200


@pytest.mark.parametrize("where", ["same", "other", "relative"])
def test_where_signed_urls_lead(server: BanqupServer, store: DocumentStore, caller: Caller, where: str) -> None:
    made = purchase(store)
    server.faults.configure(download_from=where)

    url = caller.file(made.file_id).json()["downloadUrl"]

    expected = {"same": server.url, "other": server.storage_url, "relative": ""}[where]
    assert f"{urlsplit(url).scheme}://{urlsplit(url).netloc}".removeprefix("://") == expected
    assert caller.download(url).status == 200
    assert urllib3.request("GET", server.storage_url + SPACES, retries=False).status == 404


def test_redirects_before_the_bytes(server: BanqupServer, store: DocumentStore, caller: Caller) -> None:
    made = purchase(store)
    server.faults.configure(redirects=2)
    url, seen = caller.file(made.file_id).json()["downloadUrl"], []

    while (reply := caller.download(url)).status == 302:
        url = reply.headers["Location"]
        seen.append(url.startswith(server.storage_url))

    assert (reply.status, seen) == (200, [True, True])


def test_files_in_trouble(store: DocumentStore, caller: Caller) -> None:
    missing, waiting, damaged, lost = (purchase(store, str(number)) for number in range(4))
    store.lose_file(missing.id)
    store.await_upload(waiting.id)
    store.damage_file(damaged.id)
    url = caller.file(lost.file_id).json()["downloadUrl"]
    store.lose_file(lost.id)

    assert caller.file(missing.file_id).status == 404
    assert caller.file(waiting.file_id).json()["status"] == "AWAITING_UPLOAD"
    assert "downloadUrl" not in caller.file(waiting.file_id).json()
    details = caller.file(damaged.file_id).json()
    assert details["fileSize"] == len(caller.download(details["downloadUrl"]).data) + 17
    assert caller.download(url).status == 404
    repaired = store.repair(missing.id)
    assert repaired.file_id != missing.file_id and caller.file(repaired.file_id).status == 200


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("unavailable", 503, "service_unavailable"),
        ("error_500", 500, "internal_error"),
        ("unauthorized", 401, "invalid_token"),
        ("token_lost", 401, "invalid_token"),
        ("forbidden", 403, "access_denied"),
        ("not_found", 404, "not_found"),
        ("bad_gateway", 502, None),
        ("gateway_timeout", 504, None),
        ("html_200", 200, None),
    ],
)
def test_faults_that_answer(server: BanqupServer, caller: Caller, kind: str, status: int, error: str | None) -> None:
    server.faults.add(kind, path="/documents$", after=1)
    path = f"{DOCUMENTS}{SPACE}/documents"
    assert (caller.ask(SPACES).status, caller.ask(path).status) == (200, 200)

    reply = caller.ask(path)

    assert reply.status == status
    if error is None:
        assert reply.headers["Content-Type"] == "text/html"
    else:
        assert reply.json()["error"] == error
    assert caller.ask(path).status == (401 if kind == "token_lost" else 200)


@pytest.mark.parametrize("kind", ["close_mid_body", "reset_mid_body", "reset_before_head"])
def test_faults_that_break_the_connection(
    server: BanqupServer, store: DocumentStore, caller: Caller, kind: str
) -> None:
    url = caller.file(purchase(store).file_id).json()["downloadUrl"]
    server.faults.add(kind, path="^/storage/")

    with pytest.raises((urllib3.exceptions.ProtocolError, urllib3.exceptions.IncompleteRead)):
        caller.download(url)

    assert caller.download(url).status == 200


def test_a_body_that_stops_early_and_a_reply_that_never_comes(
    server: BanqupServer, store: DocumentStore, caller: Caller
) -> None:
    url = caller.file(purchase(store).file_id).json()["downloadUrl"]
    server.faults.add("truncated", path="^/storage/")
    assert caller.download(url).data == b"<Invoice>2026-1</Invoice>"[:16]
    server.faults.add("hang", path="^/storage/")
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        caller.download(url, timeout=0.2)
    server.faults.add("url_expired", path="^/storage/")
    assert caller.download(url).json()["error"] == "url_expired"
    # The connection that hung is closed by its client, and the server knows.
    caller.pool.clear()
    assert caller.download(url).status == 200


def test_too_many_requests(server: BanqupServer, caller: Caller, clock: SandboxClock) -> None:
    server.faults.add("too_many", path=SPACES, seconds=7)
    reply = caller.ask(SPACES)
    assert (reply.status, reply.headers["Retry-After"], reply.json()["error"]) == (429, "7", "too_many_requests")
    server.faults.configure(too_many_every=3, retry_after=4, retry_after_form="date")
    replies = [caller.ask(SPACES) for _ in range(6)]
    assert sorted(reply.status for reply in replies) == [200] * 4 + [429] * 2
    limited = next(reply for reply in replies if reply.status == 429)
    assert parsedate_to_datetime(limited.headers["Retry-After"]) == NOW + timedelta(seconds=4)
    assert parsedate_to_datetime(limited.headers["Date"]) == NOW
    server.faults.configure(too_many_every=None, rate_per_second=0)
    assert caller.ask(SPACES).status == 429


def walk(caller: Caller, **params: Any) -> list[str]:
    """Page after page, as the naive do."""
    found, number = [], 0
    while ids := caller.ids(page=number, size=5, **params):
        found += ids
        number += 1
    return found


def change_status(store: DocumentStore, made: list[Document]) -> object:
    return store.refuse(made[0].id)


def bump(store: DocumentStore, made: list[Document]) -> object:
    return store.pay(made[1].id)


def vanish(store: DocumentStore, made: list[Document]) -> object:
    return store.remove(made[2].id)


def appear(store: DocumentStore, made: list[Document]) -> object:
    return purchase(store, "new", minutes_ago=300)


@pytest.mark.parametrize(
    ("change", "lost", "twice"),
    [(change_status, [5], []), (bump, [5], [1]), (vanish, [5], []), (appear, [], [4])],
)
def test_changes_between_pages_shift_the_list(
    server: BanqupServer,
    store: DocumentStore,
    caller: Caller,
    change: Callable[[DocumentStore, list[Document]], object],
    lost: list[int],
    twice: list[int],
) -> None:
    """What a walk by page number loses or sees twice: the reason why readers walk by key."""
    made = [purchase(store, str(number), minutes_ago=100 - number) for number in range(12)]
    server.faults.after_page(1, lambda: change(store, made), where="/PURCHASES/INVOICE/APPROVED$")
    assert caller.ids(folder="SALES") == []

    found = walk(caller, folder="PURCHASES", category="INVOICE", documentStatus="APPROVED")

    counts = [found.count(entry.id) for entry in made]
    assert [index for index, count in enumerate(counts) if count == 0] == lost
    assert [index for index, count in enumerate(counts) if count == 2] == twice


def test_rows_that_stand_there_twice_and_other_oddities(
    server: BanqupServer, store: DocumentStore, caller: Caller
) -> None:
    made = [purchase(store, str(number), minutes_ago=100 - number).id for number in range(4)]
    at_third = (NOW - timedelta(minutes=98)).isoformat().replace("+00:00", "Z")
    server.faults.configure(rows_twice_every=2)
    assert caller.ids() == [made[0], made[1], made[1], made[2], made[3], made[3]]
    assert caller.page()["totalElements"] == 6
    server.faults.configure(rows_twice_every=None)
    assert caller.ids(updatedFrom=at_third) == made[2:]
    server.faults.configure(updated_from="exclusive")
    assert caller.ids(updatedFrom=at_third) == made[3:]
    server.faults.configure(updated_from="ignored", order="id")
    assert caller.ids(updatedFrom=at_third) == sorted(made)


def test_statistics(server: BanqupServer, store: DocumentStore, caller: Caller) -> None:
    purchase(store)
    server.faults.configure(latency_ms=500)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: caller.page(), range(4)))
    caller.ask("/elsewhere")

    summary = server.summary()
    assert summary["requests"] == {"token": 1, "documents": 4, "other": 1}
    assert summary["statuses"] == {200: 5, 404: 1}
    assert (summary["tokens_issued"], summary["tokens_refused"]) == (1, 0)
    assert 1 < summary["peak"] <= 4


def test_mistakes_in_faults_are_told(server: BanqupServer) -> None:
    with pytest.raises(ValueError, match="Unknown fault 'nonsense'"):
        server.faults.add("nonsense")
    with pytest.raises(ValueError, match="Unknown setting latency"):
        server.faults.configure(latency=1)
    with pytest.raises(ValueError, match="zone is one of z, offset, none, not 'cet'"):
        server.faults.configure(zone="cet", latency_ms=5)
    assert server.faults.settings.latency_ms == 0


def test_secrets_are_not_shown(server: BanqupServer, caller: Caller) -> None:
    shown = repr(server.access.applications) + json.dumps(server.summary()) + repr(server.access._live.values())

    assert APPLICATION.client_secret not in shown and caller.token not in shown
