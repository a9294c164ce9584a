from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.ledger.builders import (
    DELIVERED_AT,
    begin,
    commit,
    deliver,
    euros,
    extracted,
    outcome_of,
    prepare,
    run_key,
    send,
)
from tests.ledger.builders import prepared as prepared_with_records
from tests.ledger.test_ledger_many import statements
from tieout.ledger import Filters, IdleRun, Ledger, Places, RunKey, RunRow, Tally

KEY = run_key("r", "client-1")
ALL_OF_THEM = run_key("r", "")
STARTED = DELIVERED_AT + timedelta(minutes=1)
NEW = {"updatedFrom": "2026-05-02"}
OLD = {"updatedFrom": "2026-05-01"}


def finish(
    ledger: Ledger,
    entities: Mapping[str, IdleRun],
    *,
    run_id: str = "r",
    started_at: datetime | None = STARTED,
    dry_run: bool = False,
) -> None:
    ledger.finish_idle_runs(
        "sap_b1_to_peakflo",
        "default",
        run_id,
        entities,
        mode="scheduled",
        interval_start=DELIVERED_AT,
        interval_end=STARTED,
        started_at=started_at,
        dry_run=dry_run,
    )


def idle(ledger: Ledger, **fields: Any) -> None:
    """One client is idle."""
    run = IdleRun({"from": "x"}, fields.pop("watermark", NEW), fields.pop("base", None))
    finish(ledger, {KEY.entity: run}, **fields)


def row(ledger: Ledger, key: RunKey = KEY) -> RunRow:
    found = ledger.get_run(key)
    assert found is not None
    return found


def test_many_clients_at_once(ledger: Ledger) -> None:
    entities = {f"client-{number}": IdleRun({"from": number}, NEW) for number in range(2_000)}
    with statements(ledger) as said:
        finish(ledger, entities)
    assert len(said) < 40
    rows = ledger.runs(Filters(status="success"))
    assert len(rows) == 2_000 and {run.entity: run.window for run in rows} == {
        entity: {"from": run.window["from"]} for entity, run in entities.items()
    }
    assert ledger.watermarks("sap_b1_to_peakflo", "default") == dict.fromkeys(entities, NEW)
    assert set(ledger.versions("sap_b1_to_peakflo", "default").values()) == {0}
    (told,) = ledger.events_of_run(ALL_OF_THEM)
    assert told.what == "idle runs finished"
    assert told.detail == {"runs": 2_000, "left_as_they_were": [], "watermarks_moved": 2_000}
    assert ledger.events_of_run(rows[0].key) == []


def test_what_the_row_says(ledger: Ledger) -> None:
    idle(ledger)
    run = row(ledger)
    assert (run.status, run.stage, run.ties_out, run.attempt, run.mode) == (
        "success",
        "delivered",
        True,
        1,
        "scheduled",
    )
    assert (run.interval_start, run.interval_end, run.started_at) == (DELIVERED_AT, STARTED, STARTED)
    assert run.ended_at is not None and run.ended_at > STARTED
    assert all(run.tally(place).agrees_with(Tally()) for place in ("extracted", "to_send", "delivered", "held"))
    assert run.tally("duplicate").agrees_with(run.tally("excluded"))


def test_the_clock_where_no_beginning_is_given(ledger: Ledger) -> None:
    idle(ledger, started_at=None)
    assert row(ledger).started_at > STARTED


def test_nobody_is_idle(ledger: Ledger) -> None:
    finish(ledger, {})
    assert ledger.count_runs(Filters()) == 0 and ledger.events_of_run(ALL_OF_THEM) == []


@pytest.mark.parametrize(
    ("before", "base", "watermark", "after"),
    [
        (None, None, NEW, NEW),
        (OLD, OLD, NEW, NEW),
        (OLD, None, NEW, OLD),  # another run was the first
        (NEW | {"by": "another run"}, OLD, NEW, NEW | {"by": "another run"}),
        (None, OLD, NEW, None),
        (OLD, OLD, None, OLD),  # a backfill
    ],
    ids=["first", "moves", "moved from none", "moved on", "taken away", "left alone"],
)
def test_the_watermark_moves_where_it_is_still_what_was_read(
    ledger: Ledger,
    before: dict[str, Any] | None,
    base: dict[str, Any] | None,
    watermark: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    if before is not None:
        finish(ledger, {KEY.entity: IdleRun({}, before)}, run_id="earlier")
    idle(ledger, base=base, watermark=watermark)
    assert ledger.watermark(KEY.scope) == after
    assert row(ledger).status == "success"


def test_a_watermark_of_any_json_is_compared_by_its_value(ledger: Ledger) -> None:
    finish(ledger, {KEY.entity: IdleRun({}, {"at": DELIVERED_AT, "of": {"b": [1, 2], "a": None}})}, run_id="earlier")
    idle(ledger, base={"of": {"a": None, "b": (1, 2)}, "at": DELIVERED_AT})
    assert ledger.watermark(KEY.scope) == NEW


def test_commits_are_not_disturbed(ledger: Ledger) -> None:
    """What another run has prepared from its fingerprints stays valid: nothing was delivered meanwhile."""
    other = run_key("other", KEY.entity)
    base_version = ledger.entity_version(KEY.scope)
    prepared_with_records(ledger, other)
    file = prepare(ledger, other, "1")
    idle(ledger)
    send(ledger, file)
    with ledger.acquire(KEY.scope, "other") as lease:
        ledger.commit_entity(other, token=lease.token, base_version=base_version, outcome=outcome_of(file))
    assert ledger.entity_version(KEY.scope) == 1


def test_a_repeated_task_changes_nothing(ledger: Ledger) -> None:
    idle(ledger)
    finish(ledger, {KEY.entity: IdleRun({}, {"updatedFrom": "2026-05-03"}, NEW)}, run_id="later")
    before = (ledger.watermark(KEY.scope), ledger.entity_version(KEY.scope), row(ledger).as_json())
    idle(ledger)
    after = (ledger.watermark(KEY.scope), ledger.entity_version(KEY.scope), row(ledger).as_json())
    ended = {"ended_at": ""}
    assert (*after[:2], after[2] | ended) == (*before[:2], before[2] | ended)
    assert ledger.count_runs(Filters(run_id="r")) == 1


def empty_and_delivered(ledger: Ledger, key: RunKey) -> None:
    empty_and_prepared(ledger, key)
    ledger.record_prepared(key, **vars(Places()), mapping_version="v")
    commit(ledger, key, type(outcome_of())())


def empty_and_prepared(ledger: Ledger, key: RunKey) -> None:
    begin(ledger, key)
    ledger.record_extracted(key, Tally())


def failed_without_records(ledger: Ledger, key: RunKey) -> None:
    begin(ledger, key)
    ledger.fail_run(key, "The source does not answer.")


def failed_with_records(ledger: Ledger, key: RunKey) -> None:
    prepared_with_records(ledger, key)
    ledger.fail_run(key, "The receiver does not answer.")


def delivered(ledger: Ledger, key: RunKey) -> None:
    deliver(ledger, key, "1", "2")


def succeeded(ledger: Ledger, key: RunKey) -> None:
    deliver(ledger, key, "1", "2")
    ledger.finish_run(key, ties_out=True)


def failed_at_the_end(ledger: Ledger, key: RunKey) -> None:
    deliver(ledger, key, "1", "2")
    ledger.finish_run(key, ties_out=False, message="EUR 0.01 is missing.")


Before = Callable[[Ledger, RunKey], None]


@pytest.mark.parametrize("before", [failed_with_records, delivered, succeeded, failed_at_the_end])
def test_rows_that_stay_as_they_are(ledger: Ledger, before: Before) -> None:
    before(ledger, KEY)
    kept, events, watermark = row(ledger), ledger.events_of_run(KEY), ledger.watermark(KEY.scope)
    finish(ledger, {KEY.entity: IdleRun({}, NEW, watermark), "client-2": IdleRun({}, NEW)})
    assert row(ledger) == kept and ledger.events_of_run(KEY) == events
    assert ledger.watermark(KEY.scope) == watermark
    assert row(ledger, run_key("r", "client-2")).status == "success"
    (told,) = ledger.events_of_run(ALL_OF_THEM)
    assert told.detail == {"runs": 1, "left_as_they_were": [KEY.entity], "watermarks_moved": 1}


@pytest.mark.parametrize("before", [begin, empty_and_prepared, empty_and_delivered, failed_without_records])
def test_rows_without_records_are_closed(ledger: Ledger, before: Before) -> None:
    before(ledger, KEY)
    earlier, events = row(ledger), ledger.events_of_run(KEY)
    idle(ledger)
    run = row(ledger)
    assert (run.id, run.attempt, run.status, run.stage) == (earlier.id, earlier.attempt, "success", "delivered")
    assert (run.ties_out, run.message, run.window) == (True, "", {"from": "x"})
    assert ledger.watermark(KEY.scope) == NEW
    assert ledger.events_of_run(KEY) == events


@pytest.mark.parametrize("before", [extracted, prepared_with_records])
def test_what_an_attempt_had_read_and_is_not_there_any_more(ledger: Ledger, before: Before) -> None:
    before(ledger, KEY)
    if before is prepared_with_records:
        unsent = prepare(ledger, KEY, "1", name="a.csv")
        unknown = prepare(ledger, KEY, "2", name="b.csv")
        ledger.file_states([unknown.id], "sending")
    idle(ledger)
    assert row(ledger).status == "success" and row(ledger).extracted == 0 == row(ledger).held
    assert row(ledger).source_totals == {}
    (again,) = [event for event in ledger.events_of_run(KEY) if event.what == "run begun again"]
    assert again.detail["extracted"] == 3 and again.detail["source_totals"] == {"EUR": "30.00"}
    if before is prepared_with_records:
        states = {file.id: file.state for file in ledger.files_of_run(KEY)}
        assert states == {unsent.id: "abandoned", unknown.id: "sending"}


def test_a_dry_run(ledger: Ledger) -> None:
    idle(ledger, dry_run=True)
    run = row(ledger)
    assert (run.status, run.stage, run.dry_run, run.ties_out) == ("dry_run", "prepared", True, True)
    assert ledger.watermark(KEY.scope) is None
    ledger.finish_run(KEY, ties_out=True)
    ledger.record_extracted(run_key("r", "client-1"), euros(1, "1.00"))


def test_entered_by_another_process_in_this_moment(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from tieout.ledger import idle as module

    failed_with_records(ledger, KEY)
    begin(ledger, run_key("r", "client-2"))
    kept = row(ledger)
    looks = iter([False, True])

    def sees(connection: Any, some: Any, really: Any = module.lock_runs) -> Any:
        return really(connection, some) if next(looks) else {}

    monkeypatch.setattr(module, "lock_runs", sees)
    finish(ledger, {entity: IdleRun({}, NEW) for entity in (KEY.entity, "client-2", "client-3")})
    assert row(ledger) == kept and ledger.watermark(KEY.scope) is None
    assert {run.entity for run in ledger.runs(Filters(status="success"))} == {"client-2", "client-3"}
    assert ledger.count_runs(Filters()) == 3


def test_all_or_none(ledger: Ledger) -> None:
    bad = IdleRun({"from": object()}, NEW)
    with pytest.raises(TypeError, match="cannot keep a object"):
        finish(ledger, {KEY.entity: IdleRun({}, NEW), "client-2": bad})
    worse = IdleRun({}, {"at": object()})
    with pytest.raises(TypeError, match="cannot keep a object"):
        finish(ledger, {KEY.entity: IdleRun({}, NEW), "client-2": worse})
    assert ledger.count_runs(Filters()) == 0
    assert ledger.watermark(KEY.scope) is None and ledger.events_of_run(ALL_OF_THEM) == []
