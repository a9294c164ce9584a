"""Replies that never come, approvals, refusals, slow postings: what a client meets, and what the books have then."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import urllib3
from posting_support import change_set, entry, error_of, inner, operation, parts_of, send_batch, with_line
from sandbox_client import Client

from sandbox.sap_b1 import LATE_KINDS, POSTING_FAULT_KINDS, Company, Faults, ServiceLayer


def post(client: Client, key: str) -> urllib3.BaseHTTPResponse:
    return client.request("POST", "JournalEntries", body=entry(Reference3=key))


def batch(client: Client, *numbers: int) -> urllib3.BaseHTTPResponse:
    sets = [
        change_set(operation("POST", "/b1s/v2/JournalEntries", entry(Reference3=f"K{number}"), content_id=str(number)))
        for number in numbers
    ]
    return send_batch(client, *sets)


def keys(company: Company) -> list[str]:
    return sorted(company.entries_by_reference3())


@pytest.mark.parametrize(("kind", "booked"), [("lost_request", []), ("lost_reply", ["K"])])
def test_a_connection_that_drops(
    client: Client, server: ServiceLayer, company: Company, kind: str, booked: list[str]
) -> None:
    server.faults.add(kind)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        post(client, "K")
    assert keys(company) == booked
    assert post(client, "L").status == 201


@pytest.mark.parametrize(("kind", "booked"), [("bad_gateway_before_commit", []), ("bad_gateway_after_commit", ["K"])])
def test_a_gateway_that_gives_up(
    client: Client, server: ServiceLayer, company: Company, kind: str, booked: list[str]
) -> None:
    server.faults.add(kind)
    reply = post(client, "K")
    assert (reply.status, reply.data[:14]) == (502, b"<!DOCTYPE HTML")
    assert keys(company) == booked


def test_every_nth_reply_is_lost_in_batches_and_outside(client: Client, server: ServiceLayer, company: Company) -> None:
    server.faults.add("lost_reply", every=3)
    assert post(client, "K0").status == 201
    with pytest.raises(urllib3.exceptions.ProtocolError):
        batch(client, 1, 2, 3, 4)
    assert keys(company) == ["K0", "K1", "K2"]
    assert batch(client, 3, 4).status == 200
    with pytest.raises(urllib3.exceptions.ProtocolError):
        post(client, "K5")
    assert keys(company) == [f"K{number}" for number in range(6)]


@pytest.mark.parametrize(
    ("kind", "booked"), [("bad_gateway_before_commit", ["K1"]), ("bad_gateway_after_commit", ["K1", "K2"])]
)
def test_a_gateway_that_gives_up_within_a_batch(
    client: Client, server: ServiceLayer, company: Company, kind: str, booked: list[str]
) -> None:
    server.faults.add(kind, after=1)
    assert batch(client, 1, 2, 3).status == 502
    assert keys(company) == booked


def test_a_change_set_of_several_is_committed_whole_or_not_at_all(
    client: Client, server: ServiceLayer, company: Company
) -> None:
    both = change_set(
        *(operation("POST", "JournalEntries", entry(Reference3=f"K{n}"), content_id=str(n)) for n in (1, 2))
    )
    server.faults.add("bad_gateway_before_commit", after=1)
    assert send_batch(client, both).status == 502
    assert keys(company) == []
    server.faults.add("bad_gateway_after_commit")
    assert send_batch(client, both).status == 502
    assert keys(company) == ["K1", "K2"]


@pytest.mark.parametrize(
    ("path", "method", "target", "body"),
    [
        ("^BusinessPartners$", "POST", "BusinessPartners", {"CardCode": "V1", "CardType": "S"}),
        ("^BusinessPartners\\(", "PATCH", "BusinessPartners('V10010')", {"CardName": "Changed"}),
        ("/Cancel$", "POST", "JournalEntries(1)/Cancel", None),
    ],
    ids=["create", "change", "cancel"],
)
def test_other_writes_are_hit_by_path(
    client: Client, server: ServiceLayer, company: Company, path: str, method: str, target: str, body: Any
) -> None:
    server.faults.add("lost_reply", path=path)
    assert post(client, "K").status == 201
    before = company.rows("BusinessPartners"), company.entries()
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request(method, target, body=body)
    assert (company.rows("BusinessPartners"), company.entries()) != before


def test_an_approval_makes_a_draft_which_becomes_the_entry(
    client: Client, server: ServiceLayer, company: Company
) -> None:
    server.faults.add("approval")
    assert error_of(post(client, "K")) == (400, "-2028", "No matching records found (ODBC -2028)")
    assert company.entries() == []
    (draft,) = client.rows("Drafts")
    assert [draft[name] for name in ("DocObjectCode", "Reference1", "Reference2", "NumAtCard", "CardCode")] == [
        "oJournalEntries", "INV-1", "st-1", "K", "V10010",
    ]  # fmt: skip
    assert (draft["DocTotal"], draft["DocumentStatus"], draft["AuthorizationStatus"]) == (
        121.0, "bost_Open", "dasPending",
    )  # fmt: skip
    assert draft["CreationDate"] == "2026-03-02T00:00:00Z"
    made = company.approve_draft(draft["DocEntry"])
    assert company.entries_by_reference3()["K"] == [made]
    assert company.get("Drafts", draft["DocEntry"])["DocumentStatus"] == "bost_Close"
    with pytest.raises(KeyError):
        company.approve_draft(draft["DocEntry"])


def test_a_rejected_draft_is_gone(client: Client, server: ServiceLayer, company: Company) -> None:
    server.faults.add("approval")
    post(client, "K")
    company.reject_draft(company.rows("Drafts")[0]["DocEntry"])
    assert company.rows("Drafts") == company.entries() == []
    with pytest.raises(KeyError):
        company.approve_draft(1)


def test_an_approval_within_a_batch_ends_it(client: Client, server: ServiceLayer, company: Company) -> None:
    server.faults.add("approval", after=1)
    good, bad = parts_of(batch(client, 1, 2, 3))
    assert good.get_content_type() == "multipart/mixed"
    assert (inner(bad)[0], inner(bad)[2]["error"]["code"]) == (400, "-2028")
    assert keys(company) == ["K1"]
    assert [row["NumAtCard"] for row in company.rows("Drafts")] == ["K2"]


def test_an_unsound_entry_makes_no_draft(client: Client, server: ServiceLayer, company: Company) -> None:
    server.faults.add("approval")
    assert error_of(client.request("POST", "JournalEntries", body=with_line(2, Credit=1)))[1] == "-5002"
    assert company.rows("Drafts") == []


def test_an_add_on_refuses(client: Client, server: ServiceLayer, company: Company) -> None:
    server.faults.add("reject_posting", code=-1116, message="(13000316) Credit Limit Exceeded!")
    assert error_of(post(client.on("v1"), "K")) == (400, "-1116", "(13000316) Credit Limit Exceeded!")
    assert company.entries() == []
    assert post(client, "K").status == 201


@pytest.mark.parametrize("in_batch", [False, True])
def test_a_late_commit_comes_after_its_client_has_gone(
    client: Client, server: ServiceLayer, company: Company, in_batch: bool
) -> None:
    """The client gives up, sees nothing in the books, and then the entry appears."""
    committed = threading.Event()
    put = company.tables["JournalEntries"].put

    def told(record: dict[str, Any]) -> int | str:
        key = put(record)
        committed.set()
        return key

    company.tables["JournalEntries"].put = told  # type: ignore[method-assign]
    server.faults.add("late_commit", method="POST", seconds=2)
    client.pool = urllib3.PoolManager(retries=False, timeout=0.2)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        batch(client, 1) if in_batch else post(client, "K1")
    assert not committed.is_set() and keys(company) == []
    assert committed.wait(20)
    assert keys(company) == ["K1"]


def test_a_late_commit_answers_who_waits(client: Client, server: ServiceLayer, company: Company) -> None:
    server.faults.add("late_commit", seconds=0.05, times=2)
    assert client.get("Projects").status == 200
    reply = post(client, "K")
    assert (reply.status, reply.json()["Reference3"]) == (201, "K")
    assert keys(company) == ["K"]


def test_time_is_taken_per_entry(client: Client, server: ServiceLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    handle = server.handle

    def noted(request: Any) -> Any:
        reply = handle(request)
        delays.append(round(reply.delay, 4))
        reply.delay = 0
        return reply

    monkeypatch.setattr(server._http, "handler", noted)
    server.faults.configure(posting_ms=300, latency_ms=20)
    client.get("Projects")
    post(client, "K")
    batch(client, 1, 2, 3)
    client.request("POST", "JournalEntries(1)/Cancel")
    server.faults.add("bad_gateway_after_commit", after=1)
    batch(client, 4, 5, 6)
    server.faults.add("bad_gateway_after_commit")
    post(client, "K7")
    assert delays == [0.02, 0.32, 0.92, 0.32, 0.62, 0.32]


def test_a_session_that_dies_takes_no_posting_with_it(client: Client, server: ServiceLayer, company: Company) -> None:
    server.faults.configure(kill_session_every=2)
    assert [post(client, f"K{number}").status for number in (1, 2)] == [201, 401]
    client.cookie = ""
    client.login()
    assert batch(client, 3).status == 200
    assert batch(client, 4).status == 401
    assert keys(company) == ["K1", "K3"]


def test_faults_of_whole_requests_hit_batches_before_anything_runs(
    client: Client, server: ServiceLayer, company: Company
) -> None:
    server.faults.add("bad_gateway", path=r"^\$batch$")
    assert batch(client, 1).status == 502
    server.faults.add("switch_company", method="POST", path="^JournalEntries")
    assert error_of(post(client, "K"))[:2] == (500, "305")
    assert company.entries() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kind": "lost"}, "Unknown fault 'lost'"), ({"kind": "approval", "every": 0}, "every is 0")],
)
def test_mistakes_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Faults().add(**options)


def test_every_kind_is_exercised_above() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in {**POSTING_FAULT_KINDS, **LATE_KINDS} if f'"{kind}"' not in text] == []
