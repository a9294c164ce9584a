"""What must survive: attempts that die between effect and record, runs that overlap, receivers that are gone."""

from __future__ import annotations

from dataclasses import replace

import asyncssh
import pytest

from tests.integrations.sap_b1_to_peakflo.rehearsal import Outcome, Rehearsal
from tests.support.ports import kept_port
from tieout.errors import CredentialsRejected, HostKeyMismatch, ReceiverUnavailable, TieoutError
from tieout.integrations.sap_b1_to_peakflo import gate, steps
from tieout.ledger import Ledger


class Died(BaseException):
    """Stands for the end of a process: nothing catches it."""


def test_a_file_that_arrived_before_the_crash_is_not_sent_again(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*args: object, **kwargs: object) -> None:
        raise Died

    run = rehearsal.new_run(entities=("customers",))
    with rehearsal.client() as client:
        plans = rehearsal.read_and_prepare(run, client)
        with monkeypatch.context() as patched, pytest.raises(Died):
            patched.setattr(Ledger, "commit_entity", die)
            rehearsal.deliver(run, plans, client)
    arrived = rehearsal.received()
    assert len(arrived) == 1

    later = rehearsal.go(entities=("customers",))

    assert rehearsal.received() == arrived
    assert later.rows["customers"].delivered == 0
    assert later.rows["customers"].duplicate == later.rows["customers"].extracted > 0
    assert later.ties_out


def test_a_retry_of_the_same_task_commits_what_arrived(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*args: object, **kwargs: object) -> None:
        raise Died

    run = rehearsal.new_run(entities=("customers", "invoices"))
    with rehearsal.client() as client:
        plans = rehearsal.read_and_prepare(run, client)
        with monkeypatch.context() as patched, pytest.raises(Died):
            patched.setattr(Ledger, "commit_entity", die)
            rehearsal.deliver(run, plans, client)
        rehearsal.deliver(run, plans, client)
    outcome = rehearsal.close(Outcome(run), ["customers", "invoices"], {})

    assert outcome.ties_out, [verdict.problem for verdict in outcome.verdicts]
    assert len([name for name in outcome.files if name.startswith("customers/")]) == 1
    assert len([name for name in outcome.files if name.startswith("invoices/")]) == 1


def test_a_run_that_was_overtaken_sends_nothing_twice(rehearsal: Rehearsal) -> None:
    slow = rehearsal.new_run(entities=("customers", "invoices", "payments"))
    with rehearsal.client() as client:
        plans = rehearsal.read_and_prepare(slow, client)
        quick = rehearsal.go(entities=("customers", "invoices", "payments"))
        before = rehearsal.received()
        rehearsal.deliver(slow, plans, client)
    outcome = rehearsal.close(Outcome(slow), ["customers", "invoices", "payments"], before)

    assert quick.ties_out
    assert outcome.files == {}
    assert outcome.ties_out
    assert outcome.rows["invoices"].duplicate == quick.rows["invoices"].delivered


def test_an_unreachable_receiver_costs_nothing_but_time(rehearsal: Rehearsal) -> None:
    rehearsal.sandbox.sftp.stop()
    with kept_port(rehearsal.sandbox.sftp.port):
        failed = rehearsal.go()
        rehearsal.sandbox.sftp.start()

    assert isinstance(failed.error, ReceiverUnavailable)
    assert not failed.ties_out
    assert rehearsal.ledger.watermark(failed.run.scope("invoices")) is None
    assert rehearsal.held() == {}, "an outage holds no good records"

    later = rehearsal.go()

    assert later.error is None
    assert later.ties_out
    assert later.rows["invoices"].delivered > 0


def test_one_entity_that_fails_does_not_stop_those_that_do_not_need_it(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = steps._send

    def refuse_invoices(run: object, config: object, prepared: steps.Prepared, *rest: object) -> object:
        if prepared.entity == "invoices":
            raise TieoutError("the receiver does not like invoices today")
        return send(run, config, prepared, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "_send", refuse_invoices)
    outcome = rehearsal.go()

    assert str(outcome.error) == "the receiver does not like invoices today"
    problems = {verdict.entity: verdict.problem for verdict in outcome.verdicts}
    assert problems["customers"] == problems["credit_notes"] == ""
    assert "does not like" in problems["invoices"]
    assert problems["payments"] == problems["invoice_pdfs"] == "waits for invoices"
    assert outcome.keys("customers") and not outcome.keys("payments")


def test_a_batch_that_misses_its_expectations_is_not_sent(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rehearsal.new_run(entities=("customers", "credit_notes"))
    before = rehearsal.received()
    with rehearsal.client() as client:
        plans = rehearsal.read_and_prepare(run, client)
        verdicts = {"customers": {"may_go": True}, "credit_notes": {"may_go": False}}
        rehearsal.ledger.fail_run(run.key("credit_notes"), "The batch of credit_notes was not sent: too odd.")
        monkeypatch.setattr(gate, "check_quality", lambda *args: verdicts)
        rehearsal.deliver(run, plans, client)
    outcome = rehearsal.close(Outcome(run), ["customers", "credit_notes"], before)

    assert outcome.keys("customers") and not outcome.keys("credit_notes")
    assert {verdict.entity: verdict.problem for verdict in outcome.verdicts}["credit_notes"].endswith("too odd.")
    assert rehearsal.ledger.watermark(run.scope("credit_notes")) is None


def test_a_cleared_run_that_runs_again_sends_nothing_twice(rehearsal: Rehearsal) -> None:
    first = rehearsal.go(entities=("customers", "invoices"))
    again = rehearsal.go(**{name: getattr(first.run, name) for name in ("run_id", "stamp", "entities")})

    assert again.files == {}
    assert again.ties_out
    assert replace(again.run) == first.run


def test_a_refused_password_is_tried_once_and_a_repaired_one_catches_up(rehearsal: Rehearsal) -> None:
    rehearsal.sftp["password"] = "not the one"
    failed = rehearsal.go()

    assert isinstance(failed.error, CredentialsRejected)
    assert rehearsal.sandbox.sftp.statistics.refused_logins == 1
    assert "not the one" not in str(failed.error)

    rehearsal.sftp.clear()
    assert rehearsal.go().rows["invoices"].delivered > 0


def test_another_host_key_is_refused_before_anything_is_said(rehearsal: Rehearsal) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    rehearsal.sftp["extra"] = {"host_key": other}
    failed = rehearsal.go()

    assert isinstance(failed.error, HostKeyMismatch)
    assert rehearsal.received() == {}


def test_a_full_disk_loses_nothing(rehearsal: Rehearsal) -> None:
    rehearsal.sandbox.sftp.configure(disk_full_after=2_000)
    failed = rehearsal.go()

    assert isinstance(failed.error, ReceiverUnavailable)
    assert "full" in str(failed.error) or "space" in str(failed.error) or "quota" in str(failed.error)
    assert rehearsal.held() == {}

    rehearsal.sandbox.sftp.heal()
    later = rehearsal.go()
    assert later.ties_out
    assert later.rows["invoices"].delivered > 0


def test_what_a_server_can_do_is_asked_once(rehearsal: Rehearsal) -> None:
    rehearsal.go(entities=("customers",))
    label = rehearsal.target().label
    known = rehearsal.ledger.load_capabilities(label)
    assert known and known["server_version"]

    rehearsal.ledger.save_capabilities(label, {**known, "server_version": "as it was kept"})
    rehearsal.go(entities=("customers",), full_refresh=("customers",))

    kept = rehearsal.ledger.load_capabilities(label)
    assert kept is not None and kept["server_version"] == "as it was kept"


def test_what_an_earlier_attempt_prepared_is_not_delivered(rehearsal: Rehearsal) -> None:
    run = rehearsal.new_run(entities=("customers",))
    with rehearsal.client() as client:
        plans = rehearsal.read_and_prepare(run, client)
        # The run is cleared and begins again, and this time `prepare` never comes to its end.
        steps.extract(run, rehearsal.config, plans[0], rehearsal.ledger, rehearsal.staging(run), client)
        rehearsal.deliver(run, plans, client)

    assert rehearsal.received() == {}


def test_an_entity_that_could_not_be_read_makes_no_record_of_others_held(rehearsal: Rehearsal) -> None:
    run = rehearsal.new_run()
    with rehearsal.client() as client:
        plans = rehearsal.read_and_prepare(run, client)
        rehearsal.ledger.fail_run(run.key("invoices"), "SAP is gone.")
        steps.Prepared.forget(rehearsal.staging(run), "invoices")
        rehearsal.deliver(run, plans, client)
    outcome = rehearsal.close(Outcome(run), [plan.entity for plan in plans], {})

    problems = {verdict.entity: verdict.problem for verdict in outcome.verdicts if verdict.problem}
    assert problems == {
        "invoices": "SAP is gone.", "invoice_pdfs": "waits for invoices", "payments": "waits for invoices",
    }  # fmt: skip
    assert rehearsal.held() == {}, "an outage holds no good records"
    assert rehearsal.go().ties_out
