"""An entity's canonical file, `data.csv`, record by record: what files of other formats are made from.

`records.parquet` says where each record's rows are, so the file is taken apart at records, never within one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tieout.errors import DoesNotTieOut
from tieout.mapping.compiler import CompiledMapping
from tieout.mapping.totals import WIDE_MONEY
from tieout.odata.layout import MONEY, arrow_type
from tieout.odata.schema import FieldType
from tieout.staging import StagedPath

CHUNK_BYTES = 4 * 1024 * 1024
CHUNK_RECORDS = 5_000

Rows = npt.NDArray[np.int64]

_PLAIN: Mapping[FieldType, str] = {
    FieldType.NUMBER: r"^-?[0-9]{1,22}(\.[0-9]{1,6})?$",
    FieldType.INTEGER: r"^-?[0-9]{1,18}$",
}


@dataclass(frozen=True)
class Unfit:
    """Why a record cannot be written.

    Attributes:
        record: Its position in the chunk.
        reason_code: Stable upper-case name.
        message: What is wrong, in a sentence.
        fix_hint: What to do about it.
    """

    record: int
    reason_code: str
    message: str
    fix_hint: str


@dataclass(frozen=True)
class Chunk:
    """Some whole records of the file.

    Attributes:
        records: Their rows of `records.parquet`.
        rows: Their rows of `data.csv`, all text.
        first_rows: Per record the position of its first row.
    """

    records: pa.RecordBatch
    rows: pa.RecordBatch
    first_rows: Rows

    @property
    def last_rows(self) -> Rows:
        """Per record the position of its last row."""
        return np.append(self.first_rows[1:], self.rows.num_rows) - 1

    def record_of(self, row: int) -> int:
        """The position of the record that a row belongs to."""
        return int(np.searchsorted(self.first_rows, row, side="right")) - 1


@dataclass
class Content:
    """What records come to: of the canonical file, or of a finished one that was read back.

    Attributes:
        records: Records; None where the format does not tell one from the next.
        rows: Rows, one per line of a document; None where the format does not have them.
        money: Currency → the records' amounts; None where the format does not tell both.
        sums: Sums of further columns.
    """

    records: int | None = 0
    rows: int | None = 0
    money: dict[str, Decimal] | None = field(default_factory=dict)
    sums: dict[str, Decimal] = field(default_factory=dict)

    def add_money(self, currency: str, amount: Decimal) -> None:
        """Adds a record's amount."""
        if self.money is not None:
            self.money[currency] = self.money.get(currency, Decimal(0)) + amount

    def add_sum(self, name: str, texts: pa.Array) -> None:
        """Adds a column's numbers."""
        total = pc.sum(numbers(texts)).as_py()
        self.sums[name] = self.sums.get(name, Decimal(0)) + (total or Decimal(0))

    def difference(self, found: Content) -> str:
        """How what was read back differs, in words; empty where it does not, as far as the format tells."""
        for name in ("records", "rows"):
            expected, read = getattr(self, name), getattr(found, name)
            if read is not None and read != expected:
                return f"{read} {name} instead of {expected}"
        if found.money is not None:
            for currency in sorted({*(self.money or {}), *found.money}):
                amounts = (self.money or {}).get(currency, Decimal(0)), found.money.get(currency, Decimal(0))
                if amounts[0] != amounts[1]:
                    return f"{currency} {amounts[1]} instead of {amounts[0]}"
        for name, total in found.sums.items():
            if total != self.sums.get(name, Decimal(0)):
                return f"a sum of {name} of {total} instead of {self.sums.get(name, Decimal(0))}"
        return ""


def column_types(compiled: CompiledMapping) -> dict[str, FieldType]:
    """The type of every column of the file, by the mapping; custom fields are text."""
    own = {column.name: compiled.catalog.expression_type(column) for column in compiled.mapping.columns}
    return {name: own.get(name, FieldType.TEXT) for name in compiled.header}


def read_chunks(data: StagedPath, records: StagedPath, compiled: CompiledMapping) -> Iterator[Chunk]:
    """The file in chunks of whole records; memory is bounded by a chunk, or by one record that is larger.

    Raises:
        DoesNotTieOut: The two files are not of each other.
    """
    with data.open("rb") as file, records.open("rb") as index:
        for batch in record_batches(index):
            for piece in _pieces(batch):
                start, end = piece.column("byte_start")[0].as_py(), piece.column("byte_end")[-1].as_py()
                file.seek(start)
                content = file.read(end - start)
                if len(content) != end - start:
                    raise DoesNotTieOut(f"{data.name} ends before its records do. Run the entity again.")
                yield _chunk(content, piece, compiled)


def record_batches(index: IO[bytes]) -> Iterator[pa.RecordBatch]:
    """The records of an open `records.parquet`, some at a time."""
    parquet = pq.ParquetFile(index, pre_buffer=False)
    # One row group after another: `iter_batches` over all of them may read ahead.
    for group in range(parquet.num_row_groups):
        yield from parquet.iter_batches(CHUNK_RECORDS, row_groups=[group])


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    starts, ends = batch.column("byte_start").to_numpy(), batch.column("byte_end").to_numpy()
    at = 0
    while at < batch.num_rows:
        fitting = int(np.searchsorted(ends, starts[at] + CHUNK_BYTES, side="right"))
        stop = max(fitting, at + 1)
        yield batch.slice(at, stop - at)
        at = stop


def _chunk(content: bytes, records: pa.RecordBatch, compiled: CompiledMapping) -> Chunk:
    table = pa_csv.read_csv(
        pa.BufferReader(content),
        read_options=pa_csv.ReadOptions(column_names=compiled.header, block_size=len(content) + 1, use_threads=False),
        parse_options=pa_csv.ParseOptions(
            delimiter=compiled.dialect.delimiter, newlines_in_values=True, ignore_empty_lines=False
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(compiled.header, pa.string()), strings_can_be_null=False
        ),
    )
    rows = table.combine_chunks().to_batches()[0]
    keys = rows.column(compiled.mapping.key_name)
    changes = np.asarray(pc.not_equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False), dtype=bool)
    first_rows: Rows = np.flatnonzero(np.concatenate(([True], changes)))
    if len(first_rows) != records.num_rows:
        raise DoesNotTieOut(
            f"{compiled.mapping.entity}: {records.num_rows} records have {len(first_rows)} different values of "
            f"{compiled.mapping.key_name}. That column must tell records apart; correct `key_column` of the mapping."
        )
    return Chunk(records, rows, first_rows)


def typed(chunk: Chunk, types: Mapping[str, FieldType]) -> tuple[pa.RecordBatch, list[Unfit]]:
    """The rows with numbers as decimal128(28, 6) and int64, dates as text, and null for nothing.

    Also tells of values that are no numbers although the mapping says so: a default may be any text.
    """
    arrays, unfit = [], []
    for name in chunk.rows.schema.names:
        values = chunk.rows.column(name)
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        kind = types[name]
        if kind in _PLAIN:
            plain = pc.match_substring_regex(values, _PLAIN[kind])
            wrong = np.flatnonzero(np.asarray(pc.fill_null(pc.invert(plain), False)))
            unfit += [_no_number(chunk, name, values, int(row)) for row in wrong]
            values = pc.if_else(plain, values, pa.scalar(None, pa.string())).cast(arrow_type(kind))
        arrays.append(values)
    return pa.RecordBatch.from_arrays(arrays, names=chunk.rows.schema.names), unfit


def _no_number(chunk: Chunk, name: str, values: pa.Array, row: int) -> Unfit:
    return Unfit(
        chunk.record_of(row),
        "NOT_A_NUMBER",
        f"{name} is {values[row].as_py()!r}, and this format needs a number.",
        f"Correct the value in SYSPRO, or the mapping of the column {name}.",
    )


def add_content(content: Content, chunk: Chunk, compiled: CompiledMapping, sums: Iterable[str]) -> None:
    """Adds a chunk to what the canonical file holds.

    Args:
        content: Takes it.
        chunk: The chunk.
        compiled: Says which columns tell a record's money.
        sums: Columns to be added up, as far as there are such.
    """
    assert content.records is not None and content.rows is not None
    content.records += chunk.records.num_rows
    content.rows += chunk.rows.num_rows
    totals = compiled.mapping.totals
    if totals:
        first = pa.array(chunk.first_rows)
        amounts = numbers(chunk.rows.column(totals.amount).take(first))
        currencies = chunk.rows.column(totals.currency).take(first)
        found = (
            pa.table({"currency": currencies, "amount": amounts}).group_by("currency").aggregate([("amount", "sum")])
        )
        for code, amount in zip(found["currency"].to_pylist(), found["amount_sum"].to_pylist(), strict=True):
            content.add_money(code, amount)
    for name in sums:
        if name in chunk.rows.schema.names:
            content.add_sum(name, chunk.rows.column(name))


def numbers(texts: pa.Array) -> pa.Array:
    """Plain numbers in text, nothing as zero, wide enough to be added up."""
    return pc.if_else(pc.equal(texts, ""), "0", texts).cast(MONEY).cast(WIDE_MONEY)
