"""Delivering a batch: upload all, verify all, then rename all; nobody sees a half file under its final name."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import asyncssh

from tieout.delivery.failures import ABSENT, LOST, describe, lost, translate
from tieout.delivery.model import DeliveryOptions, Journal, NameTaken, Outcome, OutgoingFile, Receipt, Verification
from tieout.delivery.naming import remote_join, void_path
from tieout.delivery.remote import FileInfo, Remote
from tieout.delivery.upload import RESUME_FROM, Turn, Turns, upload
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

_T = TypeVar("_T")


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
    refusal: ReceiverRefused | None = None

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


_Step = Callable[[_Item], Awaitable[None]]
_Proof = tuple[str, Verification]


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
    _each: bool = False
    _plain_rename: bool = True

    async def deliver(self) -> list[Receipt]:
        """Deliver and return receipts in the order of the files."""
        await self._run()
        return [item.receipt() for item in self._items]

    async def deliver_each(self) -> list[Receipt | ReceiverRefused]:
        """The same, but a refusal concerns its own file alone and comes in its place."""
        self._each = True
        await self._run()
        return [item.refusal or item.receipt() for item in self._items]

    async def _run(self) -> None:
        _check_paths(self.files)
        self._items = [_Item(file) for file in self.files]
        await self._look_around()
        await self._guard("look at", self._settle_existing(_unsettled(self._items)), self.files[0].remote_path)
        todo = _unsettled(self._items)
        if todo:
            await self._send(todo)

    async def _send(self, todo: list[_Item]) -> None:
        await self._tell(self.journal.sending, {item.file.file_id: item.file.temp_path for item in todo})
        try:
            await self._forget_voided(todo)
            await self._upload(_unsettled(todo))
            await self._verify(_unsettled(todo))
        except BaseException as error:
            await self._clean_up(todo, error)
            raise
        await self._remove_temporaries([item for item in todo if item.refusal], RESUME_FROM)
        todo = _unsettled(todo)
        if not todo:
            return
        # From here on a missing temporary file means "renamed", so nothing of ours is removed any more.
        await self._tell(self.journal.verified, {i.file.file_id: str(i.verification) for i in todo})
        await self._publish(todo)

    # What is there already

    async def _look_around(self) -> None:
        by_folder: dict[str, list[_Item]] = {}
        for item in self._items:
            by_folder.setdefault(item.file.remote_path.rpartition("/")[0] or "/", []).append(item)
        await all_or_first_error(
            [self._try("look at", by_folder[path], partial(self._ensure_folder, path)) for path in sorted(by_folder)]
        )
        await self._for_each("look at", _unsettled(self._items), self._look)

    async def _look(self, item: _Item) -> None:
        item.final, item.partial, item.voided = await asyncio.gather(
            self.remote.info(item.file.remote_path),
            self.remote.info(item.file.temp_path),
            self.remote.info(void_path(item.file.temp_path)),
        )

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
        """What is under the final names already, for all at once; see `_judge`."""
        found, refused = await self._digests(_sizes_of_ours(items))
        for item in items:
            path = item.file.remote_path
            await self._try("look at", [item], partial(self._judge, item, found.get(path), refused.get(path)))

    async def _settle_again(self, item: _Item) -> None:
        """The same for one file, after something has changed.

        Raises:
            ReceiverRefused: The name is taken: nothing may be put in its place.
        """
        found, refused = await self._digests(_sizes_of_ours([item]))
        path = item.file.remote_path
        await self._judge(item, found.get(path), refused.get(path))

    async def _judge(self, item: _Item, proof: _Proof | None, refused: ReceiverRefused | None) -> None:
        """Same bytes under the final name: done. Our earlier bytes: to be replaced. Anything else: stop."""
        if item.final is None:
            return
        if not item.final.is_regular:
            raise self._taken(item, "something that is no ordinary file")
        if refused:
            raise refused
        digest, rung = proof or ("", "size")
        if digest == item.file.sha256:
            item.verification = rung
            item.settle("already_there")
            with contextlib.suppress(asyncssh.SFTPError):
                await self.remote.remove(item.file.temp_path)
                if item.voided:
                    await self.remote.remove(void_path(item.file.temp_path))
        elif digest not in item.file.may_replace:
            raise self._taken(item, "other bytes")

    def _taken(self, item: _Item, what: str) -> NameTaken:
        size = f" ({item.final.size} bytes there, {item.file.size} of ours)" if item.final else ""
        return NameTaken(
            f"{self.remote.target.label} already has {item.file.remote_path} with {what}{size}; nothing was"
            " overwritten. Find out who put it there; then move it away, or deliver under another name."
        )

    # Sending and proving

    async def _forget_voided(self, todo: list[_Item]) -> None:
        """The journal says "sending" again, so what an earlier look-up put aside has served as evidence."""

        async def forget(item: _Item) -> None:
            await self.remote.remove(void_path(item.file.temp_path))

        await self._for_each("remove", [item for item in todo if item.voided], forget)

    async def _upload(self, todo: list[_Item]) -> None:
        """Tasks start in the order they are made, so the uploads begin in the order of the files; see `Turns`."""
        slots = asyncio.Semaphore(self._concurrency)
        places = {item.file.file_id: place for place, item in enumerate(todo)}
        turns = Turns()

        async def one(item: _Item) -> None:
            turn = Turn(turns, places[item.file.file_id])
            try:
                async with slots:
                    in_order = turn if self.options.ordered else None
                    await upload(self.remote, item.file, item.partial, self.options.resume, self.workers, in_order)
            finally:
                turn.over()

        await self._for_each("write", todo, one)

    async def _verify(self, todo: list[_Item]) -> None:
        """Under the temporary name, before the rename: a receiver may sweep a final name at once."""
        await self._for_each("look at", todo, self._same_size)
        todo = _unsettled(todo)
        if self.options.verification == "size":
            for item in todo:
                item.verification = "size"
            return
        found, refused = await self._digests({item.file.temp_path: item.file.size for item in todo})
        for item in todo:
            item.refusal = refused.get(item.file.temp_path)
            if item.refusal:
                continue
            digest, item.verification = found[item.file.temp_path]
            if digest != item.file.sha256:
                raise self._corrupted(item, "with other bytes")

    async def _same_size(self, item: _Item) -> None:
        info = await self.remote.info(item.file.temp_path)
        if info is None:
            item.final = await self.remote.info(item.file.remote_path)
            await self._settle_again(item)
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

    async def _digests(self, sizes: dict[str, int]) -> tuple[dict[str, _Proof], dict[str, ReceiverRefused]]:
        """Digests by path, and the paths of which there is none where each file stands for itself."""
        if not sizes:
            return {}, {}
        refused: dict[str, ReceiverRefused] = {}
        aside = refused if self._each else None
        how = self.options.verification
        try:
            found = await digests(self.remote, sizes, how, self._concurrency, self.workers, aside)
        except LOST as error:
            raise lost(self.remote.target, error) from error
        return found, refused

    # Giving the final names

    async def _publish(self, todo: list[_Item]) -> None:
        try:
            await self._publish_all(todo)
        except ReceiverUnavailable:
            if not self.remote.gone:
                raise
            log.warning("Connection to %s lost while renaming: looking up what was done.", self.remote.target.label)
            self.remote = await self.reopen()
            await self._publish_all(_unsettled(todo))

    async def _publish_all(self, todo: list[_Item]) -> None:
        """Every rename is tried, also when one of them fails; the first failure is raised afterwards."""
        rename = self._rename_in_order if self.options.ordered else self._rename_at_once
        errors: list[BaseException] = []
        for item, result in zip(todo, await rename(todo), strict=True):
            if self._each and isinstance(result, ReceiverRefused):
                item.refusal = result
            elif result:
                errors.append(result)
        if not errors:
            return
        error = next((e for e in errors if not isinstance(e, ReceiverUnavailable)), errors[0])
        raise error

    async def _rename_at_once(self, todo: list[_Item]) -> list[BaseException | None]:
        """Each as soon as it has been looked at; returns what went wrong, in the order of the files."""

        async def rename(item: _Item) -> None:
            step = await self._next_step(item)
            if step:
                await step(item)

        steps = (self._naming(item, rename) for item in todo)
        return await asyncio.gather(*steps, return_exceptions=True)

    async def _rename_in_order(self, todo: list[_Item]) -> list[BaseException | None]:
        """All are looked at before any request leaves, so that none waits while a later one goes ahead.

        Tasks start in the order they are made and send their requests at once, one behind the other.
        """
        looks = (self._naming(item, self._next_step) for item in todo)
        steps = await asyncio.gather(*looks, return_exceptions=True)
        results = [step if isinstance(step, BaseException) else None for step in steps]
        ready = [(place, step) for place, step in enumerate(steps) if step and not isinstance(step, BaseException)]
        for wave in self._waves(ready):
            requests = (self._naming(todo[place], step) for place, step in wave)
            done = await asyncio.gather(*requests, return_exceptions=True)
            for (place, _), result in zip(wave, done, strict=True):
                results[place] = result
        return results

    def _waves(self, ready: list[tuple[int, _Step]]) -> list[list[tuple[int, _Step]]]:
        """All at once, unless new and replaced names are mixed.

        Where the server knows no plain rename, a new name takes two requests and a replaced one would overtake it:
        the first new one is awaited, and tells what the others have to ask for.
        """
        new = [number for number, (_, step) in enumerate(ready, 1) if step == self._rename_new]
        if not self._plain_rename or len(new) in (0, len(ready)):
            return [ready]
        return [ready[: new[0]], ready[new[0] :]]

    async def _naming(self, item: _Item, step: Callable[[_Item], Awaitable[_T]]) -> _T:
        try:
            return await step(item)
        except LOST as error:
            raise lost(self.remote.target, error) from error
        except (asyncssh.Error, OSError) as error:
            raise translate(self.remote.target, error, "give the final name to", item.file.remote_path) from error

    async def _next_step(self, item: _Item) -> _Step | None:
        """Look once more, and say how the file gets its final name; None: it has got it."""
        file, before = item.file, item.final
        partial, item.final = await asyncio.gather(self.remote.info(file.temp_path), self.remote.info(file.remote_path))
        if partial is None:
            await self._renamed_by_whom(item)
            return None
        if item.final is None:
            return self._rename_new
        if before == item.final and file.may_replace:
            return self._replace  # still our earlier bytes, as hashed before
        await self._settle_again(item)
        return self._replace if item.outcome is None else None

    async def _rename_new(self, item: _Item) -> None:
        """Plain rename does not overwrite, so a name taken in this very moment is not lost."""
        file = item.file
        item.asked = "delivered"
        try:
            ask = self.remote.rename if self._plain_rename else self.remote.rename_over
            await ask(file.temp_path, file.remote_path)
        except asyncssh.SFTPOpUnsupported:
            self._plain_rename = False
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
            await self._settle_again(item)
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
        try:
            info = await self.remote.info(item.file.remote_path)
        except LOST:
            raise
        except asyncssh.SFTPError as error:
            log.warning("%s cannot be looked at after its rename: %s", item.file.remote_path, describe(error))
            return
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
            await self._settle_again(item)
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
        await self._remove_temporaries(
            [item for item in todo if item.outcome is None], None if useless else RESUME_FROM
        )

    async def _remove_temporaries(self, items: list[_Item], keep_from: int | None) -> None:
        """As far as that is possible now.

        Args:
            items: Whose temporary files.
            keep_from: Size in bytes from which on a file is left for the next attempt to resume; None: none is.
        """
        with contextlib.suppress(TimeoutError, TieoutError, asyncssh.Error, OSError):
            async with asyncio.timeout(_CLEANUP_SECONDS):
                steps = (self._remove_temporary(item, keep_from) for item in items)
                await asyncio.gather(*steps, return_exceptions=True)

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

    async def _for_each(self, doing: str, items: Iterable[_Item], step: _Step) -> None:
        await all_or_first_error([self._try(doing, [item], partial(step, item)) for item in items])

    async def _try(self, doing: str, items: Sequence[_Item], step: Callable[[], Awaitable[None]]) -> None:
        """A refusal ends the delivery, or concerns these files alone where each stands for itself."""
        try:
            await self._guard(doing, step(), items[0].file.remote_path)
        except ReceiverRefused as error:
            if not self._each:
                raise
            for item in items:
                item.refusal = error

    async def _guard(self, doing: str, step: Awaitable[None], path: str) -> None:
        try:
            await step
        except TieoutError:
            raise
        except (asyncssh.Error, OSError) as error:
            raise translate(self.remote.target, error, doing, path) from error

    async def _tell(self, call: Callable[[dict[int, str]], None], news: dict[int, str]) -> None:
        await asyncio.get_running_loop().run_in_executor(self.workers, call, news)


def _unsettled(items: Iterable[_Item]) -> list[_Item]:
    """Files that have yet to be delivered."""
    return [item for item in items if item.outcome is None and item.refusal is None]


def _sizes_of_ours(items: Iterable[_Item]) -> dict[str, int]:
    """Final names under which our bytes may lie, this time's or earlier ones, with the sizes there."""
    return {
        item.file.remote_path: item.final.size
        for item in items
        if item.final is not None
        and item.final.is_regular
        and (item.final.size == item.file.size or item.file.may_replace)
    }


def _check_paths(files: Sequence[OutgoingFile]) -> None:
    seen: set[str] = set()
    for file in files:
        if remote_join(file.remote_path) != file.remote_path or file.remote_path == "/":
            raise ConfigurationInvalid(f"The remote path {file.remote_path!r} must be an absolute, plain file path.")
        if file.remote_path in seen:
            raise ConfigurationInvalid(f"Two files of one delivery have the same final name {file.remote_path}.")
        seen.add(file.remote_path)
