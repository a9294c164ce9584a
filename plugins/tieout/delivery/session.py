"""The synchronous face of the engine: a session over one connection, usable from any thread or forked worker."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Literal, TypeVar

import asyncssh

from tieout.delivery.batch import Batch
from tieout.delivery.collecting import Downloaded, RemoteFile, download, list_folder
from tieout.delivery.connect import connect
from tieout.delivery.failures import LOST, describe, lost, translate
from tieout.delivery.host_keys import PinnedHostKeys, fingerprint
from tieout.delivery.lookup import look_up
from tieout.delivery.model import Capabilities, DeliveryOptions, FolderCheck, Journal, OutgoingFile, Receipt
from tieout.delivery.moving import Move, Moved
from tieout.delivery.naming import remote_join
from tieout.delivery.remote import Remote
from tieout.delivery.target import SftpTarget
from tieout.errors import ReceiverRefused, TieoutError

_T = TypeVar("_T")
_STOP_SECONDS = 10
_TIDY_SECONDS = 12


class SftpSession:
    """One connection to an SFTP server, as a context manager.

    The event loop runs in a thread of its own, so that keep-alives go on while the caller does something else, and
    the caller may itself be inside an event loop. Make the session in the process that uses it, after any fork.

    Args:
        target: The server and our account.
        capabilities: What `probe` told earlier; saves the questions.

    Example:
        >>> with SftpSession(target) as session:  # doctest: +SKIP
        ...     receipts = session.deliver(files, DeliveryOptions(), journal)
    """

    def __init__(self, target: SftpTarget, *, capabilities: Capabilities | None = None) -> None:
        self.target = target
        self._known = capabilities
        self._remote: Remote | None = None
        self._workers: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> SftpSession:
        """Connect and log in.

        Raises:
            CredentialsRejected: A credential was refused; each is tried once.
            HostKeyMismatch: The host key is not pinned.
            ReceiverUnavailable: The server could not be reached.
            ReceiverRefused: The server does not start SFTP for us.
        """
        self._loop = asyncio.new_event_loop()
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="sftp-worker")
        self._thread = threading.Thread(target=self._loop.run_forever, name="sftp-session", daemon=True)
        self._thread.start()
        try:
            self._run(self._open())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._remote is not None:
                self._run(self._remote.close())
        finally:
            self._stop()

    def deliver(self, files: Sequence[OutgoingFile], options: DeliveryOptions, journal: Journal) -> list[Receipt]:
        """Upload all files, verify all, rename all; receipts in the order of the files.

        Nothing gets its final name before every file of the batch is complete and verified. Files whose order
        matters to the receiver (data, then manifest, then trigger) go in successive calls.

        Args:
            files: With different final names.
            options: How.
            journal: Told before each step; what it raises stops the delivery.

        Raises:
            ReceiverRefused: No permission, no folder, or a final name taken by other bytes: nothing is overwritten.
            ReceiverUnavailable: Connection lost, disk full, or bytes that did not arrive as sent. Worth a retry.
            Superseded: A newer attempt has taken the temporary files over.
            DoesNotTieOut: A staged file no longer has the registered bytes.
            ConfigurationInvalid: A path that is not absolute and plain, or the same final name twice.
        """
        return self._run(self._batch(files, options, journal).deliver()) if files else []

    def deliver_each(
        self, files: Sequence[OutgoingFile], options: DeliveryOptions, journal: Journal
    ) -> list[Receipt | ReceiverRefused]:
        """As `deliver`, for files that do not depend on each other: one that is refused does not keep back the others.

        Args:
            files: With different final names.
            options: How.
            journal: Told before each step, `verified` only of the files that may get their final names.

        Returns:
            In the order of the files the receipt, or why this one was refused: a name taken by other bytes, no
            permission, no folder, a name too long. A refused file certainly did not get its final name.

        Raises:
            ReceiverUnavailable: An outage concerns all files.
            Superseded: A newer attempt has taken the temporary files over.
            DoesNotTieOut: A staged file no longer has the registered bytes.
            ConfigurationInvalid: A path that is not absolute and plain, or the same final name twice.
        """
        return self._run(self._batch(files, options, journal).deliver_each()) if files else []

    def look_up(
        self, remote_path: str, *, temp_path: str, size: int, sha256: str, was_verified: bool = False
    ) -> Literal["done", "not_sent"]:
        """What became of a file whose attempt did not end.

        Removes the temporary file unless the final one is there, so that an attempt that is still running fails at
        its rename.

        Args:
            remote_path: Final name.
            temp_path: The temporary path that the journal was told.
            size: Bytes.
            sha256: Of the bytes.
            was_verified: The journal was told that the file was complete. With the temporary file gone as well,
                it had got its final name and the receiver has taken it.

        Raises:
            ReceiverUnavailable: The receiver cannot be asked now.
            ReceiverRefused: It does not let us look or remove.
        """
        return self._run(
            self._asking(
                remote_path, lambda remote: look_up(remote, remote_path, temp_path, size, sha256, was_verified)
            )
        )

    def probe(self) -> Capabilities:
        """What the server can do."""
        return self._connected().able

    def host_keys(self) -> tuple[str, tuple[str, ...]]:
        """Fingerprints of the server's host key, and of the others that are pinned."""
        offered = self._connected().host_key
        if offered is None:
            return "", ()
        return fingerprint(offered.public_data), PinnedHostKeys(self.target).not_used(offered)

    def check_folder(self, path: str) -> FolderCheck:
        """Whether files can be put into a folder; a temporary file is made and removed.

        Raises:
            ReceiverUnavailable: The connection was lost.
        """
        return self._run(self._asking(path, lambda remote: _check_folder(remote, path)))

    # The server as a source

    def list_folder(self, path: str) -> list[RemoteFile]:
        """The ordinary files in a folder by time and name; no folders, links or hidden files.

        Args:
            path: Absolute remote path.

        Raises:
            SourceUnavailable: The connection was lost.
            ReceiverRefused: There is no such folder, or we may not list it.
            ConfigurationInvalid: The path is not absolute and plain.
        """
        return self._run(list_folder(self._connected(), path))

    def download(
        self, path: str, sink: Callable[[bytes], object], *, max_bytes: int, expect: RemoteFile | None = None
    ) -> Downloaded:
        """Fetch a file, block by block in order, if it is the same after reading as before.

        Args:
            path: Absolute remote path.
            sink: Given each block, in another thread but never two at a time; what it raises is raised here. After
                any error it has got a part that must be thrown away.
            max_bytes: A longer file is not read.
            expect: The file as it was seen complete; another size or time is a change.

        Raises:
            NotCollected: `FileChanged`, `FileGone`, `FileLocked` or `FileTooLarge`; concerns this file alone.
            SourceUnavailable: The connection was lost.
            ConfigurationInvalid: The path is not absolute and plain.
        """
        return self._run(self._download(remote_join(path), sink, max_bytes, expect))

    def move(
        self,
        path: str,
        to: str,
        *,
        create_directories: bool = True,
        directory_mode: int = 0o755,
        expect: RemoteFile | None = None,
    ) -> Moved:
        """Move a file on the server. Nothing is overwritten; a connection lost meanwhile is made again and looked up.

        Args:
            path: Absolute remote path of the file.
            to: Absolute remote path that it shall have.
            create_directories: Make missing folders.
            directory_mode: Permission bits of folders we make.
            expect: The file as it was collected, so that one that has taken its place meanwhile is not moved unread,
                and the move of an attempt that was killed is known for one.

        Raises:
            SourceUnavailable: The connection was lost and could not be made again.
            ConfigurationInvalid: A path is not absolute and plain.
        """
        move = Move(remote_join(path), remote_join(to), create_directories, directory_mode, expect)
        return self._run(move.run(self._connected(), self._reopen))

    # The loop's thread

    async def _open(self) -> Remote:
        connection = await connect(self.target)
        try:
            self._remote = await Remote.start(self.target, connection, self._known)
        except BaseException:
            connection.abort()
            raise
        self._known = self._remote.able
        return self._remote

    async def _reopen(self) -> Remote:
        """A new connection in place of one that was lost."""
        with contextlib.suppress(*LOST):
            await self._connected().close()
        return await self._open()

    def _batch(self, files: Sequence[OutgoingFile], options: DeliveryOptions, journal: Journal) -> Batch:
        if self._workers is None:
            raise RuntimeError("SftpSession is used outside of its 'with' block")
        return Batch(self._connected(), self._reopen, files, options, journal, self._workers)

    async def _download(
        self, path: str, sink: Callable[[bytes], object], max_bytes: int, expect: RemoteFile | None
    ) -> Downloaded:
        if self._workers is None:
            raise RuntimeError("the session is not open")
        return await download(self._connected(), path, sink, max_bytes, expect, self._workers)

    async def _asking(self, path: str, ask: Callable[[Remote], Awaitable[_T]]) -> _T:
        try:
            return await ask(self._connected())
        except TieoutError:
            raise
        except LOST as error:
            raise lost(self.target, error) from error
        except (asyncssh.Error, OSError) as error:
            raise translate(self.target, error, "look at", path) from error

    def _connected(self) -> Remote:
        if self._remote is None:
            raise RuntimeError("SftpSession is used outside of its 'with' block")
        return self._remote

    def _run(self, step: Coroutine[Any, Any, _T]) -> _T:
        """Run in the loop's thread; an interrupted caller cancels the step and waits until it has tidied up."""
        if self._loop is None:
            step.close()
            raise RuntimeError("SftpSession is used outside of its 'with' block")
        ended = threading.Event()
        future = asyncio.run_coroutine_threadsafe(_then_set(step, ended), self._loop)
        try:
            return future.result()
        except BaseException:
            if future.cancel():
                ended.wait(_TIDY_SECONDS)
            raise

    def _stop(self) -> None:
        if self._loop is None or self._thread is None or self._workers is None:
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(_STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        self._workers.shutdown(wait=False, cancel_futures=True)
        if not self._thread.is_alive():
            self._loop.close()
        self._loop = self._thread = self._workers = self._remote = None


async def _then_set(step: Coroutine[Any, Any, _T], ended: threading.Event) -> _T:
    try:
        return await step
    finally:
        ended.set()


async def _cancel_others() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _check_folder(remote: Remote, path: str) -> FolderCheck:
    label = remote.target.label
    try:
        exists = await remote.folder_exists(path)
    except asyncssh.SFTPPermissionDenied:
        return FolderCheck(path, False, False, None, f"The folder {path} on {label} may not be looked at.")
    if not exists:
        return FolderCheck(path, False, False, None, f"The folder {path} does not exist on {label}.")
    probe = f"{path.rstrip('/')}/.tieout-check-{secrets.token_hex(6)}.part"
    before = time.time()
    try:
        async with remote.writing(probe, 0o600, exclusive=True) as writer:
            await writer.write(0, b"tieout check\n")
            await writer.finish(0o600)
        info = await remote.info(probe)
        after = time.time()
    except (asyncssh.SFTPError, OSError) as error:
        if isinstance(error, LOST):
            raise
        with contextlib.suppress(asyncssh.SFTPError):
            await remote.remove(probe)
        reason = describe(error)
        return FolderCheck(path, True, False, None, f"The folder {path} on {label} cannot be written: {reason}.")
    try:
        await remote.remove(probe)
    except asyncssh.SFTPError as error:
        problem = f"The folder {path} on {label} can be written, but {probe} could not be removed: {describe(error)}."
        return FolderCheck(path, True, True, _skew(info.mtime if info else None, before, after), problem)
    return FolderCheck(path, True, True, _skew(info.mtime if info else None, before, after))


def _skew(mtime: int | None, before: float, after: float) -> float | None:
    """SFTP gives whole seconds, cut: half a second is added for the expected value."""
    return None if mtime is None else round(mtime + 0.5 - (before + after) / 2, 1)
