"""One batch of staged records, seen on its two levels: records, and the rows that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ConfigurationInvalid

RuntimeLookup = Mapping[str, str] | Callable[[Sequence[str]], Mapping[str, str]]
"""A table that a run provides. A function is asked for the keys of one batch at a time, so memory stays flat."""


class Level(Enum):
    """Whether a column has one value per record or one per row of the file."""

    RECORD = "record"
    ROW = "row"


@dataclass(frozen=True)
class MapContext:
    """What a mapping gets from the run.

    Attributes:
        lookups: Tables by name, e.g. `{"invoice_numbers": {"17": "100017"}}`, or functions that give them.
        settings: Settings of the instance, e.g. `{"local_currency": "EUR"}`.
    """

    lookups: Mapping[str, RuntimeLookup] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def setting(self, name: str, entity: str) -> str:
        """A setting's value.

        Raises:
            ConfigurationInvalid: The instance does not have it.
        """
        if name not in self.settings:
            raise ConfigurationInvalid(
                f"The mapping of {entity} uses the setting {name!r}, which the instance does not give "
                f"(it gives {', '.join(sorted(self.settings)) or 'none'}). Add it to the instance's YAML file."
            )
        return self.settings[name]

    def lookup(self, name: str, keys: Sequence[str], entity: str) -> Mapping[str, str]:
        """A run-time table, at least the entries for `keys`.

        Raises:
            ConfigurationInvalid: The run does not provide it.
        """
        if name not in self.lookups:
            raise ConfigurationInvalid(
                f"The mapping of {entity} uses the run-time lookup {name!r}, which this run does not provide. "
                "Correct the name under `runtime`."
            )
        table = self.lookups[name]
        return table(keys) if callable(table) else table


class Frame:
    """A batch with its rows laid out: each record makes one row per line, and one row when it has no lines.

    Attributes:
        records: Number of records.
        rows: Number of rows.
        row_record: For each row the position of its record.
        row_offsets: For each record the position of its first row, and the number of rows at the end.
    """

    def __init__(self, table: pa.Table | pa.RecordBatch, lines: str | None) -> None:
        self.records: int = table.num_rows
        self._columns = {name: _one_chunk(table.column(name)) for name in table.schema.names}
        line_lists = self._columns.get(lines) if lines else None
        self._lines = None if line_lists is None else Elements(line_lists)
        counts = np.ones(self.records, dtype=np.int64)
        if self._lines is not None:
            counts = np.maximum(self._lines.counts, 1)
        self.row_offsets: np.ndarray = np.concatenate(([0], np.cumsum(counts)))
        self.rows = int(self.row_offsets[-1])
        self.one_row_each = self.rows == self.records
        self.row_record: np.ndarray = np.repeat(np.arange(self.records), counts)
        self._row_record_arrow = pa.array(self.row_record)
        self._row_line = self._positions_of_lines(counts)

    def _positions_of_lines(self, counts: np.ndarray) -> pa.Array | None:
        """For each row the position of its line among all lines, null for the row of a record without lines."""
        if self._lines is None or bool((self._lines.counts > 0).all()):
            return None
        has_line = np.repeat(self._lines.counts > 0, counts)
        return pa.array(np.cumsum(has_line) - 1, mask=~has_line)

    def column(self, name: str, kind: pa.DataType) -> pa.Array:
        """A record's property; nulls of the type when the batch does not have it."""
        found = self._columns.get(name)
        if found is None:
            return pa.nulls(self.records, kind)
        return found if found.type == kind else found.cast(kind)

    def line_column(self, name: str, kind: pa.DataType) -> pa.Array:
        """A line's property, one value per row."""
        values = self._lines.member(name, kind) if self._lines is not None else None
        if values is None:
            return pa.nulls(self.rows, kind)
        return values if self._row_line is None else values.take(self._row_line)

    def elements(self, collection: str) -> Elements | None:
        """The elements of an embedded collection."""
        found = self._columns.get(collection)
        return None if found is None else Elements(found)

    def to_rows(self, values: pa.Array) -> pa.Array:
        """One value per record, repeated for each of its rows."""
        return values if self.one_row_each else values.take(self._row_record_arrow)

    def records_of_rows(self, rows: np.ndarray) -> np.ndarray:
        """The records, ascending and each once, of a mask over rows."""
        return np.unique(self.row_record[rows])


class Elements:
    """The elements of one embedded collection of all records of a batch, end to end."""

    def __init__(self, lists: pa.ListArray) -> None:
        self.counts: np.ndarray = (
            pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        )
        self._flat: pa.StructArray = pc.list_flatten(lists)
        self.records = len(lists)

    @property
    def owner(self) -> np.ndarray:
        """For each element the position of its record."""
        return np.repeat(np.arange(self.records), self.counts)

    def member(self, name: str, kind: pa.DataType) -> pa.Array | None:
        """A property of all elements; None when no element was staged with it."""
        index = self._flat.type.get_field_index(name)
        if index < 0:
            return None
        # Unlike StructArray.field, this respects elements that are null as a whole.
        values = pc.struct_field(self._flat, [index])
        return values if values.type == kind else values.cast(kind)

    def member_or_nulls(self, name: str, kind: pa.DataType) -> pa.Array:
        """A property of all elements, nulls when no element was staged with it."""
        values = self.member(name, kind)
        return pa.nulls(len(self._flat), kind) if values is None else values


def to_mask(values: pa.Array) -> np.ndarray:
    """A boolean array as numpy mask; null is false."""
    mask: np.ndarray = (pc.fill_null(values, False) if values.null_count else values).to_numpy(zero_copy_only=False)
    return mask


def _one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        # Combining would copy it, the original bytes of the records too.
        return column.chunk(0)
    combined = column.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        return pa.concat_arrays(combined.chunks)
    return combined
