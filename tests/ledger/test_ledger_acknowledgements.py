from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.ledger.builders import commit, outcome_of, prepare, prepared, run_key, send
from tieout.ledger import AcknowledgementRow, AcknowledgementState, FileRow, Filters, Ledger, Scope

KEY = run_key()
PARTNER = Scope("syspro_to_legacy_erp", "*", "parent")
ANOTHER = Scope("syspro_to_legacy_erp", "*", "another")
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
DUE = NOON + timedelta(hours=24)


def expect(ledger: Ledger, file: FileRow, group: int = 101, **fields: Any) -> None:
    values: dict[str, Any] = {
        "interchange": 9003,
        "group": group,
        "functional_id": "IN",
        "due_at": DUE,
        "sets": 2,
    } | fields
    ledger.expect_acknowledgement(file.id, values.pop("partner", PARTNER), **values)


def sent(ledger: Ledger, group: int = 101, *, name: str = "INV.edi", **fields: Any) -> FileRow:
    """A delivered file of which the partner owes an answer."""
    file = prepare(ledger, KEY, "1", name=name)
    expect(ledger, file, group, **fields)
    send(ledger, file)
    ledger.settle_delivered(file.id, verification="size", how="test")
    return file


def say(
    ledger: Ledger, state: AcknowledgementState, group: int = 101, *, partner: Scope = PARTNER, **fields: Any
) -> AcknowledgementRow | None:
    values: dict[str, Any] = {"functional_id": "IN", "ack_file": "997_1.edi", "answered_at": NOON, "detail": {"n": [1]}}
    return ledger.acknowledge(partner, group=group, state=state, **values | fields)


def shown(ledger: Ledger) -> dict[str, str | None]:
    return {file.file_name: file.as_json()["acknowledgement"] for file in ledger.files(Filters())}


def told(ledger: Ledger) -> list[str]:
    return [event.what for event in ledger.events_of_run(KEY) if "acknowledge" in event.what or "inter" in event.what]


@pytest.fixture
def ready(ledger: Ledger) -> Ledger:
    prepared(ledger, KEY)
    return ledger


def test_it_counts_from_the_delivery_on(ready: Ledger) -> None:
    file = prepare(ready, KEY, "1", name="INV.edi")
    expect(ready, file)
    send(ready, file)
    assert shown(ready) == {"INV.edi": None} and say(ready, "accepted") is None
    assert ready.overdue(DUE + timedelta(days=9)) == ([], [])
    commit(ready, KEY, outcome_of(file))
    prepare(ready, KEY, "2", name="plain.csv")
    assert shown(ready) == {"INV.edi": "sent", "plain.csv": None}
    row = ready.get_acknowledgement(file.id)
    assert row is not None and (row.interchange, row.group, row.functional_id, row.sets) == (9003, 101, "IN", 2)
    assert (row.state, row.due_at, row.answered_at, row.ack_file, row.key) == ("sent", DUE, None, None, KEY)


@pytest.mark.parametrize("state", ["accepted", "accepted_with_errors", "partially_accepted", "rejected"])
def test_what_the_partner_says(ready: Ledger, state: AcknowledgementState) -> None:
    file = sent(ready)
    row = say(ready, state)
    assert row is not None and (row.file_id, row.state, row.answered_at) == (file.id, state, NOON)
    assert (row.ack_file, row.detail) == ("997_1.edi", {"n": [1]})
    assert shown(ready) == {"INV.edi": state}
    (file_row,) = ready.files(Filters())
    assert file_row.state == "delivered" and ready.get_file(file.id) == file_row == ready.files_of_run(KEY)[0]
    assert told(ready) == [f"acknowledgement {state}"]


def test_the_same_answer_again_changes_nothing(ready: Ledger) -> None:
    sent(ready)
    first = say(ready, "rejected")
    assert say(ready, "rejected", answered_at=NOON + timedelta(hours=1)) == first
    assert told(ready) == ["acknowledgement rejected"]


def test_another_answer_replaces_it(ready: Ledger) -> None:
    sent(ready)
    say(ready, "rejected")
    row = say(ready, "accepted", ack_file="997_2.edi")
    assert row is not None and (row.state, row.ack_file) == ("accepted", "997_2.edi")
    assert told(ready) == ["acknowledgement rejected", "acknowledgement accepted"]


def test_the_newest_delivered_file_of_that_number(ready: Ledger) -> None:
    old, new = sent(ready, name="old.edi"), sent(ready, name="new.edi")
    unsent = prepare(ready, KEY, "1", name="unsent.edi")
    expect(ready, unsent)
    row = say(ready, "accepted")
    assert row is not None and row.file_id == new.id != old.id
    assert shown(ready) == {"old.edi": "sent", "new.edi": "accepted", "unsent.edi": None}


@pytest.mark.parametrize(("group", "fields"), [(102, {}), (101, {"functional_id": "PO"}), (101, {"partner": ANOTHER})])
def test_an_answer_to_something_else(ready: Ledger, group: int, fields: dict[str, Any]) -> None:
    sent(ready)
    assert say(ready, "accepted", group, **fields) is None
    assert shown(ready) == {"INV.edi": "sent"} and told(ready) == []


def test_a_rejected_interchange(ready: Ledger) -> None:
    file = sent(ready)
    answer: dict[str, Any] = {"ack_file": "TA1.edi", "answered_at": NOON, "detail": {"note": "025"}}
    assert ready.acknowledge_interchange(PARTNER, interchange=9004, rejected=True, **answer) is None
    row = ready.acknowledge_interchange(PARTNER, interchange=9003, rejected=True, **answer)
    assert row is not None and (row.file_id, row.state, row.detail) == (file.id, "rejected", {"note": "025"})
    assert shown(ready) == {"INV.edi": "rejected"}


def test_an_accepted_interchange_says_nothing_of_its_groups(ready: Ledger) -> None:
    sent(ready)
    row = ready.acknowledge_interchange(
        PARTNER, interchange=9003, rejected=False, ack_file="TA1.edi", answered_at=NOON, detail={}
    )
    assert row is not None and row.state == "sent" and told(ready) == ["interchange accepted"]
    assert [late.file_name for late in ready.overdue(DUE).new] == ["INV.edi"]


@pytest.mark.parametrize("state", ["prepared", "sending", "verified", "refused", "abandoned", "delivered"])
def test_an_answer_may_be_there_before_we_know(ready: Ledger, state: str) -> None:
    file = prepare(ready, KEY, "1")
    expect(ready, file)
    if state in ("verified", "delivered"):
        send(ready, file)
    elif state != "prepared":
        ready.file_states([file.id], state)
    if state == "delivered":
        commit(ready, KEY, outcome_of(file))
    expected = state in ("prepared", "sending", "verified")
    assert ready.may_be_on_its_way(PARTNER, group=101) is expected
    assert ready.may_be_on_its_way(PARTNER, interchange=9003) is expected
    assert not ready.may_be_on_its_way(PARTNER, group=102)
    assert not ready.may_be_on_its_way(PARTNER, interchange=9004)
    assert not ready.may_be_on_its_way(ANOTHER, group=101)


def test_what_is_overdue(ready: Ledger) -> None:
    sent(ready, 1, name="late.edi", due_at=NOON)
    sent(ready, 2, name="later.edi", due_at=NOON + timedelta(hours=1))
    sent(ready, 3, name="answered.edi", due_at=NOON)
    sent(ready, 4, name="of another.edi", due_at=NOON, partner=ANOTHER)
    say(ready, "rejected", 3)
    assert ready.overdue(NOON - timedelta(seconds=1), PARTNER) == ([], [])
    new, before = ready.overdue(NOON, PARTNER)
    assert [(row.file_name, row.state) for row in new] == [("late.edi", "overdue")] and before == []
    new, before = ready.overdue(DUE, PARTNER)
    assert ([row.file_name for row in new], [row.file_name for row in before]) == (["later.edi"], ["late.edi"])
    assert told(ready) == ["acknowledgement rejected", "acknowledgement overdue", "acknowledgement overdue"]
    assert shown(ready)["of another.edi"] == "sent"
    new, before = ready.overdue(DUE)
    assert ([row.file_name for row in new], len(before)) == (["of another.edi"], 2)


def test_better_late_than_never(ready: Ledger) -> None:
    sent(ready, due_at=NOON)
    ready.overdue(NOON)
    assert shown(ready) == {"INV.edi": "overdue"}
    say(ready, "accepted")
    assert shown(ready) == {"INV.edi": "accepted"} and ready.overdue(DUE) == ([], [])


def test_expected_again(ready: Ledger) -> None:
    file = sent(ready, due_at=NOON)
    ready.overdue(NOON)
    expect(ready, file, 102, due_at=DUE)
    row = ready.get_acknowledgement(file.id)
    assert row is not None and (row.group, row.due_at, row.state) == (102, DUE, "sent")
    say(ready, "accepted", 102)
    expect(ready, file, 103)
    row = ready.get_acknowledgement(file.id)
    assert row is not None and (row.group, row.state) == (102, "accepted")


def test_records_by_their_place_in_the_file(ready: Ledger) -> None:
    file = prepare(ready, KEY, "z", "a", "m")
    assert [ready.label_at(file.id, place) for place in (1, 2, 3, 4)] == ["INV-z", "INV-a", "INV-m", None]


def test_no_such_file(ready: Ledger) -> None:
    with pytest.raises(ValueError, match="no file 99"):
        ready.expect_acknowledgement(99, PARTNER, interchange=1, group=1, functional_id="IN", due_at=DUE)
    assert ready.get_acknowledgement(99) is None


def test_a_file_prepared_again_owes_its_own_answer(ready: Ledger) -> None:
    first = prepare(ready, KEY, "1")
    expect(ready, first)
    second = prepare(ready, KEY, "1")
    assert ready.get_acknowledgement(first.id) is None and not ready.may_be_on_its_way(PARTNER, group=101)
    expect(ready, second)
    assert ready.may_be_on_its_way(PARTNER, group=101)


def test_trace_tells_the_answer(ready: Ledger) -> None:
    sent(ready)
    say(ready, "rejected")
    story = json.loads(json.dumps(ready.trace("INV.edi")))["files"][0]
    assert story["acknowledgement"] == "rejected" and story["status"] == "delivered"
    assert (story["answer"]["ack_file"], story["answer"]["detail"]) == ("997_1.edi", {"n": [1]})
    assert story["events"][-1]["what"] == "acknowledgement rejected"
    (record,) = ready.trace("1")["records"]
    assert record["files"][0]["acknowledgement"] == "rejected"


class TestFilesRead:
    def remember(self, ledger: Ledger, sha256: str, path: str, archive_path: str | None = None) -> None:
        ledger.remember_acknowledgement_file(
            PARTNER, sha256=sha256, remote_path=path, bytes=300, source_mtime=7, archive_path=archive_path
        )

    def test_by_digest(self, ledger: Ledger) -> None:
        self.remember(ledger, "d1", "/acks/a.edi")
        self.remember(ledger, "d2", "/acks/b.edi", "/acks/archive/b.edi")
        assert ledger.read_acknowledgement_files(PARTNER, ["d1", "d2", "d3"]) == {"d1", "d2"}
        assert ledger.read_acknowledgement_files(ANOTHER, ["d1"]) == set()

    def test_those_that_still_lie_there(self, ledger: Ledger) -> None:
        paths = ["/acks/a.edi", "/acks/b.edi", "/acks/c.edi"]
        self.remember(ledger, "d1", paths[0])
        self.remember(ledger, "d2", paths[1], "/acks/archive/b.edi")
        assert ledger.acknowledgement_files_at(PARTNER, paths) == {("/acks/a.edi", 300, 7)}
        assert ledger.acknowledgement_files_at(ANOTHER, paths) == set()
        self.remember(ledger, "d1", paths[0], "/acks/archive/a.edi")
        assert ledger.acknowledgement_files_at(PARTNER, paths) == set()
