"""Attempts that die on the way: each file once, whole, with all that follows it, and nobody sent anything twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.syspro_to_legacy_erp.rehearsal import GL, Outcome, Rehearsal
from tests.support.asyncssh_server import Account, AsyncSshServer
from tieout.delivery import SftpTarget
from tieout.errors import Superseded, TieoutError
from tieout.integrations.syspro_to_legacy_erp import sending
from tieout.ledger import Ledger

FILE = "GL_EDU1_202601_000001.dat"
SIDECARS = {"checksum_suffix": ".sha256", "trigger_suffix": ".done"}
PASSWORD = "let me in"


class Died(BaseException):
    """Stands for the end of a process: nothing catches it."""


@pytest.fixture
def partner(rehearsal: Rehearsal) -> Iterator[AsyncSshServer]:
    """The legacy ERP behind a server whose renames can be made to fail; files have all that can follow them."""
    rehearsal.configure(partner=SIDECARS)
    with AsyncSshServer(rehearsal.inbound.parent, Account(password=PASSWORD)) as server:
        rehearsal.other_target = lambda: SftpTarget(
            host=server.host, port=server.port, username="partner", password=PASSWORD, host_keys=(server.host_key,)
        )
        yield server


def at_batch(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    """Do something once, right before a batch is sent: data, checksums, manifests, triggers, in this order."""
    send = sending.send
    batches = iter(range(100))

    def noted(*args: Any) -> Any:
        if next(batches) == number:
            act()
        return send(*args)

    monkeypatch.setattr(sending, "send", noted)


def check(rehearsal: Rehearsal, outcome: Outcome) -> None:
    """All went, once, and the receiver is content."""
    assert outcome.ties_out, outcome.error or outcome.problems
    assert set(rehearsal.received()) == {f"{FILE}{suffix}" for suffix in ("", ".sha256", ".manifest.json", ".done")}
    assert rehearsal.states() == {1: "used"}
    inbox = rehearsal.sandbox.legacy_erp.inbox
    inbox.settings.configure(checksum="required", trigger="required")
    assert rehearsal.load() == []
    books = rehearsal.books.control_totals(2026, 1)
    assert (inbox.postings.totals().lines, inbox.postings.totals().debit) == (books["lines"], books["debit"])


@pytest.mark.parametrize("batch", [0, 2], ids=["data", "manifest"])
@pytest.mark.parametrize("fault", ["lost_before_rename", "lost_rename_replies"])
def test_the_connection_is_lost(
    rehearsal: Rehearsal, partner: AsyncSshServer, monkeypatch: pytest.MonkeyPatch, fault: str, batch: int
) -> None:
    run = rehearsal.new_run()
    plans = rehearsal.ready(run)
    with monkeypatch.context() as patched:
        at_batch(patched, batch, lambda: setattr(partner.faults, fault, 1))
        rehearsal.deliver(run, plans)
    assert getattr(partner.faults, fault) == 0
    check(rehearsal, rehearsal.close(Outcome(run, plans), {}))
    finals = [line.split()[2] for line in partner.log if line.startswith("rename") and not line.endswith(".void")]
    assert len(finals) == 4 + (fault == "lost_before_rename"), "nothing was put in place twice"


@pytest.mark.parametrize("batch", [0, 2], ids=["data", "manifest"])
@pytest.mark.parametrize("fault", ["lost_before_rename", "lost_rename_replies"])
def test_the_connection_is_lost_for_good(
    rehearsal: Rehearsal, partner: AsyncSshServer, monkeypatch: pytest.MonkeyPatch, fault: str, batch: int
) -> None:
    run = rehearsal.new_run()
    plans = rehearsal.ready(run)

    def cut() -> None:
        setattr(partner.faults, fault, 1)
        partner.account.password = None  # nor is there a way back in

    with monkeypatch.context() as patched, pytest.raises(TieoutError):
        at_batch(patched, batch, cut)
        rehearsal.deliver(run, plans)
    before = rehearsal.received()
    assert len([name for name in before if not name.startswith(".")]) == batch + (fault == "lost_rename_replies")
    partner.account.password = PASSWORD
    rehearsal.deliver(run, plans)
    check(rehearsal, rehearsal.close(Outcome(run, plans), {}))
    assert all(rehearsal.received()[name] == data for name, data in before.items() if not name.startswith("."))


@pytest.mark.parametrize("batch", [0, 1, 3], ids=["data", "checksum", "trigger"])
@pytest.mark.parametrize("then", ["the next run", "the run cleared", "prepare cleared"])
def test_what_follows_a_file_goes_although_its_attempt_died(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, then: str, batch: int
) -> None:
    rehearsal.configure(partner=SIDECARS)

    def die() -> None:
        raise Died

    run = rehearsal.new_run()
    plans = rehearsal.ready(run)
    with monkeypatch.context() as patched, pytest.raises(Died):
        at_batch(patched, batch, die)
        rehearsal.deliver(run, plans)
    assert len(rehearsal.received()) == batch
    match then:
        case "the next run":
            outcome = rehearsal.go()
        case "the run cleared":
            outcome = rehearsal.go(run_id=run.run_id, stamp=run.stamp)
        case _:
            rehearsal.prepare(run, plans)
            rehearsal.deliver(run, plans)
            outcome = rehearsal.close(Outcome(run, plans), {})
    if batch == 0 and then == "the next run":
        assert outcome.ties_out and list(outcome.data) == ["GL_EDU1_202601_000002.dat"]
        assert rehearsal.states() == {1: "void", 2: "used"}
        return
    check(rehearsal, outcome)
    delivered, _, duplicate, _ = outcome.counts()
    assert (delivered, duplicate) in {(4, 0), (0, 4)}


def test_a_commit_that_never_came(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal.configure(partner=SIDECARS)

    def die(*args: object, **kwargs: object) -> None:
        raise Died

    run = rehearsal.new_run()
    plans = rehearsal.ready(run)
    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(Ledger, "commit_entity", die)
        rehearsal.deliver(run, plans)
    later = rehearsal.go()
    assert later.counts() == (0, 0, 4, 0)
    check(rehearsal, later)


def test_several_periods_of_which_one_had_arrived(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal.go(period="2025-12")
    rehearsal.post(2025, 12, ("4000-20-100", "5"), ("1100-10-000", "-5"))
    run = rehearsal.new_run()
    plans = rehearsal.ready(run)
    with monkeypatch.context() as patched, pytest.raises(Died):
        # The first file's batch is sent by itself, as a server that takes one at a time would have it.
        send = sending.send

        def one(ledger: Any, lease: Any, to: Any, folder: Any, files: Any) -> Any:
            send(ledger, lease, to, folder, files[:1])
            raise Died

        patched.setattr(sending, "send", one)
        rehearsal.deliver(run, plans)
    before = rehearsal.received()
    outcome = rehearsal.go()
    assert outcome.ties_out and outcome.counts() == (2, 0, 8, 0)
    assert set(rehearsal.received()) - set(before) == {
        "GL_EDU1_202601_000002.dat.manifest.json", "GL_EDU1_202512_000004.dat",
        "GL_EDU1_202512_000004.dat.manifest.json",
    }  # fmt: skip
    assert rehearsal.states() == {1: "used", 2: "used", 3: "void", 4: "used"}
    rehearsal.sandbox.legacy_erp.inbox.numbers.voided.add(3)
    assert rehearsal.load() == []


def test_documents_are_completed_too(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal.send_only(suppliers={})

    def die() -> None:
        raise Died

    run = rehearsal.new_run()
    plans = rehearsal.ready(run)
    with monkeypatch.context() as patched, pytest.raises(Died):
        at_batch(patched, 2, die)
        rehearsal.deliver(run, plans)
    rehearsal.prepare(run, plans)
    rehearsal.deliver(run, plans)
    outcome = rehearsal.close(Outcome(run, plans), {})
    assert outcome.ties_out and len(outcome.files) == 2 and outcome.counts("suppliers")[0] == 2
    assert rehearsal.load() == []


CHILD = """
import json, os, signal, sys
from pathlib import Path
from tests.integrations.syspro_to_legacy_erp.rehearsal import instance_config
from tieout.delivery import SftpTarget
from tieout.integrations.delivering import LedgerJournal
from tieout.integrations.run import Run
from tieout.integrations.syspro_to_legacy_erp import sending
from tieout.integrations.syspro_to_legacy_erp.plan import Plan
from tieout.integrations.syspro_to_legacy_erp.setup import Setup
from tieout.ledger import Ledger
from datetime import datetime

told = json.loads(sys.argv[1])

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

send, batches = sending.send, []
def counted(*args):
    batches.append(1)
    receipts = send(*args)
    if told["when"] == f"after batch {len(batches)}":
        die()
    return receipts
sending.send = counted
acquire = Ledger.acquire
Ledger.acquire = lambda self, scope, holder: acquire(self, scope, holder, ttl=1.0)
if told["when"] == "before the rename":
    LedgerJournal.verified = die
fields = told["connection"]
target = SftpTarget.from_connection(host=fields["host"], port=fields["port"], login=fields["login"],
    password=fields["password"], extra=fields["extra"], production=True)
run = Run(**{**told["run"], "stamp": datetime.fromisoformat(told["run"]["stamp"])})
setup = Setup.of(run, instance_config(told["changes"]), "EDU1", test_content=True)
places = sending.Places(Path(told["staging"]), Path(told["archive"]))
with Ledger.open(told["ledger"]) as ledger:
    sending.deliver(setup, [Plan.from_json(plan) for plan in told["plans"]], {}, ledger, places, lambda: target)
"""


@pytest.mark.parametrize("when", ["before the rename", "after batch 1"])
def test_a_process_that_is_killed(rehearsal: Rehearsal, tmp_path: Path, when: str) -> None:
    changes = {"partner": SIDECARS, "entities": {"gl_postings": {}}}
    rehearsal.configure(partner=SIDECARS)
    run = rehearsal.new_run()
    plans = rehearsal.ready(run)
    described = {"run_id": run.run_id, "stamp": run.stamp.isoformat(), "integration": run.integration,
                 "instance": run.instance, "mode": run.mode, "interval_start": None, "interval_end": None}  # fmt: skip
    told = {
        "when": when, "run": described, "changes": changes, "plans": [plan.to_json() for plan in plans],
        "connection": json.loads(rehearsal.sandbox.env["AIRFLOW_CONN_LEGACY_ERP_SFTP"]),
        "staging": str(rehearsal.staging(run)), "archive": str(rehearsal.archive),
        "ledger": f"sqlite:///{tmp_path / 'ledger.db'}",
    }  # fmt: skip
    repository = Path(__file__).parents[3]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(told)],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": f"{repository / 'plugins'}:{repository}"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == -9, child.stderr
    assert (FILE in rehearsal.received()) == (when != "before the rename")
    rehearsal.deliver(run, plans)
    check(rehearsal, rehearsal.close(Outcome(run, plans), {}))
    assert rehearsal.go().counts() == (0, 0, 4, 0)


def test_nobody_else_works_on_the_entity_meanwhile(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    run = rehearsal.new_run()
    plans = rehearsal.ready(run)
    acquire = Ledger.acquire
    with acquire(rehearsal.ledger, run.scope(GL), "another run"):
        monkeypatch.setattr(Ledger, "acquire", lambda self, scope, holder: acquire(self, scope, holder, wait=0.0))
        with pytest.raises(Superseded, match="another run"):
            rehearsal.deliver(run, plans)
    assert rehearsal.received() == {}
