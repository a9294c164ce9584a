"""Compiles a mapping for the custom fields that a source has, and maps batches of staged records to CSV rows.

Everything is done a column at a time; only hashing, and records that are held, are handled one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.csv import RFC_4180, CsvDialect, content, end_lines, has_any, header_line, join, quote
from tieout.mapping.catalog import Catalog
from tieout.mapping.checks import run_check
from tieout.mapping.expressions import Evaluator, Values
from tieout.mapping.frame import Frame, Level, MapContext, to_mask
from tieout.mapping.held import DRIFT, INVALID_CHARACTER, HeldBook, HeldReason
from tieout.mapping.model import LINE_PREFIX, EntityMapping, Named
from tieout.mapping.preparations import PREPARATIONS
from tieout.mapping.totals import FileTotals, file_totals
from tieout.odata.layout import KEY
from tieout.odata.schema import HEADER, FieldType

CUT_OFF = "\x00\x1a"
"""NUL and Ctrl-Z end the text, or the whole file, for many readers: what follows would be lost in silence.
Other control characters are passed on as they are: they are legal in a CSV value and change no other value."""


@dataclass(frozen=True)
class CustomField:
    """A custom field that makes a column of its own."""

    property: str
    column: str
    level: Level


@dataclass(frozen=True)
class MappedBatch:
    """The mapped records of one batch, in its order; all arrays have one element per record, unless said otherwise.

    Attributes:
        keys: The source's keys as text.
        labels: What people call the records, such as the invoice number.
        fingerprints: SHA-256 (hex) of what the receiver would see, without the columns that are not compared. The same
            with or without an empty custom column.
        currency: ISO 4217 codes; null for entities without money.
        amount: decimal128(28, 6), rounded to the currency; null for entities without money.
        excluded: Position of each excluded record → reason.
        held: Position of each held record → its reasons. A record is never both.
        rows: The CSV lines with line ends, one per row of the file, of all records, good or not.
        row_offsets: For each record the position of its first row in `rows`, and one more at the end.
        row_bytes: For each record the number of bytes of its rows.
    """

    keys: pa.StringArray
    labels: pa.StringArray
    fingerprints: pa.StringArray
    currency: pa.StringArray
    amount: pa.Decimal128Array
    excluded: Mapping[int, str]
    held: Mapping[int, list[HeldReason]]
    rows: pa.StringArray
    row_offsets: np.ndarray
    row_bytes: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def ok(self) -> np.ndarray:
        """Mask of the records that are neither excluded nor held."""
        mask = np.full(len(self), True)
        mask[list(self.excluded)] = False
        mask[list(self.held)] = False
        return mask

    def csv_bytes(self, records: np.ndarray | None = None) -> memoryview:
        """The file's bytes for the records of a mask (default: those that are ok), without a header."""
        chosen = self.ok() if records is None else np.asarray(records, dtype=bool)
        if chosen.all():
            return content(self.rows)
        rows = np.repeat(chosen, np.diff(self.row_offsets))
        return content(self.rows.filter(pa.array(rows)))


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping made ready for the custom fields of one extraction.

    Attributes:
        mapping: The mapping.
        header: Names of the file's columns.
        custom: The custom fields that have columns.
        drifted: Custom fields, by column name, that the mapping's drift policy does not know.
        dialect: How the file is written.
    """

    mapping: EntityMapping
    header: list[str]
    custom: tuple[CustomField, ...]
    drifted: tuple[CustomField, ...]
    dialect: CsvDialect
    catalog: Catalog

    def header_line(self) -> bytes:
        """The file's first row."""
        return header_line(self.header, self.dialect)

    def map_batch(self, batch: pa.Table | pa.RecordBatch, context: MapContext | None = None) -> MappedBatch:
        """Maps staged records; see `MappedBatch`.

        Args:
            batch: Staged records (`tieout.odata.layout`); columns that it does not have count as empty.
            context: Run-time lookups and settings.

        Raises:
            ConfigurationInvalid: A setting or run-time lookup is used that the context does not have.
        """
        return _BatchMapper(self, batch, context or MapContext()).run()

    def file_totals(self, path: object) -> FileTotals:
        """Control totals of a finished file, read back from its bytes; see `tieout.mapping.totals`."""
        totals = self.mapping.totals
        return file_totals(
            path,
            key=self.mapping.key_name,
            currency=totals.currency if totals else None,
            amount=totals.amount if totals else None,
            dialect=self.dialect,
        )


def compile_mapping(
    mapping: EntityMapping,
    custom_fields: Mapping[str, Sequence[str]] | None = None,
    *,
    dialect: CsvDialect = RFC_4180,
) -> CompiledMapping:
    """Fixes the columns of a file: those of the mapping, then the custom fields found, by name.

    Args:
        mapping: The mapping.
        custom_fields: Names of custom fields by level: `header`, and the name of a collection.
        dialect: How the file is written.
    """
    found = _custom_fields(mapping, custom_fields or {})
    known = {
        Level.RECORD: set(mapping.custom_fields.known_header),
        Level.ROW: set(mapping.custom_fields.known_lines),
    }
    drifted: tuple[CustomField, ...] = ()
    if mapping.drift != "pass_through":
        drifted = tuple(field for field in found if field.property not in known[field.level])
        found = [field for field in found if field not in drifted]
    header = [column.name for column in mapping.columns] + [field.column for field in found]
    return CompiledMapping(mapping, header, tuple(found), drifted, dialect, Catalog(mapping))


def _custom_fields(mapping: EntityMapping, names: Mapping[str, Sequence[str]]) -> list[CustomField]:
    wanted, source = mapping.custom_fields, mapping.source
    fields: list[CustomField] = []
    if wanted.header:
        own = [name for name in sorted(set(names.get(HEADER, ()))) if name not in source.fields]
        fields += [CustomField(name, name, Level.RECORD) for name in own]
    if wanted.lines and source.lines:
        declared = source.collections.get(source.lines, {})
        lines = [name for name in sorted(set(names.get(source.lines, ()))) if name not in declared]
        fields += [CustomField(name, LINE_PREFIX + name, Level.ROW) for name in lines]
    return fields


class _BatchMapper:
    """Maps one batch."""

    def __init__(self, compiled: CompiledMapping, batch: pa.Table | pa.RecordBatch, context: MapContext) -> None:
        self.compiled = compiled
        self.mapping = compiled.mapping
        self.held = HeldBook()
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        prepare = self.mapping.source.prepare
        if prepare:
            table = PREPARATIONS[prepare](table, self.held, context)
        self.frame = Frame(table, self.mapping.source.lines)
        self.evaluator = Evaluator(compiled.catalog, self.frame, context, self.held)

    def run(self) -> MappedBatch:
        rendered = [self._rendered(column) for column in self.mapping.columns]
        custom = [self._custom(field) for field in self.compiled.custom]
        fixed = self._segments(rendered)
        rows = end_lines(join([*fixed, *self._segments(custom)], self.compiled.dialect), self.compiled.dialect)
        currency, amount = self._money()
        labels = self._labels()
        self._run_checks(labels)
        excluded = self._excluded()
        return MappedBatch(
            keys=self.frame.column(KEY, pa.string()),
            labels=labels,
            fingerprints=self._fingerprints(self._compared(rendered, fixed), custom),
            currency=currency,
            amount=amount,
            excluded=excluded,
            held={at: why for at, why in sorted(self.held.reasons.items()) if at not in excluded},
            rows=rows,
            row_offsets=self.frame.row_offsets,
            row_bytes=np.diff(_byte_offsets(rows)[self.frame.row_offsets]),
        )

    # --- columns

    def _rendered(self, column: Named) -> Values:
        """A column's values as they stand in the file."""
        values = self.evaluator.render(column)
        kind = self.compiled.catalog.expression_type(column)
        if kind is FieldType.TEXT:
            self._hold_cut_off(column.name, values)
        # Numbers have neither quotes nor commas of their own, so the search for them can be spared.
        plain = kind in (FieldType.NUMBER, FieldType.INTEGER) and self.compiled.dialect == RFC_4180
        text = pc.fill_null(values.array, "") if plain else quote(values.array, self.compiled.dialect)
        return Values(text, values.level, FieldType.TEXT)

    def _custom(self, field: CustomField) -> Values:
        values = self._custom_values(field)
        self._hold_cut_off(field.column, values)
        return Values(quote(values.array, self.compiled.dialect), values.level, FieldType.TEXT)

    def _custom_values(self, field: CustomField) -> Values:
        read = self.frame.column if field.level is Level.RECORD else self.frame.line_column
        return Values(read(field.property, pa.string()), field.level, FieldType.TEXT)

    def _segments(self, columns: Sequence[Values]) -> list[pa.Array]:
        """Neighbouring columns of one level joined first: a header is put together once, not once per line."""
        segments = []
        for level, group in groupby(columns, key=lambda values: values.level):
            joined = join([values.array for values in group], self.compiled.dialect)
            segments.append(self.frame.to_rows(joined) if level is Level.RECORD else joined)
        return segments

    def _compared(self, columns: Sequence[Values], segments: Sequence[pa.Array]) -> Sequence[pa.Array]:
        """The segments without the columns that do not count when contents are compared."""
        if not self.mapping.not_compared:
            return segments
        pairs = zip(self.mapping.columns, columns, strict=True)
        return self._segments([values for column, values in pairs if column.name not in self.mapping.not_compared])

    # --- what goes along with the rows

    def _labels(self) -> pa.Array:
        name = self.mapping.label_name
        column = next(column for column in self.mapping.columns if column.name == name)
        return pc.fill_null(self.evaluator.render(column).array, "")

    def _money(self) -> tuple[pa.Array, pa.Array]:
        totals = self.mapping.totals
        if totals is None:
            return self.frame.column("", pa.string()), self.frame.column("", pa.decimal128(28, 6))
        currency = self.evaluator.value(totals.currency)
        amount = self.evaluator.value(totals.amount)
        return pc.fill_null(currency.array, ""), pc.fill_null(amount.array, 0)

    def _fingerprints(self, fixed: Sequence[pa.Array], custom: Sequence[Values]) -> pa.Array:
        """Hashes the fixed columns and `name=value` of the custom fields that are not empty.

        Parts end with a bare line feed, which a CSV value never has outside quotes, so no two contents read the same.
        """
        named = [
            Values(_named(field.column, values.array), values.level, FieldType.TEXT)
            for field, values in zip(self.compiled.custom, custom, strict=True)
        ]
        pairs = []
        for level in (Level.RECORD, Level.ROW):
            own = [values.array for values in named if values.level is level]
            if own:
                joined = pc.binary_join_element_wise(*own, "")
                pairs.append(self.frame.to_rows(joined) if level is Level.RECORD else joined)
            else:
                pairs.append(pa.scalar(""))
        text = pc.binary_join_element_wise(*fixed, *pairs, "", "\n")
        data = content(text)
        offsets = _byte_offsets(text)[self.frame.row_offsets].tolist()
        hashes = [hashlib.sha256(data[start:end]).hexdigest() for start, end in pairwise(offsets)]
        return pa.array(hashes, pa.string())

    # --- records that do not go

    def _run_checks(self, labels: pa.Array) -> None:

        def called(record: int) -> str:
            label = labels[record].as_py()
            key = self.frame.column(KEY, pa.string())[record].as_py()
            return f"{self.mapping.record_name} {label}" if label else f"{self.mapping.record_name} (key {key})"

        for check in self.mapping.checks:
            self.held.add_all(run_check(check, self.evaluator, called))
        for field in self.compiled.drifted if self.mapping.drift == "hold" else ():
            self._hold_drift(field)

    def _excluded(self) -> dict[int, str]:
        excluded: dict[int, str] = {}
        for rule in self.mapping.excludes:
            for record in np.flatnonzero(self.evaluator.matches(rule.where, rule.where_not)):
                excluded.setdefault(int(record), rule.reason)
        return excluded

    def _hold_drift(self, field: CustomField) -> None:
        values = self._custom_values(field)
        for record in self._records(values, to_mask(pc.not_equal(pc.fill_null(values.array, ""), ""))):
            reason = HeldReason(
                DRIFT,
                f"The custom field {field.column} is new in the source and filled, and the mapping "
                f"{self.mapping.entity} holds such records.",
                f"Add {field.property} to custom_fields.known_{'header' if field.level is Level.RECORD else 'lines'} "
                "of the mapping, or set its drift policy to pass_through or freeze.",
                "data engineer",
            )
            self.held.add(record, reason)

    def _hold_cut_off(self, column: str, values: Values) -> None:
        if not has_any(values.array, CUT_OFF):
            return
        for record in self._records(values, to_mask(pc.match_substring_regex(values.array, f"[{CUT_OFF}]"))):
            reason = HeldReason(
                INVALID_CHARACTER,
                f"{column} holds an invisible control character (NUL or Ctrl-Z) that cuts the text off for a receiver.",
                f"Type the value for {column} anew in the source, rather than pasting it.",
            )
            self.held.add(record, reason)

    def _records(self, values: Values, mask: np.ndarray) -> list[int]:
        if not mask.any():
            return []
        found = self.frame.records_of_rows(mask) if values.level is Level.ROW else np.flatnonzero(mask)
        return [int(record) for record in found]


def _named(name: str, quoted: pa.Array) -> pa.Array:
    """`name=value,` for the values that are not empty."""
    return pc.if_else(pc.equal(quoted, ""), "", pc.binary_join_element_wise(f"{name}=", quoted, ",", ""))


def _byte_offsets(values: pa.StringArray) -> np.ndarray:
    """For each string the position of its first byte in the array's content, and one more at the end."""
    lengths = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.concatenate(([0], np.cumsum(lengths)))
