"""The SFTP delivery engine: atomic, verified, resumable delivery with receipts that say what was proved.

Imports no Airflow. `SftpSession` is the way in; the names below are the public ones.
"""

from __future__ import annotations

from tieout.delivery.model import (
    Capabilities,
    DeliveryOptions,
    FolderCheck,
    Journal,
    LocalFile,
    OutgoingFile,
    Receipt,
)
from tieout.delivery.naming import remote_join, render_name, safe_name, temporary_path
from tieout.delivery.session import SftpSession
from tieout.delivery.target import SftpTarget

__all__ = [
    "Capabilities",
    "DeliveryOptions",
    "FolderCheck",
    "Journal",
    "LocalFile",
    "OutgoingFile",
    "Receipt",
    "SftpSession",
    "SftpTarget",
    "remote_join",
    "render_name",
    "safe_name",
    "temporary_path",
]
