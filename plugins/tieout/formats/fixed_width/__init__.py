"""Fixed-width files from a record spec: header, details, subtotals and trailer, to the byte.

`FixedWidthSpec` is the YAML's model (see `spec`), `FixedWidthWriter` turns record batches into the file's bytes.
Nothing is ever cut or altered unless the spec says so: a value that does not fit is an error, or a `Misfit` that
`FixedWidthWriter.check` reports beforehand, so that its record can be held.

The command line reads specs, so that what needs Arrow is only imported when somebody asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tieout.formats.fixed_width.field_spec import FieldSpec
from tieout.formats.fixed_width.file_spec import FileSpec
from tieout.formats.fixed_width.spec import FixedWidthSpec, RecordSpec, TotalSpec

if TYPE_CHECKING:
    from tieout.formats.fixed_width.misfits import Misfit, ValueDoesNotFit
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

_HOMES = {
    "misfits": ("Misfit", "ValueDoesNotFit"),
    "totals": ("Totals",),
    "writer": ("FixedBlock", "FixedWidthWriter"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
