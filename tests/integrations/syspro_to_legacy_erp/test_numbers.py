"""Sequence and control numbers: none twice, none missing but those declared void."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.integrations.syspro_to_legacy_erp.readers import read_fixed, read_x12, segments
from tests.integrations.syspro_to_legacy_erp.rehearsal import GL, Outcome, Rehearsal
from tests.support.ports import kept_port
from tieout.delivery import SftpSession
from tieout.errors import ReceiverUnavailable, TieoutError
from tieout.integrations.syspro_to_legacy_erp import numbering, sending

FROM, TO = "4000-20-100", "1100-10-000"
X12_GL = {"format": "x12", "gl_set": "821"}


def deliver(rehearsal: Rehearsal, run: Any, plans: Any) -> Outcome:
    """The effect of a run that is ready, and the proof."""
    outcome = Outcome(run, plans)
    before = rehearsal.received()
    rehearsal.deliver(run, plans)
    return rehearsal.close(outcome, before)


def test_all_entities_share_the_partners_sequence(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings={}, invoices={}, purchase_orders={}, suppliers={}, items={})
    first = rehearsal.go()
    assert first.ties_out, first.problems
    assert sorted(first.data) == [
        "GL_EDU1_202601_000001.dat", "INV_EDU1_202601_000002.csv", "ITEM_EDU1_202601_000005.csv",
        "PO_EDU1_202601_000003.csv", "SUP_EDU1_202601_000004.csv",
    ]  # fmt: skip
    rehearsal.books.tables["ApSupplier"].update(("0000001",), {"SupplierName": "Another name"})
    second = rehearsal.go(full_refresh=("suppliers",), entities=("suppliers",))
    third = rehearsal.go(period="2025-12", entities=(GL,))
    assert [*second.data, *third.data] == ["SUP_EDU1_202601_000006.csv", "GL_EDU1_202512_000007.dat"]
    assert read_fixed(third.one).head["batch"] == "000007"
    assert rehearsal.states() == dict.fromkeys(range(1, 8), "used")
    assert rehearsal.load() == []


def test_x12_files_have_control_numbers_too(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings=X12_GL, suppliers={}, items={"format": "x12"})
    rehearsal.configure(partner={"x12": {"charset": "any", "unsafe_keys": "replace"}})
    outcome = rehearsal.go()
    assert outcome.ties_out, outcome.problems
    assert sorted(outcome.data) == [
        "GL_EDU1_202601_000001.edi", "ITEM_EDU1_202601_000003.edi", "SUP_EDU1_202601_000002.csv",
    ]  # fmt: skip
    controls = {
        name: (each["ISA"][13], each["GS"][6])
        for name, data in outcome.data.items()
        if name.endswith("edi")
        for each in [{segment[0]: segment for segment in segments(data)}]
    }
    # Both were prepared with the first number; the later one was written again.
    assert controls == {
        "GL_EDU1_202601_000001.edi": ("000000001", "1"), "ITEM_EDU1_202601_000003.edi": ("000000002", "2"),
    }  # fmt: skip
    assert read_x12(outcome.data["GL_EDU1_202601_000001.edi"]).head["TRN02"] == "GL202601-0001"
    assert rehearsal.states("interchange") == rehearsal.states("group") == {1: "used", 2: "used"}
    assert {row.counter for row in rehearsal.numbers()} == {"file"}
    assert rehearsal.load() == []


def test_control_numbers_begin_again_after_the_highest(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "HIGHEST_CONTROL_NUMBER", 2)
    rehearsal.send_only(gl_postings=X12_GL)
    periods = ("2025-10", "2025-11", "2025-12")
    heads = [segments(rehearsal.go(period=period).one)[0] for period in periods]
    assert [head[13] for head in heads] == ["000000001", "000000002", "000000001"]
    assert list(rehearsal.states()) == [1, 2, 3], "the files' own sequence goes on"


def test_an_outage_of_the_receiver_uses_up_none(rehearsal: Rehearsal) -> None:
    rehearsal.send_only(gl_postings={}, suppliers={})
    server = rehearsal.sandbox.legacy_erp.server
    server.stop()
    with kept_port(server.port):
        failed = rehearsal.go()
        server.start()
    assert isinstance(failed.error, ReceiverUnavailable)
    assert rehearsal.numbers() == []
    assert sorted(rehearsal.go().data) == ["GL_EDU1_202601_000001.dat", "SUP_EDU1_202601_000002.csv"]
    assert rehearsal.states() == {1: "used", 2: "used"}


def test_a_number_of_a_run_that_did_not_deliver_is_void(rehearsal: Rehearsal) -> None:
    rehearsal.sandbox.legacy_erp.server.configure(disk_full_after=50)
    failed = rehearsal.go(tries=2)
    assert failed.error is not None and failed.files == {}
    assert rehearsal.states() == {1: "allocated"}, "a further attempt of this run would take it"

    rehearsal.sandbox.legacy_erp.server.heal()
    outcome = rehearsal.go()
    assert list(outcome.data) == ["GL_EDU1_202601_000002.dat"]
    assert rehearsal.states() == {1: "void", 2: "used"}
    (void,) = [row for row in rehearsal.numbers() if row.state == "void"]
    assert "did not deliver" in void.why

    rehearsal.sandbox.legacy_erp.inbox.settings.configure(first_number=1)
    assert rehearsal.load() == ["Sequence numbers of files are missing: 1."]
    rehearsal.sandbox.legacy_erp.inbox.numbers.voided.add(1)
    assert rehearsal.load() == []


def test_void_also_where_the_next_run_has_nothing_to_send(rehearsal: Rehearsal) -> None:
    rehearsal.sandbox.legacy_erp.server.configure(disk_full_after=50)
    rehearsal.go(period="2025-12")
    rehearsal.sandbox.legacy_erp.server.heal()
    empty = rehearsal.go(period="2026-13")
    assert empty.ties_out and empty.files == {}
    assert rehearsal.states() == {1: "void"}


def test_another_attempt_of_the_run_keeps_its_number(rehearsal: Rehearsal) -> None:
    run = rehearsal.new_run()
    plans = rehearsal.ready(run)
    rehearsal.sandbox.legacy_erp.server.configure(disk_full_after=50)
    with pytest.raises(TieoutError):
        rehearsal.deliver(run, plans)
    rehearsal.sandbox.legacy_erp.server.heal()
    outcome = deliver(rehearsal, run, plans)
    assert outcome.ties_out and list(outcome.data) == ["GL_EDU1_202601_000001.dat"]
    assert rehearsal.states() == {1: "used"}


@pytest.mark.parametrize("entity", [{}, X12_GL, {"format": "csv"}], ids=["fixed", "x12", "csv"])
def test_a_file_is_written_again_when_its_number_was_taken(rehearsal: Rehearsal, entity: dict[str, Any]) -> None:
    rehearsal.send_only(gl_postings=entity, suppliers={})
    run = rehearsal.new_run(entities=(GL,))
    plans = rehearsal.ready(run)
    rehearsal.go(entities=("suppliers",))
    outcome = deliver(rehearsal, run, plans)
    assert outcome.ties_out, outcome.problems
    (name,) = outcome.data
    assert "_000002." in name
    match entity.get("format"):
        case None:
            assert read_fixed(outcome.one).head["batch"] == "000002"
        case "x12":
            head = read_x12(outcome.one).head
            # The suppliers' CSV has no control numbers.
            assert (head["TRN02"], head["ISA13"], head["GS06"]) == ("GL202601-0002", "000000001", "1")
    assert rehearsal.load() == []


def test_two_instances_share_their_partners_numbers(rehearsal: Rehearsal) -> None:
    other = replace(rehearsal, instance="other")
    other.configure(target={"root": "/inbound"}, partner={"company": "EDU2"})
    one, two = rehearsal.new_run(), other.new_run()
    ready = rehearsal.ready(one), other.ready(two)
    first, second = deliver(rehearsal, one, ready[0]), deliver(other, two, ready[1])
    assert list(first.data) == ["GL_EDU1_202601_000001.dat"]
    assert list(second.data) == ["GL_EDU2_202601_000002.dat"]
    assert read_fixed(second.one).head == {"company": "EDU2", "run_date": "20260210", "batch": "000002"}
    assert rehearsal.states() == other.states() == {1: "used", 2: "used"}

    third = replace(rehearsal, instance="third")
    third.configure(partner={"name": "another_partner", "company": "EDU3"})
    assert list(third.go().data) == ["GL_EDU3_202601_000001.dat"]


def test_a_period_without_file_takes_no_number(rehearsal: Rehearsal) -> None:
    rehearsal.go(period="2025-12")
    number = rehearsal.post(2025, 12, (FROM, "5"), (TO, "-5"))
    rehearsal.books.tables["GenJournalDetail"].update((2025, 12, number, 1), {"Reference": "日本"})
    rehearsal.configure(source={"late_periods": 2})
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (4, 2, 4, 0)
    # The period that comes later in the run: its postings are written before those of December are found wanting.
    rehearsal.post(2026, 1, (FROM, "7"), (TO, "-7"))
    later = rehearsal.go(period="2025-12")
    assert later.ties_out and later.files == {}
    assert rehearsal.states() == {1: "used", 2: "used"}


def test_a_period_that_does_not_fit_before_one_that_does(rehearsal: Rehearsal) -> None:
    rehearsal.go(period="2025-12")
    rehearsal.go()
    bad = rehearsal.post(2026, 1, (FROM, "5"), (TO, "-5"))
    rehearsal.books.tables["GenJournalDetail"].update((2026, 1, bad, 1), {"Reference": "日本"})
    rehearsal.post(2025, 12, (FROM, "7"), (TO, "-7"))
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (2, 2, 8, 0)
    assert list(outcome.data) == ["GL_EDU1_202512_000003.dat"]
    assert read_fixed(outcome.one).head["batch"] == "000003"
    assert rehearsal.states() == {1: "used", 2: "used", 3: "used"}, "no number for the period without a file"
    assert rehearsal.load() == []


def test_a_run_that_was_overtaken_sends_nothing_and_uses_no_number(rehearsal: Rehearsal) -> None:
    slow = rehearsal.new_run()
    plans = rehearsal.ready(slow)
    quick = rehearsal.go()
    outcome = deliver(rehearsal, slow, plans)
    assert quick.ties_out and outcome.ties_out
    assert outcome.files == {} and outcome.counts() == (0, 0, 4, 0)
    assert rehearsal.states() == {1: "used"}


def test_a_failing_entity_does_not_stop_the_others(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal.send_only(gl_postings={}, suppliers={})
    send = sending._send

    def refuse_postings(setup: Any, plan: Any, prepared: Any, *rest: Any) -> Any:
        if prepared.entity == GL:
            raise TieoutError("the receiver does not like postings today")
        return send(setup, plan, prepared, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(sending, "_send", refuse_postings)
        outcome = rehearsal.go()
    assert str(outcome.error) == "the receiver does not like postings today"
    assert list(outcome.data) == ["SUP_EDU1_202601_000002.csv"]
    assert "does not like" in outcome.problems[GL] and "suppliers" not in outcome.problems
    later = rehearsal.go()
    assert list(later.data) == ["GL_EDU1_202601_000003.dat"]
    assert rehearsal.states() == {1: "void", 2: "used", 3: "used"}


def test_numbers_are_taken_only_once_the_receiver_has_answered(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    enter = SftpSession.__enter__

    def noted(self: SftpSession) -> SftpSession:
        seen.append(len(rehearsal.numbers()))
        return enter(self)

    monkeypatch.setattr(SftpSession, "__enter__", noted)
    assert rehearsal.go().ties_out
    assert seen == [0]
