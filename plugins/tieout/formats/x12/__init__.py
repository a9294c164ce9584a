"""ANSI X12 004010 and 005010: sets 810, 850, 832, 830 and 821, written from record batches."""

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
