"""Writing one file under its temporary name, going on where an interrupted attempt stopped."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import IO, Any

import asyncssh

from tieout.delivery.failures import disk_full, translate
from tieout.delivery.model import LocalFile, OutgoingFile
from tieout.delivery.remote import FileInfo, Remote, RemoteWriter
from tieout.errors import DoesNotTieOut, ReceiverRefused, TieoutError

log = logging.getLogger(__name__)

RESUME_FROM = 4 * 1024 * 1024
"""Partial files from this size (bytes) on are kept and resumed; smaller ones are written again, which is as quick."""

_SCARCE = 1024 * 1024


class Turns:
    """Files send their last blocks in their order, so that their modification times keep it.

    All else goes side by side, and the last blocks follow one another without waiting for answers.
    """

    def __init__(self) -> None:
        self._next = 0
        self._over: set[int] = set()
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def wait(self, place: int) -> None:
        """Until all files before this one have sent theirs, or have failed."""
        if self._next < place:
            self._waiting[place] = asyncio.get_running_loop().create_future()
            await self._waiting[place]

    def over(self, place: int) -> None:
        """This file has sent its last block, or never will; said again, it changes nothing."""
        if place < self._next:
            return
        self._over.add(place)
        while self._next in self._over:
            self._over.discard(self._next)
            self._next += 1
        waiter = self._waiting.pop(self._next, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


@dataclass(frozen=True)
class Turn:
    """One file's turn."""

    turns: Turns
    place: int

    async def wait(self) -> None:
        """Until it has come."""
        await self.turns.wait(self.place)

    def over(self) -> None:
        """Let the next file have its own."""
        self.turns.over(self.place)


async def upload(
    remote: Remote,
    file: OutgoingFile,
    partial: FileInfo | None,
    resume: bool,
    workers: Executor,
    turn: Turn | None = None,
) -> None:
    """Bring the file's bytes to its temporary name, on disk and with its mode; nothing is verified yet.

    A temporary file that is there is written in place and never truncated below what another attempt at the same
    bytes may have written: same offsets get the same bytes, so two attempts at once do no harm.

    Args:
        remote: The session.
        file: What to send.
        partial: What was found under the temporary name, if anything.
        resume: Whether to keep a prefix of it that is proved to be ours.
        workers: Where local reading and hashing run.
        turn: Waited for before the last block is sent.

    Raises:
        DoesNotTieOut: The staged file no longer has the registered bytes.
        ReceiverRefused: No permission, or something that is no file is in the way.
        ReceiverUnavailable: The connection was lost, or the receiver's disk is full.
    """
    try:
        await _upload(remote, file, partial, resume, workers, turn)
    except TieoutError:
        raise
    except asyncssh.SFTPFailure as error:
        raise await _explain_failure(remote, file, error) from error
    except (asyncssh.Error, OSError) as error:
        raise translate(remote.target, error, "write", file.temp_path) from error


async def _upload(
    remote: Remote,
    file: OutgoingFile,
    partial: FileInfo | None,
    resume: bool,
    workers: Executor,
    turn: Turn | None,
) -> None:
    if partial and not partial.is_regular:
        raise ReceiverRefused(
            f"{file.temp_path} on {remote.target.label} is no ordinary file; it is in the way of our temporary file."
            " Have it removed."
        )
    start = 0
    if partial and resume and partial.size >= RESUME_FROM:
        start = await _proved_prefix(remote, file, min(partial.size, file.size), workers)
        log.info("Resuming %s at byte %d of %d.", file.temp_path, start, file.size)
    async with remote.writing(file.temp_path, file.mode) as writer:
        await _send_blocks(remote, file, start, writer, workers, turn)
        longer = partial is not None and partial.size > file.size
        await writer.finish(file.mode, cut_to=file.size if longer else None)


async def _send_blocks(
    remote: Remote, file: OutgoingFile, start: int, writer: RemoteWriter, workers: Executor, turn: Turn | None
) -> None:
    """All bytes are read and hashed, those from `start` on are sent."""
    digest = hashlib.sha256()
    offset = 0
    async for block in _local_blocks(file.local, remote.block, workers, digest):
        end = offset + len(block)
        if end > file.size:
            break
        if end > start:
            last = turn if end == file.size else None
            if last:
                await last.wait()
            skip = max(0, start - offset)
            await writer.write(offset + skip, block[skip:] if skip else block)
            if last:
                last.over()
        offset = end
    if offset != file.size or digest.hexdigest() != file.sha256:
        raise DoesNotTieOut(
            f"The staged file {file.local} for {file.remote_path} is not the one that was registered ({file.size}"
            f" bytes, SHA-256 {file.sha256[:12]}…): it has changed or was cut short since. Nothing was delivered under"
            " the final name; run the preparation again."
        )


async def _proved_prefix(remote: Remote, file: OutgoingFile, length: int, workers: Executor) -> int:
    """How many bytes of the partial file are the same as ours, read back and compared block by block."""
    same = 0
    loop = asyncio.get_running_loop()
    local = await loop.run_in_executor(workers, file.local.open, "rb")

    async def compare(data: bytes) -> bool:
        nonlocal same
        ours = await loop.run_in_executor(workers, _read_exactly, local, len(data))
        if ours != data:
            return False
        same += len(data)
        return True

    try:
        await remote.read_through(file.temp_path, length, compare)
    except asyncssh.SFTPPermissionDenied:
        return 0  # a folder that we may write but not read: all is sent again, to the same offsets
    finally:
        await loop.run_in_executor(workers, local.close)
    return same


async def _local_blocks(local: LocalFile, size: int, workers: Executor, digest: Any) -> AsyncIterator[bytes]:
    """Blocks of exactly `size` bytes but the last, read and hashed in a worker thread."""
    loop = asyncio.get_running_loop()
    handle = await loop.run_in_executor(workers, local.open, "rb")

    def next_block() -> bytes:
        data = _read_exactly(handle, size)
        digest.update(data)
        return data

    try:
        while data := await loop.run_in_executor(workers, next_block):
            yield data
            if len(data) < size:
                return
    finally:
        handle.close()


def _read_exactly(handle: IO[Any], size: int) -> bytes:
    """Object stores may return less than asked for before the end."""
    data: bytes = handle.read(size)
    while data and len(data) < size:
        more: bytes = handle.read(size - len(data))
        if not more:
            break
        data += more
    return data


async def _explain_failure(remote: Remote, file: OutgoingFile, error: asyncssh.SFTPFailure) -> TieoutError:
    """OpenSSH says just "Failure" for a full disk, an exceeded quota, a read-only mount and more."""
    free = await remote.free_bytes(file.temp_path.rpartition("/")[0] or "/")
    if free is not None and free < max(_SCARCE, file.size):
        return disk_full(remote.target, file.temp_path, f"{error.reason or 'failure'}, {free} bytes free")
    return disk_full(remote.target, file.temp_path, f"the server says only {error.reason or 'failure'!r}")
