from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.ledger.builders import (
    DELIVERED_AT,
    commit,
    deliver,
    held_draft,
    hold,
    outcome_of,
    prepare,
    prepared,
    run_key,
    send,
)
from tieout.errors import Superseded
from tieout.ledger import EntityOutcome, Filters, HeldDraft, Ledger, Scope

KEY = run_key()
SCOPE = KEY.scope


def everything(ledger: Ledger) -> tuple[object, ...]:
    """All that a commit could change."""
    return (
        ledger.runs(Filters()),
        ledger.files(Filters()),
        ledger.held(Filters()),
        ledger.fingerprints(SCOPE, ["1", "2", "3"]),
        ledger.watermark(SCOPE),
        ledger.entity_version(SCOPE),
        ledger.events_of_run(KEY),
    )


def test_everything_moves_together(ledger: Ledger) -> None:
    hold(ledger, run_key("earlier"), held_draft("1"), held_draft("8"), held_draft("9"))
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1", "2")
    send(ledger, file)
    commit(ledger, KEY, outcome_of(file, held=[held_draft("3")], settled=["8"]))
    run = ledger.get_run(KEY)
    assert run is not None and (run.status, run.delivered) == ("delivered", 2)
    assert run.target_totals == run.to_send_totals
    assert [(row.state, row.delivered_at) for row in ledger.files(Filters())] == [("delivered", DELIVERED_AT)]
    assert ledger.fingerprints(SCOPE, ["1", "2", "3"]) == {"1": "fingerprint 1 v1", "2": "fingerprint 2 v1"}
    assert {row.source_key: row.status for row in ledger.held(Filters())} == {
        "1": "settled", "8": "settled", "9": "held", "3": "held",
    }  # fmt: skip
    assert ledger.watermark(SCOPE) == {"UpdateDate": "2026-03-31"}
    assert ledger.entity_version(SCOPE) == 2


@pytest.mark.parametrize("where", ["held", "settled"])
def test_an_exception_in_the_middle_leaves_nothing(ledger: Ledger, where: str) -> None:
    hold(ledger, run_key("earlier"), held_draft("1"), held_draft("4"))
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1", "2")
    send(ledger, file)
    before = everything(ledger)

    def drafts() -> Iterator[HeldDraft]:
        yield from (held_draft(str(number)) for number in range(3, 1_200))
        raise OSError("held.jsonl cannot be read")

    def keys() -> Iterator[str]:
        yield from (str(number) for number in range(2_000))
        raise OSError("held.jsonl cannot be read")

    outcome = outcome_of(file, held=drafts()) if where == "held" else outcome_of(file, settled=keys())
    with pytest.raises(OSError, match="cannot be read"):
        commit(ledger, KEY, outcome)
    assert everything(ledger) == before
    commit(ledger, KEY, outcome_of(file))
    assert ledger.open_held_keys(SCOPE) == ["4"]


def test_a_record_that_changes_is_brought_up_to_date(ledger: Ledger) -> None:
    deliver(ledger, run_key("1"), "1", "2")
    second = deliver(ledger, run_key("2"), "2", version="2")
    assert ledger.fingerprints(SCOPE, ["1", "2"]) == {"1": "fingerprint 1 v1", "2": "fingerprint 2 v2"}
    story = ledger.trace("2")["records"][0]
    assert story["delivered"]["file_id"] == second.id and len(story["files"]) == 2


def test_a_record_in_two_files_of_one_commit(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    files = [prepare(ledger, KEY, "1", name="a.csv"), prepare(ledger, KEY, "1", name="b.csv", version="2")]
    send(ledger, *files)
    commit(ledger, KEY, outcome_of(*files))
    assert ledger.fingerprints(SCOPE, ["1"]) == {"1": "fingerprint 1 v2"}


def test_scopes_do_not_mix(ledger: Ledger) -> None:
    deliver(ledger, KEY, "1")
    for scope in (
        Scope("sap_b1_to_peakflo", "default", "payments"),
        Scope("sap_b1_to_peakflo", "asia", "invoices"),
        Scope("other", "default", "invoices"),
    ):
        assert ledger.fingerprints(scope, ["1"]) == {} == ledger.labels(scope, ["1"])
        assert ledger.watermark(scope) is None and ledger.entity_version(scope) == 0


def test_another_run_has_delivered_meanwhile(ledger: Ledger) -> None:
    base = ledger.entity_version(SCOPE)
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1", "2")
    deliver(ledger, run_key("faster"), "1", name="faster.csv")
    send(ledger, file)
    before = everything(ledger)
    with ledger.acquire(SCOPE, "slower") as lease, pytest.raises(Superseded, match="Another run has delivered"):
        ledger.commit_entity(KEY, token=lease.token, base_version=base, outcome=outcome_of(file))
    assert everything(ledger) == before


def test_a_lease_taken_over_or_given_back(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    before = everything(ledger)
    with ledger.acquire(SCOPE, "old") as lease:
        old = lease.token
    with pytest.raises(Superseded, match="nobody holds it now"):
        ledger.commit_entity(KEY, token=old, base_version=0, outcome=outcome_of())
    with ledger.acquire(SCOPE, "new"), pytest.raises(Superseded, match="new has it now"):
        ledger.commit_entity(KEY, token=old, base_version=0, outcome=outcome_of())
    with pytest.raises(Superseded, match="lost its lease"):
        ledger.commit_entity(KEY, token=77, base_version=0, outcome=outcome_of())
    assert everything(ledger) == before


def test_no_watermark_leaves_the_old_one(ledger: Ledger) -> None:
    deliver(ledger, run_key("1"), "1")
    prepared(ledger, KEY)
    commit(ledger, KEY, EntityOutcome())
    assert ledger.watermark(SCOPE) == {"UpdateDate": "2026-03-31"}
    assert ledger.entity_version(SCOPE) == 2


@pytest.mark.parametrize("state", ["prepared", "refused", "abandoned"])
def test_a_file_that_was_not_sent_is_not_delivered(ledger: Ledger, state: str) -> None:
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1")
    if state != "prepared":
        ledger.file_states([file.id], state)
    before = everything(ledger)
    with pytest.raises(ValueError, match=f"is {state}; it cannot become delivered"):
        commit(ledger, KEY, outcome_of(file))
    assert everything(ledger) == before


def test_another_runs_file_is_not_delivered(ledger: Ledger) -> None:
    other = run_key("other")
    prepared(ledger, other)
    file = prepare(ledger, other, "1")
    send(ledger, file)
    prepared(ledger, KEY)
    with pytest.raises(ValueError, match="is not a file of the run scheduled__1"):
        commit(ledger, KEY, outcome_of(file))


def test_a_rung_that_is_none(ledger: Ledger) -> None:
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1")
    send(ledger, file)
    with pytest.raises(ValueError, match="no rung"):
        commit(ledger, KEY, replace(outcome_of(file), delivered=[(file.id, "trust me", DELIVERED_AT)]))
    assert ledger.files_of_run(KEY)[0].state == "verified"


def test_committing_again_after_a_cleared_task(ledger: Ledger) -> None:
    file = deliver(ledger, KEY, "1", "2")
    commit(ledger, KEY, outcome_of(file))
    assert [row.state for row in ledger.files_of_run(KEY)] == ["delivered"]
    delivered = [event for event in ledger.events_of_run(KEY) if event.what == "file delivered"]
    assert len(delivered) == 1


def test_more_records_than_go_into_one_statement(ledger: Ledger) -> None:
    keys = [str(number) for number in range(11_111)]
    deliver(ledger, KEY, *keys)
    found = ledger.fingerprints(SCOPE, [*keys, "unknown"])
    assert len(found) == 11_111 and found["11110"] == "fingerprint 11110 v1"
