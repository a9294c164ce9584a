"""What the tests run in processes of their own. Started afresh (spawn), so that nothing is inherited."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection

from sqlalchemy.exc import IntegrityError

from tests.ledger.builders import outcome_of, posting_draft, posting_run, prepare, prepared, run_key, send
from tieout.errors import Superseded
from tieout.ledger import Ledger, Scope

SCOPE = Scope("sap_b1_to_peakflo", "default", "invoices")


def hold_until_told(url: str, ttl: float, pipe: Connection) -> None:
    """Take the lease, say its token, keep it until a message comes."""
    with Ledger.open(url) as ledger, ledger.acquire(SCOPE, "the first process", ttl=ttl) as lease:
        pipe.send(lease.token)
        pipe.recv()


def freeze_then_commit(url: str, ttl: float, pipe: Connection) -> None:
    """Take the lease, get everything ready, stop dead (as a paused machine does), then try to commit."""
    key = run_key("zombie")
    with Ledger.open(url) as ledger:
        prepared(ledger, key)
        lease = ledger.acquire(SCOPE, "the zombie", ttl=ttl)
        version = ledger.entity_version(SCOPE)
        file = prepare(ledger, key, "1", name="zombie.csv")
        send(ledger, file)
        pipe.send(lease.token)
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            ledger.commit_entity(key, token=lease.token, base_version=version, outcome=outcome_of(file))
            pipe.send("committed")
        except Superseded as error:
            pipe.send(str(error))


def migrate(url: str, pipe: Connection) -> None:
    """Say ready, wait for the start, migrate, say how it went."""
    pipe.send("ready")
    pipe.recv()
    try:
        Ledger.open(url, migrate=True).close()
        pipe.send("done")
    except Exception as error:
        pipe.send(repr(error))


def count(url: str, times: int, pipe: Connection) -> None:
    """Take numbers from a counter, as fast as can be."""
    with Ledger.open(url) as ledger:
        pipe.send([ledger.next_sequence(SCOPE, "files") for _ in range(times)])


def save_session(url: str, expected: int, pipe: Connection) -> None:
    """Say ready, wait for the start, try to save a log-in."""
    with Ledger.open(url) as ledger:
        ledger.load_session("sap_b1")
        pipe.send("ready")
        pipe.recv()
        try:
            pipe.send(ledger.save_session("sap_b1", str(os.getpid()).encode(), expected_generation=expected))
        except Superseded:
            pipe.send(None)


def freeze_then_look_at_the_clock(url: str, ttl: float, pipe: Connection) -> None:
    """Take the lease, stop dead, then ask only the clock whether the lease still is ours."""
    with Ledger.open(url) as ledger:
        lease = ledger.acquire(SCOPE, "the zombie", ttl=ttl)
        lease.check_local(margin=0.1)
        pipe.send(lease.token)
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            lease.check_local(margin=0.1)
            pipe.send("sent")
        except Superseded as error:
            pipe.send(str(error))


def die_while_posting(url: str, name: str, ttl: float, pipe: Connection) -> None:
    """Intend three postings, send two of them, be killed before any reply."""
    key = posting_run("killed")
    with Ledger.open(url) as ledger:
        prepared(ledger, key)
        lease = ledger.lock(name, "the first", ttl=ttl)
        rows = ledger.intend(key, [posting_draft(source_key) for source_key in ("1", "2", "3")], lease=lease)
        ledger.mark_sending([row.id for row in rows[:2]], lease=lease)
        pipe.send("the bytes are on their way")
        os.kill(os.getpid(), signal.SIGKILL)


def intend(url: str, name: str, run_id: str, keys: list[str], pipe: Connection) -> None:
    """Say ready, wait for the start, intend the same postings as everybody else under a lease of one's own."""
    key = posting_run(run_id)
    with Ledger.open(url) as ledger:
        prepared(ledger, key)
        with ledger.lock(name, run_id) as lease:
            pipe.send("ready")
            pipe.recv()
            try:
                pipe.send([row.id for row in ledger.intend(key, [posting_draft(k) for k in keys], lease=lease)])
            except IntegrityError as error:
                pipe.send(str(error))


def allocate(url: str, owner: str, times: int, pipe: Connection) -> None:
    """Say ready, wait for the start, take a partner's numbers, as fast as can be."""
    partner = Scope("syspro_to_legacy_erp", "*", "parent")
    with Ledger.open(url) as ledger:
        ledger.peek_number(partner, "file")
        pipe.send("ready")
        pipe.recv()
        pipe.send([ledger.allocate_number(partner, "file", f"{owner}/{part}") for part in range(times)])
