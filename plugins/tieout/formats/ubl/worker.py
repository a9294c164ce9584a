"""A validating process: documents come in on stdin, findings go out on stdout.

Started by the pool as `python -m tieout.formats.ubl.worker`: a fresh interpreter, as Saxon tolerates neither threads
nor forks around it. It ends by itself when stdin ends, which happens when the pool closes it or its process dies.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import BinaryIO

from tieout.formats.ubl import frames
from tieout.formats.ubl.artefacts import rule_versions
from tieout.formats.ubl.checking import Artefacts, Checker, NotJudged


def main() -> int:
    """Serve until stdin ends."""
    # Ctrl-C in a terminal reaches the whole group; the pool's process decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = _streams()
    checker = Checker(Artefacts.find())
    try:
        frames.write(replies, {"ready": rule_versions()["digest"]})
        while (frame := frames.read(requests)) is not None:
            header, body = frame
            frames.write(replies, {"id": header["id"], **_reply(checker, header, body)})
    except BrokenPipeError:
        return 1
    return 0


def _reply(checker: Checker, header: dict[str, str], body: bytes) -> dict[str, object]:
    try:
        findings = checker.check(body, header["profile"])  # type: ignore[arg-type]
    except NotJudged as error:
        return {"error": str(error)}
    return {"findings": [finding.to_json() for finding in findings]}


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Stdin, and stdout for frames alone: whatever else writes to it, such as a library in C, goes to stderr."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return sys.stdin.buffer, replies


if __name__ == "__main__":
    sys.exit(main())
