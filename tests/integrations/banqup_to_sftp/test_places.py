"""Every document goes to exactly one place: to the client, to the held ones, the duplicates, the excluded."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import pytest

from sandbox.banqup import Document, coda, ubl
from sandbox.banqup.listing import row_of
from tests.integrations.banqup_to_sftp.rehearsal import (
    CREDIT_NOTE,
    INVOICE,
    NOW,
    ONE,
    PURCHASES,
    SALES,
    TWO,
    Rehearsal,
)
from tieout.formats.ubl import ValidatorFailed, ValidatorPool
from tieout.integrations.banqup_to_sftp import validating
from tieout.integrations.banqup_to_sftp.placing import Prepared
from tieout.ledger import HeldDetail


def folder_modes(rehearsal: Rehearsal, client: str = ONE) -> set[int]:
    root = rehearsal.banqup.receivers[client].folder
    return {path.stat().st_mode & 0o7777 for path in root.rglob("*") if path.is_dir()}


def only_held(rehearsal: Rehearsal) -> HeldDetail:
    [row] = rehearsal.held_rows()
    found = rehearsal.ledger.get_held(row.id)
    assert found is not None
    return found


def test_byte_for_byte_with_its_mode_at_its_place(rehearsal: Rehearsal) -> None:
    invoice, sale = rehearsal.add(number="2026/0113"), rehearsal.add(folder=SALES, shape="foreign")
    statement = rehearsal.add_statement()
    outcome = rehearsal.go()

    assert outcome.ties_out and rehearsal.has(invoice, sale, statement)
    top = "/invoice_import/C1001_0701234576"
    assert rehearsal.paths() == [
        f"{top}/AP/20260302_2026_0113_{invoice.id}.xml",
        f"{top}/AR/20260302_{sale.number}_{sale.id}.xml",
        f"{top}/cod/2026/20260302_{statement.number.replace(' ', '_')}_{statement.id}.cod",
    ]
    assert {file.mode for file in rehearsal.received().values()} == {0o664} and folder_modes(rehearsal) == {0o755}
    assert len(outcome.rows[ONE].target_totals) == 2
    assert {file.verification for file in rehearsal.ledger.files_of_run(outcome.rows[ONE].key)} == {"read_back"}


def test_modes_as_an_instance_wants_them(rehearsal: Rehearsal) -> None:
    rehearsal.configure(delivery={"file_mode": "0600", "directory_mode": "0770", "verification": "size"})
    document = rehearsal.add()
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.received()[document.id].mode == 0o600 and folder_modes(rehearsal) == {0o770}
    assert [file.verification for file in rehearsal.ledger.files_of_run(outcome.rows[ONE].key)] == ["size"]


@pytest.mark.parametrize("path", ["/", "/[invoice_type]/"])
def test_the_root_folder_and_a_slash_at_the_end(rehearsal: Rehearsal, path: str) -> None:
    document = rehearsal.add()
    clients = [
        {"external_id": ONE, "uen_number": "0701234576", "space_id": rehearsal.client().space_id,
         "conn_id": "banqup_client_1", "activated_at": "2026-01-01", "invoice_path": path}
    ]  # fmt: skip
    rehearsal.configure(clients=clients)
    assert rehearsal.go().ties_out
    place = "" if path == "/" else "/AP"
    assert rehearsal.paths() == [f"{place}/20260302_{document.number}_{document.id}.xml"]


# Documents that break rules

DEFECTS: list[Any] = [
    *(pytest.param("ubl", name, defect.rule, id=name) for name, defect in ubl.DEFECTS.items()),
    *(pytest.param("coda", name, defect.rule, id=name) for name, defect in coda.DEFECTS.items()),
]


def spoiled(rehearsal: Rehearsal, family: str, name: str, client: str = ONE, **details: Any) -> Document:
    if family == "coda":
        return rehearsal.add_statement(client, defect=name, **details)
    category = CREDIT_NOTE if ubl.DEFECTS[name].kind == "credit_note" else INVOICE
    return rehearsal.add(client, PURCHASES, category, defect=name, **details)


@pytest.mark.parametrize("chosen", ["ubl", "coda"])
def test_every_kind_of_defect_is_held_by_its_rule_and_repaired(rehearsal: Rehearsal, chosen: str) -> None:
    defects = [param.values for param in DEFECTS if param.values[0] == chosen]
    bad = {}
    for family, name, rule in defects:
        bad[spoiled(rehearsal, str(family), str(name)).id] = str(rule)
    good = rehearsal.add()
    outcome = rehearsal.go()

    assert outcome.ties_out and rehearsal.has(good) and outcome.counts() == (1, len(bad), 0, 0)
    assert rehearsal.held().keys() == bad.keys()
    for row in rehearsal.held_rows():
        assert bad[row.source_key] in f"{row.reason_code} {row.message}", row.message
        detail = rehearsal.ledger.get_held(row.id)
        assert detail is not None and detail.payload == rehearsal.data(row.source_key), "the bytes as they came"
        assert row.label == rehearsal.documents.get(row.source_key).number and row.fix_hint and row.owner == "finance"
        kind = "text/plain; charset=windows-1252" if chosen == "coda" else "application/xml"
        assert detail.content_type == kind
    for document_id in bad:
        rehearsal.documents.repair(document_id)
    rehearsal.later()
    replayed = rehearsal.go(mode="held_only")
    assert replayed.ties_out and replayed.counts() == (len(bad), 0, 0, 0) and rehearsal.held() == {}
    assert rehearsal.has(good, *(rehearsal.documents.get(document_id) for document_id in bad))


@pytest.mark.parametrize("chosen", ["ubl", "coda"])
def test_a_client_that_takes_invalid_documents(rehearsal: Rehearsal, chosen: str) -> None:
    rehearsal.configure(defaults={"invalid": "deliver"})
    defects = [param.values for param in DEFECTS if param.values[0] == chosen]
    bad = {spoiled(rehearsal, str(family), str(name)).id: str(rule) for family, name, rule in defects}
    rehearsal.worth.clear()  # what spoiled bytes say of themselves is not what their author meant
    outcome = rehearsal.go()

    assert outcome.ties_out and outcome.counts() == (len(bad), 0, 0, 0) and rehearsal.held() == {}
    assert rehearsal.has(*(rehearsal.documents.get(document_id) for document_id in bad))
    for document_id, rule in bad.items():
        [record] = rehearsal.ledger.trace(document_id)["records"]
        [event] = [event for event in record["events"] if event["what"] == "validated"]
        assert event["detail"]["verdict"] == "invalid"
        assert rule in {finding["rule"] for finding in event["detail"]["findings"]}


def test_one_client_wants_them_and_the_other_does_not(rehearsal: Rehearsal) -> None:
    clients = [entry.model_dump(exclude_none=True, mode="json") for entry in rehearsal.config.clients]
    rehearsal.configure(clients=[clients[0], {**clients[1], "invalid": "deliver"}])
    bad = {name: rehearsal.add(name, defect="wrong_total") for name in (ONE, TWO)}
    rehearsal.worth.clear()
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.held() == {bad[ONE].id: "BR-CO-15"}
    assert rehearsal.has(bad[TWO], client=TWO) and rehearsal.paths() == []


def test_warnings_are_no_reason_to_hold(rehearsal: Rehearsal) -> None:
    somebody_else = rehearsal.add(TWO)
    listed_otherwise = rehearsal.add(number="A-1")
    rehearsal.documents.edit(listed_otherwise.id, number="A-2")
    moved = rehearsal.documents.add_document(
        rehearsal.client(ONE).space_id, PURCHASES, INVOICE, rehearsal.data(somebody_else), number=somebody_else.number,
        issue_date="2026-02-01", status_at=NOW - timedelta(hours=1),
    )  # fmt: skip
    rehearsal.worth[moved.id] = rehearsal.worth[somebody_else.id]
    outcome = rehearsal.go()

    assert outcome.ties_out and rehearsal.received().keys() == {moved.id, listed_otherwise.id}
    findings = {}
    for document in (moved, listed_otherwise):
        [record] = [r for r in rehearsal.ledger.trace(document.id)["records"] if r["entity"] == ONE]
        [event] = [event for event in record["events"] if event["what"] == "validated"]
        assert event["detail"]["verdict"] == "valid"
        findings[document.id] = {finding["rule"] for finding in event["detail"]["findings"]}
    assert "TIEOUT-PARTY" in findings[moved.id] and findings[listed_otherwise.id] == {"TIEOUT-NUMBER"}


# Checking that fails

FAILING = """
import sys
from tieout.formats.ubl import frames
output = sys.stdout.buffer
frames.write(output, {"ready": ""})
while frame := frames.read(sys.stdin.buffer):
    header, body = frame
    answer = {"error": "out of memory"} if b"%s" in body else {"findings": []}
    frames.write(output, {"id": header["id"], **answer})
"""


@contextmanager
def failing_on(text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Documents with this text cannot be checked meanwhile."""
    with (
        ValidatorPool(1, command=(sys.executable, "-c", FAILING % text)) as pool,
        monkeypatch.context() as patched,
    ):
        patched.setattr(validating, "ValidatorPool", lambda workers: nullcontext(pool))
        yield


def test_one_document_that_could_not_be_checked(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    poison, good = rehearsal.add(number="POISON"), rehearsal.add()
    with failing_on("POISON", monkeypatch):
        outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.has(good) and rehearsal.held() == {poison.id: "VALIDATOR_FAILED"}
    [row] = rehearsal.held_rows()
    assert "out of memory" in row.message and row.owner == "data engineer"
    assert rehearsal.go().ties_out and rehearsal.has(good, poison) and rehearsal.held() == {}


def test_when_not_one_document_can_be_checked_nothing_is_held(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is the machine's trouble, also where statements, which it does not check, are sound."""
    documents = [rehearsal.add(), rehearsal.add(), rehearsal.add_statement()]
    with failing_on("Invoice", monkeypatch), pytest.raises(ValidatorFailed, match="Not one of 2 invoices"):
        rehearsal.go()
    assert rehearsal.held() == {} and rehearsal.paths() == []
    assert rehearsal.go().ties_out and rehearsal.has(*documents)


# Files that cannot be had


@pytest.mark.parametrize(
    ("harm", "code"),
    [("lose_file", "FILE_MISSING"), ("await_upload", "FILE_UNAVAILABLE"), ("damage_file", "FILE_DAMAGED")],
)
def test_a_file_that_cannot_be_had(rehearsal: Rehearsal, harm: str, code: str) -> None:
    bad, good = rehearsal.add(number="7/A"), rehearsal.add()
    getattr(rehearsal.documents, harm)(bad.id)
    outcome = rehearsal.go()

    assert outcome.ties_out and rehearsal.has(good) and rehearsal.held() == {bad.id: code}
    detail = only_held(rehearsal)
    assert detail.content_type == "application/json" and bad.id.encode() in detail.payload and detail.label == "7/A"
    repaired = rehearsal.documents.repair(bad.id)
    assert rehearsal.go().ties_out and rehearsal.has(good, repaired) and rehearsal.held() == {}


@pytest.mark.parametrize("kind", ["error_500", "forbidden", "html_200"])
def test_a_file_that_gets_nothing_but_errors_keeps_no_other_back(rehearsal: Rehearsal, kind: str) -> None:
    bad, good, late = rehearsal.add(minutes=3), rehearsal.add(minutes=2), rehearsal.add(minutes=1)
    fault = rehearsal.banqup.faults.add(kind, path=f"/files/{bad.file_id}$", times=None)
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.has(good, late) and rehearsal.held() == {bad.id: "FILE_UNAVAILABLE"}
    rehearsal.banqup.faults.remove(fault.id)
    assert rehearsal.go().ties_out and rehearsal.has(bad, good, late) and rehearsal.held() == {}


def test_where_most_files_get_nothing_but_errors_banqup_is_out_of_order(rehearsal: Rehearsal) -> None:
    one, two, three = (rehearsal.add() for _ in range(3))
    for document in (one, two):
        rehearsal.banqup.faults.add("unavailable", path=f"/files/{document.file_id}$", times=None)
    outcome = rehearsal.go()
    assert not outcome.ties_out and rehearsal.held() == {} and rehearsal.received() == {}
    rehearsal.banqup.faults.clear()
    assert rehearsal.go().ties_out and rehearsal.has(one, two, three)


def test_a_row_without_a_file(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = rehearsal.add()
    monkeypatch.setattr("sandbox.banqup.listing.row_of", without_file(bad.id))
    assert rehearsal.go().ties_out and rehearsal.held() == {bad.id: "FILE_MISSING"}


def without_file(document_id: str) -> Any:
    def changed(document: Document, *args: Any) -> dict[str, Any]:
        row = row_of(document, *args)
        return {**row, "fileId": None} if document.id == document_id else row

    return changed


def test_a_file_that_is_too_large(rehearsal: Rehearsal) -> None:
    rehearsal.configure(source={"max_file_bytes": 1000})
    large, small = rehearsal.add(), rehearsal.add(data=b"<x/>")
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.held() == {large.id: "FILE_TOO_LARGE", small.id: "XSD"}


@pytest.mark.parametrize("harm", ["lose_file", "remove"])
def test_a_held_documents_bytes_outlive_its_file(rehearsal: Rehearsal, harm: str) -> None:
    bad = rehearsal.add_statement(defect="wrong_balance")
    rehearsal.go()
    original, before = rehearsal.data(bad), only_held(rehearsal)
    getattr(rehearsal.documents, harm)(bad.id)
    assert rehearsal.go().ties_out
    after = only_held(rehearsal)
    assert after.reason_code == ("FILE_MISSING" if harm == "lose_file" else "DOCUMENT_GONE")
    assert (after.payload, after.content_type) == (original, "text/plain; charset=windows-1252")
    assert (after.label, after.currency, after.amount) == (before.label, before.currency, before.amount)
    assert before.amount is not None


# What was delivered before


def test_the_same_bytes_under_another_file_are_a_duplicate(rehearsal: Rehearsal) -> None:
    document = rehearsal.add()
    rehearsal.go()
    before = rehearsal.received()
    rehearsal.documents.replace_file(document.id, rehearsal.data(document))
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (0, 0, 1, 0) and rehearsal.received() == before
    assert outcome.rows[ONE].duplicate_totals == rehearsal.money([document.id])


def test_other_bytes_after_the_delivery_are_held(rehearsal: Rehearsal) -> None:
    document, other = rehearsal.add(), rehearsal.add()
    rehearsal.go()
    before = rehearsal.received()
    original = rehearsal.data(document)
    rehearsal.documents.replace_file(document.id, rehearsal.data(other))
    outcome = rehearsal.go()

    assert outcome.ties_out and outcome.counts() == (0, 1, 1, 0)
    assert rehearsal.held() == {document.id: "CHANGED_AFTER_DELIVERY"}
    assert rehearsal.received() == before, "the client's copy was not touched"
    assert rehearsal.go(full_refresh=(ONE,)).ties_out and rehearsal.received() == before
    rehearsal.documents.replace_file(document.id, original)
    assert rehearsal.go().ties_out and rehearsal.held() == {} and rehearsal.received() == before


def test_everything_once_more(rehearsal: Rehearsal) -> None:
    kept, lost = rehearsal.add(), rehearsal.add()
    rehearsal.go()
    before = rehearsal.received()
    (rehearsal.banqup.receivers[ONE].folder / before[lost.id].path.lstrip("/")).unlink()
    rehearsal.later(60 * 24)
    outcome = rehearsal.go(full_refresh=(ONE,))

    assert outcome.ties_out and outcome.counts() == (2, 0, 0, 0) and rehearsal.has(kept, lost)
    assert rehearsal.paths() == sorted(file.path for file in before.values()), "where it lay, by its first day"
    assert rehearsal.received()[kept.id].modified == before[kept.id].modified


# Discarded


def test_a_discarded_document_stays_out_until_its_bytes_change(rehearsal: Rehearsal) -> None:
    bad = rehearsal.add(defect="wrong_total")
    rehearsal.go()
    rehearsal.ledger.discard_held(only_held(rehearsal).id, "booked by hand", "test")
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (0, 0, 0, 1) and rehearsal.held() == {}

    rehearsal.configure(defaults={"invalid": "deliver"})
    assert rehearsal.go().counts() == (0, 0, 0, 1), "somebody decided that it is never to go"
    assert rehearsal.go(full_refresh=(ONE,)).counts() == (0, 0, 0, 1) and rehearsal.paths() == []
    rehearsal.documents.lose_file(bad.id)
    assert rehearsal.go().counts() == (0, 0, 0, 1)
    repaired = rehearsal.documents.repair(bad.id)
    assert rehearsal.go().ties_out and rehearsal.has(repaired)


def test_a_discarded_document_without_bytes(rehearsal: Rehearsal) -> None:
    document = rehearsal.add()
    rehearsal.documents.lose_file(document.id)
    rehearsal.go()
    rehearsal.ledger.discard_held(only_held(rehearsal).id, "not ours", "test")
    rehearsal.documents.pay(document.id)
    assert rehearsal.go().counts() == (0, 0, 0, 1)
    repaired = rehearsal.documents.repair(document.id)
    assert rehearsal.go().ties_out and rehearsal.has(repaired)


# Order and names


def test_statements_by_account_and_sequence_after_invoices_by_their_moment(rehearsal: Rehearsal) -> None:
    second_statement_first = [rehearsal.add_statement(minutes=minutes) for minutes in (10, 30, 20)]
    invoices = [rehearsal.add(minutes=50), rehearsal.add(folder=SALES, minutes=70), rehearsal.add(minutes=60)]
    run = rehearsal.new_run()
    rehearsal.ready(run)
    prepared = Prepared.load(rehearsal.staging(run) / ONE)
    assert prepared is not None
    by_moment = [invoices[1].id, invoices[2].id, invoices[0].id]
    assert [each.key for each in prepared.outgoing] == by_moment + [each.id for each in second_statement_first]


NUMBERS = [
    pytest.param("2026/0042", "2026_0042", id="slash"),
    pytest.param("../../etc/passwd", "etc_passwd", id="dots"),
    pytest.param("..", "_", id="only dots"),
    pytest.param("№12 – é", "12_", id="unicode"),
    pytest.param("发票", "_", id="nothing that a name may hold"),
    pytest.param("", "_", id="none"),
    pytest.param("INV" + "0" * 200, "INV" + "0" * 77, id="very long"),
    pytest.param(".hidden", "hidden", id="leading dot"),
    pytest.param("A&B:7*?\\", "A_B_7_", id="what Windows refuses"),
    pytest.param("a\nb", "a_b", id="line break"),
]


def test_numbers_of_every_kind(rehearsal: Rehearsal) -> None:
    documents = {}
    for param in NUMBERS:
        number, shown = map(str, param.values)
        document = rehearsal.add(number="X")
        rehearsal.documents.edit(document.id, number=number)
        documents[f"/invoice_import/C1001_0701234576/AP/20260302_{shown}_{document.id}.xml"] = document
    outcome = rehearsal.go()
    assert outcome.ties_out and set(rehearsal.paths()) == documents.keys()


def test_ids_that_would_become_one_name(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ["a b", "a/b", "a_b", "../a", "é", "ë", "a" * 150, "a" * 151]
    shown = {rehearsal.add(number="1").id: other for other in ids}

    def other_id(document: Document, *args: Any) -> dict[str, Any]:
        return {**row_of(document, *args), "id": shown[document.id]}

    monkeypatch.setattr("sandbox.banqup.listing.row_of", other_id)
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (len(ids), 0, 0, 0)
    names = {path.rpartition("/")[2] for path in rehearsal.paths()}
    assert len(names) == len(ids) and "20260302_1_a_b.xml" in names
    assert all(re.fullmatch(r"20260302_1_[A-Za-z0-9_]{1,100}\.xml", name) for name in names)
    assert rehearsal.go().counts() == (0, 0, len(ids), 0)
