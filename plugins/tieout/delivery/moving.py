"""Moving a file on its own server, as into an archive: nothing is overwritten, and a lost reply is looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import asyncssh

from tieout.delivery.collecting import RemoteFile, as_source, source_lost
from tieout.delivery.failures import ABSENT, DENIED, LOST, describe
from tieout.delivery.remote import Remote


@dataclass(frozen=True)
class Moved:
    """What became of a move.

    Attributes:
        outcome: `moved`; `gone`: there is no such file any more; `taken`: the new name is another file's, so choose
            another one; `refused`: the server or our rights on it do not allow it, and the file is where it was.
        reason: For `taken` and `refused`, what is wrong and who can change it.
    """

    outcome: Literal["moved", "gone", "taken", "refused"]
    reason: str = ""


@dataclass
class Move:
    """One move; see `SftpSession.move`.

    Args:
        path: Where the file is, absolute and plain.
        to: Where it shall be.
        create_directories: Make missing folders.
        directory_mode: Permission bits of folders we make.
        expect: The file as it was collected. Another one that has taken its place meanwhile is not moved: nobody has
            read it yet. Where there is none at `path`, but one of this size and time at `to`, an earlier attempt has
            moved it.
    """

    path: str
    to: str
    create_directories: bool
    directory_mode: int
    expect: RemoteFile | None
    _asked: bool = False

    async def run(self, remote: Remote, reopen: Callable[[], Awaitable[Remote]]) -> Moved:
        """Move; after a lost connection once more over a new one.

        Raises:
            SourceUnavailable: The connection was lost and could not be made again.
        """
        try:
            return await self._attempt(remote)
        except LOST:
            with as_source():
                remote = await reopen()
        try:
            return await self._attempt(remote)
        except LOST as error:
            raise source_lost(remote.target, error) from error

    async def _attempt(self, remote: Remote) -> Moved:
        try:
            source, there = await asyncio.gather(remote.info(self.path), remote.info(self.to))
            if source is None:
                ours = there is not None and (self._asked or (self.expect is not None and self.expect.is_still(there)))
                return Moved("moved" if ours else "gone")
            if self.expect is not None and not self.expect.is_still(source):
                return self._replaced(remote)
            if there is not None:
                return Moved("taken", f"{remote.target.label} already has {self.to}; nothing was overwritten.")
            missing = await self._missing_folder(remote)
            if missing:
                return missing
            return await self._rename(remote)
        except LOST:
            raise
        except (asyncssh.SFTPError, OSError) as error:
            return self._refused(remote, error)

    def _replaced(self, remote: Remote) -> Moved:
        return Moved(
            "refused",
            f"{self.path} on {remote.target.label} is no longer the file that was collected, so it was not moved: the"
            " next run collects what is there now.",
        )

    async def _missing_folder(self, remote: Remote) -> Moved | None:
        folder = _folder(self.to)
        if await remote.folder_exists(folder):
            return None
        if self.create_directories:
            await _make(remote, folder, self.directory_mode)
            return None
        return Moved(
            "refused",
            f"The folder {folder} does not exist on {remote.target.label}: have it made, or allow its creation.",
        )

    async def _rename(self, remote: Remote) -> Moved:
        """Plain rename does not overwrite (draft-ietf-secsh-filexfer-02, section 6.5); posix-rename would."""
        asked_before, self._asked = self._asked, True
        try:
            await remote.rename(self.path, self.to)
        except LOST:
            raise
        except DENIED:
            raise
        except asyncssh.SFTPError as error:
            return await self._not_renamed(remote, error, asked_before)
        source, there = await asyncio.gather(remote.info(self.path), remote.info(self.to))
        if source is None:
            return Moved("moved")  # also when it is not there: another program has taken it from its new place
        state = "left it at the old place as well" if there else "it is still at the old place"
        return Moved("refused", f"{remote.target.label} says that it moved {self.path} to {self.to}, but {state}.")

    async def _not_renamed(self, remote: Remote, error: asyncssh.SFTPError, asked_before: bool) -> Moved:
        """OpenSSH says just "Failure" for a name that is taken, another file system and more."""
        source, there = await asyncio.gather(remote.info(self.path), remote.info(self.to))
        if source is None:
            return Moved("moved" if there and asked_before else "gone")
        if there is not None:
            return Moved("taken", f"{remote.target.label} already has {self.to}; nothing was overwritten.")
        return self._refused(remote, error)

    def _refused(self, remote: Remote, error: Exception) -> Moved:
        label, user = remote.target.label, remote.target.username
        failed = f"{label} does not let us move {self.path} to {self.to}"
        if isinstance(error, DENIED):
            advice = f"permission denied. The user {user!r} needs write permission in {_folder(self.path)} and in"
            return Moved("refused", f"{failed}: {advice} {_folder(self.to)}; the file stays where it is.")
        if isinstance(error, asyncssh.SFTPOpUnsupported):
            return Moved("refused", f"{failed}: the server knows no rename that leaves other files alone.")
        if isinstance(error, ABSENT):
            return Moved("refused", f"{failed}: the folder {_folder(self.to)} cannot be used ({describe(error)}).")
        return Moved("refused", f"{failed}: the server says {describe(error)!r}. The file stays where it is.")


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"


async def _make(remote: Remote, folder: str, mode: int) -> None:
    """Make a folder and those above it."""
    if await remote.folder_exists(folder):
        return
    await _make(remote, _folder(folder), mode)
    await remote.make_folder(folder, mode)
