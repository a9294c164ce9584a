"""Ends the sandbox with whoever started it: on a signal, when stdin closes, or when the parent process is gone."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from types import FrameType

_PARENT_CHECK_SECONDS = 1.0


def wait_for_the_end() -> str:
    """Blocks until there is a reason to stop, and returns it.

    Stdin counts only when it is a pipe or a socket, that is, when a parent holds the other end: a terminal in the
    background, /dev/null or a file at its end is no reason.
    """
    parent = os.getppid()
    ended = threading.Event()
    reasons: list[str] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        reasons.append(signal.Signals(number).name)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    watched = _stdin_from_parent()
    while not ended.is_set():
        if watched is None:
            ended.wait(_PARENT_CHECK_SECONDS)
        elif _closed(watched):
            reasons.append("stdin closed")
            break
        if os.getppid() != parent:
            reasons.append("parent gone")
            break
    return reasons[0]


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
