"""Attempts that die on the way, runs that overlap: each document once, and nobody's work undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.integrations.banqup_to_sftp.rehearsal import ONE, THREE, TWO, Outcome, Rehearsal
from tieout.errors import Superseded
from tieout.integrations.banqup_to_sftp import sending, steps
from tieout.integrations.banqup_to_sftp.plan import Asked
from tieout.integrations.delivering import LedgerJournal
from tieout.ledger import Ledger

CONN = "banqup_client_1"


class Died(BaseException):
    """Stands for the end of a process: nothing catches it."""


def die(*args: object, **kwargs: object) -> None:
    raise Died


def end_in_delivery(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, where: str, **changes: Any) -> Outcome:
    """A run that dies while it delivers: `before the rename`, `after the rename`, or `before the commit`."""
    run = rehearsal.new_run(**changes)
    plans, shares = rehearsal.ready(run)
    with monkeypatch.context() as patched, pytest.raises(Died):
        match where:
            case "before the rename":
                patched.setattr(LedgerJournal, "verified", die)
            case "after the rename":
                patched.setattr(sending, "announce_found", die)
            case _:
                patched.setattr(Ledger, "commit_entity", die)
        for share in shares:
            rehearsal.deliver(run, plans, share)
    return Outcome(run, plans, shares=shares)


def again(rehearsal: Rehearsal, outcome: Outcome) -> Outcome:
    """The delivering tasks once more, as Airflow would; then the rest."""
    for share in outcome.shares:
        rehearsal.deliver(outcome.run, outcome.plans, share)
    return rehearsal.close(outcome)


@pytest.mark.parametrize("where", ["before the rename", "after the rename", "before the commit"])
def test_the_task_is_tried_again(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    bad = rehearsal.add(defect="wrong_total")
    outcome = end_in_delivery(rehearsal, monkeypatch, where)
    before = rehearsal.received()
    assert rehearsal.watermark() == {} and rehearsal.held() == {}
    again(rehearsal, outcome)

    assert outcome.ties_out and rehearsal.has(*documents) and outcome.counts() == (3, 1, 0, 0)
    assert rehearsal.held() == {bad.id: "BR-CO-15"}
    after = rehearsal.received()
    if where != "before the rename":
        assert {key: file.modified for key, file in before.items()} == {k: f.modified for k, f in after.items()}
    assert rehearsal.go().counts() == (0, 1, 3, 0)
    # A task that is cleared after it was done does nothing.
    assert rehearsal.deliver(outcome.run, outcome.plans, [ONE]) == {ONE: {"documents": 0}}


@pytest.mark.parametrize("how", ["the task again", "the next run"])
@pytest.mark.parametrize("where", ["after the rename", "before the commit"])
def test_what_a_client_has_taken_away_is_not_sent_again(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, where: str, how: str
) -> None:
    sftp = rehearsal.banqup.receivers[ONE].server.sftp
    sftp.configure(sweep=True)
    for number in range(3):
        rehearsal.add(minutes=90 - number)
    outcome = end_in_delivery(rehearsal, monkeypatch, where)
    outcome = again(rehearsal, outcome) if how == "the task again" else rehearsal.go()
    assert outcome.ties_out and len(sftp.statistics.swept) == 3, outcome.red
    assert outcome.counts() == ((3, 0, 0, 0) if how == "the task again" else (0, 0, 3, 0))


@pytest.mark.parametrize("where", ["before the rename", "after the rename", "before the commit"])
def test_the_next_run_takes_over(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    end_in_delivery(rehearsal, monkeypatch, where)
    rehearsal.later(60 * 24)  # another day, other names
    new = rehearsal.add()
    outcome = rehearsal.go()
    assert outcome.ties_out and rehearsal.has(*documents, new)
    assert outcome.counts() == ((4, 0, 0, 0) if where == "before the rename" else (1, 0, 3, 0))


@pytest.mark.parametrize("where", ["after the rename", "before the commit"])
def test_what_had_arrived_is_no_duplicate_of_itself(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Two arrive, the attempt dies; the next one finds them, and a third one's name taken."""
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    taken = documents[2]
    folder = rehearsal.banqup.receivers[ONE].folder / "invoice_import/C1001_0701234576/AP"
    folder.mkdir(parents=True)
    (folder / f"20260302_{taken.number}_{taken.id}.xml").write_bytes(b"somebody else's")
    outcome = end_in_delivery(rehearsal, monkeypatch, where)
    again(rehearsal, outcome)
    assert outcome.ties_out, outcome.red
    assert outcome.counts() == (2, 1, 0, 0) and rehearsal.held() == {taken.id: "RECEIVER_REFUSED"}


def test_the_planning_task_is_tried_again(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had committed one of two clients that get nothing when it was killed."""
    bad = {name: rehearsal.add(name, defect="wrong_total") for name in (ONE, TWO)}
    document = rehearsal.add(THREE)
    outcome = Outcome(rehearsal.new_run())
    run = outcome.run
    outcome.plans = rehearsal.open(run)
    rehearsal.collect(run, outcome.plans)
    rehearsal.validate(run, outcome.plans)
    commit = steps.commit

    def one(run: Any, prepared: Any, *rest: Any) -> None:
        if prepared.client == TWO:
            die()
        commit(run, prepared, *rest)

    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(steps, "commit", one)
        rehearsal.plan_deliveries(run, outcome.plans)
    assert rehearsal.held() == {bad[ONE].id: "BR-CO-15"}
    outcome.shares = rehearsal.plan_deliveries(run, outcome.plans)
    again(rehearsal, outcome)
    assert outcome.ties_out, outcome.red
    assert rehearsal.has(document, client=THREE) and rehearsal.held().keys() == {each.id for each in bad.values()}
    # Cleared once more after all was done, it finds nothing to do.
    assert rehearsal.plan_deliveries(run, outcome.plans) == []
    assert rehearsal.close(outcome).ties_out


def test_another_run_finds_out_what_had_arrived(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then the first one's task is tried again."""
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    outcome = end_in_delivery(rehearsal, monkeypatch, "after the rename")
    assert rehearsal.go().counts() == (0, 0, 3, 0)
    again(rehearsal, outcome)
    assert outcome.ties_out, outcome.red
    assert outcome.counts() == (3, 0, 0, 0) and rehearsal.has(*documents)


@pytest.mark.parametrize("where", ["before the rename", "after the rename", "before the commit"])
def test_a_run_cleared_from_the_beginning(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    outcome = end_in_delivery(rehearsal, monkeypatch, where)
    outcome.plans, outcome.shares = rehearsal.ready(outcome.run)
    again(rehearsal, outcome)
    assert outcome.ties_out, outcome.red
    assert outcome.counts() == ((3, 0, 0, 0) if where == "before the rename" else (0, 0, 3, 0))
    assert rehearsal.has(*documents)


def test_a_full_refresh_cleared_from_the_beginning(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    rehearsal.go()
    outcome = end_in_delivery(rehearsal, monkeypatch, "before the commit", full_refresh=(ONE,))
    outcome.plans, outcome.shares = rehearsal.ready(outcome.run)
    again(rehearsal, outcome)
    assert outcome.ties_out, outcome.red
    assert outcome.counts() == (3, 0, 0, 0) and rehearsal.has(*documents)


@pytest.mark.parametrize("known", [0, 1])
def test_leftovers_at_a_server_that_is_away(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, known: int) -> None:
    """Nothing else is there to do for the client, whether or not it has documents that are known."""
    for _ in range(known):
        rehearsal.add(minutes=80)
        rehearsal.go()
    documents = [rehearsal.add(minutes=70 - number) for number in range(2)]
    end_in_delivery(rehearsal, monkeypatch, "before the commit")
    server = rehearsal.banqup.receivers[ONE].server
    server.down()
    for document in documents:
        rehearsal.documents.refuse(document.id)
    outcome = rehearsal.go()
    assert outcome.rows[ONE].extracted == known
    assert "refuses connections" in outcome.red[ONE], "nobody knows what arrived"
    assert outcome.shares == [[ONE]]
    server.up()
    later = rehearsal.go()
    assert later.ties_out and later.shares == [[ONE]] and later.counts() == (0, 0, known, 0)
    assert rehearsal.ledger.trace(documents[0].id)["records"][0]["delivered"] is not None
    assert rehearsal.go().shares == []
    assert rehearsal.receiver().state == "up"


def test_leftovers_of_a_client_that_gets_nothing_now(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    document = rehearsal.add()
    end_in_delivery(rehearsal, monkeypatch, "before the commit")
    rehearsal.documents.refuse(document.id)
    bad = rehearsal.add(defect="wrong_total")
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.shares == [[ONE]] and rehearsal.held() == {bad.id: "BR-CO-15"}
    assert rehearsal.ledger.trace(document.id)["records"][0]["delivered"] is not None


def test_leftovers_before_what_is_held_or_known(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier run left open is settled before anything of the client counts."""
    document = rehearsal.add()
    end_in_delivery(rehearsal, monkeypatch, "before the commit")
    other = rehearsal.add(defect="wrong_total")
    rehearsal.documents.replace_file(document.id, rehearsal.data(rehearsal.add(status="REFUSED")))
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (0, 2, 0, 0)
    assert rehearsal.held() == {document.id: "CHANGED_AFTER_DELIVERY", other.id: "BR-CO-15"}


def test_a_run_cleared_from_the_beginning_forgets_what_it_had_prepared(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = rehearsal.add()
    outcome = end_in_delivery(rehearsal, monkeypatch, "before the rename")
    rehearsal.documents.refuse(document.id)
    plans, shares = rehearsal.ready(outcome.run)
    for share in shares:
        rehearsal.deliver(outcome.run, plans, share)
    rehearsal.close(outcome)
    assert outcome.ties_out and [path for path in rehearsal.paths() if "/." not in path] == []


def test_a_run_cleared_from_the_beginning_cannot_read_a_client_any_more(rehearsal: Rehearsal) -> None:
    documents = {name: rehearsal.add(name) for name in (ONE, TWO)}
    outcome = Outcome(rehearsal.new_run())
    outcome.plans, _ = rehearsal.ready(outcome.run)
    rehearsal.banqup.withdraw(ONE)
    outcome.plans, outcome.shares = rehearsal.ready(outcome.run)
    assert outcome.shares == [[TWO]], "what the first attempt had read is not what there is"
    again(rehearsal, outcome)
    assert list(outcome.red) == [ONE] and "does not show the space" in outcome.red[ONE]
    assert rehearsal.paths() == [] and rehearsal.has(documents[TWO], client=TWO)


# Two runs at once


def test_a_run_that_was_overtaken_sends_nothing_twice(rehearsal: Rehearsal) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    bad = rehearsal.add(defect="wrong_total")
    slow = rehearsal.new_run()
    plans, shares = rehearsal.ready(slow)
    assert rehearsal.go().counts() == (3, 1, 0, 0)
    before = rehearsal.received()
    outcome = again(rehearsal, Outcome(slow, plans, shares=shares))
    assert outcome.ties_out and outcome.counts() == (0, 1, 3, 0) and rehearsal.received() == before
    assert rehearsal.held() == {bad.id: "BR-CO-15"} and rehearsal.has(*documents)


@pytest.mark.parametrize("how", ["two runs", "two attempts"])
def test_two_at_the_very_same_time(rehearsal: Rehearsal, how: str) -> None:
    """Two runs, or an attempt that was taken for dead and the one in its place."""
    documents = [rehearsal.add(minutes=90 - number) for number in range(4)]
    runs = [rehearsal.new_run() for _ in range(1 + (how == "two runs"))]
    outcomes = []
    for run in runs:
        plans, shares = rehearsal.ready(run)
        outcomes.append(Outcome(run, plans, shares=shares))
    together = Barrier(2)

    def deliver(outcome: Outcome) -> None:
        together.wait()
        rehearsal.deliver(outcome.run, outcome.plans, [ONE])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(deliver, (outcomes * 2)[:2]))
    for outcome in outcomes:
        rehearsal.close(outcome)
        assert outcome.ties_out, outcome.red
    assert rehearsal.has(*documents)
    assert sum(outcome.rows[ONE].delivered for outcome in outcomes) == 4


def test_a_backfill_meanwhile(rehearsal: Rehearsal) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    slow = rehearsal.new_run()
    plans, shares = rehearsal.ready(slow, Asked.read("2026-03-01", "2026-03-03", "UTC"))
    new = rehearsal.add(minutes=5)
    assert rehearsal.go().counts() == (4, 0, 0, 0)
    outcome = again(rehearsal, Outcome(slow, plans, shares=shares))
    assert outcome.ties_out and outcome.counts() == (0, 0, 3, 0) and rehearsal.has(*documents, new)


def test_nobody_else_works_on_the_client_meanwhile(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = {name: rehearsal.add(name) for name in (ONE, TWO)}
    acquire = Ledger.acquire
    with acquire(rehearsal.ledger, rehearsal.scope(ONE), "another run"):
        monkeypatch.setattr(Ledger, "acquire", lambda self, scope, holder, **_: acquire(self, scope, holder, wait=0.0))
        outcome = rehearsal.go()
    assert [type(error) for error in outcome.errors] == [Superseded] and "another run" in outcome.red[ONE]
    assert rehearsal.paths() == [] and rehearsal.has(documents[TWO], client=TWO)
    assert ONE not in rehearsal.ledger.receivers("banqup_to_sftp", "default"), "its server has nothing to do with it"


def test_a_client_that_gets_nothing_is_busy_elsewhere(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run works on it, for as long as its slow server takes: the other clients do not wait for that."""
    bad = rehearsal.add(defect="wrong_total")
    document = rehearsal.add(TWO)
    acquire, waits = Ledger.acquire, []

    def patient(self: Ledger, scope: Any, holder: str, *, ttl: float = 20.0, wait: float = 120.0) -> Any:
        waits.append(wait)
        return acquire(self, scope, holder, ttl=ttl, wait=0.0)

    run = rehearsal.new_run()
    plans = rehearsal.open(run)
    rehearsal.collect(run, plans)
    rehearsal.validate(run, plans)
    monkeypatch.setattr(Ledger, "acquire", patient)
    with acquire(rehearsal.ledger, rehearsal.scope(ONE), "another run"):
        shares = rehearsal.plan_deliveries(run, plans)
        assert all(wait < 10 for wait in waits) and sorted(shares) == [[ONE], [TWO]]
        rehearsal.deliver(run, plans, [TWO])
    rehearsal.deliver(run, plans, [ONE])
    outcome = rehearsal.close(Outcome(run, plans, shares=shares))
    assert outcome.ties_out and rehearsal.held() == {bad.id: "BR-CO-15"} and rehearsal.has(document, client=TWO)


def test_another_run_has_delivered_between_placing_and_commit(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a client that gets nothing: what was looked up is looked up again."""
    rehearsal.add(defect="wrong_total")
    place_client, other = steps.place_client, iter([True])

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        prepared = place_client(*args, **kwargs)
        if next(other, False):
            rehearsal.go()
        return prepared

    run = rehearsal.new_run()
    plans = rehearsal.open(run)
    rehearsal.collect(run, plans)
    rehearsal.validate(run, plans)
    with monkeypatch.context() as patched:
        patched.setattr(steps, "place_client", overtaken)
        shares = rehearsal.plan_deliveries(run, plans)
    outcome = again(rehearsal, Outcome(run, plans, shares=shares))
    assert outcome.ties_out and outcome.counts() == (0, 1, 0, 0)


# A process that is killed

CHILD = """
import json, os, signal, sys
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tests.integrations.banqup_to_sftp.rehearsal import read_config
from tieout.delivery import SftpTarget
from tieout.integrations.banqup_to_sftp import collecting, sending, validating
from tieout.integrations.banqup_to_sftp.plan import ClientPlan
from tieout.integrations.delivering import LedgerJournal
from tieout.integrations.run import Run
from tieout.ledger import Ledger
from tieout.systems.banqup import BanqupClient, BanqupSettings

told = json.loads(sys.argv[1])
run = Run(**{**told["run"], "stamp": datetime.fromisoformat(told["run"]["stamp"])})
config, staging = read_config(told["config"]), Path(told["staging"])
plans = [ClientPlan.from_json(plan) for plan in told["plans"]]

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def dying_after(function, times):
    calls = []
    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) > times:
            die()
        return function(*args, **kwargs)
    return counted

def settings():
    fields = json.loads(told["banqup"])
    return BanqupSettings.from_connection(host=fields["host"], login=fields["login"], password=fields["password"])

def target(conn_id):
    fields = json.loads(told["connections"][conn_id])
    return SftpTarget.from_connection(fields["host"], fields["port"], fields["login"], fields["password"],
                                      fields["extra"], production=True)

acquire = Ledger.acquire
Ledger.acquire = lambda self, scope, holder, **_: acquire(self, scope, holder, ttl=1.0)
with Ledger.open(told["ledger"]) as ledger:
    match told["when"]:
        case "collect":
            collecting.write_bytes_atomically = dying_after(collecting.write_bytes_atomically, 2)
            with BanqupClient(settings()) as client:
                collecting.collect(run, config, plans, ledger, staging, client)
        case "validate":
            validating.write_lines = dying_after(validating.write_lines, 1)
            validating.validate(config, [plan.client for plan in plans], staging)
        case "before the rename":
            LedgerJournal.verified = die
        case "before the commit":
            Ledger.commit_entity = die
    sending.deliver(run, config, {plan.client: plan for plan in plans}, told["clients"], ledger, staging, target)
"""


def killed(rehearsal: Rehearsal, outcome: Outcome, when: str) -> None:
    """Another process does a step of this run, and is killed in it."""
    run, environment = outcome.run, rehearsal.banqup.environment()
    described = {"run_id": run.run_id, "stamp": run.stamp.isoformat(), "integration": run.integration,
                 "instance": run.instance, "mode": run.mode, "interval_start": None, "interval_end": None}  # fmt: skip
    told = {
        "when": when, "run": described, "plans": [plan.to_json() for plan in outcome.plans],
        "clients": [name for share in outcome.shares for name in share],
        "config": rehearsal.config.model_dump_json(exclude_none=True, exclude={"delivery", "start_date", "retries"}),
        "staging": str(rehearsal.staging(run)), "ledger": f"sqlite:///{rehearsal.folder / 'ledger.db'}",
        "banqup": environment["AIRFLOW_CONN_BANQUP"],
        "connections": {name.removeprefix("AIRFLOW_CONN_").lower(): value for name, value in environment.items()},
    }  # fmt: skip
    repository = Path(__file__).parents[3]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(told)],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": f"{repository / 'plugins'}:{repository}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == -9, child.stderr


@pytest.mark.parametrize("when", ["collect", "validate", "before the rename", "before the commit"])
def test_a_process_that_is_killed(rehearsal: Rehearsal, when: str) -> None:
    documents = [rehearsal.add(minutes=90 - number) for number in range(3)]
    other, bad = rehearsal.add_statement(TWO), rehearsal.add(TWO, defect="wrong_total")
    outcome = Outcome(rehearsal.new_run())
    run = outcome.run
    outcome.plans = rehearsal.open(run)
    if when == "collect":
        killed(rehearsal, outcome, when)
    rehearsal.collect(run, outcome.plans)
    if when == "validate":
        killed(rehearsal, outcome, when)
    rehearsal.validate(run, outcome.plans)
    outcome.shares = rehearsal.plan_deliveries(run, outcome.plans)
    if when.startswith("before"):
        killed(rehearsal, outcome, when)
    again(rehearsal, outcome)

    assert outcome.ties_out, outcome.red
    assert rehearsal.has(*documents) and rehearsal.has(other, client=TWO) and rehearsal.held() == {bad.id: "BR-CO-15"}
    assert outcome.counts(ONE) == (3, 0, 0, 0) and outcome.counts(TWO) == (1, 1, 0, 0)
    assert rehearsal.go().counts() == (0, 0, 3, 0)
