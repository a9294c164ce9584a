"""Text and constants as fields of bytes, a whole column at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.csv import content
from tieout.formats.fixed_width.charset import Bytes, Charset
from tieout.formats.fixed_width.columns import as_text
from tieout.formats.fixed_width.field_spec import FieldSpec
from tieout.formats.fixed_width.file_spec import CONTROL
from tieout.formats.fixed_width.misfits import Report, shown

Mask = npt.NDArray[np.bool_]


def constant(field: FieldSpec, charset: Charset) -> bytes:
    """A constant, padded to its field's width."""
    text, pad = (field.const or "").encode(charset.file.encoding), bytes([charset.byte(field.pad or " ")])
    return text.rjust(field.width, pad) if field.justify == "right" else text.ljust(field.width, pad)


class TextField:
    """Text of any kind; whole numbers and dates are taken as their text."""

    def __init__(self, field: FieldSpec, charset: Charset) -> None:
        self._field = field
        self._charset = charset
        self._pad = charset.byte(field.pad or " ")
        self._null = charset.zero if field.when_null == "zeros" else charset.space

    def encode(self, values: pa.Array, report: Report) -> Bytes:
        """The field's bytes, one row per value."""
        texts = as_text(values, self._field, report.record)
        self._report_missing(texts, report)
        texts = self._cleaned(pc.fill_null(texts, ""), report)
        texts, cut = self._fitted(texts, report)
        result = self._bytes(self._padded(texts), len(values))
        if result is None:
            result, also_cut = self._wide_characters(texts, report)
            cut = cut | also_cut
        report.truncated += int(cut.sum())
        if values.null_count and self._null != self._pad:
            result = result.copy()
            result[np.asarray(values.is_null())] = self._null
        return result

    def _report_missing(self, texts: pa.Array, report: Report) -> None:
        if self._field.when_null != "error":
            return
        missing = pc.fill_null(pc.equal(texts, ""), True)
        if missing.true_count:
            report.missing(np.flatnonzero(missing), self._field)

    def _cleaned(self, texts: pa.Array, report: Report) -> pa.Array:
        """The texts without characters that the file cannot have."""
        data = np.frombuffer(content(texts), np.uint8)
        if data.size == 0 or self._charset.plain[data].all():
            return texts
        if self._charset.is_clean(data.tobytes().decode()):
            return texts
        encoded = texts.dictionary_encode()
        codes = np.asarray(encoded.indices)
        cleaned: list[str] = []
        changes = np.zeros(len(encoded.dictionary), np.int64)
        bad: dict[int, str] = {}
        for code, text in enumerate(encoded.dictionary.to_pylist()):
            clean, changes[code] = self._charset.clean(text)
            if clean is None:
                bad[code] = text
            cleaned.append(clean or "")
        report.substituted += int(changes[codes].sum())
        if bad:
            self._report_characters(np.flatnonzero(np.isin(codes, list(bad))), codes, bad, report)
        return pa.array(cleaned, pa.string()).take(encoded.indices)

    def _report_characters(self, rows: np.ndarray, codes: np.ndarray, texts: dict[int, str], report: Report) -> None:
        def problem(row: int) -> str:
            text = texts[int(codes[row])]
            character = self._charset.lacking(text)
            kind = "a control character" if CONTROL.match(character) else f"not in {self._charset.file.encoding}"
            return f"{shown(text)} holds {character!r} (U+{ord(character):04X}), which is {kind}."

        hint = "Correct the text at its source, or declare `replace` or `on_unmappable: substitute` in the record spec."
        report.misfit(rows, self._field, "CHARACTER_NOT_ALLOWED", problem, hint)

    def _fitted(self, texts: pa.Array, report: Report) -> tuple[pa.Array, Mask]:
        """Texts with too many characters are cut, or reported and left out. Also returns which were cut."""
        lengths = np.asarray(pc.utf8_length(texts))
        over = lengths > self._field.width
        if not over.any():
            return texts, over
        if self._field.truncate:
            return pc.utf8_slice_codeunits(texts, 0, self._field.width), over
        self._report_wide(np.flatnonzero(over), lambda row: texts[row].as_py(), lambda row: int(lengths[row]), report)
        return pc.if_else(pa.array(over), "", texts), np.zeros_like(over)

    def _report_wide(
        self, rows: np.ndarray, text: Callable[[int], str], length: Callable[[int], int], report: Report
    ) -> None:
        hint = "Shorten the value at its source, or widen the field (or allow `truncate: true`) in the record spec."
        width = self._field.width
        report.misfit(
            rows,
            self._field,
            "VALUE_TOO_WIDE",
            lambda row: f"{shown(text(row))} is {length(row)} long, the field has room for {width}.",
            hint,
        )

    def _padded(self, texts: pa.Array) -> pa.Array:
        pad = pc.utf8_lpad if self._field.justify == "right" else pc.utf8_rpad
        return pad(texts, width=self._field.width, padding=self._field.pad or " ")

    def _bytes(self, padded: pa.Array, rows: int) -> Bytes | None:
        """The encoded bytes; None where a character is more than one of them."""
        data = np.frombuffer(content(padded), np.uint8)
        encoded = self._charset.plain[data]
        if not encoded.all():
            encoded = np.frombuffer(data.tobytes().decode().encode(self._charset.file.encoding), np.uint8)
        return encoded.reshape(rows, self._field.width) if encoded.size == rows * self._field.width else None

    def _wide_characters(self, texts: pa.Array, report: Report) -> tuple[Bytes, Mask]:
        """For encodings such as UTF-8: the width counts bytes, and a character is never cut in two."""
        encoded = texts.dictionary_encode()
        codes = np.asarray(encoded.indices)
        values = encoded.dictionary.to_pylist()
        width, pad = self._field.width, bytes([self._pad])
        table: list[bytes] = []
        too_wide: dict[int, int] = {}
        for code, text in enumerate(values):
            data = text.encode(self._charset.file.encoding)
            if len(data) > width:
                too_wide[code] = len(data)
                data = self._cut(text)
            table.append(data.rjust(width, pad) if self._field.justify == "right" else data.ljust(width, pad))
        over = np.isin(codes, list(too_wide))
        if not self._field.truncate:
            rows = np.flatnonzero(over)
            self._report_wide(rows, lambda row: values[codes[row]], lambda row: too_wide[int(codes[row])], report)
            over = np.zeros_like(over)
        return np.frombuffer(b"".join(table), np.uint8).reshape(-1, width)[codes], over

    def _cut(self, text: str) -> bytes:
        while len(data := text.encode(self._charset.file.encoding)) > self._field.width:
            text = text[:-1]
        return data
