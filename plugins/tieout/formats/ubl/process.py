"""One worker process as the pool sees it: started, asked with a time limit, ended."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

from tieout.formats.ubl import frames

COMMAND: Final = (sys.executable, "-P", "-m", "tieout.formats.ubl.worker")
START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 10.0
_SHOWN_CHARACTERS: Final = 600
# All that a worker needs of the environment. Connections and passwords are in it too: a process that parses
# strangers' files does not get them.
_PASSED_ON: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "TMPDIR", "TZ")
_IMPORT_ROOT: Final = Path(__file__).parents[3]


class WorkerLost(Exception):
    """The process ended, or did not answer in time, before it had judged the document."""


class WorkerProcess:
    """A process that validates one document after the other."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        # A file, not a pipe: nobody has to read it for the worker to go on.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._ready = False
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process runs, as far as is known without asking it."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait for the schemas and rules to be loaded.

        Raises:
            WorkerLost: It ended before they were.
        """
        if self._ready:
            return
        try:
            self._receive(time.monotonic() + START_SECONDS)
        except WorkerLost as error:
            self.kill()
            raise WorkerLost(f"{error}{self._said()}") from None
        self._ready = True

    def ask(self, header: dict[str, Any], body: bytes, seconds: float) -> dict[str, Any]:
        """Have one document judged.

        Raises:
            WorkerLost: No answer came; the process has been ended.
        """
        deadline = time.monotonic() + seconds
        try:
            self._send(frames.packed(header, len(body)), deadline)
            self._send(body, deadline)
            answer = self._receive(deadline)
            if answer.get("id") != header["id"]:
                raise WorkerLost("The validator answered for another document.")
        except WorkerLost as error:
            self.kill()
            raise WorkerLost(f"{error}{self._said()}") from None
        return answer

    def stop(self) -> None:
        """Let it end by itself, as it does when its input ends; if it does not, end it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()
        self._errors.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _send(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            self._wait_for(self._input, select.POLLOUT, deadline)
            try:
                left = left[os.write(self._input, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise WorkerLost(self._ending()) from None

    def _receive(self, deadline: float) -> dict[str, Any]:
        header_length, body_length = frames.LENGTHS.unpack(self._read(frames.LENGTHS.size, deadline))
        header = self._read(header_length, deadline)
        self._read(body_length, deadline)
        answer: dict[str, Any] = json.loads(header)
        return answer

    def _read(self, length: int, deadline: float) -> bytes:
        pieces = bytearray()
        while len(pieces) < length:
            self._wait_for(self._output, select.POLLIN, deadline)
            try:
                piece = os.read(self._output, length - len(pieces))
            except BlockingIOError:
                continue
            if not piece:
                raise WorkerLost(self._ending())
            pieces += piece
        return bytes(pieces)

    def _wait_for(self, descriptor: int, event: int, deadline: float) -> None:
        # `poll`, not `select`: a process with more than 1,024 open files is nothing special in a worker of Airflow.
        waiting = select.poll()
        waiting.register(descriptor, event)
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise WorkerLost("The validator did not answer in time.")

    def _ending(self) -> str:
        try:
            code = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return "The validator closed its output."
        return (
            f"The validator process was ended by signal {-code}." if code < 0 else f"The validator ended with {code}."
        )

    def _said(self) -> str:
        """The end of what it wrote to stderr."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4 * _SHOWN_CHARACTERS))
        text = " ".join(self._errors.read().decode(errors="replace").split())
        return f" It said: …{text[-_SHOWN_CHARACTERS:]}" if text else ""


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    roots = [str(_IMPORT_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**passed, "PYTHONPATH": os.pathsep.join(root for root in roots if root)}
