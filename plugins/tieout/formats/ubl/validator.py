"""Validation of many documents by a few warm processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

from tieout.formats.findings import Finding
from tieout.formats.ubl.artefacts import rule_versions
from tieout.formats.ubl.process import COMMAND, WorkerLost, WorkerProcess
from tieout.formats.ubl.verdict import Profile, ValidatorFailed, Verdict

TIME_LIMIT: Final = 120.0
_ATTEMPTS: Final = 2
# One more document per worker is fetched while the worker is busy, so that it never waits for storage.
_FETCHED_AHEAD: Final = 1

Document = tuple[str, Callable[[], bytes]]
Judged = tuple[str, Verdict | ValidatorFailed]


class ValidatorPool:
    """Processes that validate UBL documents; a context manager, which starts and ends them.

    Memory does not grow with the number of documents: at most two per worker are in memory at a time.

    Example:
        with ValidatorPool(workers=2) as pool:
            for name, verdict in pool.validate([("invoice.xml", Path("invoice.xml").read_bytes)]):
                ...

    Args:
        workers: How many processes, about one per core.
        time_limit: Seconds that a document may take, counted from when a worker gets it.
        command: What to start as a worker.

    Raises:
        ConfigurationInvalid: A package with the rules is not installed.
    """

    def __init__(self, workers: int, time_limit: float = TIME_LIMIT, command: Sequence[str] = COMMAND) -> None:
        if workers < 1:
            raise ValueError("A pool needs at least one worker.")
        self._digest = rule_versions()["digest"]
        self._workers = workers
        self._time_limit = time_limit
        self._command = tuple(command)
        self._idle: SimpleQueue[WorkerProcess] = SimpleQueue()
        self._running: set[WorkerProcess] = set()
        self._given_up = False
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        for _ in range(self._workers):
            self._idle.put(self._started())
        self._threads = ThreadPoolExecutor(self._workers * (1 + _FETCHED_AHEAD), "ubl-validator")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_up = kind is not None
        if self._given_up:
            # Nobody waits for these verdicts any more: a task that is being stopped must not sit out time limits.
            for worker in tuple(self._running):
                worker.kill()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for worker in self._running:
            worker.stop()

    def validate(self, documents: Iterable[Document], profile: Profile = "auto") -> Iterator[Judged]:
        """Judge documents, in their order.

        A document on which two workers end or hang gets a `ValidatorFailed` in place of a verdict: the others go on.

        Args:
            documents: Name of each, and what fetches its bytes, called in a thread of the pool just before it is
                needed. What that raises is raised here.
            profile: `auto` applies the Peppol rules to all but plain EN 16931 documents, about which a warning says
                that they are no Peppol documents; `peppol` makes that fatal; `en16931` applies no Peppol rules.

        Raises:
            ValidatorFailed: The workers do not start.
        """
        if self._threads is None:
            raise RuntimeError("The pool has not been entered.")
        waiting = iter(documents)
        ahead: deque[tuple[str, Future[Verdict | ValidatorFailed]]] = deque()
        try:
            while True:
                room = 4 * self._workers - len(ahead)
                for name, fetch in islice(waiting, room):
                    ahead.append((name, self._threads.submit(self._judge, name, fetch, profile)))
                if not ahead:
                    return
                name, verdict = ahead.popleft()
                yield name, verdict.result()
        finally:
            for _, unneeded in ahead:
                unneeded.cancel()

    def _judge(self, name: str, fetch: Callable[[], bytes], profile: Profile) -> Verdict | ValidatorFailed:
        data = fetch()
        reasons: list[str] = []
        while len(reasons) < _ATTEMPTS and not self._given_up:
            try:
                answer = self._ask(name, data, profile)
            except WorkerLost as error:
                reasons.append(str(error))
                continue
            if "error" in answer:
                return _failed(name, [str(answer["error"])])
            return Verdict(tuple(Finding.from_json(finding) for finding in answer["findings"]), self._digest)
        return _failed(name, reasons)

    def _ask(self, name: str, data: bytes, profile: Profile) -> dict[str, Any]:
        worker = self._idle.get()
        try:
            worker = self._ready(worker)
            return worker.ask({"id": name, "profile": profile}, data, self._time_limit)
        except WorkerLost:
            worker = self._replaced(worker)
            raise
        finally:
            self._idle.put(worker)

    def _ready(self, worker: WorkerProcess) -> WorkerProcess:
        """The worker, or another in its place when it has ended since, or while it started: once, by bad luck."""
        try:
            if worker.alive():
                worker.wait_until_ready()
                return worker
        except WorkerLost:
            pass
        worker = self._replaced(worker)
        try:
            worker.wait_until_ready()
        except WorkerLost as error:
            raise ValidatorFailed(f"The UBL validator does not start. {error}") from None
        return worker

    def _replaced(self, worker: WorkerProcess) -> WorkerProcess:
        if self._given_up:
            return worker
        self._running.discard(worker)
        worker.stop()
        return self._started()

    def _started(self) -> WorkerProcess:
        worker = WorkerProcess(self._command)
        self._running.add(worker)
        return worker


def _failed(name: str, reasons: list[str]) -> ValidatorFailed:
    told = " ".join(dict.fromkeys(reasons))
    return ValidatorFailed(
        f"Document {name} could not be validated, which does not mean that it is invalid. {told}", name
    )
