"""Against the simulated Banqup: lists that change while they are read, and every way a service may behave."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.banqup import BanqupServer, DocumentStore
from sandbox.banqup.access import Application
from sandbox.clock import SandboxClock
from tests.systems.banqup.conftest import FakeTime, settings_for
from tieout.errors import ContractBroken, SourceUnavailable
from tieout.systems.banqup import BanqupClient, DocumentQuery, FileDamaged, FileMissing, FileUnavailable, SpaceForbidden

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
START = NOW - timedelta(days=2)
SPACE = str(uuid.uuid5(uuid.NAMESPACE_URL, "https://banqup.example/a-space"))
QUERY = DocumentQuery("PURCHASES", "INVOICE", "APPROVED", START)
APPLICATION = Application()


@pytest.fixture
def store() -> DocumentStore:
    """160 purchases that are approved, 70 of them at one moment, and others."""
    store = DocumentStore(SandboxClock(frozen_at=NOW))
    store.add_space(SPACE, "ACME", "0700000096")
    for number in range(160):
        moment = START + (timedelta(minutes=number) if number < 90 else timedelta(hours=3))
        add(store, number, status_at=moment)
    add(store, 900, status="AWAITING_VALIDATION", status_at=START + timedelta(hours=1))
    add(store, 901, status_at=START - timedelta(hours=1))
    return store


def add(store: DocumentStore, number: int, **details: Any) -> str:
    data = f"<Invoice>{number}</Invoice>".encode()
    return store.add_document(
        SPACE, "PURCHASES", "INVOICE", data, number=f"2026/{number}", issue_date="2026-03-01", **details
    ).id


@pytest.fixture
def server(store: DocumentStore) -> Iterator[BanqupServer]:
    with BanqupServer(store) as running:
        yield running
        assert running.failures == []


@pytest.fixture
def client(server: BanqupServer, fake_time: FakeTime) -> Iterator[BanqupClient]:
    def pass_time(seconds: float) -> None:
        fake_time.sleep(seconds)
        server.store.clock.advance(seconds)

    settings = settings_for(server.url, login=APPLICATION.client_id, password=APPLICATION.client_secret)
    with BanqupClient(settings, replace(fake_time.timing, sleep=pass_time)) as client:
        yield client


def listed(client: BanqupClient) -> list[str]:
    return [document.number for document in client.documents(SPACE, QUERY)]


EXPECTED = sorted(f"2026/{number}" for number in range(160))


@pytest.mark.parametrize(
    "behaviour",
    [
        {},
        {"timestamps": "nanoseconds", "zone": "offset"},
        {"timestamps": "seconds", "zone": "none", "updated_from": "exclusive"},
        {"timestamps": "microseconds", "updated_from": "exclusive"},
        {"rows_twice_every": 3},
        {"rows_twice_every": 1, "updated_from": "exclusive"},
        {"token_requests": 1, "expires_in": "left_out"},
        {"token_requests": 2, "too_many_every": 3},
        {"too_many_every": 2, "retry_after_form": "date", "retry_after": 7.0},
        {"token_seconds": 3.0, "too_many_every": 2, "retry_after": 2.0},
    ],
    ids=str,
)
def test_a_service_may_behave_in_many_ways(
    client: BanqupClient, server: BanqupServer, behaviour: dict[str, Any]
) -> None:
    server.faults.configure(**behaviour)
    assert sorted(listed(client)) == EXPECTED


def test_what_is_said_of_a_document(client: BanqupClient, store: DocumentStore) -> None:
    [first, *_] = client.documents(SPACE, QUERY)
    assert (first.number, first.folder, first.category, first.status) == ("2026/0", "PURCHASES", "INVOICE", "APPROVED")
    assert (first.updated_at, first.status_at, first.issue_date) == (START, START, "2026-03-01")
    paid = store.pay(first.id, at=NOW)
    again = client.document(SPACE, first.id)
    assert again is not None and (again.pay_status, again.updated_at, again.status_at) == ("PAID", NOW, START)
    assert paid.file_id == again.file_id


def remove(store: DocumentStore, ids: list[str]) -> None:
    for each in ids:
        store.remove(each)


Happening = Callable[[DocumentStore, list[str]], object]

HAPPENINGS: dict[str, Happening] = {
    "some were refused": lambda store, ids: [store.refuse(each) for each in ids[3:40]],
    "some vanish": lambda store, ids: remove(store, ids[3:40]),
    "some are paid": lambda store, ids: [store.pay(each) for each in ids[3:40]],
    "one that waited is approved": lambda store, ids: store.approve(ids[160]),
    "those of one moment are refused in part": lambda store, ids: [store.refuse(each) for each in ids[95:140]],
    "those of one moment are paid in part": lambda store, ids: [store.pay(each) for each in ids[95:140]],
}


@pytest.mark.parametrize("updated_from", ["inclusive", "exclusive"])
@pytest.mark.parametrize("page", [1, 2, 3, 4])
@pytest.mark.parametrize("what", HAPPENINGS)
def test_the_list_changes_between_two_pages(
    client: BanqupClient, server: BanqupServer, store: DocumentStore, what: str, page: int, updated_from: str
) -> None:
    server.faults.configure(updated_from=updated_from)
    before = {each.id for each in store.documents(SPACE) if each.status == "APPROVED" and each.updated_at >= START}
    ids = [document.id for document in store.documents(SPACE)]
    server.faults.after_page(page, lambda: HAPPENINGS[what](store, ids))
    found = [document.id for document in client.documents(SPACE, QUERY)]
    assert len(found) == len(set(found))
    still = {each.id for each in store.documents(SPACE) if each.status == "APPROVED"}
    assert before & still <= set(found)


@pytest.mark.parametrize(
    ("behaviour", "words"), [({"order": "id"}, "not sorted"), ({"updated_from": "ignored"}, "ignores updatedFrom")]
)
def test_a_service_that_cannot_be_walked(
    client: BanqupClient, server: BanqupServer, behaviour: dict[str, Any], words: str
) -> None:
    server.faults.configure(**behaviour)
    with pytest.raises(ContractBroken, match=words):
        listed(client)


@pytest.mark.parametrize("kind", ["unavailable", "bad_gateway", "gateway_timeout", "error_500", "unauthorized",
                                  "token_lost", "html_200", "truncated", "close_mid_body", "reset_mid_body",
                                  "reset_before_head", "too_many"])  # fmt: skip
def test_troubles_that_pass(client: BanqupClient, server: BanqupServer, kind: str) -> None:
    server.faults.add(kind, path="/documents$", every=2, times=4, seconds=1)
    server.faults.add("unavailable" if kind == "unauthorized" else kind, path="/files/", times=1, seconds=1)
    assert sorted(listed(client)) == EXPECTED
    document = next(client.documents(SPACE, QUERY))
    assert client.download(SPACE, str(document.file_id)).data == b"<Invoice>0</Invoice>"


@pytest.mark.parametrize("download_from", ["same", "other", "relative"])
def test_files(client: BanqupClient, server: BanqupServer, store: DocumentStore, download_from: str) -> None:
    server.faults.configure(download_from=download_from, redirects=2)
    first, lost, awaited, damaged, expired = list(client.documents(SPACE, QUERY))[:5]
    store.lose_file(lost.id), store.await_upload(awaited.id), store.damage_file(damaged.id)
    found = client.download(SPACE, str(first.file_id))
    assert found.sha256 == store.file_of(first.id).sha256
    assert found.file_name == "P_BE0700000096_2026-0.xml"
    for document, error in ((lost, FileMissing), (awaited, FileUnavailable), (damaged, FileDamaged)):
        with pytest.raises(error):
            client.download(SPACE, str(document.file_id))
    server.faults.add("url_expired", path="^/storage/", times=2)
    assert client.download(SPACE, str(expired.file_id)).data == b"<Invoice>4</Invoice>"


def test_a_space_of_somebody_else(client: BanqupClient, server: BanqupServer, store: DocumentStore) -> None:
    with pytest.raises(SpaceForbidden):
        list(client.documents(str(uuid.uuid4()), QUERY))
    server.faults.add("forbidden", path="/documents$")
    with pytest.raises(SpaceForbidden):
        listed(client)


def test_no_answer_at_all(server: BanqupServer, fake_time: FakeTime) -> None:
    server.faults.add("hang", path="gettoken", times=None)
    settings = settings_for(
        server.url, login=APPLICATION.client_id, password=APPLICATION.client_secret, read_timeout=0.05, retry_seconds=1
    )
    with BanqupClient(settings, fake_time.timing) as client, pytest.raises(SourceUnavailable, match="in time"):
        client.spaces()


def test_many_threads(client: BanqupClient, server: BanqupServer, store: DocumentStore) -> None:
    server.faults.configure(token_requests=25, too_many_every=50, download_from="other")
    documents = list(client.documents(SPACE, QUERY))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda each: client.download(SPACE, str(each.file_id)).sha256, documents))
    assert found == [store.file_of(each.id).sha256 for each in documents]
