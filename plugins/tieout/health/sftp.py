"""SFTP servers: host key, log-in, folders."""

from __future__ import annotations

from collections.abc import Sequence
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
from tieout.health.model import AUTHENTICATED, CLOCK, HOST_KEY, REACHABLE, WRITABLE, Check, Status, unknown

if TYPE_CHECKING:
    from tieout.delivery import FolderCheck, SftpTarget


def check_sftp(target: SftpTarget, folders: Sequence[str], collected: Sequence[str] = ()) -> list[Check]:
    """Log in to an SFTP server, and write and remove a small file in each folder.

    Args:
        target: The server.
        folders: Where files are put.
        collected: Where files are taken from; one that cannot be written is worth a warning only.
    """
    from tieout.delivery import SftpSession

    pinned = _pinned(target)
    try:
        with SftpSession(target) as session:
            found = [session.check_folder(folder) for folder in folders]
            taken = [session.check_folder(folder) for folder in collected]
    except ReceiverUnavailable as error:
        return [Check(REACHABLE, Status.FAILED, str(error)), *unknown(AUTHENTICATED, WRITABLE, CLOCK), pinned]
    except HostKeyMismatch as error:
        failed = Check(HOST_KEY, Status.FAILED, str(error))
        return [Check(REACHABLE, Status.OK), failed, *unknown(AUTHENTICATED, WRITABLE, CLOCK)]
    except CredentialsRejected as error:
        failed = Check(AUTHENTICATED, Status.FAILED, str(error))
        return [Check(REACHABLE, Status.OK), failed, pinned, *unknown(WRITABLE, CLOCK)]
    except (ReceiverRefused, ConfigurationInvalid) as error:
        return [Check(REACHABLE, Status.FAILED, str(error)), *unknown(AUTHENTICATED, WRITABLE, CLOCK), pinned]
    writable = _writable(found, taken)
    skews = [f.clock_skew_seconds for f in (*found, *taken) if f.clock_skew_seconds is not None]
    clock = check_skew(timedelta(seconds=skews[0])) if skews else Check(CLOCK, Status.UNKNOWN)
    return [Check(REACHABLE, Status.OK), Check(AUTHENTICATED, Status.OK), pinned, writable, clock]


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
