from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import Queue
from typing import Any

import pytest
from sqlalchemy import select

from tests.ledger import processes
from tests.ledger.builders import commit, deliver, outcome_of, prepared, run_key
from tests.ledger.processes import SCOPE
from tieout.errors import Superseded
from tieout.ledger import Ledger, Scope
from tieout.ledger.models import leases

PATIENCE = 60.0
SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def process(target: Callable[..., None], *arguments: Any) -> Iterator[tuple[SpawnProcess, Connection]]:
    here, there = SPAWN.Pipe()
    child = SPAWN.Process(target=target, args=(*arguments, there))
    child.start()
    there.close()
    try:
        yield child, here
    finally:
        if child.is_alive():
            child.kill()
        child.join()
        here.close()


def said(pipe: Connection) -> Any:
    assert pipe.poll(PATIENCE), "The process said nothing."
    return pipe.recv()


@contextmanager
def nobody_asks(ledger: Ledger) -> Iterator[None]:
    """Inside, it is an error to ask the ledger anything."""

    def refuse() -> None:
        raise AssertionError("The ledger was asked.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "_reading", refuse)
        patch.setattr(ledger, "_writing", refuse)
        yield


def test_one_holder_at_a_time(ledger: Ledger) -> None:
    with ledger.acquire(SCOPE, "run A") as lease:
        with pytest.raises(Superseded, match=r"invoices of sap_b1_to_peakflo \(default\) is in the hands of run A"):
            ledger.acquire(SCOPE, "run B", wait=0.0)
        lease.check()
        with ledger.acquire(Scope("sap_b1_to_peakflo", "asia", "invoices"), "run B", wait=0.0):
            pass
    with ledger.acquire(SCOPE, "run B", wait=0.0) as second:
        assert second.token > lease.token
        with pytest.raises(Superseded, match="run B has it now"):
            lease.check()


def test_names_that_look_alike_are_different_scopes(ledger: Ledger) -> None:
    with (
        ledger.acquire(Scope("a", 'b", "c', "d"), "one", wait=0.0),
        ledger.acquire(Scope("a", "b", 'c", "d'), "two", wait=0.0),
    ):
        pass


def test_a_lease_given_back_is_lost(ledger: Ledger) -> None:
    lease = ledger.acquire(SCOPE, "run A")
    lease.release()
    lease.release()
    with pytest.raises(Superseded, match="nobody holds it now"):
        lease.check()


def test_releasing_late_does_not_take_it_from_the_next(ledger: Ledger) -> None:
    first = ledger.acquire(SCOPE, "run A")
    first.release()
    with ledger.acquire(SCOPE, "run B") as second:
        first.release()
        second.check()


def test_the_next_one_gets_it_when_the_first_is_done(ledger: Ledger) -> None:
    first = ledger.acquire(SCOPE, "run A")
    tokens: list[int] = []

    def wait_for_it() -> None:
        with ledger.acquire(SCOPE, "run B", wait=PATIENCE) as lease:
            tokens.append(lease.token)

    waiting = threading.Thread(target=wait_for_it)
    waiting.start()
    first.release()
    waiting.join(PATIENCE)
    assert tokens == [first.token + 1]


def test_a_lease_is_renewed_while_it_is_held(ledger: Ledger) -> None:
    def expiry() -> float:
        with ledger._reading() as connection:
            return connection.execute(select(leases.c.expires_at)).scalar_one()

    with ledger.acquire(SCOPE, "run A", ttl=1.0) as lease:
        first = expiry()
        deadline = time.monotonic() + PATIENCE
        while expiry() == first:
            assert time.monotonic() < deadline, "The lease was never renewed."
            time.sleep(0.05)
        lease.check()
    assert expiry() == 0.0


def test_an_error_passes_through_and_gives_the_lease_back(ledger: Ledger) -> None:
    with pytest.raises(KeyError), ledger.acquire(SCOPE, "run A"):
        raise KeyError("x")
    ledger.acquire(SCOPE, "run B", wait=0.0).release()


def test_only_one_of_many_threads_is_inside(ledger: Ledger) -> None:
    inside, most, tokens, guard = 0, 0, [], threading.Lock()

    def work(number: int) -> None:
        nonlocal inside, most
        with ledger.acquire(SCOPE, f"thread {number}", wait=PATIENCE) as lease:
            with guard:
                inside += 1
                most = max(most, inside)
                tokens.append(lease.token)
            lease.check()
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == 1
    assert tokens == [1, 2, 3, 4, 5, 6]


def test_two_processes_exclude_each_other(ledger: Ledger, ledger_url: str) -> None:
    with process(processes.hold_until_told, ledger_url, 20.0) as (child, pipe):
        token = said(pipe)
        with pytest.raises(Superseded, match="in the hands of the first process"):
            ledger.acquire(SCOPE, "the second", wait=0.3)
        pipe.send("go on")
        with ledger.acquire(SCOPE, "the second", wait=PATIENCE) as lease:
            assert lease.token == token + 1
        child.join(PATIENCE)
        assert child.exitcode == 0


def test_a_killed_holder_is_replaced(ledger: Ledger, ledger_url: str) -> None:
    with process(processes.hold_until_told, ledger_url, 1.0) as (child, pipe):
        token = said(pipe)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(PATIENCE)
        with ledger.acquire(SCOPE, "the second", wait=PATIENCE) as lease:
            assert lease.token == token + 1


def test_a_holder_that_wakes_up_late_commits_nothing(ledger: Ledger, ledger_url: str) -> None:
    with process(processes.freeze_then_commit, ledger_url, 1.0) as (child, pipe):
        token = said(pipe)
        assert child.pid is not None
        with ledger.acquire(SCOPE, "the next", wait=PATIENCE) as lease:
            assert lease.token == token + 1
            os.kill(child.pid, signal.SIGCONT)
            assert "the next has it now" in said(pipe)
    assert ledger.fingerprints(SCOPE, ["1"]) == {}
    assert [file.state for file in ledger.unsettled_files(SCOPE)] == ["verified"]


class TestLookingAtTheClock:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
        """The seconds that leases see; put another number in to let time pass."""
        now = [1_000.0]
        monkeypatch.setattr("tieout.ledger.leases._seconds", lambda: now[0])
        yield now

    @pytest.mark.parametrize(
        ("passed", "margin", "ours"),
        [(0.0, 5.0, True), (15.0, 5.0, True), (15.1, 5.0, False), (15.1, 4.0, True), (3_600.0, 5.0, False)],
    )
    def test_a_lease_is_relied_on_until_shortly_before_it_runs_out(
        self, ledger: Ledger, clock: list[float], passed: float, margin: float, ours: bool
    ) -> None:
        with ledger.acquire(SCOPE, "run A", ttl=20.0) as lease, nobody_asks(ledger):
            clock[0] += passed
            if ours:
                lease.check_local(margin)
                return
            with pytest.raises(Superseded, match=rf"last renewed {passed:.0f} s ago and lasts 20 s"):
                lease.check_local(margin)

    def test_a_renewal_counts_from_when_it_was_asked_for(
        self, ledger: Ledger, clock: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = threading.Semaphore(0)
        asked = threading.Event()

        def slow(self: Ledger, name: str, token: int, ttl: float) -> bool:
            asked.set()
            answers.acquire()
            return True

        monkeypatch.setattr(Ledger, "_renew_lease", slow)
        lease = ledger.acquire(SCOPE, "run A", ttl=1.0)
        assert asked.wait(PATIENCE)  # at 1000
        clock[0] += 0.8
        asked.clear()
        answers.release()
        assert asked.wait(PATIENCE)  # the first answer is in, the second was asked for at 1000.8
        with pytest.raises(Superseded, match="last renewed 1 s ago"):
            lease.check_local(0.5)
        lease.release()
        answers.release()
        lease._heartbeat.join(PATIENCE)

    def test_a_renewal_makes_it_good_again(
        self, ledger: Ledger, clock: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: Queue[float] = Queue()
        renew = Ledger._renew_lease

        def noted(self: Ledger, name: str, token: int, ttl: float) -> bool:
            asked.put(clock[0])
            return renew(self, name, token, ttl)

        monkeypatch.setattr(Ledger, "_renew_lease", noted)
        with ledger.acquire(SCOPE, "run A", ttl=1.0) as lease:
            clock[0] += 30.0
            while asked.get(timeout=PATIENCE) < 1_030.0:
                pass
            asked.get(timeout=PATIENCE)  # asked for once more, so the answer before it is in
            lease.check_local(0.5)

    def test_a_lease_given_back(self, ledger: Ledger) -> None:
        lease = ledger.acquire(SCOPE, "run A")
        lease.check_local()
        lease.release()
        with pytest.raises(Superseded, match="it was given back"):
            lease.check_local()

    def test_a_lease_taken_over(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        told = threading.Event()

        def taken_over(self: Ledger, name: str, token: int, ttl: float) -> bool:
            told.set()
            return False

        monkeypatch.setattr(Ledger, "_renew_lease", taken_over)
        lease = ledger.acquire(SCOPE, "run A", ttl=2.0)
        assert told.wait(PATIENCE)
        lease._heartbeat.join(PATIENCE)
        with pytest.raises(Superseded, match="somebody else has taken over"):
            lease.check_local(1.0)
        lease.release()

    def test_a_margin_that_leaves_nothing(self, ledger: Ledger) -> None:
        with ledger.acquire(SCOPE, "run A", ttl=5.0) as lease, pytest.raises(ValueError, match="leaves nothing"):
            lease.check_local()

    def test_a_process_that_wakes_up_late_sends_nothing(self, ledger: Ledger, ledger_url: str) -> None:
        with process(processes.freeze_then_look_at_the_clock, ledger_url, 2.0) as (child, pipe):
            token = said(pipe)
            assert child.pid is not None
            with ledger.acquire(SCOPE, "the next", wait=PATIENCE) as lease:
                assert lease.token == token + 1
                os.kill(child.pid, signal.SIGCONT)
                assert "can no longer rely on its lease" in said(pipe)


def test_locks_by_name_are_no_leases_of_scopes(ledger: Ledger) -> None:
    with ledger.lock("login sap_b1", "task 1"), ledger.acquire(SCOPE, "task 2", wait=0.0):
        with pytest.raises(Superseded, match="login sap_b1 is in the hands of task 1"):
            ledger.lock("login sap_b1", "task 2", wait=0.0)
        ledger.lock("login syspro", "task 2", wait=0.0).release()


def test_numbers_have_no_gaps_and_are_given_once(ledger: Ledger, ledger_url: str) -> None:
    with process(processes.count, ledger_url, 25) as (_, one), process(processes.count, ledger_url, 25) as (_, two):
        first, second = said(one), said(two)
    assert sorted(first + second) == list(range(1, 51))
    assert first == sorted(first) and second == sorted(second)
    assert ledger.next_sequence(SCOPE, "files") == 51
    assert ledger.next_sequence(SCOPE, "interchanges") == 1
    assert ledger.next_sequence(Scope("other", "default", "invoices"), "files") == 1


def test_sessions_follow_each_other(ledger: Ledger) -> None:
    assert ledger.load_session("sap_b1") is None
    assert ledger.save_session("sap_b1", b"one", expected_generation=0) == 1
    with pytest.raises(Superseded, match="logged in as sap_b1 meanwhile"):
        ledger.save_session("sap_b1", b"two", expected_generation=0)
    assert ledger.save_session("sap_b1", b"two", expected_generation=1) == 2
    row = ledger.load_session("sap_b1")
    assert row is not None and (row.generation, row.secret, row.closed) == (2, b"two", False)
    assert "two" not in repr(row)
    with pytest.raises(Superseded):
        ledger.save_session("unknown", b"x", expected_generation=7)
    assert ledger.load_session("unknown") is None


def test_a_closed_session_is_forgotten(ledger: Ledger) -> None:
    ledger.save_session("sap_b1", b"one", expected_generation=0)
    ledger.close_session("sap_b1")
    ledger.close_session("sap_b1")
    row = ledger.load_session("sap_b1")
    assert row is not None and (row.generation, row.secret, row.closed) == (2, b"", True)
    with pytest.raises(Superseded):
        ledger.save_session("sap_b1", b"late", expected_generation=1)
    assert ledger.save_session("sap_b1", b"new", expected_generation=2) == 3
    ledger.close_session("never opened")


@pytest.mark.parametrize("expected", [0, 1])
def test_of_two_log_ins_at_once_one_counts(ledger: Ledger, ledger_url: str, expected: int) -> None:
    if expected == 1:
        ledger.save_session("sap_b1", b"old", expected_generation=0)
    arguments = (processes.save_session, ledger_url, expected)
    with process(*arguments) as (one, first), process(*arguments) as (two, second):
        assert said(first) == said(second) == "ready"
        first.send("go")
        second.send("go")
        results = {one.pid: said(first), two.pid: said(second)}
    winners = [pid for pid, generation in results.items() if generation is not None]
    row = ledger.load_session("sap_b1")
    assert row is not None and row.generation == expected + 1
    assert [str(pid).encode() for pid in winners] == [row.secret]


def test_what_is_known_of_a_partner(ledger: Ledger) -> None:
    assert ledger.load_capabilities("peakflo") is None
    ledger.save_capabilities("peakflo", {"posix_rename": True})
    ledger.save_capabilities("peakflo", {"posix_rename": False, "limits": [1, 2]})
    assert ledger.load_capabilities("peakflo") == {"posix_rename": False, "limits": [1, 2]}


def test_a_forked_child_leaves_its_parents_connections_alone(ledger: Ledger) -> None:
    """The worker model of Airflow: a task runs in a fork of a process that may have used the ledger."""
    deliver(ledger, run_key("parent"), "1")
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            key = run_key("child")
            prepared(ledger, key)
            commit(ledger, key, outcome_of())
            ledger.close()
            os.write(write_end, b"committed")
        except BaseException as error:
            os.write(write_end, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as reader:
        assert reader.read() == b"committed"
    os.waitpid(child, 0)
    assert ledger.entity_version(SCOPE) == 2
    deliver(ledger, run_key("parent again"), "2")
    assert set(ledger.fingerprints(SCOPE, ["1", "2"])) == {"1", "2"}
