from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.ledger.builders import (
    DELIVERED_AT,
    begin,
    commit,
    deliver,
    euros,
    extracted,
    note_prepared,
    outcome_of,
    prepare,
    prepared,
    run_key,
    send,
)
from tieout.ledger import Filters, Ledger, RunKey, Tally

KEY = run_key()
CONTRACT = [
    "integration",
    "instance",
    "entity",
    "run_id",
    "interval_start",
    "interval_end",
    "extracted",
    "delivered",
    "posted",
    "held",
    "duplicate",
    "excluded",
    "source_totals",
    "target_totals",
    "ties_out",
    "status",
]


def committed(ledger: Ledger, key: RunKey) -> None:
    prepared(ledger, key)
    commit(ledger, key, outcome_of())


def succeeded(ledger: Ledger, key: RunKey) -> None:
    committed(ledger, key)
    ledger.finish_run(key, ties_out=True)


def previewed(ledger: Ledger, key: RunKey) -> None:
    prepared(ledger, key, dry_run=True)
    ledger.finish_run(key, ties_out=True)


BEFORE: dict[str, Callable[[Ledger, RunKey], None]] = {
    "running": begin,
    "extracted": extracted,
    "prepared": prepared,
    "delivered": committed,
    "success": succeeded,
    "dry_run": previewed,
}
STEPS: dict[str, Callable[[Ledger, RunKey], None]] = {
    "extracted": lambda ledger, key: ledger.record_extracted(key, euros(3, "30.00")),
    "prepared": note_prepared,
    "delivered": lambda ledger, key: commit(ledger, key, outcome_of()),
    "success": lambda ledger, key: ledger.finish_run(key, ties_out=True),
    "failed": lambda ledger, key: ledger.fail_run(key, "The source does not answer."),
}
LEGAL = {
    "running": {"extracted", "failed"},
    "extracted": {"extracted", "prepared", "failed"},
    "prepared": {"extracted", "prepared", "delivered", "failed"},
    "delivered": {"delivered", "success", "failed"},
    "success": {"delivered", "success", "failed"},
    "dry_run": {"extracted", "prepared", "success", "failed"},
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", BEFORE)
def test_what_may_follow_what(ledger: Ledger, before: str, step: str) -> None:
    BEFORE[before](ledger, KEY)
    if step in LEGAL[before]:
        STEPS[step](ledger, KEY)
        row = ledger.get_run(KEY)
        assert row is not None
        assert row.status == ("dry_run" if (before, step) == ("dry_run", "success") else step)
    else:
        earlier = ledger.get_run(KEY)
        with pytest.raises(ValueError, match=r"run scheduled__1 of invoices of sap_b1_to_peakflo \(default\) is "):
            STEPS[step](ledger, KEY)
        assert ledger.get_run(KEY) == earlier


@pytest.mark.parametrize("before", [*BEFORE, "failed"])
def test_a_run_may_begin_again_from_anywhere(ledger: Ledger, before: str) -> None:
    if before == "failed":
        prepared(ledger, KEY)
        ledger.fail_run(KEY, "no")
    else:
        BEFORE[before](ledger, KEY)
    begin(ledger, KEY)
    row = ledger.get_run(KEY)
    assert row is not None
    assert (row.status, row.attempt, row.extracted, row.delivered, row.message) == ("running", 2, 0, 0, "")
    assert row.source_totals == {} and row.target_totals == {}
    assert ledger.count_runs(Filters()) == 1


def test_a_failed_run_goes_on_where_it_was(ledger: Ledger) -> None:
    extracted(ledger, KEY)
    ledger.fail_run(KEY, "The receiver does not answer.")
    with pytest.raises(ValueError, match="as far as extracted"):
        ledger.finish_run(KEY, ties_out=True)
    note_prepared(ledger, KEY)
    row = ledger.get_run(KEY)
    assert row is not None
    assert (row.status, row.message, row.ended_at) == ("prepared", "", None)


def test_the_earlier_attempt_stays_in_the_trail(ledger: Ledger) -> None:
    deliver(ledger, KEY, "1", "2")
    begin(ledger, KEY)
    events = ledger.trace("invoices.csv")["files"][0]["runs"]
    assert [run["status"] for run in events] == ["running"]
    again = [event for event in ledger.events_of_run(KEY) if event.what == "run begun again"]
    assert [event.detail["delivered"] for event in again] == [2]
    assert again[0].detail["target_totals"] == {"EUR": "20.00"}


def test_unsent_files_of_the_earlier_attempt_are_not_sent_by_the_new_one(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    unsent = prepare(ledger, KEY, "1", name="a.csv")
    unknown = prepare(ledger, KEY, "2", name="b.csv")
    ledger.file_states([unknown.id], "sending")
    begin(ledger, KEY)
    assert {file.id: file.state for file in ledger.files_of_run(KEY)} == {unsent.id: "abandoned", unknown.id: "sending"}


def test_a_run_that_was_never_begun(ledger: Ledger) -> None:
    assert ledger.get_run(KEY) is None
    with pytest.raises(ValueError, match="has no run scheduled__1"):
        ledger.record_extracted(KEY, Tally())


def test_json_has_the_contracts_fields(ledger: Ledger) -> None:
    deliver(ledger, KEY, "1", "2")
    ledger.finish_run(KEY, ties_out=True)
    row = ledger.get_run(KEY)
    assert row is not None
    shown = row.as_json()
    assert set(CONTRACT) <= set(shown)
    assert shown["interval_start"] == "2026-03-31T22:15:00Z" and shown["interval_end"] is None
    assert shown["source_totals"] == {"EUR": "30.00"} and shown["target_totals"] == {"EUR": "20.00"}
    assert (shown["extracted"], shown["delivered"], shown["held"], shown["previewed"]) == (3, 2, 1, 0)
    assert (shown["ties_out"], shown["status"]) == (True, "success")


def test_a_run_whose_sums_differ_is_failed(ledger: Ledger) -> None:
    committed(ledger, KEY)
    ledger.finish_run(KEY, ties_out=False, message="EUR 0.01 is missing.")
    row = ledger.get_run(KEY)
    assert row is not None
    assert (row.status, row.ties_out, row.message) == ("failed", False, "EUR 0.01 is missing.")


def test_places_as_tallies(ledger: Ledger) -> None:
    deliver(ledger, KEY, "1", "2")
    row = ledger.get_run(KEY)
    assert row is not None
    assert row.tally("extracted") == euros(3, "30.00")
    assert row.tally("delivered") + row.tally("held") == row.tally("extracted")
    assert row.tally("duplicate") == row.tally("excluded") == Tally()


def test_a_dry_run_writes_nothing_but_its_row(ledger: Ledger) -> None:
    prepared(ledger, KEY, dry_run=True)
    with pytest.raises(ValueError, match="dry run"):
        prepare(ledger, KEY, "1")
    with ledger.acquire(KEY.scope, "test") as lease, pytest.raises(ValueError, match="dry run"):
        ledger.commit_entity(KEY, token=lease.token, base_version=0, outcome=outcome_of())
    ledger.finish_run(KEY, ties_out=True)
    row = ledger.get_run(KEY)
    assert row is not None
    assert (row.status, row.previewed, row.delivered, row.as_json()["previewed"]) == ("dry_run", 2, 0, 2)
    assert ledger.count_files(Filters()) == 0 and ledger.entity_version(KEY.scope) == 0
    assert ledger.watermark(KEY.scope) is None


def test_a_dry_run_does_not_touch_the_files_of_a_real_one(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1")
    begin(ledger, KEY, dry_run=True)
    assert [row.state for row in ledger.files_of_run(KEY)] == [file.state] == ["prepared"]


def test_lists_are_filtered_and_newest_first(ledger: Ledger) -> None:
    keys = [run_key(f"r{number}", entity) for number in range(3) for entity in ("invoices", "payments")]
    for key in keys:
        begin(ledger, key)
    ledger.fail_run(keys[0], "no")
    assert [row.key for row in ledger.runs(Filters())] == keys[::-1]
    assert [row.key for row in ledger.runs(Filters(), limit=2, offset=1)] == keys[::-1][1:3]
    assert [row.run_id for row in ledger.runs(Filters(entity="payments"))] == ["r2", "r1", "r0"]
    assert [row.key for row in ledger.runs(Filters(status="failed"))] == [keys[0]]
    third = ledger.get_run(keys[2])
    assert third is not None
    assert ledger.count_runs(Filters(since=third.started_at)) == 4
    assert ledger.count_runs(Filters(since=third.started_at + timedelta(days=1))) == 0
    assert ledger.count_runs(Filters(instance="elsewhere")) == 0
    assert ledger.count_runs(Filters(run_id="r1", entity="invoices")) == 1


def test_a_guessed_time_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        ledger.begin_run(
            KEY, mode="scheduled", dry_run=False, interval_start=datetime(2026, 1, 1), interval_end=None, window={}
        )
    assert ledger.get_run(KEY) is None


def test_money_in_the_ledger_is_exact(ledger: Ledger) -> None:
    begin(ledger, KEY)
    exact = {"EUR": Decimal("1234567890123456789.123456"), "JPY": Decimal("-1")}
    ledger.record_extracted(KEY, Tally(1, exact))
    row = ledger.get_run(KEY)
    assert row is not None and row.source_totals == exact
    with pytest.raises(ValueError, match="must be a Decimal"):
        ledger.record_extracted(KEY, Tally(1, {"EUR": 0.1}))  # type: ignore[dict-item]


def test_words_that_no_database_can_store(ledger: Ledger) -> None:
    begin(ledger, KEY)
    ledger.fail_run(KEY, "broken \x00 and \ud800 but é 日本 🙂")
    row = ledger.get_run(KEY)
    assert row is not None and row.message == "broken \ufffd and \ufffd but é 日本 🙂"


def test_sending_needs_a_known_time(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1")
    send(ledger, file)
    naive = [(file.id, "size", DELIVERED_AT.replace(tzinfo=None))]
    outcome = outcome_of()
    with pytest.raises(ValueError, match="no time zone"):
        commit(ledger, KEY, type(outcome)(delivered=naive))
    assert ledger.entity_version(KEY.scope) == 0
