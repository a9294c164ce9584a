"""The pool: order, workers that die or hang, documents that kill them, and what a worker gets to see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.formats.ubl.conftest import Validate
from tests.formats.ubl.invoices import Document, build, changed
from tieout.formats.ubl import ValidatorFailed, ValidatorPool, Verdict, rule_versions
from tieout.formats.ubl.process import COMMAND, WorkerProcess

GOOD = build(Document())
BAD = changed(GOOD, "<cbc:BuyerReference>PO-7</cbc:BuyerReference>", "")
PLUGINS = Path(__file__).parents[3] / "plugins"

# The real worker, in front of which a document can say what should happen to its process.
SABOTAGED = textwrap.dedent(
    """
    import os, signal, sys
    from tieout.formats.ubl import checking, worker

    check = checking.Checker.check

    class Broken:
        def __init__(self, error):
            self.error = error

        def transform_to_string(self, **_):
            raise self.error("XPTY0004 Two are one too many")

    def sabotaged(self, data, profile):
        if b"<!-- die -->" in data:
            sys.stderr.write("something gave way in the engine")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if b"<!-- leave -->" in data:
            raise MemoryError("no room")
        if b"<!-- hang -->" in data:
            signal.pause()
        if b"<!-- shout -->" in data:
            print("a library writes to stdout", flush=True)
        if b"<!-- break -->" in data:
            self._rules["PEPPOL"] = Broken(self._saxon_error)
        if b"<!-- environment -->" in data:
            raise checking.NotJudged(",".join(sorted(os.environ)))
        return check(self, data, profile)

    checking.Checker.check = sabotaged
    sys.exit(worker.main())
    """
)


@pytest.fixture(scope="module")
def sabotaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValidatorPool]:
    script = tmp_path_factory.mktemp("worker") / "sabotaged.py"
    script.write_text(SABOTAGED)
    with ValidatorPool(1, time_limit=2, command=(sys.executable, str(script))) as pool:
        yield pool


def order(data: bytes, words: str) -> bytes:
    return data + f"<!-- {words} -->".encode()


def worker_of(pool: ValidatorPool) -> WorkerProcess:
    [worker] = pool._running
    return worker


def killing(pool: ValidatorPool, signal_number: int) -> Callable[[], bytes]:
    """Fetches a good document, after something has happened to the worker that would get it."""

    def fetch() -> bytes:
        os.kill(worker_of(pool).pid, signal_number)
        return GOOD

    return fetch


def test_verdicts_come_in_the_order_of_documents() -> None:
    documents = [(str(number), (lambda data=data: data)) for number, data in enumerate([GOOD, BAD, GOOD, BAD] * 5)]
    with ValidatorPool(2) as pool:
        judged = list(pool.validate(documents))
    assert [name for name, _ in judged] == [name for name, _ in documents]
    assert [isinstance(verdict, Verdict) and verdict.fatal for _, verdict in judged] == [False, True] * 10


def test_documents_are_taken_and_fetched_as_they_are_needed(pool: ValidatorPool) -> None:
    taken: list[int] = []
    fetched: list[int] = []

    def fetch() -> bytes:
        fetched.append(1)
        return GOOD

    def documents() -> Iterator[tuple[str, Callable[[], bytes]]]:
        for number in range(100):
            taken.append(number)
            yield str(number), fetch

    verdicts = pool.validate(documents())
    next(verdicts)
    verdicts.close()  # type: ignore[attr-defined]
    assert len(taken) < 10
    assert len(fetched) < 10
    assert list(pool.validate([("after", lambda: GOOD)])) == [("after", Verdict((), rule_versions()["digest"]))]


def test_what_fetching_raises_is_raised_and_the_pool_goes_on(pool: ValidatorPool, validate: Validate) -> None:
    def fetch() -> bytes:
        raise OSError("the storage is away")

    judged = pool.validate([("a", lambda: GOOD), ("b", fetch), ("c", lambda: GOOD)])
    assert next(judged)[0] == "a"
    with pytest.raises(OSError, match="storage is away"):
        next(judged)
    assert not validate(GOOD).findings


def test_several_threads_may_use_one_pool(pool: ValidatorPool) -> None:
    fatal: dict[bytes, list[bool]] = {GOOD: [], BAD: []}

    def run(data: bytes) -> None:
        fatal[data] = [v.fatal for _, v in pool.validate([("x", lambda: data)] * 10) if isinstance(v, Verdict)]

    threads = [threading.Thread(target=run, args=(data,)) for data in fatal]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fatal == {GOOD: [False] * 10, BAD: [True] * 10}


def test_a_killed_worker_is_replaced_in_mid_batch(sabotaged: ValidatorPool) -> None:
    before = worker_of(sabotaged).pid
    documents = [
        ("1", lambda: GOOD),
        ("2", killing(sabotaged, signal.SIGKILL)),
        ("3", lambda: BAD),
        ("4", lambda: GOOD),
    ]
    judged = list(sabotaged.validate(documents))
    assert [isinstance(v, Verdict) and v.fatal for _, v in judged] == [False, False, True, False]
    assert worker_of(sabotaged).pid != before


def test_a_worker_that_stands_still_is_replaced_after_the_time_limit(sabotaged: ValidatorPool) -> None:
    before = worker_of(sabotaged).pid
    large = changed(GOOD, "Consulting", "C" * 1_000_000)  # more than a pipe holds: writing to it must not block either

    def fetch() -> bytes:
        os.kill(worker_of(sabotaged).pid, signal.SIGSTOP)
        return large

    [(_, verdict)] = sabotaged.validate([("1", fetch)])
    assert isinstance(verdict, Verdict) and not verdict.fatal
    assert worker_of(sabotaged).pid != before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("die", "ended by signal 9. It said: …something gave way in the engine"),
        ("leave", "MemoryError: no room"),
        ("hang", "did not answer in time"),
    ],
)
def test_a_document_on_which_workers_fail_twice_is_named_and_the_rest_goes_on(
    sabotaged: ValidatorPool, words: str, reason: str
) -> None:
    documents = [("first", lambda: GOOD), ("poison", lambda: order(GOOD, words)), ("last", lambda: BAD)]
    first, poison, last = (verdict for _, verdict in sabotaged.validate(documents))
    assert isinstance(first, Verdict) and not first.fatal
    assert isinstance(last, Verdict) and last.fatal
    assert isinstance(poison, ValidatorFailed)
    assert poison.document == "poison"
    assert "Document poison could not be validated, which does not mean that it is invalid." in str(poison)
    assert reason in str(poison)


def test_what_libraries_print_does_not_get_between_the_answers(sabotaged: ValidatorPool) -> None:
    [(_, verdict)] = sabotaged.validate([("1", lambda: order(BAD, "shout"))])
    assert isinstance(verdict, Verdict) and verdict.fatal


def test_workers_see_no_secrets_of_their_parent(sabotaged: ValidatorPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BANQUP", "https://user:secret@example.invalid")
    os.kill(worker_of(sabotaged).pid, signal.SIGKILL)
    [(_, failed)] = sabotaged.validate([("1", lambda: order(GOOD, "environment"))])
    assert isinstance(failed, ValidatorFailed)
    assert "PATH" in str(failed)
    assert "AIRFLOW" not in str(failed)


def test_rules_that_break_on_a_document_nothing_else_is_wrong_with_do_not_make_it_invalid(
    sabotaged: ValidatorPool,
) -> None:
    wrong = changed(GOOD, ">295.00</cbc:PayableAmount>", ">295.01</cbc:PayableAmount>")
    documents = [("1", lambda: order(GOOD, "break")), ("2", lambda: order(wrong, "break"))]
    (_, failed), (_, verdict) = sabotaged.validate(documents)
    worker_of(sabotaged).kill()  # the next test gets unbroken rules
    assert isinstance(failed, ValidatorFailed) and failed.document == "1"
    assert "PEPPOL rules cannot be evaluated on this document: XPTY0004 Two are one too many." in str(failed)
    assert isinstance(verdict, Verdict) and verdict.fatal
    assert [finding.rule for finding in verdict.findings] == ["BR-CO-16", "PEPPOL"]


def test_rules_that_break_on_a_document_that_the_schema_refuses_say_so(validate: Validate) -> None:
    broken = changed(GOOD, ">200.00</cbc:LineExtensionAmount>", ">abc</cbc:LineExtensionAmount>")
    findings = validate(broken).findings
    assert [(finding.layer, finding.rule) for finding in findings] == [
        ("XSD", "XSD"),
        ("EN16931", "EN16931"),
        ("PEPPOL", "PEPPOL"),
    ]
    assert 'Cannot convert string "abc" to xs:decimal' in findings[1].message


def test_workers_that_do_not_start_fail_the_batch_not_the_documents() -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('no such engine')")
    with ValidatorPool(1, command=command) as pool, pytest.raises(ValidatorFailed, match="no such engine") as caught:
        list(pool.validate([("1", lambda: GOOD)]))
    assert caught.value.document is None


def test_an_answer_about_another_document_is_none() -> None:
    script = (
        "import sys; from tieout.formats.ubl import frames; output = sys.stdout.buffer\n"
        "frames.write(output, {'ready': ''})\n"
        "while frames.read(sys.stdin.buffer): frames.write(output, {'id': 'another', 'findings': []})"
    )
    with ValidatorPool(1, command=(sys.executable, "-c", script)) as pool:
        [(_, failed)] = pool.validate([("1", lambda: GOOD)])
    assert isinstance(failed, ValidatorFailed) and "answered for another document" in str(failed)


def test_leaving_the_pool_ends_its_processes() -> None:
    with ValidatorPool(2) as pool:
        list(pool.validate([("1", lambda: GOOD)]))
        workers = tuple(pool._running)
        assert len(workers) == 2
        assert all(worker.alive() for worker in workers)
    assert not any(worker.alive() for worker in workers)


def test_workers_end_when_their_parent_dies() -> None:
    """The parent is killed, so that nothing of it can clean up; its worker's stderr ends when the worker does."""
    parent = textwrap.dedent(
        f"""
        import os, signal, subprocess
        worker = subprocess.Popen({list(COMMAND)!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        worker.stdout.read(8)
        print(worker.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    with subprocess.Popen(
        [sys.executable, "-c", parent], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        worker = int(process.stdout.readline())
        process.stderr.read()  # ends when all that hold it have ended: parent and worker
        assert process.wait() == -signal.SIGKILL
    assert not Path(f"/proc/{worker}/fd").exists() or not list(Path(f"/proc/{worker}/fd").iterdir())


def test_a_task_that_is_stopped_does_not_wait_for_its_workers(tmp_path: Path) -> None:
    """The time limit is far beyond that of the test."""
    script = tmp_path / "sabotaged.py"
    script.write_text(SABOTAGED)
    started = threading.Event()

    def documents() -> Iterator[tuple[str, Callable[[], bytes]]]:
        yield "1", lambda: GOOD
        yield "2", lambda: started.set() or order(GOOD, "hang")  # type: ignore[func-returns-value]

    pool = ValidatorPool(1, time_limit=3600, command=(sys.executable, str(script)))
    with pytest.raises(KeyboardInterrupt), pool:
        verdicts = pool.validate(documents())
        next(verdicts)
        started.wait()
        raise KeyboardInterrupt
    assert not any(worker.alive() for worker in pool._running)


def test_a_pool_of_none_and_one_that_was_not_entered_are_mistakes() -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        ValidatorPool(0)
    with pytest.raises(RuntimeError, match="not been entered"):
        list(ValidatorPool(1).validate([("1", lambda: GOOD)]))
