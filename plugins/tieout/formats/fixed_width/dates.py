"""Calendar dates as fields of bytes."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.fixed_width.charset import Bytes, Charset
from tieout.formats.fixed_width.columns import as_text
from tieout.formats.fixed_width.field_spec import FieldSpec, date_parts
from tieout.formats.fixed_width.misfits import Report, shown

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class DateField:
    """Calendar dates from text YYYY-MM-DD."""

    def __init__(self, field: FieldSpec, charset: Charset) -> None:
        self._field = field
        self._charset = charset
        self._parts = date_parts(field.format or "%Y%m%d")

    def encode(self, values: pa.Array, report: Report) -> Bytes:
        """The field's bytes, one row per value. The dates of a period are few: each is written once."""
        texts = as_text(values, self._field, report.record)
        encoded = pc.if_else(pc.equal(texts, ""), None, texts).dictionary_encode()
        codes = np.asarray(pc.fill_null(encoded.indices, len(encoded.dictionary)))
        null = self._charset.zero if self._field.when_null == "zeros" else self._charset.space
        table, bad = [], []
        for code, text in enumerate(encoded.dictionary.to_pylist()):
            written = self._written(text)
            if written is None:
                bad.append(code)
            table.append(written or bytes(self._field.width))
        table.append(bytes([null]) * self._field.width)
        if bad:
            report.misfit(
                np.flatnonzero(np.isin(codes, bad)),
                self._field,
                "NOT_A_DATE",
                lambda row: f"{shown(texts[row].as_py())} is no calendar date of the form YYYY-MM-DD.",
                "Correct the date at its source.",
            )
        if self._field.when_null == "error" and encoded.null_count:
            report.missing(np.flatnonzero(encoded.is_null()), self._field)
        return np.frombuffer(b"".join(table), np.uint8).reshape(-1, self._field.width)[codes]

    def _written(self, text: str) -> bytes | None:
        try:
            day = date.fromisoformat(text) if _ISO_DATE.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None:
            return None
        values = {
            "%Y": f"{day.year:04d}",
            "%y": f"{day.year % 100:02d}",
            "%m": f"{day.month:02d}",
            "%d": f"{day.day:02d}",
            "%j": f"{day.timetuple().tm_yday:03d}",
            "%%": "%",
        }
        return "".join(values.get(part, part) for part in self._parts).encode(self._charset.file.encoding)
