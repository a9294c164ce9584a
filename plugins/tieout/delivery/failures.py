"""From what went wrong on the wire to the error class and the sentence that say what to do."""

from __future__ import annotations

import socket
from typing import Final

import asyncssh

from tieout.delivery.target import SftpTarget
from tieout.errors import ReceiverRefused, ReceiverUnavailable, TieoutError

LOST: Final = (
    asyncssh.ConnectionLost,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
    ConnectionError,
    EOFError,
)
"""What asyncssh raises when the connection is gone."""

ABSENT: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
"""The two ways of a server to say that there is no such file."""

DENIED = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, asyncssh.SFTPCannotDelete)
_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)


def unreachable(target: SftpTarget, error: BaseException) -> ReceiverUnavailable:
    """No connection could be made."""
    where = f"{target.host}:{target.port}"
    if isinstance(error, socket.gaierror):
        return ReceiverUnavailable(
            f"The host name {target.host!r} is not known to the name server ({error.strerror or error}): check the"
            " connection's host, or the network's name resolution."
        )
    if isinstance(error, TimeoutError):
        return ReceiverUnavailable(
            f"{where} did not complete the connection within {target.connect_timeout:g} seconds: the server is down,"
            " overloaded, or a firewall drops our packets."
        )
    if isinstance(error, ConnectionRefusedError):
        return ReceiverUnavailable(
            f"{where} refuses connections: the SFTP server is down, or host or port of the connection are wrong."
        )
    return ReceiverUnavailable(f"{where} could not be reached ({describe(error)}); it is tried again later.")


def lost(target: SftpTarget, error: BaseException) -> ReceiverUnavailable:
    """The connection broke during work."""
    return ReceiverUnavailable(
        f"The connection to {target.label} was lost ({describe(error)}); what had arrived is looked up and the rest is"
        " sent by the next attempt."
    )


def translate(target: SftpTarget, error: BaseException, doing: str, path: str) -> TieoutError:
    """The error for a failed step.

    Args:
        target: The server.
        error: What was raised.
        doing: The step, as in "could not {doing} {path}".
        path: The remote path concerned.
    """
    if isinstance(error, TieoutError):
        return error
    if isinstance(error, LOST):
        return lost(target, error)
    folder = path.rpartition("/")[0] or "/"
    failed = f"{target.label} could not {doing} {path}"
    if isinstance(error, DENIED):
        return ReceiverRefused(
            f"{failed}: permission denied. The user {target.username!r} needs write permission in the folder {folder};"
            " ask the receiver to grant it (the folder or the account may be read-only)."
        )
    if isinstance(error, ABSENT):
        return ReceiverRefused(f"{failed}: there is no such file or folder. Check that {folder} exists.")
    if isinstance(error, _FULL):
        return disk_full(target, path, describe(error))
    if isinstance(error, asyncssh.SFTPOpUnsupported):
        return ReceiverRefused(f"{failed}: the server does not support this operation.")
    if isinstance(error, (asyncssh.SFTPError, OSError)):
        return ReceiverRefused(f"{failed}: the server says {describe(error)!r}. Ask the receiver about {folder}.")
    return ReceiverUnavailable(f"{failed} ({describe(error)}); it is tried again later.")


def disk_full(target: SftpTarget, path: str, reason: str) -> ReceiverUnavailable:
    """No space left, as far as the server tells."""
    folder = path.rpartition("/")[0] or "/"
    return ReceiverUnavailable(
        f"{target.label} could not take the bytes of {path} ({reason}): its disk is probably full, or the quota of"
        f" the user {target.username!r} used up, or {folder} is on a read-only file system. It is tried again"
        " later; ask the receiver to make room."
    )


def describe(error: BaseException) -> str:
    """A short text of an exception that is never empty."""
    reason = getattr(error, "reason", None)
    text = str(reason or error).strip()
    return text or type(error).__name__
