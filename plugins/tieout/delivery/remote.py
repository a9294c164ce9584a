"""The SFTP session itself: requests that are pipelined on one channel, and what the server can do.

Built on asyncssh's protocol handler rather than its `SFTPClient`: requests for the same file are answered in the
order sent (draft-ietf-secsh-filexfer-02, section 4.1), blocks are as large as the server allows, and `check-file`
can be asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import shlex
import stat
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import asyncssh
from asyncssh.constants import FXF_CREAT, FXF_EXCL, FXF_READ, FXF_WRITE, FXP_EXTENDED_REPLY
from asyncssh.packet import SSHPacket, String, UInt32, UInt64
from asyncssh.sftp import SFTPClientHandler, SFTPLimits

from tieout.delivery.failures import ABSENT, LOST, lost
from tieout.delivery.model import Capabilities
from tieout.delivery.target import SftpTarget
from tieout.errors import ReceiverRefused

log = logging.getLogger(__name__)

_SFTP_VERSION = 3
_BLOCKS_IN_FLIGHT = 128
_BLOCKS_PER_FILE = 24
_WINDOW = 8 * 1024 * 1024
_PACKET = 128 * 1024
_MAX_BLOCK = 256 * 1024
_USUAL_BLOCK = 32 * 1024  # what every server takes (draft-ietf-secsh-filexfer-02, section 3)
_REQUESTS_AT_ONCE = 256
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_SHA256_LINE = re.compile(r"\\?([0-9a-f]{64})[ ][ *]")
_COMMAND_SECONDS = 15.0
_COMMAND_BYTES = 30_000


@dataclass(frozen=True)
class FileInfo:
    """What a server tells of a path (without following links)."""

    size: int
    mtime: int | None
    mode: int | None

    @property
    def is_regular(self) -> bool:
        """Whether it is an ordinary file, as far as the server tells."""
        return self.mode is None or stat.S_IFMT(self.mode) in (0, stat.S_IFREG)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.mode is not None and stat.S_ISDIR(self.mode)


def _file_info(attrs: asyncssh.SFTPAttrs) -> FileInfo:
    return FileInfo(attrs.size or 0, attrs.mtime, attrs.permissions)


def _told_in_passing(attrs: asyncssh.SFTPAttrs) -> FileInfo | None:
    """Some servers list bare names, and size, time and kind have to be asked for."""
    if attrs.size is None or attrs.mtime is None or attrs.permissions is None:
        return None
    return _file_info(attrs)


class _Handler(SFTPClientHandler):
    """asyncssh's handler that also remembers the server's extensions and knows `check-file`'s reply."""

    _return_types = {**SFTPClientHandler._return_types, b"check-file-name": FXP_EXTENDED_REPLY}  # noqa: RUF012
    extensions: Mapping[str, bytes] = {}

    def _log_extensions(self, extensions: Sequence[tuple[bytes, bytes]]) -> None:
        self.extensions = {name.decode("utf-8", "replace"): data for name, data in extensions}

    @property
    def ended(self) -> bool:
        """The channel is closed: a request would wait for ever for its answer."""
        return self._writer is None or self._writer.channel.is_closing()

    def _send_request(
        self, pkttype: int | bytes, args: Sequence[bytes], waiter: asyncio.Future[tuple[int, SSHPacket]]
    ) -> None:
        if self.ended:
            raise asyncssh.SFTPConnectionLost("the connection is closed")
        super()._send_request(pkttype, args, waiter)


class Remote:
    """One SFTP channel on one connection, and commands beside it where they are allowed."""

    def __init__(
        self, target: SftpTarget, connection: asyncssh.SSHClientConnection, handler: _Handler, able: Capabilities
    ) -> None:
        self.target = target
        self.able = able
        self._connection = connection
        self._handler = handler
        self._blocks = asyncio.Semaphore(_BLOCKS_IN_FLIGHT)
        self._requests = asyncio.Semaphore(_REQUESTS_AT_ONCE)
        self._commands = asyncio.Semaphore(2)
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def host_key(self) -> asyncssh.SSHKey | None:
        """The key that the server has proved to be its own."""
        return self._connection.get_server_host_key()

    @classmethod
    async def start(
        cls, target: SftpTarget, connection: asyncssh.SSHClientConnection, known: Capabilities | None
    ) -> Remote:
        """Open the SFTP channel and learn what the server can do, unless `known` says it.

        Raises:
            ReceiverRefused: The account may log in but not use SFTP.
            ReceiverUnavailable: The connection was lost.
        """
        try:
            async with asyncio.timeout(target.connect_timeout):
                writer, reader, _ = await connection.open_session(
                    subsystem="sftp", encoding=None, window=_WINDOW, max_pktsize=_PACKET
                )
                handler = _Handler(asyncio.get_running_loop(), "replace", reader, writer, _SFTP_VERSION)
                await handler.start()
                connection.create_task(handler.recv_packets(), handler.logger)
                remote = cls(target, connection, handler, known or await _capabilities(connection, handler))
                if target.exec_allowed and remote.able.exec_sha256 is None:
                    remote.able = replace(remote.able, exec_sha256=await remote._can_hash_by_command())
        except (asyncssh.ChannelOpenError, asyncssh.SFTPBadMessage) as error:
            raise ReceiverRefused(
                f"{target.label} logs us in but does not start SFTP ({error}): ask the receiver to enable the SFTP"
                " subsystem for this account."
            ) from error
        except (TimeoutError, *LOST) as error:
            raise lost(target, error) from error
        return remote

    @property
    def block(self) -> int:
        """Bytes per write request."""
        return min(self.able.max_write, _MAX_BLOCK)

    @property
    def gone(self) -> bool:
        """Whether the connection is lost or closed."""
        return self._connection.is_closed() or self._handler.ended

    # Names and attributes

    async def info(self, path: str) -> FileInfo | None:
        """What is at `path`; None when there is nothing."""
        try:
            async with self._requests:
                attrs = await self._handler.lstat(path.encode(), 0)
        except ABSENT:
            return None
        return _file_info(attrs)

    async def names_in(self, path: str) -> list[tuple[bytes, FileInfo | None]]:
        """The names in a folder as the server spells them; None where it tells too little in passing."""
        handle = await self._handler.opendir(path.encode())
        found: list[tuple[bytes, FileInfo | None]] = []
        try:
            while True:
                entries, at_end = await self._handler.readdir(handle)
                found += [(cast(bytes, entry.filename), _told_in_passing(entry.attrs)) for entry in entries]
                if at_end or not entries:
                    return found
        except asyncssh.SFTPEOFError:
            return found
        finally:
            self._close_later(handle)

    async def folder_exists(self, path: str) -> bool:
        """Whether `path` is a folder, or a link to one."""
        try:
            async with self._requests:
                attrs = await self._handler.stat(path.encode(), 0)
        except ABSENT:
            return False
        return attrs.permissions is None or stat.S_ISDIR(attrs.permissions)

    async def make_folder(self, path: str, mode: int) -> None:
        """Make a folder and set its mode, whatever the server's umask; one that appeared meanwhile is fine."""
        try:
            await self._handler.mkdir(path.encode(), asyncssh.SFTPAttrs(permissions=mode))
        except asyncssh.SFTPError:
            if await self.folder_exists(path):
                return
            raise
        with contextlib.suppress(asyncssh.SFTPPermissionDenied, asyncssh.SFTPOpUnsupported):
            await self._handler.setstat(path.encode(), asyncssh.SFTPAttrs(permissions=mode))

    async def remove(self, path: str) -> bool:
        """Remove a file; False when it was not there."""
        try:
            async with self._requests:
                await self._handler.remove(path.encode())
        except ABSENT:
            return False
        return True

    async def rename(self, old: str, new: str) -> None:
        """Rename; by SFTP's rule this fails when `new` exists."""
        async with self._requests:
            await self._handler.rename(old.encode(), new.encode(), 0)

    async def rename_over(self, old: str, new: str) -> None:
        """Rename atomically over an existing file."""
        async with self._requests:
            await self._handler.posix_rename(old.encode(), new.encode())

    async def free_bytes(self, path: str) -> int | None:
        """Free space for us at `path`; None when the server does not tell."""
        if not self.able.statvfs:
            return None
        try:
            vfs = await self._handler.statvfs(path.encode())
        except asyncssh.SFTPError:
            return None
        return (vfs.bavail or 0) * (vfs.frsize or vfs.bsize or 0)

    # Contents

    @contextlib.asynccontextmanager
    async def writing(self, path: str, mode: int, *, exclusive: bool = False) -> AsyncIterator[RemoteWriter]:
        """Open a file to write in place: created when missing, never truncated. The caller ends with `finish`."""
        flags = FXF_WRITE | FXF_CREAT | (FXF_EXCL if exclusive else 0)
        handle = await self._handler.open(path.encode(), flags, asyncssh.SFTPAttrs(permissions=mode))
        writer = RemoteWriter(self, self._handler, handle, self._blocks)
        try:
            yield writer
        except BaseException:
            await writer.abandon()
            raise

    @contextlib.asynccontextmanager
    async def reading(self, path: str) -> AsyncIterator[RemoteReader]:
        """Open a file to read."""
        handle = await self._handler.open(path.encode(), FXF_READ, asyncssh.SFTPAttrs())
        try:
            yield RemoteReader(self._handler, handle, self._blocks, min(self.able.max_read, _MAX_BLOCK))
        finally:
            self._close_later(handle)

    async def read_through(self, path: str, size: int, consume: Callable[[bytes], Awaitable[bool]]) -> None:
        """Open a file and hand its first `size` bytes to `consume`; see `RemoteReader.read_through`."""
        async with self.reading(path) as reader:
            await reader.read_through(size, consume)

    def _close_later(self, handle: bytes) -> None:
        """Nothing depends on the answer to closing a file or folder that was read."""

        async def close() -> None:
            with contextlib.suppress(*LOST, asyncssh.SFTPError):
                await self._handler.close(handle)

        task = asyncio.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    # The server's own hashes

    async def check_file(self, path: str) -> str | None:
        """SHA-256 by the `check-file` extension; None when the server does not give one.

        Source: draft-ietf-secsh-filexfer-extensions-00, section 3.
        """
        request = String(path.encode()) + String(b"sha256") + UInt64(0) + UInt64(0) + UInt32(0)
        try:
            async with self._requests:
                packet = cast(SSHPacket, await self._handler._make_request(b"check-file-name", request))
            name = packet.get_string()
            if name == b"check-file":
                name = packet.get_string()
            digest = packet.get_remaining_payload()
        except LOST:
            raise
        except (asyncssh.SFTPError, asyncssh.Error, ValueError):
            return None
        return digest.hex() if name == b"sha256" and len(digest) == 32 else None

    async def hash_by_command(self, paths: Sequence[str]) -> dict[str, str]:
        """SHA-256s by the server's `sha256sum`; a path is missing from the answer when it could not be hashed."""
        found: dict[str, str] = {}
        for group in _groups(paths):
            output = await self._command("sha256sum -- " + " ".join(map(shlex.quote, group)))
            lines = output.splitlines()
            matches = [_SHA256_LINE.match(line) for line in lines]
            if len(lines) == len(group) and all(matches):
                found.update({path: match[1] for path, match in zip(group, matches, strict=True) if match})
        return found

    async def _can_hash_by_command(self) -> bool:
        return (await self._command("sha256sum < /dev/null")).startswith(_EMPTY_SHA256)

    async def _command(self, command: str) -> str:
        """The output of a command, empty when it fails: accounts with SFTP only refuse commands in many ways."""
        limit = _COMMAND_SECONDS if command.endswith("/dev/null") else None
        try:
            async with self._commands, asyncio.timeout(limit):
                done = await self._connection.run(command, stdin=asyncssh.DEVNULL, check=False, errors="replace")
        except (asyncssh.ChannelOpenError, asyncssh.ProcessError, TimeoutError):
            return ""
        return str(done.stdout or "") if done.exit_status == 0 else ""

    async def close(self) -> None:
        """End the session and the connection, without waiting for a server that is gone."""
        self._handler.exit()
        self._connection.close()
        with contextlib.suppress(TimeoutError, *LOST):
            async with asyncio.timeout(5):
                await self._connection.wait_closed()


class RemoteReader:
    """An open remote file that is read with many blocks in flight, within a limit shared by the connection's files."""

    def __init__(self, handler: _Handler, handle: bytes, blocks: asyncio.Semaphore, block: int) -> None:
        self._handler, self._handle, self._blocks, self._block = handler, handle, blocks, block

    async def info(self) -> FileInfo:
        """What the server tells of the open file, whatever has become of its name."""
        return _file_info(await self._handler.fstat(self._handle, 0))

    async def ends_at(self, offset: int) -> bool:
        """Whether there is no byte at `offset`."""
        try:
            data, _ = await self._handler.read(self._handle, offset, 1)
        except asyncssh.SFTPEOFError:
            return True
        return not data

    async def read_through(self, size: int, consume: Callable[[bytes], Awaitable[bool]]) -> None:
        """Hand the first `size` bytes of the file to `consume`, block by block in order, until it returns False.

        Reads run ahead of the consumer.
        """
        pending: deque[asyncio.Task[bytes]] = deque()
        offset = 0
        try:
            while offset < size or pending:
                while offset < size and len(pending) < _BLOCKS_PER_FILE and not (pending and self._blocks.locked()):
                    await self._blocks.acquire()
                    length = min(self._block, size - offset)
                    pending.append(asyncio.create_task(self._read_fully(offset, length)))
                    offset += length
                try:
                    data = await pending[0]
                finally:
                    pending.popleft()
                    self._blocks.release()
                if not await consume(data):
                    return
        finally:
            for task in pending:
                task.cancel()
                self._blocks.release()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _read_fully(self, offset: int, length: int) -> bytes:
        """A server may answer with fewer bytes than asked for."""
        data, _ = await self._handler.read(self._handle, offset, length)
        while data and len(data) < length:
            try:
                more, _ = await self._handler.read(self._handle, offset + len(data), length - len(data))
            except asyncssh.SFTPEOFError:
                break
            data += more
        return data


class RemoteWriter:
    """An open remote file that is written at given offsets, with many blocks in flight."""

    def __init__(self, remote: Remote, handler: _Handler, handle: bytes, blocks: asyncio.Semaphore) -> None:
        self._remote, self._handler, self._handle, self._blocks = remote, handler, handle, blocks
        self._own_blocks = asyncio.Semaphore(_BLOCKS_PER_FILE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._closed = False

    async def write(self, offset: int, data: bytes) -> None:
        """Send a block; returns as soon as there is room for the next. An earlier block's error is raised here."""
        await self._own_blocks.acquire()
        await self._blocks.acquire()
        task = self._start(lambda: self._handler.write(self._handle, offset, data))
        task.add_done_callback(self._release)
        if self._error:
            raise self._error

    async def finish(self, mode: int, *, cut_to: int | None = None) -> None:
        """Flush to disk where the server can, set size and mode, close; all sent at once behind the last block.

        Args:
            mode: Permission bits, whatever the server's umask. A server that does not let us set them is no reason
                not to deliver; it is logged.
            cut_to: Shorten the file to so many bytes.
        """
        if cut_to is not None:
            self._start(lambda: self._handler.fsetstat(self._handle, asyncssh.SFTPAttrs(size=cut_to)))
        if self._remote.able.fsync:
            self._start(self._fsync)
        self._start(lambda: self._set_mode(mode))
        self._start(self._close)
        await asyncio.gather(*self._tasks)
        if self._error:
            raise self._error

    async def abandon(self) -> None:
        """Close the handle after an error."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._closed:
            with contextlib.suppress(*LOST, asyncssh.SFTPError):
                await self._handler.close(self._handle)

    def _start(self, request: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
        """Tasks start in the order they are made, so their requests leave in that order."""
        task = asyncio.create_task(self._step(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _release(self, _task: asyncio.Task[None]) -> None:
        """In a callback, as a task that is cancelled before it starts runs nothing."""
        self._blocks.release()
        self._own_blocks.release()

    async def _step(self, request: Callable[[], Awaitable[object]]) -> None:
        """The first error counts; those that follow from it do not."""
        try:
            await request()
        except Exception as error:
            self._error = self._error or error

    async def _close(self) -> None:
        self._closed = True
        await self._handler.close(self._handle)

    async def _fsync(self) -> None:
        with contextlib.suppress(asyncssh.SFTPOpUnsupported):
            await self._handler.fsync(self._handle)

    async def _set_mode(self, mode: int) -> None:
        try:
            await self._handler.fsetstat(self._handle, asyncssh.SFTPAttrs(permissions=mode))
        except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPOpUnsupported, asyncssh.SFTPFailure) as error:
            log.warning("%s does not let us set mode %o: %s", self._remote.target.label, mode, error.reason)


async def _capabilities(connection: asyncssh.SSHClientConnection, handler: _Handler) -> Capabilities:
    offered = handler.extensions
    limits = SFTPLimits(0, 0, 0, 0)
    if "limits@openssh.com" in offered:
        limits = SFTPLimits.decode(cast(SSHPacket, await handler._make_request(b"limits@openssh.com")))
    return Capabilities(
        server_version=str(connection.get_extra_info("server_version", "")),
        posix_rename="posix-rename@openssh.com" in offered,
        fsync="fsync@openssh.com" in offered,
        statvfs="statvfs@openssh.com" in offered,
        check_file="check-file" in offered or "check-file-name" in offered,
        max_read=limits.max_read_len or _USUAL_BLOCK,
        max_write=limits.max_write_len or _USUAL_BLOCK,
        max_open_files=limits.max_open_handles,
    )


def _groups(paths: Sequence[str]) -> list[list[str]]:
    """Command lines of a length that every server takes."""
    groups: list[list[str]] = [[]]
    length = 0
    for path in paths:
        if groups[-1] and length + len(path) > _COMMAND_BYTES:
            groups.append([])
            length = 0
        groups[-1].append(path)
        length += len(path) + 8
    return [group for group in groups if group]
