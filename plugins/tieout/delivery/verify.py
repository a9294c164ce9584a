"""The verification ladder: the server's own hash, else reading back; sizes alone only when asked for."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Literal

import asyncssh

from tieout.delivery.failures import ABSENT, translate
from tieout.delivery.model import Verification
from tieout.delivery.remote import Remote
from tieout.errors import ReceiverRefused, ReceiverUnavailable

Wanted = Literal["auto", "size", "server_hash", "read_back"]


async def digests(
    remote: Remote,
    sizes: Mapping[str, int],
    wanted: Wanted,
    concurrency: int,
    workers: Executor,
    refused: dict[str, ReceiverRefused] | None = None,
) -> dict[str, tuple[str, Verification]]:
    """SHA-256 of each remote file and the rung that gave it.

    Args:
        remote: The session.
        sizes: Path → how many bytes to hash; the caller has compared them with the server's.
        wanted: `size` is treated as `auto` here: who asks for a digest needs one.
        concurrency: Files read back at a time.
        workers: Where hashing runs.
        refused: Gets the files that the server gives no digest of, by path; None: the first of them is raised.

    Raises:
        ReceiverRefused: `server_hash` was asked for and the server gives none, or a file cannot be read back.
    """
    found: dict[str, tuple[str, Verification]] = {}
    if wanted != "read_back":
        hashes = await _server_hashes(remote, list(sizes))
        found = {path: (digest, "server_hash") for path, digest in hashes.items()}
    missing = [path for path in sizes if path not in found]
    slots = asyncio.Semaphore(concurrency)

    async def one(path: str) -> None:
        async with slots:
            try:
                if wanted == "server_hash":
                    raise _no_server_hash(remote, path)
                found[path] = (await _read_back(remote, path, sizes[path], workers), "read_back")
            except ReceiverRefused as error:
                if refused is None:
                    raise
                refused[path] = error

    await all_or_first_error([one(path) for path in missing])
    return found


def _no_server_hash(remote: Remote, path: str) -> ReceiverRefused:
    return ReceiverRefused(
        f"{remote.target.label} gives no hash of {path}: it offers neither the check-file extension nor (with"
        " 'exec_allowed' in the connection) sha256sum. Set the verification to 'auto' or 'read_back'."
    )


async def all_or_first_error(steps: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all at once; when one fails, stop the others and raise its error."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _server_hashes(remote: Remote, paths: list[str]) -> dict[str, str]:
    if remote.able.check_file:
        answers = await asyncio.gather(*(remote.check_file(path) for path in paths))
        return {path: digest for path, digest in zip(paths, answers, strict=True) if digest}
    if remote.target.exec_allowed and remote.able.exec_sha256:
        return await remote.hash_by_command(paths)
    return {}


async def _read_back(remote: Remote, path: str, size: int, workers: Executor) -> str:
    digest = hashlib.sha256()
    loop = asyncio.get_running_loop()

    async def consume(data: bytes) -> bool:
        await loop.run_in_executor(workers, digest.update, data)
        return True

    try:
        await remote.read_through(path, size, consume)
    except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPOpUnsupported) as error:
        raise ReceiverRefused(
            f"{remote.target.label} does not let us read back {path}, so its bytes cannot be proved. Ask the receiver"
            " for read permission, or set the verification to 'size' and live with the weaker proof."
        ) from error
    except ABSENT as error:
        raise ReceiverUnavailable(
            f"{path} disappeared from {remote.target.label} while it was read back: another program works in that"
            " folder. What became of it is looked up by the next attempt."
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise translate(remote.target, error, "read back", path) from error
    return digest.hexdigest()
