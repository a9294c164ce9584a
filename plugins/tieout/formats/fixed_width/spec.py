"""The record spec of a fixed-width file, as its YAML says it, checked before anything is written.

    file:    {name, encoding, record_separator, on_overflow, on_unmappable, substitute, replace}
    totals:  <name>: {count: details | records} or {sum: <column>, side: debit | credit, modulo: <n>}
    records: header, detail, subtotal (with `per: <column>`), trailer, each with {length, fields: [...]}

Positions count bytes from 1, as in a COBOL copybook. A field takes its value `from` a column of the details (or a value
of the header, subtotal or trailer), or is a `const`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tieout.formats.fixed_width.field_spec import FieldSpec
from tieout.formats.fixed_width.file_spec import FileSpec, Strict


class RecordSpec(Strict):
    """One kind of record: contiguous fields, first to last, that fill its length.

    Attributes:
        length: Bytes, without the separator.
        fields: In the order of their positions.
    """

    length: int = Field(ge=1, le=1_000_000)
    fields: Annotated[tuple[FieldSpec, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _check(self) -> RecordSpec:
        if not self.fields:
            raise ValueError("it has no fields. List them, first to last.")
        names: set[str] = set()
        end, before = 0, "the record's start"
        for field in self.fields:
            if field.name in names:
                raise ValueError(f"there are two fields {field.name!r}. Give each a name of its own.")
            names.add(field.name)
            if field.start <= end:
                raise ValueError(
                    f"field {field.name!r} starts at {field.start}, but {before} ends at {end}: they overlap. "
                    "Correct start or width, and list fields by position."
                )
            if field.start > end + 1:
                raise ValueError(
                    f"positions {end + 1}-{field.start - 1} before field {field.name!r} belong to no field. "
                    'Correct start or width, or add a filler (const: "").'
                )
            end, before = field.end, f"field {field.name!r}"
        if end != self.length:
            raise ValueError(
                f"the last field, {self.fields[-1].name!r}, ends at {end}, but length is {self.length}. "
                'Correct length or widths, or add a filler (const: "").'
            )
        self._check_signs()
        return self

    def _check_signs(self) -> None:
        shown = {field.source for field in self.fields if field.type == "dc"}
        for field in self.fields:
            if field.sign == "dc" and field.source not in shown:
                raise ValueError(
                    f"field {field.name!r} has sign dc, but no field of type dc shows the sign of {field.source!r}: it "
                    f"would be lost. Add a field with type: dc, from: {field.source}."
                )

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns or values that it takes, each once."""
        found = [field.source for field in self.fields if field.source is not None and field.type != "sequence"]
        return tuple(dict.fromkeys(found))


class SubtotalSpec(RecordSpec):
    """A record after each group of details.

    Attributes:
        per: The column by which details are grouped, such as `cost_centre`; they must be sorted by it.
    """

    per: str = Field(min_length=1)


class Records(Strict):
    """The kinds of records, in the order of the file."""

    header: RecordSpec | None = None
    detail: RecordSpec
    subtotal: SubtotalSpec | None = None
    trailer: RecordSpec | None = None

    def items(self) -> Iterator[tuple[str, RecordSpec]]:
        """Name and spec of each kind that there is."""
        for name in ("header", "detail", "subtotal", "trailer"):
            record = getattr(self, name)
            if record is not None:
                yield name, record


class TotalSpec(Strict):
    """A control total that subtotals and the trailer (or the header) can show by its name.

    Attributes:
        count: `details`, or `records`: all records, those of header, subtotals and trailer too.
        sum: A column of the details to add up; no value adds nothing.
        side: Only the positive values (`debit`), or only the negative ones, as a positive sum (`credit`).
        modulo: Keep the rest after division by it: a hash total of ten digits is `10000000000`.
    """

    count: Literal["details", "records"] | None = None
    sum: str | None = Field(default=None, min_length=1)
    side: Literal["debit", "credit"] | None = None
    modulo: int | None = Field(default=None, ge=2)

    @model_validator(mode="after")
    def _check(self) -> TotalSpec:
        if (self.count is None) == (self.sum is None):
            raise ValueError("a total has either `count` or `sum`. Keep one of them.")
        if self.count is not None and (self.side or self.modulo):
            raise ValueError("`side` and `modulo` belong to a `sum`. Remove them.")
        return self


class FixedWidthSpec(Strict):
    """The whole record spec of a file."""

    file: FileSpec = FileSpec()
    totals: dict[str, TotalSpec] = Field(default={})
    records: Records

    @model_validator(mode="after")
    def _check(self) -> FixedWidthSpec:
        for name, record in self.records.items():
            for field in record.fields:
                problem = self._field_problem(name, field)
                if problem:
                    raise ValueError(f"record {name!r}, field {field.name!r}: {problem}")
        return self

    def _field_problem(self, record: str, field: FieldSpec) -> str | None:
        texts = (field.const, field.pad, field.format if field.type in ("date", "dc") else None)
        for text in texts:
            problem = self.file.problem_of(text) if text else None
            if problem:
                return f"{problem}. Choose another text, or another encoding."
        # Width counts bytes, and padding one position at a time takes a character of one byte.
        if field.pad and len(field.pad.encode(self.file.encoding)) != 1:
            return f"pad {field.pad!r} is more than one byte in {self.file.encoding}. Choose another."
        if field.const and len(field.const.encode(self.file.encoding)) > field.width:
            return f"the const {field.const!r} is wider than {field.width} in {self.file.encoding}. Shorten it."
        if field.type == "sequence" and record != "detail" and field.source != "record_number":
            return (
                "only details have a detail number. Write `from: record_number`, or show a total with `count: details`."
            )
        total = self.totals.get(field.source or "")
        if record in ("header", "subtotal") and total is not None and total.count == "records":
            return "the number of all records is known at the file's end only. Show a total with `count: details`."
        return None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that record batches of details must have, each once."""
        summed = [total.sum for total in self.totals.values() if total.sum is not None]
        per = [self.records.subtotal.per] if self.records.subtotal else []
        return tuple(dict.fromkeys([*self.records.detail.sources, *summed, *per]))

    @property
    def header_totals(self) -> tuple[str, ...]:
        """The totals that the header shows: they must be known (see `Totals`) before the first detail is written."""
        header = self.records.header
        return tuple(name for name in header.sources if name in self.totals) if header else ()
