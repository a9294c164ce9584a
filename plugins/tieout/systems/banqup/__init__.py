"""Banqup: documents of businesses that let the application in, read through its API."""

from tieout.systems.banqup.client import BanqupClient
from tieout.systems.banqup.errors import (
    FileDamaged,
    FileMissing,
    FileProblem,
    FileTooLarge,
    FileUnavailable,
    SpaceForbidden,
)
from tieout.systems.banqup.model import Document, DocumentQuery, Downloaded, Space
from tieout.systems.banqup.settings import BanqupSettings
from tieout.systems.banqup.surface import NOT_WHITELISTED

__all__ = [
    "NOT_WHITELISTED",
    "BanqupClient",
    "BanqupSettings",
    "Document",
    "DocumentQuery",
    "Downloaded",
    "FileDamaged",
    "FileMissing",
    "FileProblem",
    "FileTooLarge",
    "FileUnavailable",
    "Space",
    "SpaceForbidden",
]
