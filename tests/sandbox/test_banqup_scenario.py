"""The generated clients and documents, and the truth about them."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from sandbox.banqup import ACTIVATED_AT, Mixture, Scenario, coda, generate, make_clients, ubl
from sandbox.banqup.scenario import DEFECTS, WINDOW
from sandbox.clock import SandboxClock

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
MIXTURE = Mixture(clients=3, documents=150, max_lines=2)
FULL = replace(MIXTURE, defects=len(DEFECTS), troubles=True)


def made(mixture: Mixture = MIXTURE, *, seed: int = 1, now: datetime = NOW) -> Scenario:
    return generate(mixture, seed=seed, clock=SandboxClock(now))


def digests(scenario: Scenario) -> list[tuple[str, str, datetime]]:
    store = scenario.store
    return [(entry.id, store.files[entry.file_id].sha256, entry.updated_at) for entry in store.documents()]


def test_the_same_seed_and_clock_give_the_same_documents() -> None:
    assert digests(made()) == digests(made())
    assert {entry[1] for entry in digests(made())}.isdisjoint(entry[1] for entry in digests(made(seed=2)))


def test_how_many_of_what() -> None:
    scenario = made(FULL)
    documents = scenario.store.documents()

    assert len(documents) == 150
    assert Counter(entry.status for entry in documents).keys() == {
        "APPROVED", "SENT", "AWAITING_VALIDATION", "REFUSED", "DRAFT", "ERROR",
    }  # fmt: skip
    assert {(entry.folder, entry.category) for entry in documents} == {
        ("PURCHASES", "INVOICE"), ("PURCHASES", "CREDIT_NOTE"), ("SALES", "INVOICE"), ("SALES", "CREDIT_NOTE"),
        ("BANK", "ENRICHED_MOVEMENT_REPORT"),
    }  # fmt: skip
    assert len({entry.updated_at for entry in documents}) < len(documents)
    assert len({entry.number for entry in documents}) < len(documents)


def test_the_truth_is_what_was_approved_or_sent_after_the_activation() -> None:
    scenario = made(FULL)
    expected = {entry.document_id for entries in scenario.truth().values() for entry in entries}
    documents = scenario.store.documents()

    wanted = {
        entry.id for entry in documents
        if entry.status == ("SENT" if entry.folder == "SALES" else "APPROVED") and entry.status_at > ACTIVATED_AT
    }  # fmt: skip
    assert expected == wanted and len(wanted) < len(documents)
    before = [entry for entry in documents if entry.id not in wanted and entry.is_final]
    assert any(entry.updated_at > ACTIVATED_AT for entry in before)
    assert any(entry.updated_at < ACTIVATED_AT for entry in before)
    assert all(entry.updated_at <= NOW for entry in documents)
    assert all(entry.status_at >= NOW - WINDOW for entry in documents if entry.id in wanted)
    for entries in scenario.truth().values():
        assert entries == sorted(entries, key=lambda entry: (entry.status_at, entry.document_id))


def test_every_defect_is_planted_once_and_can_be_repaired() -> None:
    scenario = made(FULL)
    bad = [entry for entries in scenario.truth().values() for entry in entries if entry.rule is not None]
    rules = Counter(entry.rule for entry in bad)
    planted = [defect.rule for defect in ubl.DEFECTS.values()] + [defect.rule for defect in coda.DEFECTS.values()]

    assert rules == Counter([*planted, "FILE_MISSING", "FILE_UNAVAILABLE", "FILE_DAMAGED"])
    for entry in bad:
        before = scenario.store.get(entry.document_id)
        repaired = scenario.store.repair(entry.document_id)
        assert repaired.file_id != before.file_id and repaired.updated_at == NOW
    assert {entry.rule for entries in scenario.truth().values() for entry in entries} == {None}
    assert {entry.rule for entries in made().truth().values() for entry in entries} == {None}


def test_statements_follow_on_one_another() -> None:
    scenario = made()
    for client in scenario.clients:
        rows = [entry for entry in scenario.store.documents(client.space_id) if entry.folder == "BANK"]
        rows.sort(key=lambda entry: entry.status_at or NOW)
        text = "".join(scenario.store.files[entry.file_id].data.decode("cp1252") for entry in rows)
        numbers = [line[125:128] for line in text.splitlines() if line.startswith("1")]
        years = [line[9:11] for line in text.splitlines() if line.startswith("00000")]
        by_year = {year: [int(n) for n, y in zip(numbers, years, strict=True) if y == year] for year in set(years)}
        assert len(numbers) >= len(rows) > 1
        assert all(found == list(range(1, len(found) + 1)) for found in by_year.values())
        statements = scenario.accounts[client.space_id].statements
        assert all(one.new_balance == two.old_balance for one, two in itertools.pairwise(statements))


def test_a_second_day() -> None:
    clock = SandboxClock(NOW)
    scenario = generate(MIXTURE, clock=clock)
    before = {entry.document_id for entries in scenario.truth().values() for entry in entries}
    clock.advance(timedelta(days=1))

    happened = scenario.second_day()

    after = {entry.document_id: entry for entries in scenario.truth().values() for entry in entries}
    assert set(after) - before == {*happened["approved"], *happened["sent"], *happened["statements"]}
    assert {after[new].status_at for new in set(after) - before} == {clock.now()}
    assert happened["paid"] and set(happened["paid"]) <= before
    assert {scenario.store.get(entry).updated_at for entry in happened["paid"]} == {clock.now()}
    assert {scenario.store.get(entry).status for entry in happened["refused"]} == {"REFUSED"}
    scenario.second_day()


def test_many_at_the_same_moment() -> None:
    scenario = made(replace(MIXTURE, same_moment=70))
    moments = Counter(entry.updated_at for entry in scenario.store.documents(scenario.clients[0].space_id))

    assert len(scenario.store.documents()) == 150
    assert moments.most_common(1)[0][1] >= 70


@pytest.mark.parametrize("now", [ACTIVATED_AT - timedelta(days=400), ACTIVATED_AT + timedelta(hours=1)])
def test_a_clock_near_the_activation(now: datetime) -> None:
    scenario = made(FULL, now=now)
    entries = [entry for entries in scenario.truth().values() for entry in entries]

    assert len(entries) > 100
    assert {entry.status_at <= max(now, ACTIVATED_AT + timedelta(days=1)) for entry in entries} == {True}
    assert scenario.second_day()["sent"]


def test_the_instance_file() -> None:
    scenario = made()
    instance = yaml.safe_load(scenario.instance_yaml())

    assert instance["connections"] == {"source": "banqup"}
    assert instance["clients"][0] == {
        "external_id": "C1001", "name": "Bakkerij De Korenbloem BV", "uen_number": "0701234576",
        "space_id": "0ea1eb6d-bd0b-5c16-916a-e1978a375318", "conn_id": "banqup_client_1",
        "activated_at": "2026-01-01T00:00:00Z",
        "invoice_path": "/invoice_import/[external_id]_[uen_number]/[invoice_type]",
        "statement_path": "/invoice_import/[external_id]_[uen_number]/[file_type]/[year]",
    }  # fmt: skip
    assert [client["external_id"] for client in instance["clients"]] == ["C1001", "C1002", "C1003"]


def test_clients_are_distinct_and_stay_the_same() -> None:
    clients = make_clients(200)

    assert clients[:8] == make_clients(8)
    for name in ("external_id", "uen_number", "space_id", "conn_id"):
        assert len({getattr(client, name) for client in clients}) == 200
    assert all(97 - int(client.uen_number[:8]) % 97 == int(client.uen_number[8:]) for client in clients)
    assert clients[2].folder_of("PURCHASES", 2026) == "/invoice_import/C1003_0703703524/AP"
    assert clients[2].folder_of("SALES", 2026) == "/invoice_import/C1003_0703703524/AR"
    assert clients[2].folder_of("BANK", 2026) == "/invoice_import/C1003_0703703524/cod/2026"
