from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger import processes
from tests.ledger.builders import DELIVERED_AT, commit, outcome_of, prepare, prepared, run_key, send
from tests.ledger.test_ledger_leases import process, said
from tieout.ledger import FileRow, Ledger, Scope

KEY = run_key()
PARTNER = Scope("syspro_to_legacy_erp", "*", "parent")
OWNER = "default/gl_postings/r1/1"


def owner(run_id: str, part: int = 1, entity: str = "gl_postings", instance: str = "default") -> str:
    return f"{instance}/{entity}/{run_id}/{part}"


def states(ledger: Ledger, counter: str = "file", partner: Scope = PARTNER) -> dict[int, str]:
    return {row.number: row.state for row in ledger.numbers(partner, counter=counter)}


def carried(ledger: Ledger, number: int, *, name: str = "GL.dat") -> FileRow:
    """A prepared file with this number."""
    if ledger.get_run(KEY) is None:
        prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1", name=name)
    ledger.number_used(PARTNER, "file", number, file.id)
    return file


def deliver(ledger: Ledger, file: FileRow) -> None:
    send(ledger, file)
    commit(ledger, KEY, outcome_of(file))


def test_each_owner_has_a_number_of_its_own(ledger: Ledger) -> None:
    assert [ledger.allocate_number(PARTNER, "file", owner("r1", part)) for part in (1, 2, 1, 3, 2)] == [1, 2, 1, 3, 2]
    assert ledger.allocate_number(PARTNER, "interchange", owner("r1")) == 1
    assert ledger.allocate_number(Scope(PARTNER.integration, "*", "another"), "file", owner("r1")) == 1
    assert states(ledger) == {1: "allocated", 2: "allocated", 3: "allocated"}


def test_looking_at_the_next_number_gives_none_away(ledger: Ledger) -> None:
    assert [ledger.peek_number(PARTNER, "file") for _ in range(2)] == [1, 1]
    assert ledger.numbers() == []
    ledger.allocate_number(PARTNER, "file", OWNER)
    assert ledger.peek_number(PARTNER, "file") == 2 == ledger.allocate_number(PARTNER, "file", owner("r2"))


def test_a_used_number_is_not_given_again(ledger: Ledger) -> None:
    number = ledger.allocate_number(PARTNER, "file", OWNER)
    file = carried(ledger, number)
    assert ledger.allocate_number(PARTNER, "file", OWNER) == number  # prepared is not delivered
    deliver(ledger, file)
    assert ledger.allocate_number(PARTNER, "file", OWNER) == number + 1
    used = ledger.numbers(PARTNER, state="used")
    assert [(row.number, row.file_id, row.file_name, row.run_id, row.at) for row in used] == [
        (1, file.id, "GL.dat", KEY.run_id, DELIVERED_AT)
    ]


def test_a_number_is_used_in_the_moment_of_delivery(ledger: Ledger) -> None:
    """Whatever happens after the delivery: there is no second step that could be missed."""
    file = carried(ledger, ledger.allocate_number(PARTNER, "file", OWNER))
    send(ledger, file)
    assert states(ledger) == {1: "allocated"}
    ledger.settle_delivered(file.id, verification="size", how="found after a crash")
    assert states(ledger) == {1: "used"}


def test_a_void_number_is_not_given_again(ledger: Ledger) -> None:
    ledger.allocate_number(PARTNER, "file", OWNER)
    assert ledger.void_numbers(PARTNER, owner_prefix=OWNER, why="The run failed.") == 1
    assert ledger.allocate_number(PARTNER, "file", OWNER) == 2
    assert states(ledger) == {1: "void", 2: "allocated"}
    (void,) = ledger.numbers(PARTNER, state="void")
    assert (void.why, void.owner, void.run_id) == ("The run failed.", OWNER, None) and void.at > void.allocated_at


def test_only_those_of_other_runs_become_void(ledger: Ledger) -> None:
    owners = [
        owner("r1"), owner("r1", 2), owner("r2"), owner("R1"), owner("r1_"), owner("r1", entity="invoices"),
        owner("r1", instance="Default"), "default/gl%postings/r1/1",
    ]  # fmt: skip
    for each in owners:
        ledger.allocate_number(PARTNER, "file", each)
    ledger.allocate_number(PARTNER, "group", owner("r1"))
    ledger.allocate_number(Scope(PARTNER.integration, "*", "another"), "file", owner("r1"))
    prefix = "default/gl_postings/"
    assert ledger.void_numbers(PARTNER, owner_prefix=prefix, except_owner_prefix=f"{prefix}r1/", why="A new run.") == 3
    assert {row.owner for row in ledger.numbers(state="void")} == {owner("r2"), owner("R1"), owner("r1_")}
    assert ledger.void_numbers(PARTNER, owner_prefix=prefix, why="Another one.") == 3
    assert {(row.counter, row.owner) for row in ledger.numbers(state="void") if row.why == "Another one."} == {
        ("file", owner("r1")), ("file", owner("r1", 2)), ("group", owner("r1")),
    }  # fmt: skip


def test_an_event_tells_of_every_void_number(ledger: Ledger) -> None:
    ledger.allocate_number(PARTNER, "file", OWNER)
    file = carried(ledger, 1)
    ledger.void_numbers(PARTNER, owner_prefix="default/", why="The period was not closed.")
    (event,) = [event for event in ledger.trace("GL.dat")["files"][0]["events"] if event["what"] == "number void"]
    assert event["detail"] == {"counter": "file", "number": 1, "owner": OWNER, "why": "The period was not closed."}
    assert (event["instance"], event["entity"], event["file_id"]) == ("*", "parent", file.id)
    with pytest.raises(ValueError, match="Say why"):
        ledger.void_numbers(PARTNER, owner_prefix="default/", why=" ")


@pytest.mark.parametrize("state", ["sending", "verified"])
def test_a_number_on_its_way_is_neither_void_nor_anothers(ledger: Ledger, state: str) -> None:
    file = carried(ledger, ledger.allocate_number(PARTNER, "file", OWNER))
    other = prepare(ledger, KEY, "2", name="other.dat")
    for step in ("sending", "verified")[: ("sending", "verified").index(state) + 1]:
        ledger.file_states([file.id], step)
    assert ledger.void_numbers(PARTNER, owner_prefix="default/", why="x") == 0
    with pytest.raises(ValueError, match=rf"that of file GL\.dat \({state}\)"):
        ledger.number_used(PARTNER, "file", 1, other.id)
    ledger.file_states([file.id], "abandoned")
    ledger.number_used(PARTNER, "file", 1, other.id)
    assert ledger.void_numbers(PARTNER, owner_prefix="default/", why="x") == 1


def test_a_delivered_number_stays_used(ledger: Ledger) -> None:
    file = carried(ledger, ledger.allocate_number(PARTNER, "file", OWNER))
    deliver(ledger, file)
    ledger.number_used(PARTNER, "file", 1, file.id)  # said again, by an attempt that only finds it delivered
    assert ledger.void_numbers(PARTNER, owner_prefix="default/", why="x") == 0
    other = prepare(ledger, KEY, "2", name="other.dat")
    with pytest.raises(ValueError, match=r"that of file GL\.dat \(delivered\)"):
        ledger.number_used(PARTNER, "file", 1, other.id)
    assert states(ledger) == {1: "used"}


def test_what_was_taken_for_void_and_arrived_is_used(ledger: Ledger) -> None:
    """Told late: the run that delivered it died before it could say so."""
    ledger.allocate_number(PARTNER, "file", OWNER)
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1", name="GL.dat")
    ledger.void_numbers(PARTNER, owner_prefix="default/", why="x")
    with pytest.raises(ValueError, match=r"is void \(x\); the file needs a new one"):
        ledger.number_used(PARTNER, "file", 1, file.id)
    deliver(ledger, file)
    ledger.number_used(PARTNER, "file", 1, file.id)
    assert states(ledger) == {1: "used"} and ledger.numbers()[0].why == ""


def test_a_file_prepared_again_gives_its_number_back(ledger: Ledger) -> None:
    carried(ledger, ledger.allocate_number(PARTNER, "file", OWNER))
    file = carried(ledger, ledger.allocate_number(PARTNER, "file", OWNER))
    ledger.number_used(PARTNER, "file", 1, file.id)
    assert [(row.number, row.file_id) for row in ledger.numbers()] == [(1, file.id)]


@pytest.mark.parametrize(("number", "file_id", "sentence"), [(2, None, "never given"), (1, 999, "no file 999")])
def test_numbers_and_files_that_there_are_not(ledger: Ledger, number: int, file_id: int | None, sentence: str) -> None:
    ledger.allocate_number(PARTNER, "file", OWNER)
    prepared(ledger, KEY)
    file = prepare(ledger, KEY, "1")
    with pytest.raises(ValueError, match=sentence):
        ledger.number_used(PARTNER, "file", number, file_id or file.id)


def test_after_the_highest_it_starts_again(ledger: Ledger) -> None:
    given = [ledger.allocate_number(PARTNER, "file", owner("r1", part), highest=3) for part in range(5)]
    assert given == [1, 2, 3, 1, 2]
    assert ledger.peek_number(PARTNER, "file", highest=3) == 3 and ledger.peek_number(PARTNER, "file", highest=2) == 1
    assert [row.serial for row in ledger.numbers(PARTNER)] == [5, 4, 3, 2, 1]
    file = carried(ledger, 1)
    assert {row.serial: row.file_id for row in ledger.numbers(PARTNER) if row.number == 1} == {4: file.id, 1: None}


def test_lists(ledger: Ledger) -> None:
    for part in range(5):
        ledger.allocate_number(PARTNER, "file", owner("r1", part))
    ledger.allocate_number(Scope("other", "*", "parent"), "file", owner("r2"))
    assert [row.number for row in ledger.numbers(PARTNER, limit=2, offset=1)] == [4, 3]
    assert [row.partner.integration for row in ledger.numbers(limit=1)] == ["other"]
    assert [row.owner for row in ledger.numbers(owner_prefix="default/gl_postings/r2/")] == [owner("r2")]
    assert ledger.numbers(counter="group") == []
    row = ledger.numbers(PARTNER)[-1].as_json()
    assert (row["partner"], row["number"], row["state"], row["file_name"]) == ("parent", 1, "allocated", None)


def test_four_processes_take_numbers_at_once(ledger: Ledger, ledger_url: str) -> None:
    with ExitStack() as stack:
        pipes = [
            stack.enter_context(process(processes.allocate, ledger_url, f"default/gl/r{each}", 15))[1]
            for each in range(4)
        ]
        assert [said(pipe) for pipe in pipes] == ["ready"] * 4
        for pipe in pipes:
            pipe.send("go")
        given = [said(pipe) for pipe in pipes]
    assert sorted(number for numbers in given for number in numbers) == list(range(1, 61))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["take", "send", "crash", "void"]), st.integers(1, 3)), max_size=12))
def test_every_number_is_accounted_for(ledger: Ledger, steps: Sequence[tuple[str, int]]) -> None:
    """Whatever happens in whatever order: no gap, no number twice in the partner's inbox."""
    with ledger._writing() as connection:
        for table in ("numbers", "file_records", "records", "events", "files", "runs", "scopes"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    prepared(ledger, KEY)
    inbox: list[int] = []
    for place, (step, part) in enumerate(steps):
        number = 0 if step == "void" else ledger.allocate_number(PARTNER, "file", owner("r1", part))
        if step == "void":
            ledger.void_numbers(PARTNER, owner_prefix=owner("r1", part), why="given up")
        elif step != "take":
            file = prepare(ledger, KEY, str(place), name=f"{place}.dat")
            ledger.number_used(PARTNER, "file", number, file.id)
            send(ledger, file)
            if step == "send":
                ledger.settle_delivered(file.id, verification="size", how="test")
                inbox.append(number)
            else:
                ledger.file_states([file.id], "abandoned")
    rows = ledger.numbers(PARTNER)
    assert sorted(row.number for row in rows) == list(range(1, len(rows) + 1))
    assert sorted(row.number for row in rows if row.state == "used") == sorted(inbox)
    assert len(inbox) == len(set(inbox))
