"""Writing against the sandbox's Service Layer, whose checks, batches and faults are those of real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.clock import SandboxClock
from sandbox.sap_b1 import Company, ServiceLayer, Sizes, generate_company
from tieout.odata.query import key_filters
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.refusals import explain
from tieout.systems.sap_b1.sessions import MemorySessionStore
from tieout.systems.sap_b1.settings import SapB1Settings
from tieout.systems.sap_b1.writing import Effect, Write, Written, entity_path

pytestmark = pytest.mark.integration

TINY = Sizes(customers=12, suppliers=3, leads=2, items=6, invoices=47, credit_notes=6, warehouses=2)
DONE, REFUSED, NOT_SENT, UNKNOWN = Effect.DONE, Effect.REFUSED, Effect.NOT_SENT, Effect.UNKNOWN


@pytest.fixture
def company() -> Company:
    return generate_company(7, TINY, clock=SandboxClock(datetime(2026, 3, 2, 9, 30, 15, tzinfo=UTC)))


@pytest.fixture
def server(company: Company) -> Iterator[ServiceLayer]:
    with ServiceLayer(company) as running:
        running.faults.settings.login_ms = 0
        yield running
        assert running.failures == []


@pytest.fixture(params=["v1", "v2"])
def client(server: ServiceLayer, company: Company, request: pytest.FixtureRequest) -> Iterator[SapB1Client]:
    user, password = next(iter(company.users.items()))
    settings = SapB1Settings.from_connection(
        host=server.url,
        login=user,
        password=password,
        extra={"company_db": company.database, "page_size": 100, "api_version": request.param},
    )
    connected = SapB1Client(settings, MemorySessionStore(), sleep=lambda seconds: None)
    yield connected
    connected.close()


def body(key: str, **line: Any) -> dict[str, Any]:
    """An entry of 121.00 EUR; `line` changes its first line."""
    return {
        "ReferenceDate": "2026-01-15", "Reference": f"INV-{key}", "Reference3": key, "Memo": "Papier – Müller",
        "JournalEntryLines": [
            {"AccountCode": "616000", "Debit": 100, "CostingCode": "CC-100", **line},
            {"AccountCode": "411000", "Debit": 21, "TaxGroup": "I1"},
            {"ShortName": "V10010", "Credit": 121},
        ],
    }  # fmt: skip


def posting(values: dict[str, Any]) -> Write:
    return Write("POST", "JournalEntries", json.dumps(values).encode())


def entries(*keys: str) -> list[Write]:
    return [posting(body(key)) for key in keys]


def effects(results: list[Written]) -> list[Effect]:
    return [result.effect for result in results]


def keys_of(company: Company) -> list[str]:
    return sorted(company.entries_by_reference3())


def test_an_entry_alone_and_several_in_a_batch(client: SapB1Client, company: Company) -> None:
    written = [client.write(posting(body("K0"))), *client.write_batch(entries("K1", "K2"))]

    booked = company.entries_by_reference3()
    assert effects(written) == [DONE] * 3
    assert [each.key for each in written] == [str(booked[f"K{number}"][0]["JdtNum"]) for number in range(3)]
    assert all(each.entity is not None and each.entity["Number"] for each in written)
    assert company.entries()[0]["Memo"] == "Papier – Müller"


def test_a_failed_change_set_stops_the_batch(client: SapB1Client, company: Company) -> None:
    bad = posting(body("K2", AccountCode="999999"))

    results = client.write_batch([*entries("K1"), bad, *entries("K3")])

    assert effects(results) == [DONE, REFUSED, NOT_SENT]
    assert explain(results[1].code, results[1].message, kind="journal_entry").reason_code == "UNKNOWN_ACCOUNT"
    assert keys_of(company) == ["K1"]


REFUSALS = [
    ({"AccountCode": "999999"}, "UNKNOWN_ACCOUNT"),
    ({"AccountCode": "619000"}, "INACTIVE_ACCOUNT"),
    ({"AccountCode": "6"}, "INACTIVE_ACCOUNT"),
    ({"AccountCode": "440000"}, "CONTROL_ACCOUNT"),
    ({"AccountCode": "617000", "CostingCode": None}, "MISSING_COST_CENTRE"),
    ({"AccountCode": "618000"}, "MISSING_PROJECT"),
    ({"CostingCode": "CC-9"}, "UNKNOWN_COST_CENTRE"),
    ({"ProjectCode": "PRJ-OLD"}, "UNKNOWN_PROJECT"),
    ({"TaxGroup": "I9"}, "TAX_CODE_INVALID"),
    ({"Debit": 99}, "UNBALANCED"),
    ({"NoSuchField": 1}, "FIELD_UNKNOWN"),
    ({"LineMemo": "x" * 300}, "VALUE_TOO_LONG"),
]


@pytest.mark.parametrize(("line", "reason"), REFUSALS, ids=[f"{case[1]}-{case[0]}" for case in REFUSALS])
def test_refusals_are_explained(client: SapB1Client, company: Company, line: dict[str, Any], reason: str) -> None:
    written = client.write(posting(body("K", **line)))

    assert written.effect is REFUSED
    assert explain(written.code, written.message, kind="journal_entry").reason_code == reason
    assert company.entries() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"ReferenceDate": "2019-12-31"}, "DATE_OUT_OF_RANGE"), ({"Series": 99}, "NO_NUMBERING_SERIES")],
)
def test_refusals_of_the_head(client: SapB1Client, change: dict[str, Any], reason: str) -> None:
    written = client.write(posting(body("K") | change))

    assert explain(written.code, written.message, kind="journal_entry").reason_code == reason


def test_a_locked_period(client: SapB1Client, company: Company) -> None:
    company.lock_period("2026-01")

    written = client.write(posting(body("K")))

    assert (written.effect, company.entries()) == (REFUSED, [])
    assert explain(written.code, written.message, kind="journal_entry").reason_code == "PERIOD_LOCKED"


def test_a_missing_rate(client: SapB1Client, company: Company) -> None:
    company.set_rate("USD", "2026-01-15", None)
    foreign = body("F")
    foreign["JournalEntryLines"] = [
        {"AccountCode": "616000", "CostingCode": "CC-100", "FCCurrency": "USD", "FCDebit": 100},
        {"ShortName": "V10010", "FCCurrency": "USD", "FCCredit": 100},
    ]

    written = client.write(posting(foreign))
    refusal = explain(written.code, written.message, kind="journal_entry")

    assert (written.effect, refusal.reason_code) == (REFUSED, "EXCHANGE_RATE_MISSING")
    assert "from USD" in refusal.sentence


def test_a_cancellation(client: SapB1Client, company: Company) -> None:
    posted = client.write(posting(body("K")))

    cancelled = client.write(Write("POST", f"JournalEntries({posted.key})/Cancel"))
    again = client.write(Write("POST", f"JournalEntries({posted.key})/Cancel"))
    unknown = client.write(Write("POST", "JournalEntries(999999)/Cancel"))

    assert (cancelled.effect, again.effect, unknown.effect) == (DONE, REFUSED, REFUSED)
    assert company.balance("V10010") == 0


def test_a_partner_is_created_and_changed_by_one_at_a_time(client: SapB1Client, company: Company) -> None:
    values = {"CardCode": "V9'1", "CardName": "Neu & Söhne", "CardType": "cSupplier"}
    path = entity_path("BusinessPartners", "V9'1")

    created = client.write(Write("POST", "BusinessPartners", json.dumps(values).encode()))
    _, tag = client.get_tagged(path)
    changed = client.write(Write("PATCH", path, b'{"Phone1":"1"}', if_match=tag))
    crossed = client.write(Write("PATCH", path, b'{"Phone1":"2"}', if_match=tag))
    twice = client.write(Write("POST", "BusinessPartners", json.dumps(values).encode()))

    assert (created.effect, created.key) == (DONE, "V9'1")
    assert tag.startswith('W/"')
    assert (changed.effect, changed.status) == (DONE, 204)
    assert (crossed.effect, crossed.code) == (REFUSED, "-2039")
    assert explain(twice.code, twice.message, kind="business_partner").reason_code == "DUPLICATE_IN_SAP"
    assert company.get("BusinessPartners", "V9'1")["Phone1"] == "1"


def test_an_approval_is_unknown_until_looked_up(client: SapB1Client, server: ServiceLayer, company: Company) -> None:
    server.faults.add("approval")
    alone = client.write(posting(body("K0")))
    server.faults.add("approval", after=1)
    batch = client.write_batch(entries("K1", "K2", "K3"))

    assert (alone.effect, alone.code) == (UNKNOWN, "-2028")
    assert effects(batch) == [DONE, UNKNOWN, NOT_SENT]
    assert [draft["NumAtCard"] for draft in company.rows("Drafts")] == ["K0", "K2"]


@pytest.mark.parametrize(
    ("kind", "booked"),
    [("lost_request", 0), ("lost_reply", 1), ("bad_gateway_before_commit", 0), ("bad_gateway_after_commit", 1)],
)
def test_a_lost_reply_is_unknown(
    client: SapB1Client, server: ServiceLayer, company: Company, kind: str, booked: int
) -> None:
    server.faults.add(kind)

    assert client.write(posting(body("K"))).effect is UNKNOWN
    assert len(company.entries()) == booked

    server.faults.add(kind, after=1)
    assert effects(client.write_batch(entries("L1", "L2", "L3"))) == [UNKNOWN] * 3
    assert len(company.entries()) == 2 * booked + 1


def test_what_only_reads_can_be_called(client: SapB1Client, company: Company) -> None:
    assert b"LocalCurrency" in client.action("CompanyService_GetAdminInfo")


def test_everything_is_posted_once_however_badly_it_goes(
    client: SapB1Client, server: ServiceLayer, company: Company
) -> None:
    server.faults.add("lost_reply", every=5, times=None)
    server.faults.add("bad_gateway_after_commit", after=7, times=2)
    server.faults.add("lost_request", after=11, times=2)
    server.faults.settings.kill_session_every = 4
    waiting = [f"K-{number:02}" for number in range(40)]
    rounds = 0

    while waiting and rounds < 60:
        rounds += 1
        results = dict(zip(waiting[:7], client.write_batch(entries(*waiting[:7])), strict=True))
        unknown = [key for key, written in results.items() if written.effect is UNKNOWN]
        found = booked(client, unknown)
        waiting = [key for key in waiting if not (key in results and results[key].effect is DONE) and key not in found]

    assert waiting == []
    assert {key: len(numbers) for key, numbers in company.entries_by_reference3().items()} == {
        f"K-{number:02}": 1 for number in range(40)
    }
    assert server.statistics.most_logins_in_flight == 1


def booked(client: SapB1Client, keys: list[str]) -> set[str]:
    """Which of these keys the books have."""
    found: set[str] = set()
    for condition, _ in key_filters("Reference3", keys):
        page = json.loads(client.get_page("JournalEntries", {"$filter": condition, "$select": "JdtNum,Reference3"}))
        found |= {row["Reference3"] for row in page["value"]}
    return found
