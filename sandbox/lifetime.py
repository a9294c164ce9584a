"""Ends the sandbox with whoever started it: on a signal, when stdin closes, or when the parent process is gone."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from types import FrameType

_PARENT_CHECK_SECONDS = 1.0


class Lifetime:
    """Knows from its making on who started this process, and heeds signals from then on.

    Make it first thing: a parent that dies, or a signal that comes, while the simulators start is then noticed too.
    """

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._ended = threading.Event()
        self._reasons: list[str] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._reasons.append(signal.Signals(number).name)
        self._ended.set()

    def wait(self) -> str:
        """Blocks until there is a reason to stop, and returns it.

        Stdin counts only when it is a pipe or a socket, that is, when a parent holds the other end: a terminal in the
        background, /dev/null or a file at its end is no reason.
        """
        watched = _stdin_from_parent()
        while not self._ended.is_set():
            if os.getppid() != self._parent:
                return "parent gone"
            if watched is None:
                self._ended.wait(_PARENT_CHECK_SECONDS)
            elif _closed(watched):
                return "stdin closed"
        return self._reasons[0]


def _stdin_from_parent() -> int | None:
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):
        return None
    kind = mode & 0o170000
    return descriptor if kind in (0o010000, 0o140000) else None


def _closed(descriptor: int) -> bool:
    """Waits a moment for input; True at its end, and what was typed is thrown away."""
    readable, _, _ = select.select([descriptor], [], [], _PARENT_CHECK_SECONDS)
    return bool(readable) and os.read(descriptor, 4096) == b""
