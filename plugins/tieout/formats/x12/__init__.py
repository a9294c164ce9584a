"""ANSI X12 004010 and 005010: sets 810, 850, 832, 830 and 821, written from record batches.

DAG files read profiles, so that what needs Arrow is only imported when somebody asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tieout.formats.x12.documents import DocumentHeader, document_writer
    from tieout.formats.x12.envelope import ControlNumbers
    from tieout.formats.x12.gl import GlHeader, Party, gl_writer, voucher
    from tieout.formats.x12.misfits import X12Misfit
    from tieout.formats.x12.profile import Participant, X12Profile
    from tieout.formats.x12.writer import Block, SetFileWriter, Written

__all__ = [
    "Block",
    "ControlNumbers",
    "DocumentHeader",
    "GlHeader",
    "Participant",
    "Party",
    "SetFileWriter",
    "Written",
    "X12Misfit",
    "X12Profile",
    "document_writer",
    "gl_writer",
    "voucher",
]

_HOMES = {
    "documents": ("DocumentHeader", "document_writer"),
    "envelope": ("ControlNumbers",),
    "gl": ("GlHeader", "Party", "gl_writer", "voucher"),
    "misfits": ("X12Misfit",),
    "profile": ("Participant", "X12Profile"),
    "writer": ("Block", "SetFileWriter", "Written"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
