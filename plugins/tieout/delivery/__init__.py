"""The SFTP engine: atomic, verified, resumable delivery with receipts that say what was proved, and collecting.

Imports no Airflow. `SftpSession` is the way in; the names below are the public ones.
"""

from __future__ import annotations

from tieout.delivery.collecting import (
    Downloaded,
    FileChanged,
    FileGone,
    FileLocked,
    FileTooLarge,
    NotCollected,
    RemoteFile,
    as_source,
)
from tieout.delivery.looking import Inbox, complete_files
from tieout.delivery.model import (
    Capabilities,
    DeliveryOptions,
    FolderCheck,
    Journal,
    LocalFile,
    NameTaken,
    OutgoingFile,
    Receipt,
)
from tieout.delivery.moving import Moved
from tieout.delivery.naming import remote_join, render_name, safe_name, temporary_path
from tieout.delivery.session import SftpSession
from tieout.delivery.target import SftpTarget

__all__ = [
    "Capabilities",
    "DeliveryOptions",
    "Downloaded",
    "FileChanged",
    "FileGone",
    "FileLocked",
    "FileTooLarge",
    "FolderCheck",
    "Inbox",
    "Journal",
    "LocalFile",
    "Moved",
    "NameTaken",
    "NotCollected",
    "OutgoingFile",
    "Receipt",
    "RemoteFile",
    "SftpSession",
    "SftpTarget",
    "as_source",
    "complete_files",
    "remote_join",
    "render_name",
    "safe_name",
    "temporary_path",
]
