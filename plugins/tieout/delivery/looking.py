"""Looking at a sender's folder until its files are complete, for Airflow's triggerer: nothing here blocks.

SFTP has no "finished" mark, so a file is complete when two looks see the same, or when its trigger file is there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from tieout.delivery.collecting import RemoteFile, as_source, list_folder
from tieout.delivery.connect import connect
from tieout.delivery.model import Capabilities
from tieout.delivery.remote import Remote
from tieout.delivery.target import SftpTarget
from tieout.errors import SourceUnavailable

_LOOK_SECONDS = 60.0
_SHORTEST_PAUSE = 0.1


@dataclass(frozen=True)
class Inbox:
    """The files of a folder, as the last look saw them, by time and name.

    Attributes:
        complete: To be taken.
        growing: Still being written, or without their trigger file.
    """

    complete: tuple[RemoteFile, ...]
    growing: tuple[RemoteFile, ...]


async def complete_files(
    target: SftpTarget,
    folder: str,
    *,
    patterns: Sequence[str] = ("*",),
    complete_when: Literal["stable", "trigger_file"] = "stable",
    trigger_suffix: str = ".done",
    settle_seconds: float = 5.0,
    patience_seconds: float = 120.0,
    wait_seconds: float = 0.0,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Inbox:
    """Look at a folder until no file in it is growing, or patience is over. Never blocks the event loop.

    A file's age proves nothing, as copying may keep the old time: every file needs two looks that see the same size
    and time, or its trigger file.

    Args:
        target: The server and our account.
        folder: Absolute remote path.
        patterns: Shell patterns of names, upper and lower case alike; a trigger file is never taken for data.
        complete_when: `stable`: the same in two looks. `trigger_file`: `<name><trigger_suffix>` is there.
        trigger_suffix: Of trigger files.
        settle_seconds: Between two looks.
        patience_seconds: How long files may grow, from when the first was seen growing; there are always two looks.
        wait_seconds: How long to wait for a first file.
        pause: Called between two looks; may be replaced to follow or steer the looking.

    Raises:
        SourceUnavailable: The server does not answer, or the connection was lost.
        CredentialsRejected: A credential was refused; each is tried once.
        HostKeyMismatch: The host key is not pinned.
        ReceiverRefused: There is no such folder, or we may not list it.
        ConfigurationInvalid: The folder's path or the connection cannot be used.
    """
    judge = _by_trigger(trigger_suffix) if complete_when == "trigger_file" else _by_stability()
    clock = asyncio.get_running_loop().time
    began, growing_since, looks = clock(), 0.0, 0
    with as_source():
        async with _session(target) as remote:
            while True:
                inbox = judge(await _look(remote, folder), patterns)
                looks = looks + 1 if inbox.growing else 0
                if looks == 1:
                    growing_since = clock()
                if not inbox.growing and (inbox.complete or clock() - began >= wait_seconds):
                    return inbox
                if looks > 1 and clock() - growing_since >= patience_seconds:
                    return inbox
                await pause(max(settle_seconds, _SHORTEST_PAUSE))


@contextlib.asynccontextmanager
async def _session(target: SftpTarget) -> AsyncIterator[Remote]:
    """A connection for looking only; nothing is asked that looking does not need."""
    connection = await connect(target)
    try:
        remote = await Remote.start(replace(target, exec_allowed=False), connection, Capabilities())
        yield remote
    except BaseException:
        connection.abort()
        raise
    await remote.close()


async def _look(remote: Remote, folder: str) -> list[RemoteFile]:
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            return await list_folder(remote, folder)
    except TimeoutError:
        raise SourceUnavailable(
            f"{remote.target.label} did not list the folder {folder} within {_LOOK_SECONDS:g} seconds; it is tried"
            " again later."
        ) from None


_Judge = Callable[[Sequence[RemoteFile], Sequence[str]], Inbox]


def _by_stability() -> _Judge:
    before: set[RemoteFile] = set()

    def judge(seen: Sequence[RemoteFile], patterns: Sequence[str]) -> Inbox:
        nonlocal before
        files = [file for file in seen if _matches(file.name, patterns)]
        inbox = _sorted_out(files, lambda file: file in before)
        before = set(files)
        return inbox

    return judge


def _by_trigger(suffix: str) -> _Judge:
    def judge(seen: Sequence[RemoteFile], patterns: Sequence[str]) -> Inbox:
        names = {file.name for file in seen}
        files = [file for file in seen if _matches(file.name, patterns) and not file.name.endswith(suffix)]
        return _sorted_out(files, lambda file: file.name + suffix in names)

    return judge


def _sorted_out(files: Sequence[RemoteFile], is_complete: Callable[[RemoteFile], bool]) -> Inbox:
    complete = tuple(file for file in files if is_complete(file))
    return Inbox(complete, tuple(file for file in files if not is_complete(file)))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
