"""Collecting files from a sender's folder: what is there, and fetching it.

SFTP has no locks, so a file is taken only when it is the same after reading as before. Whether it is complete at all
is told by `tieout.delivery.looking`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import asyncssh

from tieout.delivery.failures import ABSENT, LOST, describe
from tieout.delivery.naming import remote_join
from tieout.delivery.remote import FileInfo, Remote, RemoteReader
from tieout.delivery.target import SftpTarget
from tieout.errors import ConfigurationInvalid, ReceiverRefused, ReceiverUnavailable, SourceUnavailable, TieoutError

log = logging.getLogger(__name__)


class NotCollected(TieoutError):
    """One file was not fetched and stays where it is; the other files are not concerned.

    Attributes:
        reason: A stable word: `changed`, `gone`, `locked` or `too_large`.
    """

    reason: ClassVar[str]


class FileChanged(NotCollected):
    """It is not what was seen before, or it changed while it was read."""

    reason = "changed"


class FileGone(NotCollected):
    """It was taken away before it was read to its end."""

    reason = "gone"


class FileLocked(NotCollected):
    """The server does not let us read it: another program has it open, or we have no permission."""

    reason = "locked"


class FileTooLarge(NotCollected):
    """It has more bytes than are allowed."""

    reason = "too_large"


@dataclass(frozen=True)
class RemoteFile:
    """A file as a look at its folder saw it.

    Attributes:
        path: Absolute remote path.
        name: Its last part.
        size: Bytes.
        mtime: When it was changed, in seconds since 1970 by the server's clock; 0 where the server does not tell.
    """

    path: str
    name: str
    size: int
    mtime: int

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RemoteFile:
        """From XCom."""
        return cls(**data)

    def is_still(self, info: FileInfo) -> bool:
        """Whether size and time are the same, the time as far as both are known."""
        unknown = not self.mtime or not info.mtime
        return info.is_regular and self.size == info.size and (unknown or self.mtime == info.mtime)


@dataclass(frozen=True)
class Downloaded:
    """What was fetched of a file.

    Attributes:
        bytes: How many.
        sha256: Of the bytes, lower-case hex.
        size: The server's word, the same as `bytes`.
        mtime: As of `RemoteFile`, the same before and after.
    """

    bytes: int
    sha256: str
    size: int
    mtime: int


@contextlib.contextmanager
def as_source() -> Iterator[None]:
    """An SFTP server that we read from is a source: its outage is a `SourceUnavailable`, in the same words."""
    try:
        yield
    except ReceiverUnavailable as error:
        raise SourceUnavailable(str(error)) from error


def source_lost(target: SftpTarget, error: BaseException) -> SourceUnavailable:
    """The connection broke while we looked, read or moved."""
    return SourceUnavailable(
        f"The connection to {target.label} was lost ({describe(error)}); no file was taken by halves, and the next"
        " attempt goes on from there."
    )


async def list_folder(remote: Remote, path: str) -> list[RemoteFile]:
    """See `SftpSession.list_folder`."""
    folder, label = remote_join(path), remote.target.label
    try:
        return await _list(remote, folder)
    except LOST as error:
        raise source_lost(remote.target, error) from error
    except ABSENT as error:
        raise ReceiverRefused(
            f"There is no folder {folder} on {label}: correct the folder in the configuration, or ask the sender to"
            f" make it and to let the user {remote.target.username!r} read it."
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise ReceiverRefused(
            f"{label} does not let us list the folder {folder} ({describe(error)}): ask the sender to let the user"
            f" {remote.target.username!r} read it."
        ) from error


async def _list(remote: Remote, folder: str) -> list[RemoteFile]:
    async def described(spelled: bytes, info: FileInfo | None) -> RemoteFile | None:
        name = _name(spelled, folder)
        if name is None:
            return None
        path = remote_join(folder, name)
        info = info or await remote.info(path)
        return RemoteFile(path, name, info.size, info.mtime or 0) if info and info.is_regular else None

    found = await asyncio.gather(*(described(*each) for each in await remote.names_in(folder)))
    return sorted((file for file in found if file), key=lambda file: (file.mtime, file.name))


def _name(spelled: bytes, folder: str) -> str | None:
    """A name that can be a file's; None for hidden ones, and for those that nobody could put into a path or a log."""
    if spelled.startswith(b"."):
        return None
    with contextlib.suppress(UnicodeDecodeError, ConfigurationInvalid):
        name = spelled.decode("utf-8")
        if "/" not in name and remote_join("/", name):
            return name
    log.warning("%s holds the name %r, which is not plain UTF-8 text: it is left alone, rename it.", folder, spelled)
    return None


async def download(
    remote: Remote,
    path: str,
    sink: Callable[[bytes], object],
    max_bytes: int,
    expect: RemoteFile | None,
    workers: Executor,
) -> Downloaded:
    """See `SftpSession.download`."""
    taking = _Taking(sink, workers)
    with _not_collected(remote.target, path):
        before = await _look_before(remote, path, max_bytes, expect)
        async with remote.reading(path) as reader:
            await reader.read_through(before.size, taking.take)
            if taking.error is None:
                await _check_after(remote, reader, before, taking.bytes)
    if taking.error is not None:
        raise taking.error
    return Downloaded(taking.bytes, taking.digest.hexdigest(), before.size, before.mtime)


@contextlib.contextmanager
def _not_collected(target: SftpTarget, path: str) -> Iterator[None]:
    """From what went wrong on the wire to why this file was not fetched."""
    try:
        yield
    except LOST as error:
        raise source_lost(target, error) from error
    except ABSENT as error:
        raise _gone(path, target.label) from error
    except asyncssh.SFTPEOFError as error:
        raise _changed(path, target.label, "became shorter while it was read") from error
    except (asyncssh.Error, OSError) as error:
        raise FileLocked(
            f"{target.label} does not let us read {path} ({describe(error)}): another program has it open, or the user"
            f" {target.username!r} may not read it. It stays where it is and is tried again by the next run; if that"
            " repeats, ask the sender for read permission."
        ) from error


async def _look_before(remote: Remote, path: str, max_bytes: int, expect: RemoteFile | None) -> RemoteFile:
    """What is there now, by its name: opening something that is no ordinary file may block the server."""
    label = remote.target.label
    info = await remote.info(path)
    if info is None:
        raise _gone(path, label)
    if not info.is_regular:
        raise _changed(path, label, "is no ordinary file")
    if expect is not None and not expect.is_still(info):
        raise _changed(
            path, label, f"has changed since it was seen complete ({expect.size} bytes then, {info.size} now)"
        )
    if info.size > max_bytes:
        raise FileTooLarge(
            f"{path} on {label} has {info.size} bytes, more than the {max_bytes} that are allowed; it was not read."
            " Raise the limit in the configuration if the file is right, else ask the sender about it."
        )
    return RemoteFile(path, path.rpartition("/")[2], info.size, info.mtime or 0)


async def _check_after(remote: Remote, reader: RemoteReader, before: RemoteFile, read: int) -> None:
    """What was read, the open file and the file of that name must all be what was there before."""
    path, label = before.path, remote.target.label
    opened, named, at_end = await asyncio.gather(reader.info(), remote.info(path), reader.ends_at(before.size))
    if named is None:
        raise _gone(path, label)
    if not (at_end and read == before.size and before.is_still(opened) and before.is_still(named)):
        raise _changed(path, label, f"changed while it was read ({before.size} bytes before, {named.size} after)")


def _gone(path: str, label: str) -> FileGone:
    return FileGone(
        f"{path} is no longer on {label}: it was removed, renamed or taken by another program before it was read to"
        " its end. Nothing of it was taken."
    )


def _changed(path: str, label: str, how: str) -> FileChanged:
    return FileChanged(
        f"{path} on {label} {how}: it is still being written, or was replaced. Nothing of it was taken; the next run"
        " looks at it again."
    )


class _Taking:
    """Hands blocks to the sink in a worker thread, one after another, and keeps the digest.

    What the sink raises is kept: it must not pass for a failure of the server.
    """

    def __init__(self, sink: Callable[[bytes], object], workers: Executor) -> None:
        self._sink, self._workers = sink, workers
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.error: Exception | None = None

    async def take(self, data: bytes) -> bool:
        """Whether to go on."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._workers, self._take, data)
        except Exception as error:
            self.error = error
        return self.error is None

    def _take(self, data: bytes) -> None:
        self._sink(data)
        self.digest.update(data)
        self.bytes += len(data)
