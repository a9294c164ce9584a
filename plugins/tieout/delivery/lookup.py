"""What became of a file after a crash: looked up before anything is sent again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from tieout.delivery.failures import ABSENT
from tieout.delivery.naming import void_path
from tieout.delivery.remote import Remote
from tieout.delivery.verify import digests
from tieout.errors import ReceiverRefused


async def look_up(
    remote: Remote, remote_path: str, temp_path: str, size: int, sha256: str, was_verified: bool
) -> Literal["done", "not_sent"]:
    """See `SftpSession.look_up`."""
    try:
        if await _has(remote, remote_path, size, sha256):
            return "done"
    except ReceiverRefused:
        # A folder that we may write but not read: the size and the missing temporary name have to do.
        if was_verified and await _neither(remote, temp_path):
            return "done"
        raise
    # Without its temporary file an attempt that is still alive cannot rename any more; it may have just before.
    was_there = await (_put_aside(remote, temp_path) if was_verified else remote.remove(temp_path))
    if await _has(remote, remote_path, size, sha256):
        return "done"
    return "done" if was_verified and not was_there else "not_sent"


async def _neither(remote: Remote, temp_path: str) -> bool:
    return await remote.info(temp_path) is None and await remote.info(void_path(temp_path)) is None


async def _put_aside(remote: Remote, temp_path: str) -> bool:
    """Take the temporary name away but keep the proof that the file had not been renamed.

    Were it removed, and we killed before the answer is written down, the next look-up would take its absence for
    a delivery. The next delivery of the file removes it, after the journal has been told `sending`.
    """
    void = void_path(temp_path)
    if await remote.info(void) is not None:
        await remote.remove(temp_path)
        return True
    try:
        await remote.rename(temp_path, void)
    except ABSENT:
        return await remote.info(void) is not None
    return True


async def _has(remote: Remote, path: str, size: int, sha256: str) -> bool:
    info = await remote.info(path)
    if info is None or not info.is_regular or info.size != size:
        return False
    with ThreadPoolExecutor(1) as worker:
        found = await digests(remote, {path: size}, "auto", 1, worker)
    return found[path][0] == sha256
