"""Which documents are delivered: by folder, category, status and the moment of approval or sending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integrations.banqup_to_sftp.rehearsal import (
    BANK,
    CREDIT_NOTE,
    INVOICE,
    NOW,
    ONE,
    PURCHASES,
    SALES,
    THREE,
    TWO,
    Rehearsal,
)
from tieout.errors import CredentialsRejected, SourceUnavailable
from tieout.integrations.banqup_to_sftp import collecting
from tieout.integrations.banqup_to_sftp.plan import QUERIES, Asked

ACTIVATED = datetime(2026, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LIST = r"/PURCHASES/INVOICE/APPROVED$"


def seen(rehearsal: Rehearsal, name: str = "purchase_invoices", client: str = ONE) -> datetime | None:
    """How far a list was read."""
    found = rehearsal.watermark(client).get("seen", {}).get(name)
    return datetime.fromisoformat(found) if found else None


def test_everything_that_was_approved_or_sent_goes_to_its_client(rehearsal: Rehearsal) -> None:
    for client in (ONE, TWO, THREE):
        rehearsal.add(client, PURCHASES, INVOICE)
        rehearsal.add(client, PURCHASES, CREDIT_NOTE)
        rehearsal.add(client, SALES, INVOICE)
        rehearsal.add(client, SALES, CREDIT_NOTE)
        rehearsal.add_statement(client)
    outcome = rehearsal.go()

    assert outcome.ties_out, outcome.red
    for name in (ONE, TWO, THREE):
        settings = rehearsal.client(name)
        assert rehearsal.has(*rehearsal.documents.documents(settings.space_id), client=name)
        for document in rehearsal.documents.documents(settings.space_id):
            place = rehearsal.received(name)[document.id].path.rpartition("/")[0]
            assert place == settings.folder_of(document.folder, 2026), "credit notes by their direction"
        assert outcome.counts(name) == (5, 0, 0, 0)
    again = rehearsal.go()
    assert again.ties_out and [again.counts(name) for name in (ONE, TWO, THREE)] == [(0, 0, 5, 0)] * 3


def test_the_activation_to_the_microsecond(rehearsal: Rehearsal) -> None:
    rehearsal.banqup.faults.configure(timestamps="microseconds")
    before = rehearsal.add(status_at=ACTIVATED - MICROSECOND)
    rehearsal.documents.touch(before.id)
    at = rehearsal.add(status_at=ACTIVATED)
    after = rehearsal.add(status_at=ACTIVATED + MICROSECOND)
    outcome = rehearsal.go()

    assert outcome.ties_out and rehearsal.has(after)
    assert outcome.counts() == (1, 0, 0, 2), f"{before.id} and {at.id} are counted, and stay"


def test_approved_before_and_paid_after_the_activation(rehearsal: Rehearsal) -> None:
    early = rehearsal.add(status_at=ACTIVATED - timedelta(days=3))
    rehearsal.documents.pay(early.id, at=NOW - timedelta(days=1))
    outcome = rehearsal.go()

    assert outcome.ties_out and outcome.counts() == (0, 0, 0, 1)
    assert rehearsal.paths() == [] and rehearsal.held() == {} and outcome.shares == []
    assert seen(rehearsal) == NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("folder", "status"),
    [(PURCHASES, status) for status in ("AWAITING_VALIDATION", "REFUSED", "SUSPENDED", "DISPUTED", "SENT")]
    + [(SALES, status) for status in ("DRAFT", "ERROR", "APPROVED")]
    + [(BANK, "AWAITING_VALIDATION")],
)
def test_other_statuses_never(rehearsal: Rehearsal, folder: str, status: str) -> None:
    if folder == BANK:
        rehearsal.add_statement(status=status)
    else:
        rehearsal.add(folder=folder, status=status)
    outcome = rehearsal.go()

    assert outcome.ties_out and outcome.counts() == (0, 0, 0, 0) and rehearsal.paths() == []


def test_of_a_list_that_is_not_what_was_asked_for_nothing_goes(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that leaves the filter out must not make us deliver drafts."""
    rehearsal.add(status="AWAITING_VALIDATION")
    rehearsal.add(folder=SALES, status="DRAFT")
    good = rehearsal.add()
    monkeypatch.setattr("sandbox.banqup.listing._matches", lambda document, query, settings: True)
    outcome = rehearsal.go()

    assert rehearsal.has(good) and outcome.ties_out and outcome.counts() == (1, 0, 0, 2)


def test_a_row_that_does_not_say_since_when(rehearsal: Rehearsal) -> None:
    created_after = rehearsal.add(created_at=ACTIVATED + MICROSECOND * 1000)
    created_before = rehearsal.add(created_at=ACTIVATED - MICROSECOND, minutes=200)
    old = rehearsal.add(status_at=ACTIVATED - timedelta(days=5))
    for document in (created_after, created_before, old):
        rehearsal.documents.edit(document.id, status_at=None)
    outcome = rehearsal.go()

    assert outcome.ties_out and rehearsal.has(created_after)
    assert rehearsal.held() == {created_before.id: "STATUS_DATE_MISSING"}
    assert "when this document was approved" in rehearsal.held_rows()[0].message
    assert outcome.counts() == (1, 1, 0, 0)
    assert rehearsal.go().counts() == (0, 1, 1, 0), "also asked for by its id"
    # As the hint says: a back-fill of its time.
    filled = rehearsal.go(Asked.read("2025-12-31", "2026-01-02", "UTC"))
    assert filled.ties_out and rehearsal.has(created_after, created_before) and rehearsal.held() == {}


def test_a_backfill_takes_what_was_approved_in_its_time_and_nothing_else(rehearsal: Rehearsal) -> None:
    begin, end = datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 12, 1, tzinfo=UTC)
    moments = [begin - MICROSECOND * 1000, begin, end - MICROSECOND * 1000, end, NOW - timedelta(days=1)]
    documents = [rehearsal.add(status_at=moment) for moment in moments]
    undated = rehearsal.add(created_at=end, status_at=end)
    rehearsal.documents.edit(undated.id, status_at=None, updated_at=NOW)
    outcome = rehearsal.go(Asked.read("2025-11-01", "2025-12-01", "UTC"))

    assert outcome.ties_out and rehearsal.has(documents[1], documents[2])
    assert outcome.rows[ONE].extracted == 2 and rehearsal.watermark() == {}
    regular = rehearsal.go()
    assert regular.ties_out and rehearsal.has(*documents[1:3], documents[4], undated) is False
    assert documents[4].id in rehearsal.received()
    assert rehearsal.go(Asked.read("2025-11-01", "2025-12-01", "UTC")).counts() == (0, 0, 2, 0)


def test_an_interval_of_airflow_takes_what_changed_in_it(rehearsal: Rehearsal) -> None:
    inside, outside = rehearsal.add(minutes=90), rehearsal.add(minutes=30)
    early = rehearsal.add(status_at=ACTIVATED - timedelta(days=1))
    rehearsal.documents.pay(early.id, at=NOW - timedelta(minutes=80))
    begin, end = NOW - timedelta(minutes=120), NOW - timedelta(minutes=60)
    outcome = rehearsal.go(mode="backfill", interval_start=begin, interval_end=end)

    assert outcome.ties_out and rehearsal.has(inside) and outcome.counts() == (1, 0, 0, 1)
    assert rehearsal.watermark() == {}
    assert rehearsal.go().counts() == (1, 0, 1, 1) and rehearsal.has(inside, outside)


# While the lists are walked


def test_documents_that_change_while_pages_are_walked(rehearsal: Rehearsal) -> None:
    waiting = rehearsal.add(minutes=300, status="AWAITING_VALIDATION")
    documents = [rehearsal.add(minutes=200 - number) for number in range(8)]
    rehearsal.banqup.faults.configure(rows_twice_every=2)
    rehearsal.page_size = 3
    store, now = rehearsal.documents, NOW + timedelta(seconds=5)

    def happen() -> None:
        store.approve(waiting.id, at=now)
        store.refuse(documents[1].id, at=now)
        store.refuse(documents[6].id, at=now)
        store.pay(documents[0].id, at=now)
        store.pay(documents[7].id, at=now)

    rehearsal.banqup.faults.after_page(1, happen, where=LIST)
    first = rehearsal.go()
    assert first.ties_out, first.red
    assert seen(rehearsal) is not None and seen(rehearsal) <= NOW  # type: ignore[operator]
    rehearsal.later()
    second = rehearsal.go()

    assert second.ties_out
    # One that was refused only after it had been listed was approved when it went.
    final = {document.id for document in store.documents() if document.status == "APPROVED"}
    assert final <= set(rehearsal.received()) <= final | {documents[1].id}
    assert documents[6].id not in rehearsal.received()


def test_the_watermark_is_never_past_banqups_clock_at_the_beginning(rehearsal: Rehearsal) -> None:
    first, ahead = rehearsal.add(minutes=5), rehearsal.add(minutes=-10)
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.has(first, ahead) and seen(rehearsal) == NOW
    rehearsal.configure(source={"lookback_minutes": 0})
    late = rehearsal.add(minutes=-5)
    assert rehearsal.go().counts() == (1, 0, 1, 0) and rehearsal.has(first, ahead, late)


def test_a_watermark_never_goes_back(rehearsal: Rehearsal) -> None:
    document = rehearsal.add(minutes=5)
    rehearsal.go()
    before = seen(rehearsal)
    older = rehearsal.add(minutes=30)
    rehearsal.documents.set_status(document.id, "DISPUTED")
    assert rehearsal.go().counts() == (1, 0, 0, 0)
    assert seen(rehearsal) == before == document.updated_at > older.updated_at
    rehearsal.go(full_refresh=(ONE,))
    assert seen(rehearsal) == before


def test_a_quiet_client_keeps_its_place(rehearsal: Rehearsal) -> None:
    rehearsal.add(minutes=5)
    rehearsal.configure(source={"lookback_minutes": 1})
    rehearsal.go()
    before = rehearsal.watermark()
    rehearsal.later()
    rehearsal.documents.remove(next(iter(rehearsal.received())))
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (0, 0, 0, 0) and outcome.shares == []
    assert rehearsal.watermark() == before


# Very many


def limited(rehearsal: Rehearsal, most: int, monkeypatch: pytest.MonkeyPatch, chunk: int = 50) -> None:
    monkeypatch.setattr(collecting, "CHUNK", chunk)
    rehearsal.configure(source={"max_documents": most})


@pytest.mark.parametrize("chunk", [2, 50])
def test_more_documents_than_a_run_may_read(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    limited(rehearsal, 4, monkeypatch, chunk)
    documents = [rehearsal.add(minutes=500 - number) for number in range(7)]
    documents += [rehearsal.add(folder=SALES, minutes=400 - number) for number in range(3)]
    delivered = []
    for _ in range(4):
        outcome = rehearsal.go()
        assert outcome.ties_out
        delivered.append(outcome.counts()[0])
    assert delivered == [4, 4, 2, 0] and rehearsal.has(*documents)


def test_many_of_one_moment_belong_together(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(rehearsal, 2, monkeypatch, 3)
    moment = NOW - timedelta(minutes=90)
    documents = [rehearsal.add(status_at=moment) for _ in range(7)] + [rehearsal.add(minutes=30)]
    assert [rehearsal.go().counts()[0] for _ in range(3)] == [7, 1, 0] and rehearsal.has(*documents)


def test_held_documents_do_not_keep_a_run_from_going_on(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held ones are listed again as long as they are within the lookback."""
    limited(rehearsal, 3, monkeypatch)
    for number in range(4):
        rehearsal.add(minutes=50 - number, defect="not_xml")
    good = rehearsal.add(minutes=20)
    for _ in range(2):
        assert rehearsal.go().ties_out
    assert rehearsal.has(good) and len(rehearsal.held()) == 4


@pytest.mark.parametrize("how", ["full_refresh", "backfill", "interval"])
def test_what_leaves_the_watermark_is_read_to_the_end(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """No later run would go on from there."""
    documents = [rehearsal.add(minutes=50 - number) for number in range(5)]
    if how == "full_refresh":
        rehearsal.go()
    limited(rehearsal, 2, monkeypatch)
    match how:
        case "full_refresh":
            outcome = rehearsal.go(full_refresh=(ONE,))
        case "backfill":
            outcome = rehearsal.go(Asked.read("2026-03-01", "2026-03-03", "UTC"))
        case _:
            outcome = rehearsal.go(mode="backfill", interval_start=NOW - timedelta(days=1), interval_end=NOW)
    assert outcome.counts() == (5, 0, 0, 0) and outcome.ties_out and rehearsal.has(*documents)


# Held documents


def test_a_held_document_that_vanished(rehearsal: Rehearsal) -> None:
    bad = rehearsal.add(defect="wrong_total", number="V/1")
    original = rehearsal.data(bad)
    rehearsal.go()
    rehearsal.documents.remove(bad.id)
    outcome = rehearsal.go()

    assert outcome.ties_out and outcome.counts() == (0, 1, 0, 0)
    [row] = rehearsal.held_rows()
    assert (row.reason_code, row.label) == ("DOCUMENT_GONE", "V/1")
    detail = rehearsal.ledger.get_held(row.id)
    assert detail is not None and detail.payload == original, "the last copy there is"
    rehearsal.ledger.discard_held(row.id, "cancelled", "test")
    after = rehearsal.go()
    assert after.ties_out and rehearsal.held() == {}


@pytest.mark.parametrize("status", ["REFUSED", "DISPUTED"])
def test_a_held_document_that_is_not_approved_any_more(rehearsal: Rehearsal, status: str) -> None:
    bad = rehearsal.add(defect="wrong_total")
    rehearsal.go()
    rehearsal.documents.set_status(bad.id, status)
    outcome = rehearsal.go()

    assert outcome.ties_out and outcome.counts() == (0, 0, 0, 1)
    assert rehearsal.held() == {} and rehearsal.paths() == []


@pytest.mark.parametrize("by_schedule", [False, True], ids=["looked at again", "backed off"])
def test_one_from_a_backfill_stays_held_when_it_changes(rehearsal: Rehearsal, by_schedule: bool) -> None:
    """It was approved before the activation, and somebody asked for it all the same."""
    rehearsal.configure(held={"eager_attempts": 0, "first_delay_minutes": 60})
    bad = rehearsal.add(status_at=ACTIVATED - timedelta(days=20), defect="wrong_total")
    filled = rehearsal.go(Asked.read("2025-12-01", "2026-01-01", "UTC"))
    assert filled.counts() == (0, 1, 0, 0)
    rehearsal.documents.pay(bad.id)
    outcome = rehearsal.go(by_schedule=by_schedule)
    assert outcome.ties_out and rehearsal.held() == {bad.id: "BR-CO-15"}, "nobody has settled it"
    repaired = rehearsal.documents.repair(bad.id)
    assert rehearsal.go(by_schedule=by_schedule).ties_out
    assert rehearsal.has(repaired) and rehearsal.held() == {}


# Clients and Banqup as a whole


def test_one_clients_space_is_closed(rehearsal: Rehearsal) -> None:
    documents = {name: rehearsal.add(name) for name in (ONE, TWO)}
    rehearsal.banqup.withdraw(ONE)
    outcome = rehearsal.go()

    assert list(outcome.red) == [ONE] and "does not show the space" in outcome.red[ONE]
    assert rehearsal.has(documents[TWO], client=TWO) and rehearsal.paths() == []
    rehearsal.banqup.whitelist(ONE)
    assert rehearsal.go().ties_out and rehearsal.has(documents[ONE])


def test_nobody_has_let_the_application_in(rehearsal: Rehearsal) -> None:
    rehearsal.add()
    for name in (ONE, TWO, THREE):
        rehearsal.banqup.withdraw(name)
    with pytest.raises(CredentialsRejected, match="whitelist the application's id"):
        rehearsal.go()


def test_banqup_fails_for_one_client(rehearsal: Rehearsal) -> None:
    documents = {name: rehearsal.add(name) for name in (ONE, TWO)}
    space = rehearsal.client(ONE).space_id
    rehearsal.banqup.faults.add("unavailable", path=f"{space}/documents", times=None)
    outcome = rehearsal.go()
    assert list(outcome.red) == [ONE] and rehearsal.has(documents[TWO], client=TWO)
    assert rehearsal.watermark() == {}
    rehearsal.banqup.faults.clear()
    assert rehearsal.go().ties_out and rehearsal.has(documents[ONE])


def test_banqup_is_down(rehearsal: Rehearsal) -> None:
    document = rehearsal.add()
    rehearsal.banqup.faults.add("unavailable", path="/documents$", times=None)
    run = rehearsal.new_run()
    plans = rehearsal.open(run)
    with pytest.raises(SourceUnavailable):
        rehearsal.collect(run, plans)
    rehearsal.banqup.faults.clear()
    # Airflow tries the task again.
    plans, shares = rehearsal.ready(run)
    assert shares == [[ONE]]
    rehearsal.deliver(run, plans, shares[0])
    assert rehearsal.has(document)


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ("unauthorized", "/documents$"),
        ("token_lost", "/files/"),
        ("url_expired", "^/storage/"),
        ("error_500", "/files/"),
        ("reset_mid_body", "^/storage/"),
        ("truncated", "/documents$"),
        ("close_mid_body", "^/storage/"),
    ],
)
def test_what_passes_by_itself_is_not_noticed(rehearsal: Rehearsal, fault: str, path: str) -> None:
    documents = [rehearsal.add(), rehearsal.add_statement()]
    rehearsal.banqup.faults.add(fault, path=path)
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.has(*documents)


def test_each_list_is_asked_for_once(rehearsal: Rehearsal) -> None:
    """Hundreds of clients, most of them idle: nothing is asked twice, and nothing that is known is fetched."""
    rehearsal.add()
    rehearsal.go()
    before: dict[str, Any] = dict(rehearsal.banqup.server.statistics.requests)
    outcome = rehearsal.go()
    after = rehearsal.banqup.server.statistics.requests
    asked = {kind: after[kind] - before.get(kind, 0) for kind in ("documents", "document", "file", "download")}
    assert asked == {"documents": 3 * len(QUERIES), "document": 0, "file": 0, "download": 0}
    assert outcome.counts() == (0, 0, 1, 0)
