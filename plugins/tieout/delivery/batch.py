"""Delivering a batch: upload all, verify all, then rename all; nobody sees a half file under its final name."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncssh

from tieout.delivery.failures import ABSENT, LOST, lost, translate
from tieout.delivery.model import DeliveryOptions, Journal, Outcome, OutgoingFile, Receipt, Verification
from tieout.delivery.naming import remote_join, void_path
from tieout.delivery.remote import FileInfo, Remote
from tieout.delivery.upload import RESUME_FROM, upload
from tieout.delivery.verify import all_or_first_error, digests
from tieout.errors import (
    ConfigurationInvalid,
    DoesNotTieOut,
    ReceiverRefused,
    ReceiverUnavailable,
    Superseded,
    TieoutError,
)

log = logging.getLogger(__name__)

_CLEANUP_SECONDS = 10


@dataclass
class _Item:
    """A file on its way."""

    file: OutgoingFile
    final: FileInfo | None = None
    partial: FileInfo | None = None
    voided: FileInfo | None = None
    verification: Verification | None = None
    outcome: Outcome | None = None
    asked: Outcome | None = None
    settled_at: datetime | None = None

    def settle(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.settled_at = datetime.now(UTC)

    def receipt(self) -> Receipt:
        if self.verification is None or self.outcome is None or self.settled_at is None:
            raise RuntimeError(f"{self.file.remote_path} was not settled")  # a mistake of ours, never the receiver's
        file = self.file
        return Receipt(
            file.file_id, file.remote_path, file.size, file.sha256, self.verification, self.outcome, self.settled_at
        )


@dataclass
class Batch:
    """One delivery of some files over one connection.

    Args:
        remote: The session; replaced by `reopen` once if the connection is lost while renaming.
        reopen: Makes a new session.
        files: What to deliver; the final names must differ.
        options: How.
        journal: Told before each step.
        workers: Threads for local reading, hashing and the journal.
    """

    remote: Remote
    reopen: Callable[[], Awaitable[Remote]]
    files: Sequence[OutgoingFile]
    options: DeliveryOptions
    journal: Journal
    workers: Executor
    _items: list[_Item] = field(default_factory=list)

    async def deliver(self) -> list[Receipt]:
        """Deliver and return receipts in the order of the files."""
        _check_paths(self.files)
        self._items = [_Item(file) for file in self.files]
        await self._guard("look at", self._look_around())
        await self._guard("look at", self._settle_existing(self._items))
        todo = [item for item in self._items if item.outcome is None]
        if todo:
            await self._send(todo)
        return [item.receipt() for item in self._items]

    async def _send(self, todo: list[_Item]) -> None:
        await self._tell(self.journal.sending, {item.file.file_id: item.file.temp_path for item in todo})
        try:
            await self._forget_voided(todo)
            await self._upload(todo)
            await self._verify(todo)
        except BaseException as error:
            await self._clean_up(todo, error)
            raise
        todo = [item for item in todo if item.outcome is None]
        if not todo:
            return
        # From here on a missing temporary file means "renamed", so nothing of ours is removed any more.
        await self._tell(self.journal.verified, {i.file.file_id: str(i.verification) for i in todo})
        await self._publish(todo)

    # What is there already

    async def _look_around(self) -> None:
        folders = {item.file.remote_path.rpartition("/")[0] or "/" for item in self._items}
        await all_or_first_error([self._ensure_folder(folder) for folder in sorted(folders)])

        async def look(item: _Item) -> None:
            item.final, item.partial, item.voided = await asyncio.gather(
                self.remote.info(item.file.remote_path),
                self.remote.info(item.file.temp_path),
                self.remote.info(void_path(item.file.temp_path)),
            )

        await all_or_first_error([look(item) for item in self._items])

    async def _ensure_folder(self, folder: str) -> None:
        if await self.remote.folder_exists(folder):
            return
        target = self.remote.target
        if not self.options.create_directories:
            raise ReceiverRefused(
                f"The folder {folder} does not exist on {target.label}: have it made, or allow its creation by"
                " 'create_directories: true'."
            )
        parent = folder.rpartition("/")[0]
        if parent:
            await self._ensure_folder(parent)
        try:
            await self.remote.make_folder(folder, self.options.directory_mode)
        except (asyncssh.SFTPError, OSError) as error:
            raise translate(target, error, "make the folder", folder + "/") from error

    async def _settle_existing(self, items: list[_Item]) -> None:
        """Same bytes under the final name: done. Our earlier bytes: to be replaced. Anything else: stop."""
        there = [item for item in items if item.final is not None]
        for item in there:
            if item.final is not None and not item.final.is_regular:
                raise self._taken(item, "something that is no ordinary file")
        sizes = {
            item.file.remote_path: item.final.size
            for item in there
            if item.final is not None and (item.final.size == item.file.size or item.file.may_replace)
        }
        found = await self._digests(sizes)
        for item in there:
            digest, rung = found.get(item.file.remote_path, ("", "size"))
            if digest == item.file.sha256:
                item.verification = rung
                item.settle("already_there")
                with contextlib.suppress(asyncssh.SFTPError):
                    await self.remote.remove(item.file.temp_path)
                    if item.voided:
                        await self.remote.remove(void_path(item.file.temp_path))
            elif digest not in item.file.may_replace:
                raise self._taken(item, "other bytes")

    def _taken(self, item: _Item, what: str) -> ReceiverRefused:
        size = f" ({item.final.size} bytes there, {item.file.size} of ours)" if item.final else ""
        return ReceiverRefused(
            f"{self.remote.target.label} already has {item.file.remote_path} with {what}{size}; nothing was"
            " overwritten. Find out who put it there; then move it away, or deliver under another name."
        )

    # Sending and proving

    async def _forget_voided(self, todo: list[_Item]) -> None:
        """The journal says "sending" again, so what an earlier look-up put aside has served as evidence."""

        async def forget(item: _Item) -> None:
            await self.remote.remove(void_path(item.file.temp_path))

        await self._guard("remove", all_or_first_error([forget(item) for item in todo if item.voided]))

    async def _upload(self, todo: list[_Item]) -> None:
        slots = asyncio.Semaphore(self._concurrency)

        async def one(item: _Item) -> None:
            async with slots:
                await upload(self.remote, item.file, item.partial, self.options.resume, self.workers)

        await all_or_first_error([one(item) for item in todo])

    async def _verify(self, todo: list[_Item]) -> None:
        """Under the temporary name, before the rename: a receiver may sweep a final name at once."""
        await self._guard("look at", all_or_first_error([self._same_size(item) for item in todo]))
        todo = [item for item in todo if item.outcome is None]
        if self.options.verification == "size":
            for item in todo:
                item.verification = "size"
            return
        found = await self._digests({item.file.temp_path: item.file.size for item in todo})
        for item in todo:
            digest, item.verification = found[item.file.temp_path]
            if digest != item.file.sha256:
                raise self._corrupted(item, "with other bytes")

    async def _same_size(self, item: _Item) -> None:
        info = await self.remote.info(item.file.temp_path)
        if info is None:
            item.final = await self.remote.info(item.file.remote_path)
            await self._settle_existing([item])
            if item.outcome is None:
                raise self._vanished(item)
        elif info.size != item.file.size:
            raise self._corrupted(item, f"with {info.size} of {item.file.size} bytes")

    def _corrupted(self, item: _Item, how: str) -> ReceiverUnavailable:
        return ReceiverUnavailable(
            f"{item.file.remote_path} arrived on {self.remote.target.label} {how}, so it was not given its final name."
            " It is sent again; if that repeats, ask the receiver whether the server converts files (text mode) or"
            " another program writes in that folder."
        )

    async def _digests(self, sizes: dict[str, int]) -> dict[str, tuple[str, Verification]]:
        if not sizes:
            return {}
        try:
            return await digests(self.remote, sizes, self.options.verification, self._concurrency, self.workers)
        except LOST as error:
            raise lost(self.remote.target, error) from error

    # Giving the final names

    async def _publish(self, todo: list[_Item]) -> None:
        try:
            await self._publish_all(todo)
        except ReceiverUnavailable:
            if not self.remote.gone:
                raise
            log.warning("Connection to %s lost while renaming: looking up what was done.", self.remote.target.label)
            self.remote = await self.reopen()
            await self._publish_all([item for item in todo if item.outcome is None])

    async def _publish_all(self, todo: list[_Item]) -> None:
        """Every rename is tried, also when one of them fails; the first failure is raised afterwards."""
        results = await asyncio.gather(*(self._publish_one(item) for item in todo), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if not errors:
            return
        error = next((e for e in errors if not isinstance(e, ReceiverUnavailable)), errors[0])
        raise error

    async def _publish_one(self, item: _Item) -> None:
        try:
            await self._rename(item)
        except LOST as error:
            raise lost(self.remote.target, error) from error
        except (asyncssh.Error, OSError) as error:
            raise translate(self.remote.target, error, "give the final name to", item.file.remote_path) from error

    async def _rename(self, item: _Item) -> None:
        file, before = item.file, item.final
        partial, item.final = await asyncio.gather(self.remote.info(file.temp_path), self.remote.info(file.remote_path))
        if partial is None:
            await self._renamed_by_whom(item)
        elif item.final is None:
            await self._rename_new(item)
        elif before == item.final and file.may_replace:
            await self._replace(item)  # still our earlier bytes, as hashed before
        else:
            await self._settle_existing([item])
            if item.outcome is None:
                await self._replace(item)

    async def _rename_new(self, item: _Item) -> None:
        """Plain rename does not overwrite, so a name taken in this very moment is not lost."""
        file = item.file
        item.asked = "delivered"
        try:
            await self.remote.rename(file.temp_path, file.remote_path)
        except asyncssh.SFTPOpUnsupported:
            await self.remote.rename_over(file.temp_path, file.remote_path)
        except ABSENT:
            item.asked = None
            item.final = await self.remote.info(file.remote_path)
            await self._renamed_by_whom(item)
            return
        except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists, asyncssh.SFTPPermissionDenied):
            item.final = await self.remote.info(file.remote_path)
            if item.final is None:
                raise
            await self._settle_existing([item])
            if item.outcome is None:
                await self._replace(item)
            return
        await self._confirm(item)
        item.settle("delivered")

    async def _replace(self, item: _Item) -> None:
        if not self.remote.able.posix_rename:
            raise ReceiverRefused(
                f"{self.remote.target.label} cannot replace {item.file.remote_path} in one step (no posix-rename), and"
                " removing it first would leave a gap. Have the receiver remove it, or deliver under another name."
            )
        item.asked = "replaced"
        await self.remote.rename_over(item.file.temp_path, item.file.remote_path)
        await self._confirm(item)
        item.settle("replaced")

    async def _confirm(self, item: _Item) -> None:
        """Not found after a successful rename: the receiver has swept it, so it is delivered."""
        info = await self.remote.info(item.file.remote_path)
        if info is not None and info.size != item.file.size:
            log.warning(
                "%s has %d bytes right after its rename, %d were verified: the receiver may have taken and changed it.",
                item.file.remote_path,
                info.size,
                item.file.size,
            )

    async def _renamed_by_whom(self, item: _Item) -> None:
        """Our verified temporary file is gone: our own rename whose reply was lost, or another attempt's."""
        if item.final is not None:
            await self._settle_existing([item])
            if item.outcome is None:
                raise self._vanished(item)
            if item.asked:
                item.settle(item.asked)
        elif item.asked:
            item.settle(item.asked)  # renamed by us and swept by the receiver
        else:
            raise self._vanished(item)

    def _vanished(self, item: _Item) -> Superseded:
        return Superseded(
            f"The temporary file {item.file.temp_path} on {self.remote.target.label} disappeared before it got its"
            " final name: a newer attempt has taken over, or a clean-up job of the receiver removes such files. This"
            " attempt stops; look at the newer attempt, or clear the task to send again."
        )

    # After a failure

    async def _clean_up(self, todo: list[_Item], error: BaseException) -> None:
        """Remove our temporary files, but for large partial ones that the next attempt can resume.

        After `Superseded` they belong to the newer attempt. With a full disk or wrong bytes nothing is kept.
        """
        if isinstance(error, Superseded) or self.remote.gone:
            return
        useless = isinstance(error, (ReceiverUnavailable, DoesNotTieOut))
        keep_from = None if useless else RESUME_FROM
        with contextlib.suppress(TimeoutError, TieoutError, asyncssh.Error, OSError):
            async with asyncio.timeout(_CLEANUP_SECONDS):
                await asyncio.gather(
                    *(self._remove_temporary(item, keep_from) for item in todo if item.outcome is None),
                    return_exceptions=True,
                )

    async def _remove_temporary(self, item: _Item, keep_from: int | None) -> None:
        info = await self.remote.info(item.file.temp_path)
        if info is not None and (keep_from is None or info.size < keep_from):
            await self.remote.remove(item.file.temp_path)

    # Helpers

    @property
    def _concurrency(self) -> int:
        """Files open at a time, leaving the server some handles."""
        limit = self.remote.able.max_open_files // 2 or self.options.concurrency
        return max(1, min(self.options.concurrency, limit))

    async def _guard(self, doing: str, step: Awaitable[None]) -> None:
        try:
            await step
        except TieoutError:
            raise
        except (asyncssh.Error, OSError) as error:
            raise translate(self.remote.target, error, doing, self.files[0].remote_path) from error

    async def _tell(self, call: Callable[[dict[int, str]], None], news: dict[int, str]) -> None:
        await asyncio.get_running_loop().run_in_executor(self.workers, call, news)


def _check_paths(files: Sequence[OutgoingFile]) -> None:
    seen: set[str] = set()
    for file in files:
        if remote_join(file.remote_path) != file.remote_path or file.remote_path == "/":
            raise ConfigurationInvalid(f"The remote path {file.remote_path!r} must be an absolute, plain file path.")
        if file.remote_path in seen:
            raise ConfigurationInvalid(f"Two files of one delivery have the same final name {file.remote_path}.")
        seen.add(file.remote_path)
