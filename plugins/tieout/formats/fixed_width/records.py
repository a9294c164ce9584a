"""One kind of record: its fields put side by side, for many records at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tieout.errors import ConfigurationInvalid
from tieout.formats.fixed_width.charset import Bytes, Charset
from tieout.formats.fixed_width.dates import DateField
from tieout.formats.fixed_width.field_spec import FieldSpec
from tieout.formats.fixed_width.misfits import Report
from tieout.formats.fixed_width.numbers import DebitCreditField, NumberField
from tieout.formats.fixed_width.spec import RecordSpec
from tieout.formats.fixed_width.texts import TextField, constant

Numbers = npt.NDArray[np.int64]

# Records are worked on so many at a time: enough to be quick, few enough to stay in the processor's caches.
ROWS = 16_384


class _Field(Protocol):
    def encode(self, values: pa.Array, report: Report) -> Bytes: ...


class RecordKind:
    """Writes records of one kind.

    Attributes:
        name: `header`, `detail`, `subtotal` or `trailer`.
        spec: Its part of the record spec.
        length: Bytes of each record, with the separator.
    """

    def __init__(self, name: str, spec: RecordSpec, charset: Charset) -> None:
        self.name = name
        self.spec = spec
        separator = charset.file.record_separator.encode(charset.file.encoding)
        self.length = spec.length + len(separator)
        self._blank = np.frombuffer(b"".join(_blank(field, charset) for field in spec.fields) + separator, np.uint8)
        self._fields = [(field, _encoder(field, charset)) for field in spec.fields if field.const is None]

    def encode(
        self, columns: Mapping[str, pa.Array], details: Numbers, records: Numbers, report: Report
    ) -> npt.NDArray[np.uint8]:
        """The records' bytes, one row each, separator included.

        Args:
            columns: The values of each of the spec's `sources`.
            details: Each record's number among the details.
            records: Each record's number among all records.
            report: Takes what does not fit.

        Raises:
            ConfigurationInvalid: A column is of a type that its field cannot show, or a sequence is full.
        """
        rows = len(records)
        table: Bytes = np.empty((rows, self.length), np.uint8)
        table[:] = self._blank
        base = report.base
        for start in range(0, rows, ROWS):
            stop = min(start + ROWS, rows)
            report.base = base + start
            for field, encoder in self._fields:
                if field.type == "sequence":
                    values = self._sequence(
                        field, (records if field.source == "record_number" else details)[start:stop]
                    )
                else:
                    values = columns[str(field.source)].slice(start, stop - start)
                table[start:stop, field.start - 1 : field.end] = encoder.encode(values, report)
        report.base = base
        return table

    def values(self, source: str, rows: Sequence[Mapping[str, object]]) -> pa.Array:
        """Single values as a column.

        Raises:
            ConfigurationInvalid: One is missing, or is nothing that a record can show.
        """
        texts: list[str | None] = []
        for row in rows:
            if source not in row:
                known = ", ".join(row) or "none"
                raise ConfigurationInvalid(
                    f"Record {self.name!r} takes `{source}`, which is neither a total of the record spec nor given. "
                    f"Correct `from`, or add it to `totals`. Given: {known}."
                )
            texts.append(self._text(source, row[source]))
        return pa.array(texts, pa.string())

    def _text(self, source: str, value: object) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, Decimal) and value.is_finite():
            return format(value, "f")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat()
        raise ConfigurationInvalid(
            f"Record {self.name!r}: the value of `{source}` is a {type(value).__name__}. "
            "Give text, int, Decimal or date."
        )

    def _sequence(self, field: FieldSpec, numbers: Numbers) -> pa.Array:
        last = int(numbers[-1])
        if last >= 10**field.digits:
            raise ConfigurationInvalid(
                f"Record {self.name!r}, field {field.name!r} ({field.positions}): number {last} has more than "
                f"{field.digits} digits. Widen the field in the record spec."
            )
        return pa.array(numbers, pa.int64())


def _blank(field: FieldSpec, charset: Charset) -> bytes:
    return constant(field, charset) if field.const is not None else bytes(field.width)


def _encoder(field: FieldSpec, charset: Charset) -> _Field:
    if field.is_number or field.type == "sequence":
        return NumberField(field, charset)
    kinds: dict[str, type[TextField] | type[DateField] | type[DebitCreditField]] = {
        "text": TextField,
        "date": DateField,
        "dc": DebitCreditField,
    }
    return kinds[field.type](field, charset)
