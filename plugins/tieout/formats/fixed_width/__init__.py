"""Fixed-width files from a record spec: header, details, subtotals and trailer, to the byte.

`FixedWidthSpec` is the YAML's model (see `spec`), `FixedWidthWriter` turns record batches into the file's bytes.
Nothing is ever cut or altered unless the spec says so: a value that does not fit is an error, or a `Misfit` that
`FixedWidthWriter.check` reports beforehand, so that its record can be held.
"""

from __future__ import annotations

from tieout.formats.fixed_width.field_spec import FieldSpec
from tieout.formats.fixed_width.file_spec import FileSpec
from tieout.formats.fixed_width.misfits import Misfit, ValueDoesNotFit
from tieout.formats.fixed_width.spec import FixedWidthSpec, RecordSpec, TotalSpec
from tieout.formats.fixed_width.totals import Totals
from tieout.formats.fixed_width.writer import FixedBlock, FixedWidthWriter

__all__ = [
    "FieldSpec",
    "FileSpec",
    "FixedBlock",
    "FixedWidthSpec",
    "FixedWidthWriter",
    "Misfit",
    "RecordSpec",
    "TotalSpec",
    "Totals",
    "ValueDoesNotFit",
]
