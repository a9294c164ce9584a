"""SFTP servers: host key, log-in, folders."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tieout.errors import (
    ConfigurationInvalid,
    CredentialsRejected,
    HostKeyMismatch,
    ReceiverRefused,
    ReceiverUnavailable,
)
from tieout.health.judging import check_skew
from tieout.health.model import (
    AUTHENTICATED,
    CLOCK,
    HOST_KEY,
    HOST_KEY_ROTATION,
    REACHABLE,
    WRITABLE,
    Check,
    Status,
    failed_by,
    unknown,
)

if TYPE_CHECKING:
    from tieout.delivery import FolderCheck, SftpSession, SftpTarget

_AT_ONCE = 8
"""Folders that are looked at side by side on one connection."""


def check_sftp(
    target: SftpTarget, folders: Sequence[str], collected: Sequence[str] = (), created: Sequence[str] = ()
) -> list[Check]:
    """Log in to an SFTP server, and write and remove a small file in each folder.

    Args:
        target: The server.
        folders: Where files are put.
        collected: Where files are taken from; one that cannot be written is worth a warning only.
        created: Where files are put, and which the first delivery makes where they are missing: of these, the folder
            that is there has to be writable.
    """
    from tieout.delivery import SftpSession

    pinned = _pinned(target)
    try:
        with SftpSession(target) as session:
            found = [session.check_folder(folder) for folder in folders]
            found += _to_be_created(session, created)
            taken = [session.check_folder(folder) for folder in collected]
            rotation = _rotation(*session.host_keys())
    except HostKeyMismatch as error:
        # Without a pinned key nothing has changed: there is only something to be set up.
        other_key = failed_by(HOST_KEY, error) if target.host_keys else pinned
        return [Check(REACHABLE, Status.OK), other_key, *unknown(AUTHENTICATED, WRITABLE, CLOCK)]
    except CredentialsRejected as error:
        return [Check(REACHABLE, Status.OK), failed_by(AUTHENTICATED, error), pinned, *unknown(WRITABLE, CLOCK)]
    except (ReceiverUnavailable, ReceiverRefused, ConfigurationInvalid) as error:
        return [failed_by(REACHABLE, error), *unknown(AUTHENTICATED, WRITABLE, CLOCK), pinned]
    writable = _writable(found, taken)
    skews = [f.clock_skew_seconds for f in (*found, *taken) if f.clock_skew_seconds is not None]
    clock = check_skew(timedelta(seconds=skews[0])) if skews else Check(CLOCK, Status.UNKNOWN)
    good = [Check(REACHABLE, Status.OK), Check(AUTHENTICATED, Status.OK)]
    return [*good, pinned, writable, clock, *rotation]


def _rotation(offered: str, others: Sequence[str]) -> list[Check]:
    """What is known of a change of host keys that is announced, or over."""
    if not others:
        return []
    sentence = (
        f"The server uses {offered}; {', '.join(others)} is pinned besides. Once the receiver has changed for good, "
        f"remove the key that it no longer uses."
    )
    return [Check(HOST_KEY_ROTATION, Status.OK, sentence)]


def _to_be_created(session: SftpSession, folders: Sequence[str]) -> list[FolderCheck]:
    """Each folder, or what is there of it; hundreds of folders have few above them, so each is looked at once."""
    seen: dict[str, FolderCheck] = {}
    looked_at = {folder: folder for folder in folders}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while unseen := sorted({path for path in looked_at.values() if path not in seen}):
            seen.update(zip(unseen, pool.map(session.check_folder, unseen), strict=True))
            looked_at = {
                folder: path if seen[path].exists or path == "/" else posixpath.dirname(path)
                for folder, path in looked_at.items()
            }
    return [_of(folder, seen[path]) for folder, path in looked_at.items()]


def _of(folder: str, check: FolderCheck) -> FolderCheck:
    if check.path == folder or check.writable:
        return check
    return replace(check, problem=f"{check.problem} {folder}, which is missing, could not be made there.")


def _writable(found: Sequence[FolderCheck], taken: Sequence[FolderCheck]) -> Check:
    problems = [folder.problem or f"{folder.path} is not writable." for folder in found if not folder.writable]
    problems += [folder.problem for folder in taken if not folder.exists]
    if problems:
        return Check(WRITABLE, Status.FAILED, " ".join(problems))
    fixed = [folder.problem for folder in taken if not folder.writable]
    if fixed:
        stay = "Files taken from there cannot be archived: they stay, and are remembered."
        return Check(WRITABLE, Status.WARNING, " ".join((*fixed, stay)))
    return Check(WRITABLE, Status.OK if found or taken else Status.UNKNOWN)


def _pinned(target: SftpTarget) -> Check:
    if target.host_keys:
        return Check(HOST_KEY, Status.OK)
    status = Status.FAILED if target.production else Status.WARNING
    return Check(HOST_KEY, status, f"No host key is pinned for {target.label}; add `host_key` to the connection.")
