"""Many scopes at once: the same as one by one, in a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from tests.ledger.builders import (
    DELIVERED_AT,
    begin,
    commit,
    deliver,
    euros,
    extracted,
    held_draft,
    hold,
    outcome_of,
    prepare,
    prepared,
    run_key,
    send,
)
from tieout.ledger import Filters, Ledger, Places, RunKey, RunVerdict, Scope, Tally

ENTITIES = [f"client-{number:03}" for number in range(200)]
PLACES = Places(to_send=euros(2, "20.00"), held=euros(1, "10.00"), duplicate=euros(1, "0.50"), excluded=Tally(1))


def keys(entities: Iterable[str], instance: str = "default", run_id: str = "r") -> list[RunKey]:
    return [run_key(run_id, entity, instance) for entity in entities]


def begin_all(ledger: Ledger, some: Iterable[RunKey], *, dry_run: bool = False) -> None:
    windows = {key: {"from": key.entity} for key in some}
    ledger.begin_runs(
        windows, mode="scheduled", dry_run=dry_run, interval_start=DELIVERED_AT, interval_end=DELIVERED_AT
    )


def begin_each(ledger: Ledger, some: Iterable[RunKey], *, dry_run: bool = False) -> None:
    for key in some:
        ledger.begin_run(
            key, mode="scheduled", dry_run=dry_run, interval_start=DELIVERED_AT, interval_end=DELIVERED_AT,
            window={"from": key.entity},
        )  # fmt: skip


def prepare_each(ledger: Ledger, some: Iterable[RunKey]) -> None:
    for key in some:
        ledger.record_prepared(
            key, to_send=PLACES.to_send, held=PLACES.held, duplicate=PLACES.duplicate, excluded=PLACES.excluded,
            mapping_version="v7",
        )  # fmt: skip


def finish_each(ledger: Ledger, verdicts: Mapping[RunKey, RunVerdict]) -> None:
    for key, (ties_out, message) in verdicts.items():
        ledger.finish_run(key, ties_out=ties_out, message=message)


def shown(ledger: Ledger, instance: str) -> dict[str, Any]:
    """All that is known of an instance's runs and files, without ids and times."""
    runs = sorted(ledger.runs(Filters(instance=instance)), key=lambda run: (run.entity, run.run_id))
    files = sorted(ledger.files(Filters(instance=instance)), key=lambda file: (file.entity, file.id))
    return {
        "runs": [
            vars(replace(run, id=0, instance="", started_at=DELIVERED_AT, ended_at=run.ended_at and DELIVERED_AT))
            for run in runs
        ],
        "files": [(file.entity, file.file_name, file.state, file.message) for file in files],
        "events": {
            run.entity: [
                (event.what, {name: value for name, value in event.detail.items() if name != "started_at"})
                for event in ledger.events_of_run(run.key)
            ]
            for run in runs
        },
    }


@contextmanager
def statements(ledger: Ledger) -> Iterator[list[str]]:
    """What is said to the database; one for many rows counts as one."""
    said: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        said.append(statement)

    event.listen(ledger._engine, "before_cursor_execute", note)
    yield said
    event.remove(ledger._engine, "before_cursor_execute", note)


@pytest.fixture
def earlier(ledger: Ledger) -> list[str]:
    """In two instances: scopes whose run was never begun, and is in all kinds of states."""
    for instance in ("one", "many"):
        begin(ledger, run_key("r", "running", instance))
        prepared(ledger, run_key("r", "with files", instance))
        unsent = prepare(ledger, run_key("r", "with files", instance), "1", name="unsent.csv")
        refused = prepare(ledger, run_key("r", "with files", instance), "2", name="refused.csv")
        ledger.file_states([refused.id], "refused", message="no")
        unknown = prepare(ledger, run_key("r", "with files", instance), "3", name="unknown.csv")
        send(ledger, unknown)
        assert unsent.state == "prepared"
        deliver(ledger, run_key("r", "delivered", instance), "4")
        extracted(ledger, run_key("r", "failed", instance))
        ledger.fail_run(run_key("r", "failed", instance), "The source does not answer.")
        extracted(ledger, run_key("other", "new", instance))
    return ["running", "with files", "delivered", "failed", "new", "newer"]


@pytest.mark.parametrize("dry_run", [False, True])
def test_begun_as_one_by_one(ledger: Ledger, earlier: list[str], dry_run: bool) -> None:
    begin_each(ledger, keys(earlier, "one"), dry_run=dry_run)
    begin_all(ledger, keys(earlier, "many"), dry_run=dry_run)
    many = shown(ledger, "many")
    assert many == shown(ledger, "one")
    assert {run["entity"]: run["attempt"] for run in many["runs"] if run["run_id"] == "r"} == {
        "running": 2, "with files": 2, "delivered": 2, "failed": 2, "new": 1, "newer": 1,
    }  # fmt: skip
    states = {name: state for entity, name, state, _ in many["files"] if entity == "with files"}
    unsent = "prepared" if dry_run else "abandoned"
    assert states == {"unsent.csv": unsent, "refused.csv": "refused" if dry_run else unsent, "unknown.csv": "verified"}
    assert [what for what, _ in many["events"]["newer"]] == ["run begun"]


def test_every_step_as_one_by_one(ledger: Ledger) -> None:
    some = ENTITIES[:5]
    one, many = keys(some, "one"), keys(some, "many")
    for place in range(5):
        begin_each(ledger, one[place : place + 1], dry_run=place == 4)
        begin_all(ledger, many[place : place + 1], dry_run=place == 4)
    tallies = [Tally(place, {"EUR": Decimal(place), "JPY": Decimal("1234567890123456789.25")}) for place in range(5)]
    for key, tally in zip(one, tallies, strict=True):
        ledger.record_extracted(key, tally)
    ledger.record_extracted_many(dict(zip(many, tallies, strict=True)))
    assert shown(ledger, "one") == shown(ledger, "many")
    prepare_each(ledger, one)
    ledger.record_prepared_many(dict.fromkeys(many, PLACES), mapping_version="v7")
    assert shown(ledger, "one") == shown(ledger, "many")
    for key in (*one[:4], *many[:4]):
        commit(ledger, key, outcome_of())
    verdicts = [RunVerdict(True), RunVerdict(False, "EUR 0.01 is missing."), *[RunVerdict(True)] * 3]
    finish_each(ledger, dict(zip(one, verdicts, strict=True)))
    ledger.finish_runs(dict(zip(many, verdicts, strict=True)))
    found = shown(ledger, "many")
    assert found == shown(ledger, "one")
    assert [run["status"] for run in found["runs"]] == ["success", "failed", "success", "success", "dry_run"]
    assert [run["message"] for run in found["runs"]] == ["", "EUR 0.01 is missing.", "", "", ""]
    assert found["runs"][2]["source_totals"] == tallies[2].totals and found["runs"][2]["extracted"] == 2


STEPS: dict[str, Callable[[Ledger, list[RunKey]], None]] = {
    "extracted": lambda ledger, some: ledger.record_extracted_many({key: Tally(1) for key in some}),
    "prepared": lambda ledger, some: ledger.record_prepared_many(dict.fromkeys(some, PLACES), mapping_version="v"),
    "finished": lambda ledger, some: ledger.finish_runs(dict.fromkeys(some, RunVerdict(True))),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("obstacle", ["never begun", "in the wrong state"])
def test_all_or_none(ledger: Ledger, step: str, obstacle: str) -> None:
    good, bad = keys(["good", "bad"])
    for key in (good,) if obstacle == "never begun" else (good, bad):
        prepared(ledger, key)
        if step == "finished":
            commit(ledger, key, outcome_of())
    if obstacle == "in the wrong state":
        begin(ledger, bad)
        if step == "extracted":
            ledger.record_extracted(bad, Tally())
            ledger.record_prepared(bad, **vars(PLACES), mapping_version="v")
            commit(ledger, bad, outcome_of())
    before = shown(ledger, "default")
    with pytest.raises(ValueError, match=r"run r of bad of sap_b1_to_peakflo"):
        STEPS[step](ledger, [good, bad])
    assert shown(ledger, "default") == before
    STEPS[step](ledger, [good])


def test_nothing_to_do(ledger: Ledger) -> None:
    begin_all(ledger, [])
    for step in STEPS.values():
        step(ledger, [])
    ledger.note_records("checked", {run_key(): {}})
    assert ledger.count_runs(Filters()) == 0


def test_begun_by_another_process_in_this_moment(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from tieout.ledger import runs

    theirs, ours = keys(["theirs", "ours"])
    extracted(ledger, theirs)
    looks = iter([False, True])

    def sees(connection: Any, some: Any, really: Any = runs.lock_runs) -> Any:
        return really(connection, some) if next(looks) else {}

    monkeypatch.setattr(runs, "lock_runs", sees)
    begin_all(ledger, [theirs, ours])
    found = {row.entity: (row.attempt, row.status, row.extracted) for row in ledger.runs(Filters())}
    assert found == {"theirs": (2, "running", 0), "ours": (1, "running", 0)}
    (again,) = [event for event in ledger.events_of_run(theirs) if event.what == "run begun again"]
    assert again.detail["extracted"] == 3


def test_two_hundred_scopes_take_a_few_statements(ledger: Ledger) -> None:
    some = keys(ENTITIES)
    steps: dict[str, Callable[[], object]] = {
        "begin": lambda: begin_all(ledger, some),
        "begin again": lambda: begin_all(ledger, some),
        "extracted": lambda: STEPS["extracted"](ledger, some),
        "prepared": lambda: STEPS["prepared"](ledger, some),
        "note": lambda: ledger.note_records("checked", {some[0]: {key: {"valid": True} for key in ENTITIES}}),
        "watermarks": lambda: ledger.watermarks("sap_b1_to_peakflo", "default"),
        "versions": lambda: ledger.versions("sap_b1_to_peakflo", "default"),
        "open held": lambda: ledger.open_held_of("sap_b1_to_peakflo", "default"),
    }
    for name, step in steps.items():
        with statements(ledger) as said:
            step()
        assert 0 < len(said) < 20, name
    assert ledger.count_runs(Filters(status="prepared")) == 200


def test_more_scopes_than_go_into_one_statement(ledger: Ledger) -> None:
    some = keys([f"client-{number}" for number in range(2_100)])
    begin_all(ledger, some)
    begin_all(ledger, some)
    ledger.record_extracted_many({key: Tally(1) for key in some})
    assert ledger.count_runs(Filters(status="extracted")) == 2_100
    assert {row.attempt for row in ledger.runs(Filters())} == {2}


class TestReading:
    def test_watermarks_and_versions(self, ledger: Ledger) -> None:
        for entity in ("a", "b"):
            deliver(ledger, run_key("r", entity), "1")
        deliver(ledger, run_key("r2", "b"), "1")
        deliver(ledger, run_key("r", "a", "elsewhere"), "1")
        ledger.next_sequence(Scope("sap_b1_to_peakflo", "default", "never delivered"), "number")
        assert ledger.watermarks("sap_b1_to_peakflo", "default") == {
            "a": {"UpdateDate": "2026-03-31"}, "b": {"UpdateDate": "2026-03-31"},
        }  # fmt: skip
        assert ledger.versions("sap_b1_to_peakflo", "default") == {"a": 1, "b": 2, "never delivered": 0}
        assert ledger.watermarks("other", "default") == {} == ledger.versions("other", "default")

    def test_open_held_records(self, ledger: Ledger) -> None:
        hold(ledger, run_key("1", "a"), held_draft("2"), held_draft("1"))
        hold(ledger, run_key("1", "b"), held_draft("1"))
        hold(ledger, run_key("1", "a", "elsewhere"), held_draft("9"))
        deliver(ledger, run_key("2", "a"), "2")
        hold(ledger, run_key("3", "a"), held_draft("3"))
        found = ledger.open_held_of("sap_b1_to_peakflo", "default")
        assert found == {
            entity: ledger.open_held(Scope("sap_b1_to_peakflo", "default", entity)) for entity in ("a", "b")
        }
        assert [row.source_key for row in found["a"]] == ["1", "3"]

    def test_the_files_that_records_are_in_now(self, ledger: Ledger) -> None:
        scope = run_key().scope
        first = deliver(ledger, run_key("1"), "1", "2", name="first.xml")
        second = deliver(ledger, run_key("2"), "2", name="second.xml", version="2")
        deliver(ledger, run_key("1", "payments"), "1", name="payments.xml")
        prepared(ledger, run_key("3"))
        send(ledger, prepare(ledger, run_key("3"), "1", "4", name="unknown.xml"))
        found = ledger.delivered_files(scope, ["2", "1", "4", "unheard of"])
        assert {key: (file.id, file.file_name, file.state) for key, file in found.items()} == {
            "2": (second.id, "second.xml", "delivered"), "1": (first.id, "first.xml", "delivered"),
        }  # fmt: skip
        assert found["1"] == ledger.get_file(first.id)
        assert ledger.delivered_files(scope, []) == {}
        assert ledger.delivered_files(Scope("other", "default", "invoices"), ["1"]) == {}

    def test_the_file_of_a_record_that_an_answer_is_expected_to(self, ledger: Ledger) -> None:
        file = deliver(ledger, run_key("1"), "1")
        ledger.expect_acknowledgement(
            file.id, Scope("sap_b1_to_peakflo", "*", "partner"), interchange=1, group=1, functional_id="IN",
            due_at=DELIVERED_AT,
        )  # fmt: skip
        assert ledger.delivered_files(run_key().scope, ["1"])["1"].acknowledgement == "sent"

    def test_the_files_of_more_records_than_go_into_one_statement(self, ledger: Ledger) -> None:
        some = [str(number) for number in range(11_000)]
        file = deliver(ledger, run_key("1"), *some)
        found = ledger.delivered_files(run_key().scope, some)
        assert list(found) == some and {row.id for row in found.values()} == {file.id}


class TestNotes:
    def test_of_many_records(self, ledger: Ledger) -> None:
        key = run_key()
        begin(ledger, key)
        details = {str(number): {"verdict": "valid", "rules": number} for number in range(2_000)}
        ledger.note_records("validated", {key: details})
        noted = [event for event in ledger.events_of_run(key) if event.what == "validated"]
        assert {event.source_key: event.detail for event in noted} == details
        (record,) = ledger.trace("1234")["records"]
        assert (record["entity"], record["source_key"]) == ("invoices", "1234")
        assert [event["detail"] for event in record["events"]] == [{"verdict": "valid", "rules": 1234}]
        assert [run["run_id"] for run in record["runs"]] == [key.run_id]

    def test_all_or_none(self, ledger: Ledger) -> None:
        good: dict[str, dict[str, object]] = {str(number): {} for number in range(2_000)}
        details = good | {"bad": {"amount": object()}}
        with pytest.raises(TypeError, match="cannot keep a object as JSON"):
            ledger.note_records("validated", {run_key(): details})
        assert ledger.events_of_run(run_key()) == []
